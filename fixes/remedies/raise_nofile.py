"""Raises the number of files and connections that a process may have open.

What it does: sets the soft limit (RLIMIT_NOFILE) to 65536, or to the hard limit where that is lower: a local process
gets it by ``prlimit`` at once, a container by its ``ulimits`` (and so does the Compose file). A container's hard limit
is raised with it, as far as the engine may: without CAP_SYS_RESOURCE no further than its own hard limit.

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
    """The highest soft limit that can be had: a process's hard one, what the engine may give; ``None``: unknown."""
    if not _facts.in_container(deployment):
        return _hard(deployment)
    given = min((r.open_files_most for r in deployment.running if r.open_files_most is not None), default=None)
    return None if given is None else min(given, MOST)


def _room(deployment: Deployment) -> int | None:
    """The highest limit known to be possible: an engine of which nothing is known may not raise the hard one."""
    soft, hard, most = _soft(deployment) or 0, _hard(deployment), _most(deployment)
    if most is not None:
        return most
    return hard if hard is not None and hard >= 2 * soft else None


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    soft, most, contained = _soft(deployment), _most(deployment), _facts.in_container(deployment)
    if soft is None or soft < (MOST if most is None else most):
        return None
    if soft >= MOST and (contained or most is None):
        return f"It may have {soft} files open, and {MOST} is as many as can be set: look for descriptors that leak."
    if contained:
        return (
            f"It may have {soft} files open, and the engine may give no more than {most}: raise that where the engine "
            "is started (systemd: LimitNOFILE of containerd.service and docker.service), or give it CAP_SYS_RESOURCE."
        )
    return (
        f"The soft limit stands at the hard limit ({most}) already: raise that where the service is started "
        "(systemd: LimitNOFILE=65536)."
    )


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    room, most, wanted = _room(deployment), _most(deployment), max(ADVISED, 2 * (_soft(deployment) or 0))
    maximum = MOST if most is None else most
    title = "Open files"
    if room is not None and room < wanted:
        engines = _facts.in_container(deployment) and most is not None
        title += f" (the engine may give {room})" if engines else f" (the hard limit is {room})"
    default = min(wanted, maximum, maximum if room is None else room)
    return (Parameter("limit", title, default, "files", minimum=64, maximum=maximum),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(open_files_limit=int(values["limit"]))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    room, most, limit = _room(deployment), _most(deployment), int(values["limit"])
    contained = _facts.in_container(deployment)
    if room is not None and room < ADVISED and limit == room:
        who = "The engine" if contained and most is not None else "The hard limit"
        return (f"{who} allows {room}, not the advised {ADVISED}.",)
    if contained and most is None and limit > (_hard(deployment) or limit):
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
