"""Recordings of made-up reports, and what is in them byte by byte."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from console.recording.form import Moment
from console.recording.pack import inflated
from console.recording.write import Recording
from fixes.model import Finding, Report, SignatureId
from probes.base import DeploymentId
from probes.model import Deployment
from tests.screens.reports import DOCKER, MIB, NOW, report

SIZE = 64 * MIB


def at(second: float) -> float:
    """A second of a made-up recording as its time."""
    return NOW.timestamp() + second


def later(of: Report, seconds: float) -> Report:
    """The same, taken later."""
    return replace(of, snapshot=replace(of.snapshot, taken_at=NOW + timedelta(seconds=seconds)), opened=(), closed=())


def using(of: Report, deployment: DeploymentId, used_bytes: int) -> Report:
    """The same with another number in one deployment; the others stay the very same."""
    state = of.snapshot.targets[DOCKER]
    one = state.deployments[deployment]
    first = one.replicas[0]
    memory = replace(first.memory, used_bytes=used_bytes)
    taken = of.snapshot.taken_at
    changed: Deployment = replace(one, replicas=(replace(first, memory=memory, sampled_at=taken), *one.replicas[1:]))
    states = {**of.snapshot.targets, DOCKER: replace(state, deployments={**state.deployments, deployment: changed})}
    return replace(of, snapshot=replace(of.snapshot, targets=states))


def finding(deployment: DeploymentId, signature: str, second: int) -> Finding:
    """A finding of nothing in particular."""
    return Finding(
        id=f"{deployment}#{signature}",
        deployment=deployment,
        signature=SignatureId(signature),
        severity="error",
        title=f"{signature} at {second}",
        since=NOW + timedelta(seconds=second),
        count=1,
        evidence=(),
    )


CHECKOUT = DeploymentId("docker/checkout")


def story(seconds: int = 60) -> list[Report]:
    """A moment a second: one service's memory grows, at 20 s a failure opens, at 40 s it closes."""
    reports, base = [], report()
    quiet = base.findings.get(CHECKOUT, ())
    for second in range(seconds):
        now = using(later(base, second), CHECKOUT, (100 + second) * MIB)
        opened = finding(CHECKOUT, "made-up", 20)
        found = (opened, *quiet) if 20 <= second < 40 else quiet
        findings = {**base.findings, CHECKOUT: found}
        reports.append(
            replace(
                now,
                findings=findings,
                opened=(opened,) if second == 20 else (),
                closed=(opened,) if second == 40 else (),
            )
        )
    return reports


def written(path: Path, reports: Iterable[Report], most_bytes: int = SIZE) -> Path:
    """A recording of these."""
    recording = Recording(path, most_bytes)
    with contextlib.closing(recording):
        for one in reports:
            recording.add(one)
    return path


def everything(path: Path) -> Iterator[bytes]:
    """All bytes of a recording: the files as they lie there, and what is compressed in them, inflated."""
    for one in path.parent.glob(f"{path.name}*"):
        yield one.read_bytes()
    database = sqlite3.connect(path)
    with contextlib.closing(database):
        bases: dict[str, bytes] = {}
        head = b""
        for identity, first, data in database.execute("SELECT id, first, data FROM moments ORDER BY id"):
            moment = msgspec.msgpack.decode(data, type=Moment)
            if identity == first:
                bases, head = {}, inflated(moment.head)
                yield head
            else:
                yield inflated(moment.head, head)
            for name, packed in moment.whole.items():
                bases[name] = inflated(packed)
                yield bases[name]
            for name, packed in moment.since.items():
                yield inflated(packed, bases[name])
            for packed in moment.lines.values():
                yield inflated(packed)
