"""Which log lines are recorded: each once, the newest of a flood, no more than is affordable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.recording import lines as module
from console.recording.lines import LogReader
from probes.base import DeploymentId, ReplicaId
from probes.loghits import LogLine
from tests.screens.reports import NOW

A, B = DeploymentId("docker/a"), DeploymentId("docker/b")


class Logs:
    """Logs that grow when they are told to, and who asked for them."""

    def __init__(self) -> None:
        self.kept: dict[DeploymentId, list[LogLine]] = {A: [], B: []}
        self.asked: list[tuple[DeploymentId, int]] = []

    def grow(self, deployment: DeploymentId, count: int) -> None:
        kept = self.kept[deployment]
        kept += [LogLine(len(kept) + n, ReplicaId("r"), NOW, "x", ()) for n in range(1, count + 1)]

    def __call__(self, deployment: DeploymentId, after: int) -> list[LogLine]:
        self.asked.append((deployment, after))
        return [line for line in self.kept[deployment] if line.number > after]


def test_each_line_is_taken_once() -> None:
    logs = Logs()
    reader = LogReader(logs)
    logs.grow(A, 3)
    assert [line.number for line in reader.read([A, B])[A]] == [1, 2, 3]
    reader._next_at = 0
    logs.grow(A, 2)
    assert [line.number for line in reader.read([A, B])[A]] == [4, 5]
    reader._next_at = 0
    assert reader.read([A, B]) == {}


def test_of_a_flood_the_newest_are_taken_and_it_is_read_less_often() -> None:
    logs = Logs()
    reader = LogReader(logs)
    logs.grow(A, 10 * module.PER_SECOND)
    taken = reader.read([A, B])
    last = 10 * module.PER_SECOND
    assert [line.number for line in taken[A]] == list(range(last - module.LINES + 1, last + 1))
    assert reader.read([A, B]) == {}
    assert len(logs.asked) == 1


def test_deployments_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    logs = Logs()
    reader = LogReader(logs)
    for _ in range(3):
        reader._next_at = 0
        reader.read([A, B])
    assert [deployment for deployment, _ in logs.asked] == [A, B, A]


class Counted(list[DeploymentId]):
    """Counts how often all of it is gone through."""

    passes = 0

    def __iter__(self) -> Iterator[DeploymentId]:
        self.passes += 1
        return super().__iter__()


def test_a_look_at_a_large_fleet_goes_through_it_a_few_times_not_once_for_each() -> None:
    fleet = Counted(DeploymentId(f"docker/{n}") for n in range(500))
    reader = LogReader(lambda deployment, after: [LogLine(1, ReplicaId("r"), NOW, "x", ())])
    reader.read(fleet)
    reader._next_at, fleet.passes = 0, 0
    reader.read(fleet)
    assert fleet.passes <= 3
