"""Whether a fix helped: judged from evidence after the change alone, and under comparable load.

Three kinds of findings end in three ways; which one it is says each signature's :class:`.Proof`:

* **settings** (a limit, an address, a port, a number of processes): the first measurement after the change that shows
  them decides. Silent is ``gone`` at once; still there at the end of the window is ``present``.
* **start** (it did not boot, or this kept it from booting; a variable is missing, every worker was killed while it
  started): ``gone`` when the service has started since, runs, and is silent to the window's end. A start needs no load
  to fail again.
* **load** (kills, time-outs, exhaustion, leaks, a blocked loop): firing again is ``present`` at once, unless all that
  it fires on was measured before the change: then the next measurement is waited for.
  Silence counts only where the service was used as before: at least half of the established connections, or of the
  CPU, of the five minutes before the change, or any load at all where it was idle then. Where neither was measured, an
  answer to a request of fastops is enough. Else the verdict is ``untested``: nothing happened that could have failed.
  And it counts only where it lasts as long as the mean time between two failures before the change (10 min at most):
  a failure that comes every six minutes is away for 30 s without any fix.

What stays undecided at the end of the window, what fires then on nothing but what was measured before the change, and a
service that does not run then, is ``untested`` with the reason.
The window is what a person waits for: 30 s, longer where the failure itself takes longer than that to show
(gunicorn's and SQLAlchemy's time-outs are 30 s by default; a leak is told after a worker's first minute and one more,
or by workers that were replaced before; that silence is a judgement itself and counts as soon as it comes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from fixes.counted import counted
from fixes.model import Finding, Fires, Silent, Verdict, Verified
from fixes.proof import Proof
from fixes.signatures._shared import duration
from fixes.signatures._wording import STARTED
from probes.base import DeploymentId, Frozen, Value
from probes.history import Metric, Point
from probes.model import Deployment

Series = Callable[[Metric], Mapping[str, Sequence[Point]]]
"""As :attr:`fixes.model.View.series`: the series of one metric of the deployment, by label."""

BEFORE_SECONDS = 300.0
GRACE_SECONDS = 5.0
"""What a service under load says in the first seconds is still of the time before: requests that were waiting end, an
accept is tried again a second later (asyncio), and lines without a time are dated when they are read."""
COMPARABLE = 0.5
LEAST_CONNECTIONS = 1.0
LEAST_CORES = 0.02
"""Below these a service is idle (one core of a hundredth or two goes to heartbeats and health checks)."""
LEAST_RATE = 0.05
"""Requests a second: three a minute."""
RATE_SECONDS = 62.0
"""Rates are those of the last minute (:mod:`probes.accesslog`, :mod:`probes.traffic`): from then on they are all of the
time after the change."""
LOOK_BACK_SECONDS = 900.0
"""Of what a finding's count is: it may be open for longer."""
LONGEST_QUIET_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
"""So far a window grows for a failure that comes more rarely than its usual window is long."""
APPLYING_SECONDS = 120.0
"""Quiet of up to so long before the end of the last step is the fix itself: the service stops and starts."""
_NO_START = frozenset({"worker-boot-failed", "startup-stalled"})
"""What explains one of these stopped a start: the next start puts it to the test."""
_SLOWEST_START_SECONDS = 180.0
"""So far a window grows for a service whose start takes longer than its former time-out."""
_UNMEASURED = "It was not measured since the change."


class Load(Frozen, frozen=True):
    """How much a service was used over some time: means, ``None`` where it was not measured."""

    connections: float | None = None
    cores: float | None = None


class Verification(Frozen, frozen=True):
    """What is verified, since when, and against which load."""

    deployment: DeploymentId
    proof: Proof
    applied_at: datetime
    window_seconds: float
    before: Load
    facts: Mapping[str, Value] = {}
    """The finding's."""
    every_seconds: float = 0.0
    """The mean time between two failures before the change; 0 where it is measured at every look."""

    @property
    def evidence_from(self) -> datetime:
        """Since when evidence counts."""
        return self.applied_at + timedelta(seconds=GRACE_SECONDS if self.proof.basis == "load" else 0.0)


class Answer(Frozen, frozen=True):
    """The judgement so far: ``None`` asks to go on looking."""

    verified: Verified | None
    why: str | None = None
    """What ``present`` saw, or ``untested`` missed."""


