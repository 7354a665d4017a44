"""Runs the server without the flags that are meant for development.

What it does: takes ``--reload`` and what belongs to it (``--reload-dir``, …) and ``--debug`` out of the server's
command, makes ``fastapi run`` of ``fastapi dev``, and sets ``UVICORN_RELOAD`` and ``GRANIAN_RELOAD`` to ``false``.
Every other option stays where it stands. A container is made anew with the new command, which is written into the
Compose file, too; on Kubernetes it stands in the pods' description, which is rolled out.

When it is right: ``dev-server``. A server that watches files restarts when one changes, runs one worker whatever it is
told, and hands signals on through another process; debug pages show code and values.

When it is not: a developer's own checkout. A process that nobody supervises is not touched: the command to start it
with is shown.

Risk: the service is started anew. uvicorn runs one worker while it reloads; the others that are configured start now.
``fastapi run`` listens on all interfaces unless it is told a host; where ``fastapi dev`` listened on loopback and
others share that network (a local process, host networking), ``--host 127.0.0.1`` is written out, so that nothing is
opened.

Guard: refused where the program's own code or a configuration file inside the image switches reload on. Where several
workers would start, as many do as fit into 80 % of the memory limit (else, into the machine's memory) and have room
on the database's server; one, where there is a limit and a worker's size is not known. That number is written where the
configured one stands. The deployment's name must be typed where several break a scheduler, SQLite, Socket.IO or
single-process metrics.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _budget, _facts, _several
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

LOOPBACK = "127.0.0.1"
_FLAGS = {"--reload", "--debug"}


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    if deployment.server is None:
        return "Its command starts no server that can be told apart, so it cannot be rewritten safely."
    reload = deployment.settings.get("reload")
    if reload is not None and reload.value is True:
        if "/" in reload.source:
            return f"Reloading is switched on in {reload.source}: change it there."
        return None
    words = {word for replica in deployment.running for word in replica.command}
    if not words & _FLAGS:
        return "Its command has no flag for development: its code asks for it (reload=True in a call), change it there."
    return None


def _hidden(deployment: Deployment) -> int | None:
    """How many workers are configured where only one runs, because it reloads; ``None`` where that is not so."""
    configured = _facts.whole(deployment.setting("workers"))
    hides = deployment.server == "uvicorn" and deployment.setting("reload") is True
    return configured if hides and configured is not None and configured > 1 else None


def _parameters(deployment: Deployment, finding: Finding, node: Node | None) -> tuple[Parameter, ...]:
    hidden = _hidden(deployment)
    if hidden is None:
        return ()
    by_memory = _facts.fitting_workers(deployment)
    if by_memory is None and _facts.memory_limit(deployment) is not None:
        by_memory = 1
    bounds = (by_memory, _budget.workers(deployment, finding), _facts.workers_on_machine(deployment, node, 1))
    most = max(1, min([hidden, *(bound for bound in bounds if bound is not None)]))
    return (Parameter("workers", "Workers", most, "processes", minimum=1, maximum=most),)


def _intend(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    shared = not _facts.in_container(deployment) or any(r.network_mode == "host" for r in deployment.replicas)
    keeps = shared and deployment.setting("host") == LOOPBACK
    host = LOOPBACK if keeps else None
    if "workers" not in values:
        return Desired(production=True, bind_host=host)
    return Desired(production=True, bind_host=host, gunicorn={"workers": int(values["workers"])}, server="uvicorn")


def _cautions(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    hidden, wanted = _hidden(deployment) or 1, int(values.get("workers", 1))
    said = []
    if wanted < hidden:
        said.append(f"{wanted} of its {hidden} workers will run: more need memory or connections that it may not have.")
    if wanted > 1 and deployment.drivers and _budget.workers(deployment, finding) is None:
        drivers = ", ".join(deployment.drivers)
        said.append(f"Each worker opens its own database pool ({drivers}): the connections rise by {wanted}/1.")
    if wanted > 1:
        said += (*_several.objections(deployment), *_several.conditions(deployment))
    return tuple(said)


def _confirm(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> str | None:
    return " ".join(_several.objections(deployment)) or None if int(values.get("workers", 1)) > 1 else None


REMEDY = Remedy(
    id=RemedyId("drop-dev-flags"),
    title="Run without development flags",
    capability="command",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    confirm=_confirm,
)
