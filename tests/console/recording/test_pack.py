"""Packing: what comes back is what went in, cleaned; what cannot be is refused without being built."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.recording import pack
from console.recording.form import MOST_DEPLOYMENTS, Damaged, Head, Moment, Part
from console.recording.pack import cleaned, decoded, deflated, encoded, inflated
from probes import text
from probes.base import DeploymentId, Failure, TargetId
from probes.loghits import LogLine
from probes.model import Deployment, Replica, Setting
from tests.screens.reports import report

REPORT = report()


@given(st.binary(max_size=4000), st.binary(max_size=4000))
def test_bytes_come_back_with_and_without_a_base(raw: bytes, base: bytes) -> None:
    assert inflated(deflated(raw)) == raw
    assert inflated(deflated(raw, base), base) == raw


@given(st.binary(max_size=300))
def test_foreign_bytes_are_damaged(data: bytes) -> None:
    with pytest.raises(Damaged, match="its bytes"):
        inflated(data)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_part_are_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        cleaned(data, Part)


@pytest.mark.parametrize("deployment", REPORT.snapshot.deployments(), ids=lambda d: str(d.name))
def test_a_deployment_and_its_findings_pass_the_door_again_unchanged(deployment: Deployment) -> None:
    part = Part(deployment, REPORT.of(deployment.id), REPORT.undecided.get(deployment.id, ()))
    assert cleaned(encoded(part), Part) == part


def test_a_bomb_is_refused_at_its_bound() -> None:
    bomb = zlib.compress(b"\x00" * (64 << 20), 9)
    with pytest.raises(Damaged, match="larger than 1 MiB"):
        inflated(bomb, most=1 << 20)


def test_a_moment_that_says_it_has_millions_of_parts_is_refused_by_its_first_bytes() -> None:
    fields = {"head": b"", "whole": {str(n): b"" for n in range(MOST_DEPLOYMENTS + 1)}}
    with pytest.raises(Damaged):
        decoded(msgspec.msgpack.encode(fields), Moment)


class _At(msgspec.Struct, frozen=True):
    at: datetime


dirty = st.text(st.characters(codec="utf-8"), max_size=80).map(lambda text: f"\x1b[31m{text}\x9b\u202e")


@given(dirty, dirty)
def test_what_somebody_else_wrote_into_a_recording_cannot_move_the_cursor(one: str, other: str) -> None:
    failure = Failure("x", one, other, one)
    head = Head(targets={}, failures=(failure,))
    (back,) = cleaned(encoded(head), Head).failures
    shown = back.what + back.why + back.hint
    assert not set(shown) & set("\x1b\x9b\u202e\r\x00")


def test_secrets_that_somebody_else_wrote_into_a_recording_are_not_shown() -> None:
    name, target = DeploymentId("docker/a"), TargetId("docker")
    replica = Replica(
        id=msgspec.convert("r", str),
        name="r",
        state="running",
        command=("serve", "--database=postgresql://u:hunter2@db/x"),
        environment={"DB_PASSWORD": "hunter2", "URL": "redis://:hunter2@cache"},
    )
    deployment = Deployment(
        id=name,
        target=target,
        name="a",
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=(replica,),
        settings={"app": Setting("main:app password=hunter2", "command line")},
    )
    back = cleaned(encoded(Part(deployment)), Part)
    assert b"hunter2" not in encoded(back)
    assert back.deployment.replicas[0].environment.keys() == {"DB_PASSWORD", "URL"}


@pytest.mark.parametrize("time", ["2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"])
def test_a_time_that_cannot_be_told_in_utc_is_damaged(time: str) -> None:
    with pytest.raises(Damaged):
        cleaned(encoded({"at": time}), _At)


def test_a_time_in_another_zone_comes_back_in_ours() -> None:
    assert str(cleaned(encoded({"at": "2026-03-01T12:00:00+02:00"}), _At).at) == "2026-03-01 10:00:00+00:00"


def test_long_texts_are_not_kept_and_come_out_short() -> None:
    before = pack._seen.cache_info().currsize
    assert len(pack.door("x" * (4 << 20))) == text.LINE_CAP
    assert pack._seen.cache_info().currsize == before


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300, 10**19 - 1])
def test_a_number_that_cannot_be_is_unknown(bad: float) -> None:
    name = DeploymentId("docker/a")
    replica = Replica(id=msgspec.convert("r", str), name="r", state="running", cpu_request_cores=bad)
    deployment = Deployment(
        id=name,
        target=TargetId("docker"),
        name="a",
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=(replica,),
    )
    assert cleaned(encoded(Part(deployment)), Part).deployment.replicas[0].cpu_request_cores is None


@given(
    st.lists(st.builds(LogLine, st.integers(1, 2**40), st.just("r"), st.datetimes(timezones=st.just(UTC)), st.text()))
)
def test_log_lines_come_back(lines: list[LogLine]) -> None:
    assert decoded(inflated(deflated(encoded(lines))), list[LogLine]) == lines