def load_before(series: Series, now: datetime) -> Load:
    """To be asked before a change is begun: while a service is made anew what was measured of it may be forgotten."""
    return load(series, now.timestamp() - BEFORE_SECONDS, now.timestamp())


def begin(
    finding: Finding, proof: Proof, applied_at: datetime, before: Load, effects: Iterable[Finding] = ()
) -> Verification:
    """Starts to verify.

    ``proof`` is the signature's; ``applied_at`` is when the last step was done (UTC), ``before`` what the load is
    compared with, ``effects`` what the finding explained of the same deployment before the change.
    """
    if finding.facts.get("only_boots") is True or any(f.signature in _NO_START for f in effects):
        proof = replace(proof, basis="start")
    every = _every(finding, proof, applied_at) if proof.basis == "load" else 0.0
    window = max(proof.window_seconds, min(every, LONGEST_WAIT_SECONDS))
    if proof.basis == "start":
        former = finding.facts.get("timeout_seconds", 0)
        window = max(window, min(2.0 * float(former), _SLOWEST_START_SECONDS))
    return Verification(
        deployment=finding.deployment,
        proof=proof,
        applied_at=applied_at,
        window_seconds=window,
        before=before,
        facts=finding.facts,
        every_seconds=every,
    )


def judge(
    verification: Verification, verdict: Verdict, deployment: Deployment | None, series: Series, now: datetime
) -> Answer:
    """What can be said now.

    ``verdict`` is the signature's, given no evidence from before ``evidence_from``; ``deployment`` is as it is now
    (``None`` when it is not seen). From the end of the window on the answer is never ``None``; where the service counts
    its requests and short ones may be the only use of it, a window is at least :data:`RATE_SECONDS`.
    """
    deployment = None if deployment is None else counted(deployment)
    quiet = (now - verification.applied_at).total_seconds()
    over = quiet >= verification.window_seconds
    why: str | None
    if isinstance(verdict, Fires):
        if not _measured_before(verdict, verification):
            decides = over or verification.proof.basis != "settings"
            return Answer("present", verdict.title) if decides else Answer(None)
        why = _not_up(deployment, verification.applied_at) or _UNMEASURED
    elif isinstance(verdict, Silent):
        why = _unproven(verification, deployment, series, now)
        if why is None and (over or quiet >= _earliest(verification)):
            return Answer("gone")
    else:
        why = _not_up(deployment, verification.applied_at) or f"It takes {verdict.needs} to tell."
    counts = verification.proof.basis == "load" and deployment is not None and _rate(deployment) >= LEAST_RATE
    return Answer("untested", why) if over and not (counts and quiet < RATE_SECONDS) else Answer(None)


def _earliest(verification: Verification) -> float:
    """From when on silence counts, in seconds after the change."""
    proof = verification.proof
    if proof.basis == "settings":
        return 0.0
    return verification.window_seconds if proof.earliest_seconds is None else proof.earliest_seconds


def _measured_before(fires: Fires, verification: Verification) -> bool:
    """Whether all that it fires on is from before the change: a replica that was not measured since."""
    return bool(fires.evidence) and all(e.at is not None and e.at <= verification.evidence_from for e in fires.evidence)


def _unproven(verification: Verification, deployment: Deployment | None, series: Series, now: datetime) -> str | None:
    """Why silence does not count; ``None`` where it does."""
    down = _not_up(deployment, verification.applied_at)
    if deployment is None or down is not None:
        return down
    proof = verification.proof
    if proof.basis == "settings":
        if proof.since is not None:
            return proof.since(deployment, verification.facts, verification.applied_at)
        known = proof.shown
        return None if known is None or known(deployment) else "The setting was not seen since the change."
    if proof.basis == "start":
        return None if _started(deployment, verification.applied_at) else "The application has not started yet."
    if proof.shown is not None and not proof.shown(deployment):
        return _UNMEASURED
    idle = _idle(verification, deployment, series, now)
    quiet = (now - verification.applied_at).total_seconds()
    if idle is not None or quiet >= verification.every_seconds:
        return idle
    every, more = duration(verification.every_seconds), duration(verification.every_seconds - quiet)
    return f"Quiet so far, but it came every {every}; {more} more are needed."


