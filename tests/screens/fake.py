"""A session that answers from memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import TypeVar

from console.changes import Working
from fixes.model import (
    Advice,
    Change,
    ChangeId,
    Entry,
    Outcome,
    Parameter,
    Plan,
    RemedyId,
    Report,
    SignatureId,
)
from probes.base import DeploymentId, PatternKey, ReplicaId, TargetId, Value
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Interest
from tests.screens.reports import MIB, NOW, report

T = TypeVar("T")

DIFF = """\
--- container checkout
+++ container checkout
@@ -3,7 +3,7 @@
 image: shop/checkout:1.9
 host_config:
-  memory: 536870912
+  memory: 1073741824
   memory_swap: 1073741824
   nano_cpus: 2000000000
   environment: [DATABASE_URL=•••]
"""
COMPOSE = """\
--- /srv/shop/compose.yaml
+++ /srv/shop/compose.yaml
@@ -11,6 +11,6 @@
     deploy:
       resources:
         limits:
-          memory: 512m   # was enough in March
+          memory: 1g   # was enough in March
"""


def done(value: T) -> Future[T]:
    """A future with an answer."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def failed(problem: Exception) -> Future[T]:
    """A future with a refusal."""
    future: Future[T] = Future()
    future.set_exception(problem)
    return future


def plan(of: DeploymentId, signature: SignatureId, remedy: RemedyId, values: Mapping[str, Value]) -> Plan:
    """A plan as the engine makes it."""
    parameter = Parameter(
        name="limit", title="memory limit", default=1024 * MIB, unit="bytes", minimum=6 * MIB, maximum=16384 * MIB
    )
    changes = (
        Change(document="container checkout", diff=DIFF, summary="docker update --memory 1g checkout"),
        Change(document="/srv/shop/compose.yaml", diff=COMPOSE, summary="write /srv/shop/compose.yaml"),
    )
    return Plan(
        id=ChangeId("20260301-124107-a1b2"),
        deployment=of,
        signature=signature,
        remedy=remedy,
        title="Raise the memory limit to 1 GiB",
        parameters=(parameter,),
        values={"limit": values.get("limit", 1024 * MIB)},
        steps=(),
        changes=changes,
        risk="recreate",
        restart=True,
        warnings=("requests in flight are lost while the container is recreated",),
    )


def log(of: DeploymentId, count: int = 400) -> list[LogLine]:
    """A log with a kill every hundred lines."""
    lines = []
    for n in range(1, count + 1):
        text, keys = f'INFO:     172.18.0.{n % 250}:5{n:04} - "GET /orders/{n} HTTP/1.1" 200 OK', ()
        if n % 100 == 60:
            text = "[ERROR] Worker (pid:17) was sent SIGKILL! Perhaps out of memory?"
            keys = (PatternKey("oom-killed/sigkill"),)
        at = NOW - timedelta(seconds=count - n)
        lines.append(LogLine(number=n, replica=ReplicaId("c-checkout"), at=at, text=text, keys=keys))
    return lines


