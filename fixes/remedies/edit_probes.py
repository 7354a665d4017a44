"""Corrects, or adds, a health check of the pods.

What it does: sets one check (readiness, liveness or startup) in the pods' description, computed from what was seen and
open to change before the diff is made:

    path       the one in use; where that does not exist (404), or there is none, the path that answered fastops;
               empty: only a connection is asked for
    port       the one on which the server listens
    time-out   the one in use; where the check was too short, 2 × what the answer took, in whole seconds
    failures   the number in use; for a liveness check that ended what works, 6 at least
    start      time for a start: a startup probe of its own that allows at least 2 × the start that was seen, so that
               the liveness check begins when the application is up

When it is right: the check cannot succeed, or ends what works (``probe-misconfigured``); there is none
(``probe-missing``); the start takes longer than the checks allow (``startup-stalled``).

When it is not: the service itself says no (``probe-failing``). A time-out that was measured while the event loop was
blocked or the CPU was throttled says nothing of the check.

Risk: the pods are replaced, one after the other.

Guard: readiness is never moved from a path that answers to another one, which may test less.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import get_args

from msgspec.structs import replace

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.orchestrator import ProbeRole, ProbeSpec
from probes.target import Refused

ROLES: tuple[ProbeRole, ...] = get_args(ProbeRole)
ABSENT = frozenset({404, 405})
START_SECONDS = 60
"""For a start of which nothing is known but that it takes longer than the checks allow."""
ABOVE_START = 2
"""So many times the start that was seen."""
PATIENT_FAILURES = 6
START_PERIOD_SECONDS = 5
FIRST: Mapping[ProbeRole, tuple[int, int, int]] = {
    "readiness": (2, 10, 3),
    "liveness": (5, 10, 6),
    "startup": (2, 5, 12),
}
"""Of a check that is new: time-out, period, failures. Liveness is patient, since it ends what it takes for dead."""


def _existing(deployment: Deployment, role: ProbeRole) -> ProbeSpec | None:
    return next((p for r in deployment.replicas for p in r.probes or () if p.role == role), None)


def _role(deployment: Deployment, finding: Finding) -> ProbeRole:
    if finding.signature == "startup-stalled" or finding.facts.get("reason") == "slow-start":
        return "startup"
    said = str(finding.facts.get("probe", "")).lower()
    for role in ROLES:
        if role == said:
            return role
    return "liveness" if _existing(deployment, "readiness") is not None else "readiness"


def _answering(deployment: Deployment, but: str | None = None) -> str | None:
    """The health path that answered fastops with success, most often; never ``but``."""
    seen = Counter(
        s.path
        for r in deployment.running
        for s in r.health_probes
        if s.status is not None and 200 <= s.status < 400 and s.path != but
    )
    return seen.most_common(1)[0][0] if seen else None


def _like(deployment: Deployment, role: ProbeRole) -> ProbeSpec | None:
    """The check to begin with: the role's own, else what another role asks."""
    order: tuple[ProbeRole, ...] = (role, "liveness", "readiness", "startup")
    return next((p for r in order if (p := _existing(deployment, r)) is not None), None)


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    if finding.explained_by is not None:
        return f"It is an effect of {finding.explained_by.signature}: that is what has to be fixed, not the check."
    if "init_container" in finding.facts:
        return "Its checks begin after the init containers: no check lets the pod start sooner."
    if finding.facts.get("reason") == "program" and _answering(deployment) is None:
        return "The image has not the check's program, and no path is known that answers: `advise` shows what to write."
    if _port(deployment, finding, None) is None:
        return "On which port it listens is not known, so no check can be proposed."
    return None


def _port(deployment: Deployment, finding: Finding, like: ProbeSpec | None) -> int | None:
    said = _facts.whole(finding.facts.get("port"))
    declared = next((port for r in deployment.replicas for port in r.declared_ports), None)
    return said or (like.port if like is not None else None) or _facts.port(deployment) or declared


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    role = _role(deployment, finding)
    own, like = _existing(deployment, role), _like(deployment, role)
    timeout, period, failures = FIRST[role]
    if own is not None:
        timeout, period = math.ceil(own.timeout_seconds), math.ceil(own.period_seconds)
        failures = own.failure_threshold
    reason = finding.facts.get("reason")
    took = _number(finding, "took_seconds")
    if took is not None:
        timeout = max(timeout, math.ceil(2 * took))
    if reason == "kills":
        timeout, failures = max(timeout, FIRST["liveness"][0]), max(failures, PATIENT_FAILURES)
    start = _start(deployment, finding, role)
    if role == "startup":
        period = START_PERIOD_SECONDS if own is None else period
        failures = math.ceil(max(start, START_SECONDS) / period)
        start = 0
    return (
        Parameter("check", "Check", role),
        Parameter("path", "Path", _path(deployment, finding, role, like)),
        Parameter("port", "Port", _port(deployment, finding, like) or 8000, minimum=1, maximum=65_535),
        Parameter("scheme", "Scheme", _scheme(like, flip=reason == "scheme")),
        Parameter("timeout", "Time for an answer", timeout, "seconds", minimum=1, maximum=300),
        Parameter("period", "Between two checks", period, "seconds", minimum=1, maximum=3600),
        Parameter("failures", "Failures in a row", failures, minimum=1, maximum=10_000),
        Parameter("start", "Time for a start (0: no startup probe)", start, "seconds", minimum=0, maximum=86_400),
    )


