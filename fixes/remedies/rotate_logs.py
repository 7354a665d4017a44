"""Bounds the log that the engine keeps of a container.

What it does: gives Docker's ``json-file`` driver a ``max-size`` (10 MB) and a ``max-file`` (3), so that the engine
rotates the log and keeps 30 MB at most. An engine reads a log's options at a container's creation only: the container
is made anew, and the Compose file gets a ``logging:`` of its own. Where other containers of the service, or the Compose
file, have a bound, these stay as they are, and their numbers are the default.

When it is right: ``log-unbounded``, and ``disk-full`` where such a log is large.

When it is not: the ``local`` driver, which rotates by itself; drivers that send the log away; a pod, whose log the
kubelet rotates; a local process, whose output belongs to whoever started it.

Risk: the service is started anew, with a log of its own: ``docker logs`` shows the former lines no more. The former
container is kept for an undo, and its log with it: the space is free once that container is removed.

Guard: a disk that is full already is not emptied by this; make room first.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node, Replica

MEGABYTES = 10
FILES = 3
MOST_MEGABYTES, MOST_FILES = 10_000, 100
LARGE_BYTES = 10_000_000


def _is_unbounded(replica: Replica) -> bool:
    options = replica.log_options or {}
    return replica.log_driver == "json-file" and options.get("max-size", "").strip() in {"", "-1"}


def _unbounded(deployment: Deployment) -> list[Replica]:
    return [replica for replica in deployment.replicas if _is_unbounded(replica)]


def _held(deployment: Deployment, option: str) -> str:
    """What all containers that have the option agree on, else nothing."""
    found = {(replica.log_options or {}).get(option, "").strip() for replica in deployment.replicas} - {"", "-1"}
    return found.pop() if len(found) == 1 else ""


def _megabytes(size: str) -> int | None:
    """An engine's ``100m`` or ``1g`` (decimal units: docs.docker.com, json-file); ``None`` where it is neither."""
    number, unit = size[:-1], size[-1:].lower()
    return int(number) * (1 if unit == "m" else 1000) if number.isdecimal() and unit in {"m", "g"} else None


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    drivers = sorted({replica.log_driver for replica in deployment.replicas if replica.log_driver})
    if not drivers:
        return "Its log driver is not known."
    if drivers != ["json-file"]:
        other = next(name for name in drivers if name != "json-file")
        if other == "local":
            return "The local driver rotates its log by itself."
        return f"Its log driver is {other}, which keeps no file of its own: bound the log where it goes to."
    if not _unbounded(deployment):
        return "Its log has a bound already."
    sizes = [replica.log_bytes for replica in _unbounded(deployment) if replica.log_bytes is not None]
    if finding.signature == "disk-full" and max(sizes, default=0) < LARGE_BYTES:
        return "Its log is small, or its size is not known: something else may fill the disk."
    return None


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    size, files = _megabytes(_held(deployment, "max-size")), _held(deployment, "max-file")
    kept = int(files) if files.isdecimal() and len(files) <= 3 else 0
    return (
        Parameter(
            "max_size",
            "Largest file",
            size if size and size <= MOST_MEGABYTES else MEGABYTES,
            "MB",
            minimum=1,
            maximum=MOST_MEGABYTES,
        ),
        Parameter("max_file", "Files", kept if 2 <= kept <= MOST_FILES else FILES, minimum=2, maximum=MOST_FILES),
    )


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(log_options={"max-size": f"{int(values['max_size'])}m", "max-file": str(int(values["max_file"]))})


def _cautions(deployment: Deployment, _finding: Finding, _values: Mapping[str, Value]) -> tuple[str, ...]:
    them = _unbounded(deployment)
    size = sum(replica.log_bytes or 0 for replica in them)
    held = f" of {size / 1e6:.0f} MB" if size >= 1e6 else ""
    kept = f"The former container is kept for an undo, with its log{held}"
    said = [f"{kept}: that space is free once it is removed (docker rm).", "`docker logs` of the new one begins anew."]
    others = len(deployment.replicas) - len(them)
    if others:
        verbs = "has a bound and stays as it is" if others == 1 else "have a bound and stay as they are"
        said.append(f"{others} of {len(deployment.replicas)} containers {verbs}.")
    return tuple(said)


REMEDY = Remedy(
    id=RemedyId("rotate-logs"),
    title="Bound and rotate the log",
    capability="log-rotation",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
