"""All that is known of one container, gathered from many readings; changed by the target's event loop alone."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any

import msgspec

from probes.base import DeploymentId, Failure, ReplicaId
from probes.control import Control
from probes.controls import Subject, in_question
from probes.model import Event, HttpSample, Interest, Replica, StackSample
from probes.targets.docker import parse
from probes.targets.docker.answers import Inspect
from probes.targets.docker.measure import Reading, limited
from probes.targets.docker.recognition import Known

EVENTS = 64
PROBES = 12
STACKS = 6
_SHARED = ("host", "container:")


class Container:
    """A container and what was measured of it."""

    def __init__(self, found: Inspect) -> None:
        self.id = ReplicaId(found.id)
        self.deployment: DeploymentId | None = None
        self.known: Known | None = None
        self.local = False
        self.reading: Reading | None = None
        self.measured = False
        """It was measured twice since it runs (a rate needs two samples), or cannot be."""
        self.log_read = False
        """The past of its log was read, or cannot be."""
        self.loop_probes: deque[HttpSample] = deque(maxlen=PROBES)
        self.health_probes: deque[HttpSample] = deque(maxlen=PROBES)
        self.health_path: str | None = None
        self.stacks: deque[StackSample] = deque(maxlen=STACKS)
        self.control: Control | None = None
        """What its master told last, where it has a control socket."""
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self._failures: dict[str, Failure] = {}
        self._built: Replica | None = None
        self.update(found)

    def update(self, found: Inspect) -> None:
        """Takes a new answer of ``inspect``. A new process begins with nothing measured."""
        pid = found.state.pid
        if getattr(self, "pid", None) != pid:
            self.reading = None
            self.measured = False
            self.local = False
            self.loop_probes.clear()
            self.health_probes.clear()
            self.stacks.clear()
            self.control = None
            self._failures.pop("stack", None)
        self.pid = pid
        self.base = parse.replica(found)
        self.tty = found.config.tty
        self.log_path = found.log_path
        self.labels = found.labels
        self.aliases = {
            name: frozenset((*(one.aliases or ()), *(one.dns_names or ())))
            for name, one in (found.network_settings.networks or {}).items()
        }
        self.host = found.host_config
        self.mounts = found.mounts or ()
        self.exposed = tuple(sorted(int(p) for p in _tcp(found.config.exposed_ports or {})))
        self.network_of = parse.joined(found.host_config.network_mode)
        self._built = None

    @property
    def settled(self) -> bool:
        """Whether everything that is waited for was read of it once, or cannot be."""
        return self.log_read and (self.measured or not self.running)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.base.state == "running"

    @property
    def shared_network(self) -> bool:
        """Whether others listen in its network namespace."""
        return self.host.network_mode.startswith(_SHARED)

    def take(self, reading: Reading | None) -> None:
        """Takes a measurement; ``None`` when the container had vanished under it."""
        self.measured = reading is None or self.reading is not None
        if reading is not None:
            self.reading = reading
        self._built = None

    def add(self, event: Event) -> bool:
        """Adds what happened; the same event (a stream that was read again) is taken once."""
        if event in self.events:
            return False
        self.events.append(event)
        if len(self.events) > 1 and event.at < self.events[-2].at:
            self.events = deque(sorted(self.events, key=lambda one: one.at), maxlen=EVENTS)
        self._built = None
        return True

    def probed(self, *, loop: HttpSample | None = None, health: HttpSample | None = None) -> None:
        """Takes the answers of the service itself."""
        if loop is not None:
            self.loop_probes.append(loop)
        if health is not None:
            self.health_probes.append(health)
        self._built = None

    def sampled(self, stack: StackSample) -> None:
        """Takes a stack."""
        self.stacks.append(stack)
        self.failed("stack", None)
        self._built = None

    def by_gunicorn(self, interest: Interest) -> Subject | None:
        """What may have a control socket: gunicorn's processes, where they can be seen from here."""
        command = self.known.command if self.known is not None else None
        if not self.local or self.reading is None or command is None or command.server != "gunicorn":
            return None
        near = interest.observed or self.deployment == interest.focused or self.deployment in interest.troubled
        own = [one for one in self.reading.workers or () if one.beside is None]
        return Subject(self.id, own, near or in_question(self.loop_probes))

    def controlled(self, told: Control) -> None:
        """Takes what gunicorn's master told by its control socket."""
        self.control = told
        for one in told.stacks:
            self.sampled(one)
        self._built = None

    def failed(self, part: str, failure: Failure | None) -> None:
        """Notes that a part cannot be read, or can again."""
        if self._failures.get(part) == failure:
            return
        if failure is None:
            self._failures.pop(part)
        else:
            self._failures[part] = failure
        self._built = None

    def ended_before(self, moment: datetime) -> bool:
        """Whether it ended (or was made and never started) before ``moment``: history, not a replica."""
        if self.base.state in {"running", "paused", "restarting"}:
            return False
        last = self.base.finished_at or self.base.created_at
        return last is None or last < moment

    def replica(self, oldest: datetime) -> Replica:
        """As data; events from before ``oldest`` are forgotten. The same object while nothing changed."""
        while self.events and self.events[0].at < oldest:
            self.events.popleft()
            self._built = None
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> Replica:
        measured: dict[str, Any] = {}
        if self.reading is not None:
            measured["sampled_at"] = self.reading.at
            measured["listeners"] = self.reading.listeners
            measured["log_bytes"] = self.reading.log_bytes
            measured["open_files_most"] = self.reading.open_files_most
            workers = self.reading.workers or ()
            measured["workers"] = tuple(one for one in workers if one.beside is None)
            measured["others"] = tuple(one for one in workers if one.beside is not None)
            if self.reading.memory is not None:
                limit = limited(self.reading.memory.limit, self.base.memory.limit)
                measured["memory"] = msgspec.structs.replace(self.reading.memory, limit=limit)
            if self.reading.cpu is not None:
                limit = limited(self.reading.cpu.limit, self.base.cpu.limit)
                measured["cpu"] = msgspec.structs.replace(self.reading.cpu, limit=limit)
        return msgspec.structs.replace(
            self.base,
            events=tuple(self.events),
            loop_probes=tuple(self.loop_probes),
            health_probes=tuple(self.health_probes),
            stacks=tuple(self.stacks),
            heartbeats=self.control.heartbeats if self.control is not None else (),
            unreadable=tuple(self._failures.values()),
            **measured,
        )


def _tcp(ports: dict[str, Any]) -> list[str]:
    return [name.split("/")[0] for name in ports if name.endswith("/tcp") and name.split("/")[0].isdecimal()]
