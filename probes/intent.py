"""Changes: what a remedy wants, and the documents in which it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from probes.base import Frozen, Value
from probes.orchestrator import ProbeSpec


class Desired(Frozen, frozen=True, tag="desired"):
    """Settings that a deployment should have; only what is given changes."""

    memory_limit_bytes: int | None = None
    open_files_limit: int | None = None
    """The soft RLIMIT_NOFILE."""
    bind_host: str | None = None
    gunicorn: Mapping[str, Value] = {}
    """Settings by the names of gunicorn's configuration file (``timeout``, ``max_requests``, …)."""
    server: Literal["gunicorn", "uvicorn"] | None = None
    """The manager to run under, where it differs from today's: the command is rewritten."""
    production: bool = False
    """Without the flags that are meant for development (``--reload``, ``fastapi dev``)."""
    cpu_limit_cores: float | None = None
    log_options: Mapping[str, str] = {}
    """Of Docker's ``json-file`` log driver (``max-size``, ``max-file``) where a log has no bound; its others stay, and
    so does what has a ``max-size``."""
    probes: tuple[ProbeSpec, ...] = ()
    """Health checks to set, each in place of the one of its role; roles that are not named stay as they are."""
    environment: Mapping[str, str] = {}
    """Variables to set to these literal values. Never a secret: those move by ``secret_variables``."""
    environment_from: Mapping[str, str] = {}
    """Variables to take from elsewhere: name → ``secret NAME/KEY`` or ``configmap NAME/KEY``, which exist already."""
    database_tls: Mapping[str, str] = {}
    """Variables with a database URL → what its ``sslmode`` or ``ssl`` shall be. The URL itself never stands in here."""
    database_ca: str | None = None
    """A file with an authority's certificate that must be in the container: a condition, not a change."""
    secret_variables: tuple[str, ...] = ()
    """Variables whose literal value moves into a secret of the engine's, which the variable then refers to."""
    target_ports: Mapping[str, int] = {}
    """``SERVICE:PORT`` → the container port that it shall lead to."""


class Scale(Frozen, frozen=True, tag="scale"):
    """Run so many replicas."""

    replicas: int


class Rollback(Frozen, frozen=True, tag="rollback"):
    """Go back to a revision that the orchestrator still has."""

    revision: int


class Restart(Frozen, frozen=True, tag="restart"):
    """Restart the replicas, one at a time."""


Intent = Desired | Restart | Scale | Rollback


DocumentKind = Literal["container", "compose", "gunicorn-config", "process-limits", "object", "patch", "none"]
"""``object``: an object of the Kubernetes API; ``patch``: a file for whoever owns the object."""


class Document(Frozen, frozen=True):
    """A text in which settings stand: a file, or the rendering of what the engine will be sent."""

    id: str
    """Unique within a plan: ``container:NAME``, ``file:/srv/compose.yaml``, ``limits:PID``."""
    kind: DocumentKind
    title: str
    """For people: ``container checkout``, ``/srv/compose.yaml``."""
    text: str
    """The whole text. It may hold secrets: shown through :func:`fixes.diff.redacted` only, never stored."""
    version: str
    """SHA-256 of what is there now: the precondition of writing."""


StepAction = Literal[
    "update", "recreate", "write-file", "reload", "set-limits", "restart", "patch", "create", "offer-file"
]
"""``patch`` and ``create`` change an object of the Kubernetes API; ``offer-file`` writes a patch beside it and changes
nothing that runs."""


class Step(Frozen, frozen=True):
    """One change of one document, or one act upon one replica."""

    action: StepAction
    summary: str
    """One line for people: ``docker update --memory 1g checkout``, ``HUP to gunicorn 4711``."""
    before: Document
    after: Document
    subject: str
    """What the writer acts upon: a container's id, a file's path, a master's ``PID:START``."""
    arguments: Mapping[str, object] = {}
    """For the writer: plain data that survives JSON; no secrets (those stand in ``after.text`` alone)."""
    restarts: bool = False
    """Requests may be lost, or state in memory is."""


class RestorePoint(Frozen, frozen=True):
    """How one performed step is taken back; it goes into the journal, so it holds no secret."""

    action: StepAction
    subject: str
    left: str
    """SHA-256 of what the step left: undo refuses when something else is there now."""
    data: Mapping[str, object] = {}
    """For the writer: the kept container's id and policy, the backup's path, the former limits."""
