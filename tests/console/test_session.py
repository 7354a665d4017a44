"""A session goes on and says so, whatever a target, a listener or the judgement raises; it ends in order."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from console.commands import history, watch
from console.commands._session import finished, unread
from console.commands.fix import conclude
from console.commands.undo import concluded
from console.config import Config
from console.exits import INTERRUPTED, REFUSED, UNVERIFIED, Stop, explain
from console.repairs import journal
from console.session import Session
from fixes.journal import new_id
from fixes.model import ChangeId, Done, Entry, Outcome, Report
from probes.base import DeploymentId, TargetId
from probes.intent import Document, RestorePoint, Step
from probes.loghits import LogLine
from probes.model import Interest, Link, TargetState
from probes.target import Refused
from tests.console._fastops import until
from tests.fixes.fake import World
from tests.fixes.fake import plan_of as make_plan_of

HERE = TargetId("docker")
NOTHING = Document("none", "none", "x", "", "")


class Fake:
    """A target, and its writer, that do what a test wants."""

    id = HERE
    access = drafter = None

    def __init__(self) -> None:
        self.runs = 0
        self.fails: Callable[[int], bool] = lambda _run: False
        self.performing = threading.Event()
        self.did: list[str] = []
        self.abandons: Callable[[], None] = lambda: None
        self.checks: Callable[[RestorePoint], None] = lambda _point: None
        self.restores: Callable[[RestorePoint], None] = lambda _point: None

    async def run(self, publish: Callable[[TargetState], None]) -> None:
        import asyncio

        self.runs += 1
        now = datetime.now(UTC)
        publish(TargetState(target=self.id, link=Link(state="live", since=now), as_of=now, complete=True))
        if self.fails(self.runs):
            raise KeyError("vanished")
        await asyncio.Event().wait()

    def focus(self, interest: Interest) -> None: ...

    def lines(self, deployment: DeploymentId, after: int = 0) -> tuple[LogLine, ...]:
        return ()

    async def preserve(self, deployment: DeploymentId) -> Mapping[str, bytes]:
        return {}

    def writer(self) -> Fake:
        return self

    async def close(self) -> None:
        self.did.append("closed")

    async def perform(self, step: Step, change: str, progress: object) -> RestorePoint:
        import asyncio

        self.performing.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def abandon(self, step: Step, change: str, progress: object) -> None:
        import asyncio

        await asyncio.sleep(0.05)
        self.abandons()
        self.did.append("abandoned")

    async def check(self, point: RestorePoint, change: str) -> None:
        self.checks(point)

    async def restore(self, point: RestorePoint, change: str, progress: object) -> None:
        self.restores(point)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    return Fake()


@contextmanager
def session_on(target: Any) -> Iterator[Session]:
    with Session((), Config(), makers=(lambda _options: target,)) as session:
        yield session


def link(session: Session) -> Link | None:
    state = session.report.snapshot.targets.get(HERE)
    return None if state is None else state.link


def crash_notes(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "crash").glob("*")) if (tmp_path / "crash").exists() else []


def test_a_target_that_raises_is_down_with_a_sentence_and_runs_again(target: Fake, tmp_path: Path) -> None:
    mended = threading.Event()
    target.fails = lambda _run: not mended.is_set()
    seen: list[Report] = []
    with session_on(target) as session:
        session.subscribe(seen.append)
        until("down", lambda: any(r.snapshot.targets[HERE].link.state == "down" for r in seen if r.snapshot.targets))
        down = next(r for r in seen if r.snapshot.targets and r.snapshot.targets[HERE].link.state == "down")
        assert "defect" in (down.snapshot.targets[HERE].link.why or "")
        assert down.snapshot.targets[HERE].link.retry_at is not None
        assert any("defect" in sentence for sentence in unread(down, session))
        mended.set()
        until("live again", lambda: (found := link(session)) is not None and found.state == "live")
        assert target.runs > 1
    (note,) = crash_notes(tmp_path)
    assert "KeyError: 'vanished'" in note.read_text()


def test_a_listener_that_raises_costs_nobody_else_a_report(target: Fake, tmp_path: Path) -> None:
    def broken(_report: Report) -> None:
        raise ZeroDivisionError

    seen: list[Report] = []
    with session_on(target) as session:
        session.subscribe(broken)
        session.subscribe(seen.append)
        until("a report that says so", lambda: any(r.failures for r in seen))
        assert seen[-1].failures[0].what == "showing what was found"
        with pytest.raises(Refused):  # of the deployment, not of a dead session
            session.undo_preview(ChangeId("none")).result(10)
    assert len(crash_notes(tmp_path)) == 1


def test_a_judgement_that_raises_is_told_and_tried_again(
    target: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_on(target) as session:
        until("live", lambda: link(session) is not None)
        advance, broken = session._tracker.advance, [True]

        def sometimes(*arguments: Any) -> Report:
            if broken[0]:
                raise RuntimeError("unjudgeable")
            return advance(*arguments)

        monkeypatch.setattr(session._tracker, "advance", sometimes)
        until("told", lambda: bool(session.report.failures))
        assert session.report.snapshot.targets[HERE].link.state == "live"
        assert any("judging" in sentence for sentence in unread(session.report, session))
        broken[0] = False
        until("judged again", lambda: not session.report.failures)
    assert len(crash_notes(tmp_path)) == 1


def test_a_session_that_died_is_told_to_who_waits_and_who_asks(target: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    with session_on(target) as session:
        until("live", lambda: link(session) is not None)

        def die() -> None:
            raise MemoryError

        monkeypatch.setattr(session, "_judge", die)
        with pytest.raises(MemoryError):
            session.wait(30, lambda _report: False)
        assert isinstance(session.ended.exception(10), MemoryError)
        with pytest.raises((Refused, CancelledError)):
            session.undo_preview(None).result(10)


def test_watch_ends_with_its_session(target: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_session: Session) -> None:
        raise MemoryError

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Session]:
        with session_on(target) as session:
            yield session

    monkeypatch.setattr(watch, "opened", opened)
    monkeypatch.setattr(Session, "_judge", die)
    with pytest.raises(MemoryError):
        watch.run((), fmt="text", unknown=False)


# Changes that are worked on while the session is left.


def begun() -> ChangeId:
    """A change that was interrupted within its only step."""
    step = Step("restart", "restart x", NOTHING, NOTHING, "x", {"resumable": True})
    entry = Entry(
        id=new_id(),
        at=datetime.now(UTC),
        deployment=DeploymentId("docker/x"),
        signature="oom-killed",  # type: ignore[arg-type]
        remedy="restart",  # type: ignore[arg-type]
        title="",
        state="applying",
        steps=(Done(summary="restart x", step=step, state="begun", wanted=None),),
        diff=(),
        evidence=None,
        by="",
        values={},
    )
    journal().write(entry)
    return entry.id


def fixed() -> ChangeId:
    """A change of two steps that is in force."""
    change = begun()
    entry = journal().read(change)
    assert entry is not None
    (only,) = entry.steps
    done = (replace(only, state="done", point=RestorePoint("update", place, "")) for place in "ab")
    journal().write(replace(entry, state="applied", steps=tuple(done)))
    return change


def state_of(change: ChangeId) -> str:
    entry = journal().read(change)
    assert entry is not None
    return entry.state


def test_closing_takes_back_what_is_under_way_before_the_target_is_closed(target: Fake) -> None:
    change = begun()
    with session_on(target) as session:
        assert session.under_way is None
        future = session.resume(change, True)
        assert target.performing.wait(30)
        working = session.under_way
        assert working is not None
        assert working.change == change
    assert target.did == ["abandoned", "closed"]
    assert state_of(change) == "failed"
    with pytest.raises(CancelledError):
        future.result(10)
    assert session.under_way is None
    with pytest.raises(Refused):
        session.resume(change, True).result(10)


@pytest.mark.parametrize("way_back", [True, False])
def test_ctrl_c_waits_for_the_way_back_and_says_what_became_of_the_change(target: Fake, way_back: bool) -> None:
    change = begun()

    def refuse() -> None:
        if not way_back:
            raise Refused("the engine is gone")

    target.abandons = refuse
    with session_on(target) as session:
        future = session.resume(change, True)
        assert target.performing.wait(30)
        main, pressed = threading.get_ident(), threading.Timer(0, lambda: signal.pthread_kill(main, signal.SIGINT))

        class Waited(Future[Outcome]):
            """Ctrl-C comes while it is waited for: what comes earlier interrupts the test, not ``finished``."""

            def result(self, timeout: float | None = None) -> Outcome:
                pressed.start()
                return future.result(timeout)

        with pytest.raises(Stop) as stopped:
            finished(session, Waited(), change)
        pressed.join(10)
    assert stopped.value.status == INTERRUPTED
    assert target.did[-1] == "closed"
    if way_back:
        assert f"{change} was taken back" in str(stopped.value)
        assert state_of(change) == "failed"
    else:
        assert f"fastops resume {change}" in str(stopped.value)
        assert [e.id for e in journal().pending()] == [change]


async def test_a_fix_whose_way_back_failed_is_not_told_to_be_whole(capsys: pytest.CaptureFixture[str]) -> None:
    plan = await make_plan_of(World({"file:/a": ""}))
    for half_done in (True, False):
        outcome = Outcome(False, None, plan.id, 1.0, f"It failed. `fastops resume {plan.id}` ends it.", half_done)
        assert conclude(plan, outcome, as_json=False) == (UNVERIFIED if half_done else REFUSED)
        said = capsys.readouterr().err
        assert ("nothing is left half done" in said) is not half_done
        assert f"`fastops resume {plan.id}`" in said


@pytest.mark.parametrize("half_done", [True, False])
def test_an_undo_that_is_half_done_has_a_status_of_its_own(
    target: Fake, capsys: pytest.CaptureFixture[str], half_done: bool
) -> None:
    change = fixed()

    def refuse(point: RestorePoint) -> None:
        if point.subject == "a":
            raise Refused("somebody else changed it")

    target.restores = refuse
    if not half_done:
        target.checks = refuse
    with session_on(target) as session:
        future = session.undo(change)
        if half_done:
            assert concluded(None, future.result(30), "taken back", as_json=False) == UNVERIFIED
        else:
            with pytest.raises(Refused) as refused:
                future.result(30)
            assert explain(refused.value) == REFUSED
    assert "somebody else changed it" in (said := capsys.readouterr().err)
    assert (f"`fastops resume {change} --take-back` ends it" in said) is half_done
    assert state_of(change) == ("undoing" if half_done else "applied")


def test_what_was_taken_back_of_an_interrupted_change_is_undone_in_the_journal(
    target: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    change = begun()
    with session_on(target) as session:
        outcome = session.resume(change, False).result(30)
    assert outcome.applied
    assert state_of(change) == "undone"
    assert history.run(as_json=False) == 0
    assert "undone" in capsys.readouterr().out
    assert history.run(as_json=True) == 0
    told = json.loads(capsys.readouterr().out)["changes"][0]
    assert told["state"] == "undone"
    assert told["why"] == "It was interrupted, and taken back."


def test_a_way_back_that_failed_is_in_the_outcome(target: Fake) -> None:
    change = begun()

    def fail() -> None:
        raise OSError("the engine is gone")

    target.abandons = fail
    with session_on(target) as session:
        outcome = session.resume(change, False).result(30)
    assert not outcome.applied
    assert outcome.half_done
    assert f"fastops resume {change}" in (outcome.why or "")


def test_a_change_is_waited_for_as_long_as_its_parts_take(target: Fake) -> None:
    outcome = Outcome(True, "gone", ChangeId("x"), 2000.0)

    class Slow(Future[Outcome]):
        def result(self, timeout: float | None = None) -> Outcome:
            if timeout is not None:
                raise TimeoutError
            return outcome

    with session_on(target) as session:
        assert finished(session, Slow(), outcome.change) is outcome


def test_whoever_stops_waiting_for_the_end_does_not_spoil_it() -> None:
    session = Session((), Config(), makers=(lambda _options: Fake(),))
    session.start().result(30)
    assert not session.ended.cancel()
    session.close()
    assert session.ended.result(10) is None
