"""Raises the number of files and connections that a process may have open.

What it does: sets the soft limit (RLIMIT_NOFILE) to 65536, or to the hard limit where that is lower: a local process
gets it by ``prlimit`` at once, a container by its ``ulimits`` (and so does the Compose file). A container's hard limit
can be raised with it, where the engine itself may have as many files open.

When it is right: ``[Errno 24] Too many open files``, or a limit of 1024 under a service with many connections. Each
request holds one descriptor, each database connection another.

When it is not: descriptors that leak. Then a higher limit buys time, as with memory.

Risk: none for a local process. A container is made anew, because an engine sets ulimits at the start only. Programs
that use ``select()`` cannot watch descriptors above 1023; asyncio does not use it on Linux.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

ADVISED = 65_536
MOST = 1 << 20
"""Where no hard limit bounds it: the kernel's own default of ``fs.nr_open``, above which no limit can be set."""


def _soft(deployment: Deployment) -> int | None:
    return min((w.open_files_limit for w in deployment.workers if w.open_files_limit is not None), default=None)


def _hard(deployment: Deployment) -> int | None:
    """The hard limit that its processes have."""
    hard = (w.open_files_hard_limit for w in deployment.workers if w.open_files_hard_limit is not None)
    return min(hard, default=None)


def _most(deployment: Deployment) -> int | None:
    """The hard limit that bounds the soft one; ``None`` in containers, whose engine sets both limits."""
    return None if _facts.in_container(deployment) else _hard(deployment)


def _room(deployment: Deployment) -> int | None:
    """The hard limit where it leaves room for the soft one: an engine may refuse to raise that, too."""
    soft, hard = _soft(deployment) or 0, _hard(deployment)
    return hard if hard is not None and (hard >= 2 * soft or not _facts.in_container(deployment)) else None


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    soft, hard = _soft(deployment), _most(deployment)
    if soft is not None and hard is not None and soft >= hard:
        return (
            f"The soft limit stands at the hard limit ({hard}) already: raise that where the service is started "
            "(systemd: LimitNOFILE=65536)."
        )
    if soft is not None and hard is None and soft >= MOST:
        return f"It may have {soft} files open, and {MOST} is as many as can be set: look for descriptors that leak."
    return None


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    soft, hard, most = _soft(deployment) or 0, _room(deployment), _most(deployment)
    wanted = max(ADVISED, 2 * soft)
    title = "Open files" if hard is None else f"Open files (the hard limit is {hard})"
    maximum = MOST if most is None else most
    default = min(wanted, maximum, maximum if hard is None else hard)
    return (Parameter("limit", title, default, "files", minimum=64, maximum=maximum),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(open_files_limit=int(values["limit"]))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    hard, limit = _room(deployment), int(values["limit"])
    if hard is not None and hard < ADVISED and limit == hard:
        return (f"The hard limit allows {hard}, not the advised {ADVISED}.",)
    if _facts.in_container(deployment) and limit > (_hard(deployment) or limit):
        return (f"It raises the hard limit, too ({_hard(deployment)}): an engine without the right to do so refuses.",)
    return ()


REMEDY = Remedy(
    id=RemedyId("raise-nofile"),
    title="Allow more open files",
    capability="nofile",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
