"""Stacks of workers that end while they are sampled."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.repairs import SAMPLES, Repairs
from fixes.model import Report
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.base import Failure, ReplicaId, TargetId
from probes.history import History
from probes.model import Frame, Link, Snapshot, StackSample, TargetState
from probes.target import Unreadable

BLOCKED = Frame("/srv/reports/main.py", 15, "render")
TARGET = TargetId("docker")


def sampled(pid: int) -> StackSample:
    return StackSample(at=datetime.now(UTC), pid=pid, frames=(BLOCKED,), idle=False)


def repairs(monkeypatch: pytest.MonkeyPatch, folder: Path, stacks: Any) -> Repairs:
    monkeypatch.setenv("FASTOPS_STATE", str(folder))
    service = _cases.container(workers=(_cases.worker(17), _cases.worker(18)))
    state = TargetState(TARGET, Link("live", _cases.NOW), _cases.NOW, deployments={service.id: service})
    report = Report(snapshot=Snapshot(_cases.NOW, {TARGET: state}))
    target: Any = SimpleNamespace(access=SimpleNamespace(stacks=stacks))
    return Repairs({TARGET: target}, Tracker(), History(), lambda: report)


def failed(code: str) -> Unreadable:
    return Unreadable(Failure(code, "the stack of process 17", "it says no", "Look at what runs now."))


async def test_a_worker_that_ended_costs_no_other_ones_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    async def stacks(_replica: ReplicaId, pid: int) -> StackSample:
        asked.append(pid)
        if pid == 17:
            raise failed("not-found")
        return sampled(pid)

    advice = await repairs(monkeypatch, tmp_path, stacks).profile(_cases.container().id)
    assert "main.py:15" in advice.text + advice.code
    assert asked == [17, 18] * SAMPLES


@pytest.mark.parametrize("code", ["not-found", "permission-denied"])
async def test_where_no_stack_can_be_read_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    async def stacks(_replica: ReplicaId, _pid: int) -> StackSample:
        raise failed(code)

    with pytest.raises(Unreadable) as told:
        await repairs(monkeypatch, tmp_path, stacks).profile(_cases.container().id)
    assert told.value.failure.code == code
