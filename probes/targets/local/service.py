"""One local service as it is remembered between sweeps, and as it is told to others."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from probes import text
from probes.base import DeploymentId, Failure, NodeId, TargetId
from probes.control import Control, effective
from probes.model import (
    Capability,
    Deployment,
    Event,
    HttpSample,
    Listener,
    Replica,
    ReplicaState,
    Setting,
    StackSample,
)
from probes.targets.local import capabilities
from probes.targets.local.find import Master
from probes.targets.local.logs import ServiceLog
from probes.targets.local.measure import Measured

PROBES, STACKS, EVENTS = 12, 6, 64
BOOT_SECONDS = 8.0
STARTING_SECONDS = 120.0


class _Told(NamedTuple):
    """What is the same in every answer about one master: cleaned and redacted once."""

    recognised_by: str
    settings: Mapping[str, Setting]
    files: tuple[str, ...]
    command: tuple[str, ...]
    capabilities: Mapping[Capability, str | None]


def _told(master: Master) -> _Told:
    return _Told(
        recognised_by=text.clean(master.recognition.why, 500),
        settings=_settings(master),
        files=_files(master),
        command=text.arguments(master.argv),
        capabilities=capabilities.capabilities(master),
    )


class Service:
    """A service across the restarts of its master."""

    def __init__(self, identity: DeploymentId, name: str, log: ServiceLog) -> None:
        self.id = identity
        self.name = name
        self.log = log
        self.master: Master | None = None
        self.measured: Measured | None = None
        self.ended_at: datetime | None = None
        self.restarts = 0
        self.openapi: bool | None = None
        self.health_path: str | None = None
        self.loop_probes: deque[HttpSample] = deque(maxlen=PROBES)
        self.health_probes: deque[HttpSample] = deque(maxlen=PROBES)
        self.stacks: deque[StackSample] = deque(maxlen=STACKS)
        self.control: Control | None = None
        """What its master told last, where it has a control socket."""
        self.changed = True
        """Whether :meth:`deployment` would say something new."""
        self._told: _Told | None = None
        self._events: deque[Event] = deque(maxlen=EVENTS)

    def running(self, master: Master) -> None:
        """It was seen to run under this master."""
        if self.master is not None and master.replica != self.master.replica:
            if self.ended_at is None:
                self.ended()
            self.restarts += 1
            self._events.append(Event(at=datetime.now(UTC), kind="start"))
            self.measured = None
            self.health_path = None
            self.control = None
            for kept in (self.loop_probes, self.health_probes, self.stacks):
                kept.clear()
        if master is not self.master:
            self._told = _told(master)
            self.changed = True
        self.master = master
        self.ended_at = None

    def ended(self) -> None:
        """Its master is gone; how it ended is not known to those who did not start it."""
        if self.ended_at is None:
            self.ended_at = datetime.now(UTC)
            self.changed = True
            self._events.append(Event(at=self.ended_at, kind="die"))

    def controlled(self, told: Control) -> None:
        """Takes what its master told by its control socket."""
        self.control = told
        self.stacks.extend(told.stacks)
        self.changed = True

    def listeners(self) -> tuple[Listener, ...]:
        """Its listening sockets, as they were read last."""
        return (self.measured.listeners if self.measured else None) or ()

    def port(self) -> int | None:
        """The port to ask: the one that is configured, where it is listened to, else any that is."""
        open_ports = [one.port for one in self.listeners()]
        command = self.master.command if self.master is not None else None
        wanted = [port for _, port in command.binds()] if command is not None else []
        return next((port for port in wanted if port in open_ports), open_ports[0] if open_ports else None)

    def is_up(self) -> bool:
        """Whether it listens, and for so long that its workers have loaded the application: a start answers late."""
        return self.port() is not None and (self._age() or 0.0) >= BOOT_SECONDS

    def is_starting(self) -> bool:
        """Whether it is young and does not listen yet."""
        return self.ended_at is None and self.port() is None and (self._age() or 0.0) < STARTING_SECONDS

    def _age(self) -> float | None:
        started = self.measured.started_at if self.measured is not None else None
        return None if started is None else (datetime.now(UTC) - started).total_seconds()

    def deployment(self, target: TargetId, node: NodeId, lookback: timedelta) -> Deployment:
        """The service as data."""
        master, told = self.master, self._told
        assert master is not None
        assert told is not None
        command = master.command
        server = command.server if command is not None else None
        packages = master.recognition.packages
        return Deployment(
            id=self.id,
            target=target,
            name=self.name,
            kind="process",
            framework="fastapi" if master.recognition.framework == "fastapi" else "unknown",
            recognised_by=told.recognised_by,
            replicas=(self._replica(master, told, lookback),),
            desired=1,
            server=server,
            server_version=packages.get(server) if server is not None else None,
            origin=master.origin.text() or ("the demo" if master.supervised is not None else None),
            node=node,
            restarts=self.restarts,
            settings=effective(told.settings, self.control),
            packages=packages,
            drivers=self.measured.drivers if self.measured is not None else (),
            files=told.files,
            capabilities=told.capabilities,
            hits=self.log.hits(),
            logs=self.log.coverage(),
        )

    def _replica(self, master: Master, told: _Told, lookback: timedelta) -> Replica:
        state: ReplicaState = "running" if self.ended_at is None else "exited"
        since = datetime.now(UTC) - lookback
        replica = Replica(
            id=master.replica,
            name=f"{self.name} ({master.pid})",
            state=state,
            ready=state == "running",
            started_at=self.measured.started_at if self.measured is not None else None,
            finished_at=self.ended_at,
            restarts=self.restarts,
            command=told.command,
            working_dir=None if master.working_dir is None else text.clean(master.working_dir),
            environment=master.environment,
            events=tuple(event for event in self._events if event.at >= since),
            loop_probes=tuple(self.loop_probes),
            health_probes=tuple(self.health_probes),
            stacks=tuple(self.stacks),
            heartbeats=self.control.heartbeats if self.control is not None and state == "running" else (),
            unreadable=() if master.readable else (_unreadable(master),),
        )
        found = self.measured
        if found is None or state == "exited":
            return replica
        return _with(replica, found)


def _with(replica: Replica, found: Measured) -> Replica:
    from msgspec.structs import replace

    return replace(
        replica,
        memory=found.memory,
        cpu=found.cpu,
        workers=found.workers,
        listeners=found.listeners,
        sampled_at=found.at,
    )


def _settings(master: Master) -> Mapping[str, Setting]:
    command = master.command
    if command is None:
        return {}
    return {
        name: Setting(
            value=text.line(one.value) if isinstance(one.value, str) else one.value, source=text.clean(one.source, 512)
        )
        for name, one in command.settings.items()
    }


def _files(master: Master) -> tuple[str, ...]:
    path = master.command.config_file if master.command is not None else None
    return () if path is None else (text.clean(path),)


def _unreadable(master: Master) -> Failure:
    return Failure(
        code="permission-denied",
        what=f"environment and files of process {master.pid}",
        why="they belong to another user",
        hint="Run fastops as that user or as root.",
    )
