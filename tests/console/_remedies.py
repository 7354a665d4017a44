"""One remedy from its finding to the verified change and back, in a running session."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from statistics import fmean

from fixes.model import Outcome, Plan, RemedyId, SignatureId
from probes.base import DeploymentId, Value
from probes.target import Refused
from tests.console._fastops import until
from tests.console._watching import Watch

FOUND_SECONDS = 180
PLAN_SECONDS = 60
FIX_SECONDS = 300


class Remedied:
    """A finding of one deployment, and what is done about it."""

    def __init__(self, watch: Watch, deployment: str, signature: str) -> None:
        self._watch = watch
        self.deployment, self.signature = DeploymentId(deployment), SignatureId(signature)
        self.said: list[str] = []

    @property
    def found(self) -> bool:
        """Whether the finding is there in the latest report."""
        return self.signature in self._watch.now(self.deployment)

    def await_found(self, deadline_seconds: float = FOUND_SECONDS) -> None:
        """Waits for the finding."""
        until(f"{self.signature} of {self.deployment}", lambda: self.found, deadline_seconds)

    def await_gone(self) -> None:
        """Waits until the deployment is there without the finding."""
        there = self._watch.session.report.snapshot.find
        until(
            f"the end of {self.signature} of {self.deployment}",
            lambda: not self.found and there(self.deployment) is not None,
            FOUND_SECONDS,
        )

    def await_load(self, connections: float) -> None:
        """Waits until so many connections are on record: what came before the fix is what is compared with."""

        def seen() -> bool:
            of_replica = self._watch.session.series(self.deployment, "established", 0.0).values()
            return any(fmean(p.value for p in points) >= connections for points in of_replica if points)

        until(f"{connections:g} connections to {self.deployment}", seen, FOUND_SECONDS)

    def plan(self, remedy: str | None = None, values: Mapping[str, Value] | None = None) -> Plan:
        """The plan, or the refusal as an exception."""
        wanted = RemedyId(remedy) if remedy else None
        return self._watch.session.plan(self.deployment, self.signature, wanted, values).result(PLAN_SECONDS)

    def apply(self, plan: Plan, confirm: str | None = None) -> Outcome:
        """The outcome with its verification."""
        return self._watch.session.apply(plan, confirm, self.said.append).result(FIX_SECONDS)

    def undo(self, outcome: Outcome) -> Outcome:
        """The outcome of taking it back."""
        return self._watch.session.undo(outcome.change, self.said.append).result(FIX_SECONDS)

    def is_gone(self, outcome: Outcome) -> None:
        """The change is in force, and was verified to have ended the finding."""
        said = "\n".join(self.said)
        assert outcome.applied, f"{outcome.why}\n{said}"
        assert outcome.verified == "gone", f"{outcome.verified}: {outcome.why}\n{said}"

    def why_not(self, remedy: str) -> str | None:
        """Why a remedy of the finding is not offered; ``None`` where it is."""
        offers = {o.id: o for f in self._watch.session.report.of(self.deployment) for o in f.remedies}
        return offers[RemedyId(remedy)].why_not


def applied(outcome: Outcome) -> None:
    """Raises the refusal that came as an outcome."""
    if not outcome.applied:
        raise Refused(outcome.why or "")


def changed_lines(diff: str) -> tuple[list[str], list[str]]:
    """The lines that a unified diff takes away, and those that it adds, without their marks."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    return [x[1:] for x in lines if x.startswith("-")], [x[1:] for x in lines if x.startswith("+")]


def free_port() -> int:
    """A port of the loopback address that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