def _every(finding: Finding, proof: Proof, applied_at: datetime) -> float:
    """Seconds between two failures: the mean, or the quiet before the change where the last one is longer ago."""
    happens = proof.happens or any(e.source in ("log", "event") for e in finding.evidence)
    if not happens:
        return 0.0
    known = min((applied_at - finding.since).total_seconds(), LOOK_BACK_SECONDS)
    last = max((e.at for e in finding.evidence if e.at is not None), default=applied_at)
    quiet = (applied_at - last).total_seconds()
    every = max(known / max(1, finding.count), quiet if quiet > APPLYING_SECONDS else 0.0)
    return min(max(0.0, every), LONGEST_QUIET_SECONDS)


def load(series: Series, start: float, end: float) -> Load:
    """The mean use of all replicas between two times (seconds since the epoch)."""
    return Load(connections=_mean(series("established"), start, end), cores=_mean(series("cpu-cores"), start, end))


def _mean(of_label: Mapping[str, Sequence[Point]], start: float, end: float) -> float | None:
    """The sum over the labels of each one's mean; ``None`` when none has a point there."""
    means = []
    for points in of_label.values():
        values = [p.value for p in points if start <= p.at <= end]
        if values:
            means.append(sum(values) / len(values))
    return sum(means) if means else None


def _not_up(deployment: Deployment | None, since: datetime) -> str | None:
    """Why the service cannot be judged: not seen, not running, not ready, or not measured since the change."""
    if deployment is None:
        return "The service is not seen any more."
    if not deployment.running:
        return "The service does not run."
    if len(deployment.running) < (deployment.desired or 1):
        return f"{len(deployment.running)} of {deployment.desired} replicas run."
    if any(r.ready is False for r in deployment.running):
        return "Its health check does not pass yet."
    if any(r.sampled_at is None or r.sampled_at <= since for r in deployment.running):
        return _UNMEASURED
    return None


def _idle(verification: Verification, deployment: Deployment | None, series: Series, now: datetime) -> str | None:
    """Why silence proves nothing; ``None`` when the service was used as before."""
    before = verification.before
    after = load(series, verification.evidence_from.timestamp(), now.timestamp())
    measured = (
        ("connections", before.connections, after.connections, LEAST_CONNECTIONS),
        ("cores", before.cores, after.cores, LEAST_CORES),
    )
    known = [(name, was, now_is) for name, was, now_is, least in measured if was is not None and was >= least]
    if any(now_is is not None and now_is >= COMPARABLE * was for _, was, now_is in known):
        return None
    if known:
        name, was, now_is = known[0]
        return f"Too little load since the change: {now_is or 0:.2g} {name}, {was:.2g} before."
    if any(now_is is not None and now_is >= least for _, _, now_is, least in measured):
        return None
    if deployment is not None and _served(deployment, verification.applied_at):
        return None
    if before.connections is not None or before.cores is not None:
        return "The service was idle before the change and is now: nothing happened that could have failed."
    if deployment is not None and _answered(deployment, verification.applied_at):
        return None
    return "Nobody used the service since the change, as far as could be measured."


def _started(deployment: Deployment, since: datetime) -> bool:
    """Whether the application came up: it said so or answered; what is not gunicorn listens only then."""
    said = any(
        mark.at is not None and mark.at > since
        for hit in deployment.hits
        if hit.key == STARTED.key
        for mark in hit.marks
    )
    listens = deployment.server not in {None, "gunicorn"} and any(r.listeners for r in deployment.running)
    return said or listens or _answered(deployment, since)


def _served(deployment: Deployment, since: datetime) -> bool:
    """Whether the service counted requests of its users after the change: short ones leave no connections to see."""
    told = deployment.latency
    return (
        told is not None and _rate(deployment) >= LEAST_RATE and (told.at - since).total_seconds() >= RATE_SECONDS - 2
    )


def _rate(deployment: Deployment) -> float:
    """Requests of users a second, as the service counts them; 0 where it does not."""
    return 0.0 if deployment.latency is None else deployment.latency.requests_per_second or 0.0


def _answered(deployment: Deployment, since: datetime) -> bool:
    """Whether a request that fastops made after the change was answered."""
    return any(
        sample.at > since and sample.status is not None
        for replica in deployment.running
        for sample in (*replica.loop_probes, *replica.health_probes)
    )