class FakeSession:
    """What the application sees of a session; remembers what it was asked."""

    def __init__(self, first: Report | None = None, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.read_only_targets: frozenset[TargetId] = frozenset()
        self.production: frozenset[TargetId] = frozenset()
        self.databases_allowed = True
        self.ended: Future[None] = Future()
        self.under_way: Working | None = None
        self.report = first if first is not None else report()
        self.listeners: list[Callable[[Report], None]] = []
        self.asked: list[tuple[object, ...]] = []
        self.confirm: str | None = None
        self.advice: Advice | None = None
        self.warnings: tuple[str, ...] | None = None
        self.outcome = Outcome(applied=True, verified="gone", change=ChangeId("20260301-124107-a1b2"), took_seconds=4.2)
        self.refusal: Exception | None = None
        self.entries: tuple[Entry, ...] = ()
        self.log: list[LogLine] = []
        self.held: Future[Outcome] | None = None
        self.progress: Callable[[str], None] = lambda _: None

    def start(self) -> Future[None]:
        self.asked.append(("start",))
        opened: Future[None] = Future()
        opened.set_result(None)
        return opened

    def close(self) -> None:
        self.asked.append(("close",))

    def subscribe(self, listener: Callable[[Report], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def publish(self, newest: Report) -> None:
        """A new report, as from the session's thread."""
        self.report = newest
        for listener in self.listeners:
            listener(newest)

    def allow_databases(self) -> None:
        self.asked.append(("allow_databases",))

    def focus(self, interest: Interest) -> None:
        self.asked.append(("focus", interest))

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        return [line for line in self.log or log(deployment) if line.number > after]

    def series(self, deployment: DeploymentId, metric: Metric, since: float = 0.0) -> Mapping[str, Sequence[Point]]:
        end = NOW.timestamp()
        times = [end - 600 + 5 * n for n in range(121)]
        if metric == "worker-rss":
            return {
                f"c/{4001 + w}": [Point(t, (180 + 0.35 * n * (w + 1)) * MIB) for n, t in enumerate(times)]
                for w in range(2)
            }
        if metric == "cpu-cores":
            return {"c": [Point(t, 0.4 + 0.3 * math.sin(n / 9)) for n, t in enumerate(times)]}
        if metric == "loop-seconds":
            return {"c": [Point(t, 0.02 + (0.3 if n % 37 == 0 else 0.01 * (n % 3))) for n, t in enumerate(times)]}
        return {}

    def plan(
        self, deployment: DeploymentId, signature: SignatureId, remedy: RemedyId | None, values: Mapping[str, Value]
    ) -> Future[Plan]:
        self.asked.append(("plan", deployment, signature, remedy, dict(values)))
        if self.refusal is not None:
            return failed(self.refusal)
        made = plan(deployment, signature, remedy or RemedyId("set-memory-limit"), values)
        extra: dict[str, object] = {"confirm": self.confirm}
        if self.warnings is not None:
            extra["warnings"] = self.warnings
        if self.advice is not None:
            nothing: dict[str, object] = {"changes": (), "parameters": (), "risk": "none", "restart": False}
            extra |= {"advice": self.advice, "warnings": (), **nothing}
        return done(_replace(made, **extra))

    def apply(self, plan: Plan, confirm: str | None, progress: Callable[[str], None]) -> Future[Outcome]:
        self.asked.append(("apply", plan.remedy, confirm))
        self.progress = progress
        progress("docker update --memory 1g checkout")
        progress("verifying for 30 s")
        return self.held or done(self.outcome)

    def profile(self, deployment: DeploymentId) -> Future[Advice]:
        self.asked.append(("profile", deployment))
        if self.refusal is not None:
            return failed(self.refusal)
        text = "3 of 4 samples of worker 17 stand in time.sleep, called by slow_report at /app/shop/routes.py:41."
        return done(Advice(title="Where checkout spends its time", text=text, code="await asyncio.sleep(5)"))

    def undo(self, change: ChangeId | None, progress: Callable[[str], None]) -> Future[Outcome]:
        self.asked.append(("undo", change))
        progress("docker update --memory 512m checkout")
        return done(self.outcome)

    def undo_preview(self, change: ChangeId | None) -> Future[Plan]:
        self.asked.append(("undo_preview", change))
        if self.refusal is not None:
            return failed(self.refusal)
        made = plan(DeploymentId("docker/checkout"), SignatureId("oom-killed"), RemedyId("set-memory-limit"), {})
        return done(_replace(made, title="Undo: Raise the memory limit to 1 GiB", parameters=()))

    def resume(self, change: ChangeId, finish: bool, progress: Callable[[str], None]) -> Future[Outcome]:
        self.asked.append(("resume", change, finish))
        progress("removing the kept container")
        return done(self.outcome)

    def history(self) -> tuple[Entry, ...]:
        return self.entries

    def pending(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.state in ("applying", "undoing"))

    def calls(self, name: str) -> list[tuple[object, ...]]:
        """What was asked by this name."""
        return [each for each in self.asked if each[0] == name]


def _replace(of: Plan, **changes: object) -> Plan:
    import msgspec

    return msgspec.structs.replace(of, **changes)
