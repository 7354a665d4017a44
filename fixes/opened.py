"""One open finding between two steps of the tracker: since when, on what evidence, and when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from fixes.model import Finding, Fires, Signature, Silent, Verdict, View
from probes.base import DeploymentId
from probes.loghits import LogCoverage


class Opened:
    """An open finding.

    A finding whose evidence is all from logs is over when its signature's logs were quiet long enough *while they were
    read*; any other one as soon as its signature is silent.
    """

    __slots__ = ("_from_logs", "_last_at", "_quiet", "_seen_at", "_signature", "_since", "_verdict")

    def __init__(self, signature: Signature, verdict: Fires, since: datetime, seen_at: datetime) -> None:
        self._signature = signature
        self._verdict = verdict
        self._since = since
        self._seen_at = seen_at
        self._quiet = timedelta()
        self._last_at = verdict.last_at
        self._from_logs = _is_from_logs(verdict)

    @classmethod
    def begin(cls, signature: Signature, verdict: Fires, view: View) -> Opened:
        """A finding that opens now; it was there since its evidence's first time."""
        first = verdict.first_at
        return cls(signature, verdict, view.now if first is None else min(first, view.now), view.now)

    def step(self, signature: Signature, verdict: Verdict, view: View) -> bool:
        """Takes the next verdict; true when the finding is over."""
        self._count_quiet(view)
        if isinstance(verdict, Fires):
            if self._is_newer(verdict):
                self._quiet = timedelta()
            self._verdict, self._last_at = verdict, verdict.last_at
            self._from_logs = _is_from_logs(verdict)
            return False
        if self._is_about_the_gone(view):
            return True
        if not self._from_logs:
            return isinstance(verdict, Silent)
        if isinstance(verdict, Silent) and view.after is not None:
            return True  # a fix was verified since
        if isinstance(verdict, Silent) and view.hits(*(p.key for p in signature.patterns)):
            return True  # the same lines are still there and mean something else now: it recovered
        return self._quiet >= (signature.quiet_after or view.window)

    def finding(self, deployment: DeploymentId) -> Finding:
        """As it stands in the report, without remedies and causes."""
        verdict = self._verdict
        return Finding(
            id=f"{deployment}#{self._signature.id}",
            deployment=deployment,
            signature=self._signature.id,
            severity=verdict.severity,
            title=verdict.title,
            since=self._since,
            count=verdict.count,
            evidence=verdict.evidence,
            facts=verdict.facts,
        )

    def _is_newer(self, verdict: Fires) -> bool:
        if verdict.last_at is None or self._last_at is None:
            return verdict != self._verdict
        return verdict.last_at > self._last_at

    def _count_quiet(self, view: View) -> None:
        """Adds the time since the last step, as far as logs were read in it."""
        start = self._seen_at if self._last_at is None else max(self._seen_at, self._last_at)
        self._quiet += _read(view.deployment.logs, start, view.now)
        self._seen_at = max(self._seen_at, view.now)

    def _is_about_the_gone(self, view: View) -> bool:
        """Whether every replica that the evidence is about has been replaced."""
        about = {e.replica for e in self._verdict.evidence if e.replica is not None}
        there = {replica.id for replica in view.deployment.replicas}
        return bool(about) and bool(there) and not about & there


def _is_from_logs(verdict: Fires) -> bool:
    return bool(verdict.evidence) and all(e.source == "log" for e in verdict.evidence)


def _read(coverage: LogCoverage, start: datetime, end: datetime) -> timedelta:
    """How long, of a span of time, logs were being read."""
    if coverage.state == "unread":
        return timedelta()
    first = start if coverage.since is None else max(start, coverage.since)
    last = end if coverage.until is None else min(end, coverage.until)
    return max(timedelta(), last - first)
