"""Reading containers' logs: whole lines once each, whatever the chunks; who is followed; what is said to be covered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import DeploymentId, Failure, NodeId, PatternKey, ReplicaId, TargetId
from probes.loghits import LogCoverage, Pattern
from probes.logs import LogStream, Matcher, match_text
from probes.model import Deployment, Interest, Replica
from probes.orchestrator import Ended
from probes.target import Unreadable
from probes.targets.kubernetes import happenings, logs
from probes.targets.kubernetes.choice import chosen, sick
from probes.targets.kubernetes.cover import FOLLOWED, FOLLOWED_FOCUSED, to_follow, together
from probes.targets.kubernetes.follower import Log
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.logbooks import Logs
from probes.targets.kubernetes.views import HappeningView

NOW = datetime.now(UTC).replace(microsecond=0)
TARGET = TargetId("k8s/test")
ANY = Pattern(PatternKey("t/any"), r"said (?P<word>\w+)")


def stamped(number: int, text: str = "") -> bytes:
    at = NOW - timedelta(seconds=60) + timedelta(milliseconds=number)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond * 1000 + 7:09d}Z {text or f'said w{number}'}\n".encode()


def replica(number: int, **more: Any) -> Replica:
    known: dict[str, Any] = {"state": "running", "ready": True, "started_at": NOW - timedelta(hours=1), **more}
    return Replica(id=ReplicaId(f"shop/web-{number}/app"), name=f"web-{number}", **known)


def deployment(name: str, *replicas: Replica) -> Deployment:
    return Deployment(
        id=DeploymentId(f"k8s/test/shop/Deployment/{name}"),
        target=TARGET,
        name=name,
        kind="Deployment",
        framework="fastapi",
        recognised_by="",
        replicas=replicas,
    )


class Kubelet:
    """Answers for logs as an API server does: by whole seconds, the latest lines, or not at all."""

    def __init__(self, *lines: bytes, previous: tuple[bytes, ...] = (), error: str | None = None) -> None:
        self.lines, self.previous, self.error = list(lines), previous, error
        self.asked: list[dict[str, str]] = []

    async def stream(self, path: str, params: dict[str, str], *, timeout_seconds: float) -> AsyncIterator[bytes]:
        self.asked.append(params)
        await asyncio.sleep(0)
        if self.error is not None:
            raise Unreadable(Failure(self.error, path, "it is so", ""))
        lines = self.previous if params.get("previous") else self.lines
        since = params["sinceTime"].encode()[:19]
        yield b"".join([one for one in lines if one[:19] >= since][-int(params["tailLines"]) :])


def a_log(oldest: datetime | None = None) -> tuple[Log, LogStream]:
    stream = LogStream(Matcher((ANY,)), replica(1).id, logs.SOURCE)
    return Log(stream, oldest or NOW - timedelta(minutes=15), lambda: None), stream


def words(stream: LogStream) -> list[str]:
    return [line.text.removeprefix("said ") for line in stream.lines()]


@given(st.lists(st.integers(0, 50_000), unique=True, max_size=30), st.lists(st.integers(1, 40), max_size=60))
def test_lines_come_whole_and_once_whatever_the_chunks_and_however_often_reading_begins(
    numbers: list[int], cuts: list[int]
) -> None:
    written = [stamped(number) for number in sorted(numbers)]
    lines, got = logs.Lines(), b""
    for _ in range(2):  # the second reading tells everything again
        lines.resume()
        rest = b"".join(written)
        for cut in cuts:
            got += lines.feed(rest[:cut])
            rest = rest[cut:]
        got += lines.feed(rest) + lines.end()
    assert got == b"".join(written)


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_bytes_that_are_no_log_break_nothing(chunks: list[bytes]) -> None:
    lines = logs.Lines()
    for chunk in chunks:
        assert lines.feed(chunk).endswith(b"\n") or not lines.feed(b"")
    lines.end()


def test_stamps_are_read_to_the_nanosecond_in_any_zone() -> None:
    utc = logs.nanoseconds(b"2026-11-22T17:45:14.280123456Z hi")
    assert utc is not None
    assert utc % 10**9 == 280123456
    assert logs.nanoseconds(b"2026-11-22T18:45:14.280123456+01:00 hi") == utc
    assert logs.nanoseconds(b"2026-11-22T17:45:14Z hi") == utc - 280123456
    assert logs.nanoseconds(b"no stamp here") is None


async def test_reading_again_takes_what_is_new_and_no_line_of_the_same_second_twice() -> None:
    kubelet = Kubelet(stamped(1), stamped(2))
    log, stream = a_log()
    await log.sample(kubelet, replica(1))
    kubelet.lines.append(stamped(3))
    await log.sample(kubelet, replica(1))
    assert words(stream) == ["w1", "w2", "w3"]
    assert (log.coverage.state, log.coverage.why) == ("sampled", None)
    assert log.coverage.since is not None
    assert log.coverage.since <= NOW - timedelta(minutes=14)


async def test_the_run_that_crashed_is_read_first_and_once() -> None:
    kubelet = Kubelet(stamped(20, "said after"), previous=(stamped(1, "said before"),))
    log, stream = a_log()
    crashed = replica(1, restarts=1, last_end=Ended(at=NOW - timedelta(seconds=30), exit_code=1))
    await log.sample(kubelet, crashed)
    await log.sample(kubelet, crashed)
    assert words(stream) == ["before", "after"]
    assert [one.get("previous") for one in kubelet.asked] == ["true", None, None]


async def test_a_run_that_ended_before_the_look_back_is_not_asked_for() -> None:
    kubelet = Kubelet(stamped(1))
    log, _ = a_log()
    await log.sample(kubelet, replica(1, last_end=Ended(at=NOW - timedelta(hours=2), exit_code=1)))
    assert [one.get("previous") for one in kubelet.asked] == [None]


async def test_more_lines_than_are_read_leave_a_gap_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SAMPLE_LINES", 3)
    kubelet = Kubelet(*(stamped(number) for number in range(2)))
    log, stream = a_log()
    await log.sample(kubelet, replica(1))
    first = log.coverage.since
    kubelet.lines += [stamped(number) for number in range(100, 110)]
    await log.sample(kubelet, replica(1))
    assert words(stream) == ["w0", "w1", "w107", "w108", "w109"]
    assert first is not None
    assert log.coverage.since is not None
    assert log.coverage.since > first


async def test_a_follower_ends_with_a_container_that_was_never_started_and_says_why() -> None:
    log, _ = a_log()
    await log.follow(Kubelet(error="invalid"), lambda: replica(1, state="created"))
    assert (log.coverage.state, log.coverage.why) == ("unread", "it is so")


@pytest.mark.parametrize(
    "said",
    [
        b"unable to retrieve container logs for containerd://3f38",
        b'failed to try resolving symlinks in path "/var/log/pods/a_b_c/web/1.log": lstat: no such file or directory',
    ],
)
async def test_what_a_kubelet_says_instead_of_a_lost_log_is_no_line_of_it(said: bytes) -> None:
    kubelet = Kubelet()
    log, stream = a_log()

    async def lost(*_: Any, **__: Any) -> AsyncIterator[bytes]:
        yield said

    kubelet.stream = lost  # type: ignore[method-assign]
    with pytest.raises(Unreadable, match="does not keep it"):
        await log.sample(kubelet, replica(1))
    assert words(stream) == []


def test_an_event_is_the_line_that_kubectl_shows() -> None:
    event = HappeningView(
        namespace="shop", name="e", uid="u", version="1", kind="Pod", about="web-1", about_uid="p", at=NOW,
        type="Warning", reason="FailedScheduling", source="default-scheduler",
        message="0/3 nodes are available:\n\x1b[31m3 Insufficient memory.",
    )  # fmt: skip
    pattern = Pattern(
        PatternKey("t/e"), r"Warning  FailedScheduling  \S+  0/3 nodes are available: 3 Insufficient memory\.$"
    )
    (hit,) = match_text(Matcher((pattern,)), happenings.line(event), replica(1).id, happenings.SOURCE)
    assert (hit.marks[0].at, hit.source) == (NOW, "event")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Readiness probe failed: HTTP", "Readiness probe of agent failed: HTTP"),
        (
            "Container agent failed liveness probe, will be restarted",
            "Container agent failed liveness probe of agent, will be restarted",
        ),
    ],
)
def test_the_checks_of_another_container_are_not_told_of_the_one_that_serves(said: str, shown: str) -> None:
    def line(container: str) -> str:
        event = HappeningView(
            namespace="shop", name="e", uid="u", version="1", kind="Pod", about="web-1", about_uid="p", at=NOW,
            type="Warning", reason="Unhealthy", source="kubelet", message=said, field=f"spec.containers{{{container}}}",
        )  # fmt: skip
        return happenings.line(event, "app").decode()

    assert said in line("app")
    assert said not in line("agent")
    assert shown in line("agent")


def test_what_is_sick_is_followed_first_and_never_more_than_the_bound() -> None:
    ill = replica(7, ready=False)
    assert sick(ill)
    assert not sick(replica(7, ready=False, started_at=datetime.now(UTC)))
    assert sick(replica(7, last_end=Ended(at=datetime.now(UTC), exit_code=137)))
    many = {
        one.id: one
        for one in (
            deployment(f"d{n}", *(replica(n * 100 + m) for m in range(20)), replica(n * 100 + 99, ready=False))
            for n in range(200)
        )
    }
    focused = DeploymentId("k8s/test/shop/Deployment/d5")
    found = to_follow(many, Interest(focused=focused, visible=frozenset(many)), ())
    assert len(found) <= FOLLOWED
    assert next(iter(found)) == replica(599).id
    assert sum(key == focused for key in found.values()) == FOLLOWED_FOCUSED


def test_of_a_large_deployment_one_that_is_ready_and_one_that_is_not_are_asked() -> None:
    big = deployment("big", *(replica(n) for n in range(50)), replica(50, ready=False), replica(51, state="exited"))
    assert [one.name for one in chosen(big, Interest())] == ["web-50", "web-0"]
    assert len(chosen(big, Interest(focused=big.id))) == 8
    assert len(chosen(big, Interest(), few=True)) == 4


def test_cover_is_that_of_all_replicas_or_says_how_many_were_read() -> None:
    followed = LogCoverage(state="followed", since=NOW)
    later = LogCoverage(state="followed", since=NOW + timedelta(seconds=5))
    sampled = LogCoverage(state="sampled", since=NOW, until=NOW + timedelta(seconds=9))
    assert together([followed, later]) == later
    assert together([followed, None]).state == "sampled"
    assert together([followed, None]).why == "1 of 2 replicas' logs are read, now and then"
    assert together([sampled, followed]).until == sampled.until
    assert together([None]).why == "not read yet"
    assert together([LogCoverage(state="unread", why="forbidden")]).why == "forbidden"
    assert together([]).why == "no container of it has run"


def test_a_silent_kubelet_is_left_alone_and_with_three_of_them_all_are() -> None:
    kubelets = Kubelets()
    silent = Unreadable(Failure("server-error", "GET", "dial tcp: i/o timeout", ""))
    nodes = [NodeId(f"k8s/test/node/{n}") for n in range(4)]
    kubelets.answered(nodes[3])
    kubelets.failed(nodes[0], silent)
    assert kubelets.silent(nodes[0]) is None
    kubelets.failed(nodes[0], silent)
    assert kubelets.silent(nodes[0]) == "dial tcp: i/o timeout"
    assert kubelets.silent(nodes[3]) is None
    unheard = Kubelets()
    for node in nodes[:3]:
        unheard.failed(node, silent)
        unheard.failed(node, silent)
    assert unheard.silent(nodes[3]) is not None
    unheard.failed(nodes[3], Unreadable(Failure("forbidden", "", "", "")))
    unheard.answered(nodes[0])
    assert unheard.silent(nodes[3]) is None


def test_one_container_that_runs_nothing_in_time_does_not_make_its_node_a_silent_one() -> None:
    ways_in, node = Kubelets(), NodeId("k8s/test/node/1")
    starved, other = ReplicaId("shop/web-1/app"), ReplicaId("shop/web-2/app")
    late = Unreadable(Failure("timeout", "a command", "no answer within 10 s", ""))
    for _ in range(3):
        ways_in.failed(node, late, starved)
    assert ways_in.silent(node) is None
    ways_in.failed(node, late, other)
    assert ways_in.silent(node) == "no answer within 10 s"
    ways_in.answered(node)
    for _ in range(4):
        assert ways_in.silent(node) is None
        ways_in.failed(node, late, starved)
    assert ways_in.silent(node) is not None


@pytest.fixture
def shelf() -> tuple[Logs, dict[DeploymentId, Deployment]]:
    found: dict[DeploymentId, Deployment] = {}
    return Logs(lambda: found, timedelta(minutes=15), lambda _: None, Kubelets()), found


async def test_every_deployment_is_read_once_and_then_all_is_settled(
    shelf: tuple[Logs, dict[DeploymentId, Deployment]],
) -> None:
    books, found = shelf
    for n in range(40):
        one = deployment(f"d{n}", replica(n))
        found[one.id] = one
    kubelet = Kubelet(stamped(1))
    books.prepare(Matcher((ANY,)))
    books.connect(kubelet)
    books.update(found.keys())
    assert not books.settled()
    async with asyncio.timeout(20):
        while not books.settled():
            books.tick()
            await asyncio.sleep(0.01)
    assert all(books.coverage(key).state == "sampled" for key in found)
    assert len(kubelet.asked) == 40
    gone = next(iter(found))
    del found[gone]
    books.update([gone])
    assert books.lines(gone, 0) == ()
    await books.disconnect()


async def test_a_namespace_that_forbids_its_logs_is_asked_once_and_named(
    shelf: tuple[Logs, dict[DeploymentId, Deployment]],
) -> None:
    books, found = shelf
    for n in range(5):
        one = deployment(f"d{n}", replica(n))
        found[one.id] = one
    kubelet = Kubelet(error="forbidden")
    books.prepare(Matcher((ANY,)))
    books.connect(kubelet)
    books.update(found.keys())
    async with asyncio.timeout(20):
        while not books.settled():
            books.tick()
            await asyncio.sleep(0.01)
    assert [failure.code for failure in books.failures()] == ["forbidden"]
    assert {books.coverage(key).state for key in found} == {"unread"}
    await books.disconnect()
