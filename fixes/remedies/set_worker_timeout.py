"""Gives gunicorn's workers more time before their master kills them.

What it does: sets gunicorn's ``timeout`` (its default is 30 s) to 60 s, or to twice the present value where that is
60 s or more already; 600 s at most.

When it is right: ``sync`` and ``gthread`` workers, whose heartbeat stops while a request is served, and an
application whose start takes longer than the time-out.

When it is not: ASGI workers. Their heartbeat is the event loop's; a slow request that awaits is never killed, only a
blocked loop is, and a longer time-out then prolongs the outage. Find the blocking call instead (``profile``).

Risk: gunicorn is reloaded, or the container is made anew where the setting stands in its command. A worker that
really hangs is replaced later than before.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

ADVISED_SECONDS = 60
MOST_SECONDS = 600


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    if deployment.server != "gunicorn":
        return "Only gunicorn kills workers by a time-out; this service does not run under it."
    if _facts.serves_asgi(deployment) and finding.facts.get("boot") is not True:
        return "An ASGI worker is killed only while its event loop is blocked: a longer time-out prolongs the outage."
    return _facts.outranked(deployment, "timeout")


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    now = _facts.whole(deployment.setting("timeout")) or 0
    default = ADVISED_SECONDS if now < ADVISED_SECONDS else min(2 * now, MOST_SECONDS)
    return (Parameter("timeout", "Worker time-out", default, "seconds", minimum=1, maximum=MOST_SECONDS),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(gunicorn={"timeout": values["timeout"]})


REMEDY = Remedy(
    id=RemedyId("set-worker-timeout"),
    title="Give workers 60 seconds",
    capability="gunicorn",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
)