def _path(deployment: Deployment, finding: Finding, role: ProbeRole, like: ProbeSpec | None) -> str:
    own = _existing(deployment, role)
    known = own if own is not None else like
    if known is not None and known.handler == "http" and known.path and finding.facts.get("reason") != "path":
        return known.path
    if own is not None and own.handler in {"tcp", "grpc"}:
        return ""
    if own is not None and own.handler == "exec" and finding.facts.get("reason") != "program":
        return ""
    gone = own.path if own is not None and _is_gone(finding, role) else None  # pods of the former release have it still
    return _answering(deployment, gone) or ""


def _scheme(like: ProbeSpec | None, *, flip: bool) -> str:
    now = "HTTP" if like is None else like.scheme
    return {"HTTP": "HTTPS", "HTTPS": "HTTP"}[now] if flip else now


def _start(deployment: Deployment, finding: Finding, role: ProbeRole) -> int:
    """Seconds to allow for a start; 0 where nothing says that starts are slow."""
    seen = [_number(finding, name) for name in ("start_seconds", "waited_seconds")]
    known = [one for one in seen if one is not None]
    lived = _number(finding, "lived_seconds")
    if known:
        return math.ceil(max(START_SECONDS, ABOVE_START * max(known)))
    if lived is not None:  # it was ended before it was up: nobody saw how long a start takes
        return math.ceil(max(START_SECONDS, 2 * ABOVE_START * lived))
    endless = role == "liveness" and (_existing(deployment, role) is None or finding.facts.get("reason") == "kills")
    return START_SECONDS if endless and _existing(deployment, "startup") is None else 0


def _number(finding: Finding, name: str) -> float | None:
    value = finding.facts.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _intend(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> Intent:
    role = next((one for one in ROLES if one == str(values["check"]).strip().lower()), None)
    if role is None:
        raise Refused(f"The check is one of {', '.join(ROLES)}.")
    _refuse_shallower(deployment, finding, role, str(values["path"]))
    made = _spec(deployment, role, values)
    start = int(values["start"])
    if not start or role == "startup":
        return Desired(probes=(made,))
    allowed = replace(
        made,
        role="startup",
        period_seconds=START_PERIOD_SECONDS,
        failure_threshold=math.ceil(start / START_PERIOD_SECONDS),
        initial_delay_seconds=0,
        success_threshold=1,
    )
    return Desired(probes=(made, allowed))


def _spec(deployment: Deployment, role: ProbeRole, values: Mapping[str, Value]) -> ProbeSpec:
    path, port = str(values["path"]).strip(), int(values["port"])
    own = _existing(deployment, role)
    base = own if own is not None else ProbeSpec(role=role, handler="tcp")
    if path:
        if not path.startswith("/"):
            raise Refused("A path begins with a slash.")
        scheme = str(values["scheme"]).strip().upper()
        if scheme not in {"HTTP", "HTTPS"}:
            raise Refused("The scheme is HTTP or HTTPS.")
        secure = scheme == "HTTPS"
        base = replace(
            base, handler="http", path=path, port=port, scheme="HTTPS" if secure else "HTTP", command=(), host=None
        )
    elif base.handler in {"http", "tcp"}:
        base = replace(base, handler="tcp", path=None, port=port, command=())
    return replace(
        base,
        timeout_seconds=float(values["timeout"]),
        period_seconds=float(values["period"]),
        failure_threshold=int(values["failures"]),
    )


def _is_gone(finding: Finding, role: ProbeRole) -> bool:
    """Whether the kubelet was told that the path of this very check does not exist."""
    facts = finding.facts
    absent = facts.get("reason") == "path" and facts.get("status") in {str(one) for one in ABSENT}
    return absent and str(facts.get("probe", "")).lower() == role


def _refuse_shallower(deployment: Deployment, finding: Finding, role: ProbeRole, path: str) -> None:
    """Raises :class:`Refused` where readiness would leave a path that is there."""
    own = _existing(deployment, role)
    if role != "readiness" or own is None or own.handler != "http" or own.path in {None, path}:
        return
    answers = [s.status for r in deployment.running for s in r.health_probes if s.path == own.path and s.status]
    if all(status in ABSENT for status in answers):
        return
    if not _is_gone(finding, role):
        raise Refused(f"{own.path} is there and tests whether it is ready: {path or 'a connection'} may test less.")
    if not path.strip():
        raise Refused(f"{own.path} answers in some pods, not in others: give the path that the new ones have.")


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    role, path = str(values["check"]).strip().lower(), str(values["path"]).strip()
    own = next((p for r in deployment.replicas for p in r.probes or () if p.role == role), None)
    if role == "readiness" and own is not None and own.path and path and own.path != path:
        said.append(f"Readiness moves from {own.path} to {path}: see that it tests as much.")
    if not path and (own is None or own.handler in {"http", "tcp"}):
        said.append("Only a connection is asked for: a service that hangs passes that. Give a path that answers.")
    if role == "liveness" and path and any(p.path == path for r in deployment.replicas for p in r.probes or ()):
        said.append("Liveness should ask a path that needs no dependency: else an outage of those restarts every pod.")
    return tuple(dict.fromkeys(said))


REMEDY = Remedy(
    id=RemedyId("edit-probes"),
    title="Correct the health check",
    capability="probes",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
