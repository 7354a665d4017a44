"""A target in memory that keeps the rules of the seams: a drafter, a writer, and failures where a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fixes.journal import sha256
from fixes.model import Finding, Plan, Remedy, RemedyId, SignatureId
from fixes.plan import make_plan
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.intent import Desired, Document, Intent, RestorePoint, Step
from probes.model import Deployment, Replica
from probes.target import Refused

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVERYTHING: dict[Any, str | None] = dict.fromkeys(("memory-limit", "nofile", "gunicorn", "bind", "restart", "profile"))


def deployment(name: str = "checkout", **changes: Any) -> Deployment:
    """A container that runs under gunicorn and allows every fix."""
    values: dict[str, Any] = {
        "id": DeploymentId(f"docker/{name}"),
        "target": TargetId("docker"),
        "name": name,
        "kind": "container",
        "framework": "fastapi",
        "recognised_by": "uvicorn app:app",
        "replicas": (replica(),),
        "server": "gunicorn",
        "capabilities": EVERYTHING,
    }
    return Deployment(**(values | changes))


def replica(**changes: Any) -> Replica:
    """A running container."""
    return Replica(**({"id": ReplicaId("c1"), "name": "checkout", "state": "running"} | changes))


def finding(signature: str = "memory-limit-low", **changes: Any) -> Finding:
    """An open finding of the deployment above."""
    values: dict[str, Any] = {
        "id": f"docker/checkout#{signature}",
        "deployment": DeploymentId("docker/checkout"),
        "signature": SignatureId(signature),
        "severity": "warning",
        "title": "the limit is 256 MiB",
        "since": NOW,
        "count": 1,
        "evidence": (),
    }
    return Finding(**(values | changes))


def remedy(**changes: Any) -> Remedy:
    """A remedy that changes the memory limit to what it is told."""
    values: dict[str, Any] = {
        "id": RemedyId("set-memory-limit"),
        "title": "Raise the memory limit",
        "capability": "memory-limit",
        "intend": lambda _d, _f, _v: Desired(memory_limit_bytes=1 << 30),
    }
    return Remedy(**(values | changes))


class Crash(BaseException):
    """Stands for kill -9: nothing of the program runs afterwards."""


class World:
    """Documents by id. The drafter wants every one of them to gain a line; the writer replaces them one by one."""

    def __init__(self, texts: Mapping[str, str], *, resumable: bool = False) -> None:
        self.texts = dict(texts)
        self.backups: dict[str, str] = {}
        """What the writer keeps beside its documents, by ``CHANGE/ID``: it survives a crash."""
        self.restarts = 0
        self.writes = 0
        self.resumable = resumable
        self.hook: Callable[[str], None] = lambda _point: None
        """Called at every point where something could go wrong, with its name; it may raise."""

    # The drafter.

    async def draft(self, _deployment: Deployment, _want: Intent) -> Sequence[Step]:
        steps = [self._step(name, text) for name, text in sorted(self.texts.items()) if "limit: 1g" not in text]
        if not steps:
            return ()
        return [*steps, restart_step()]

    def _step(self, name: str, text: str) -> Step:
        return Step(
            action="write-file",
            summary=f"write {name}",
            before=Document(name, "compose", name, text, sha256(text)),
            after=Document(name, "compose", name, f"{text}limit: 1g\n", sha256(text)),
            subject=name,
            arguments={"resumable": True} if self.resumable else {},
        )

    # The writer.

    async def perform(self, step: Step, change: str, progress: Callable[[str], None]) -> RestorePoint:
        self.hook(f"begin {step.subject}")
        if step.action == "restart":
            self.restarts += 1
            self.hook(f"end {step.subject}")
            return RestorePoint("restart", step.subject, "")
        name, key = step.subject, f"{change}/{step.subject}"
        wanted = step.after.version if not step.after.text else sha256(step.after.text)
        now = sha256(self.texts[name])
        if now != wanted:
            if not step.after.text:
                raise Refused("the text is gone")
            if now != step.before.version:
                raise Refused(f"{name} is not what it was")
            self.backups[key] = self.texts[name]
            self.hook(f"kept {name}")
            self.texts[name] = step.after.text
            self.writes += 1
        self.hook(f"end {name}")
        return RestorePoint("write-file", name, wanted, {"key": key})

    async def restore(self, point: RestorePoint, change: str, progress: Callable[[str], None]) -> None:
        self.hook(f"restore {point.subject}")
        if point.action == "restart":
            return
        await self.check(point, change)
        self.texts[point.subject] = self.backups[str(point.data["key"])]
        self.hook(f"restored {point.subject}")

    async def check(self, point: RestorePoint, change: str) -> None:
        self.hook(f"check {point.subject}")
        if point.action == "restart":
            return
        kept = self.backups.get(str(point.data["key"]))
        now = self.texts[point.subject]
        if now != kept and (kept is None or sha256(now) != point.left):
            raise Refused(f"{point.subject} was changed by somebody else")

    async def abandon(self, step: Step, change: str, progress: Callable[[str], None]) -> None:
        self.hook(f"abandon {step.subject}")
        kept = self.backups.get(f"{change}/{step.subject}")
        if kept is not None:
            self.texts[step.subject] = kept

    async def discard(self, point: RestorePoint) -> None:
        self.backups.pop(str(point.data.get("key")), None)


def restart_step() -> Step:
    """An act without a document."""
    none = Document("none", "none", "checkout", "", "")
    return Step("restart", "restart checkout", none, none, "c1", restarts=True)


async def plan_of(world: World, name: str = "checkout") -> Plan:
    """A plan that gives every document of the world its limit."""
    return await make_plan(deployment(name), finding(), remedy(), {}, world)
