"""The console on a recording: going through it, how fast, what it says, and that nothing can be changed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.recording import form
from console.recording.app import ReplayApp
from console.recording.player import Player
from console.recording.read import Reader
from console.recording.session import ReplaySession
from console.recording.write import Recording
from probes.target import ReadOnly
from screens import messages
from screens.deployment import DeploymentScreen
from screens.fleet import FleetScreen
from tests.console.recording.files import CHECKOUT, at, story, written
from tests.screens import harness
from tests.screens.harness import press, seen
from tests.screens.reports import MIB

SECONDS = 300


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(tmp_path: Path, clock: Clock) -> ReplaySession:
    return ReplaySession(written(tmp_path / "a", story(SECONDS)), clock)


@asynccontextmanager
async def opened(session: ReplaySession, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Pilot[None]]:
    app = ReplayApp(session)
    app.theme = "fastops"
    app.animation_level = "none"
    with contextlib.closing(session):
        async with app.run_test(size=size) as pilot:
            await until(pilot, shows(pilot, "checkout"))
            yield pilot


def shows(pilot: Pilot[None], text: str) -> Callable[[], bool]:
    return lambda: text in seen(pilot)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    await harness.until(pilot, holds, 60)


async def at_time(pilot: Pilot[None], session: ReplaySession, second: int) -> None:
    """Waits until the screen shows a second of the recording."""
    wanted = at(second)
    await until(pilot, lambda: session.report.snapshot.taken_at.timestamp() == wanted)
    await until(pilot, lambda: pilot.app.screen.report is session.report)


async def test_the_frame_says_that_it_is_a_replay_and_of_when(session: ReplaySession) -> None:
    async with opened(session) as pilot:
        await until(pilot, shows(pilot, "REPLAY 2026-03-01 12:41:07 UTC"))
        await until(pilot, shows(pilot, "0ms of 4m59s"))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        await until(pilot, shows(pilot, "REPLAY 2026-03-01 12:41:07 UTC"))


async def test_it_plays_at_the_speed_that_is_asked_for_and_stands_still(session: ReplaySession, clock: Clock) -> None:
    async with opened(session) as pilot:
        clock.now += 5
        await at_time(pilot, session, 5)
        await press(pilot, "plus", "plus")  # five times as fast
        await until(pilot, shows(pilot, "×5"))
        clock.now += 4
        await at_time(pilot, session, 25)
        await press(pilot, "space")
        await until(pilot, shows(pilot, "paused"))
        clock.now += 1000
        await press(pilot, "minus", "minus", "minus")
        await until(pilot, shows(pilot, "×0.5"))
        assert session.report.snapshot.taken_at.timestamp() == at(25)
        await press(pilot, "space")
        clock.now += 4
        await at_time(pilot, session, 27)


async def test_keys_go_on_and_back_and_not_beyond_its_ends(session: ReplaySession) -> None:
    async with opened(session) as pilot:
        for key, second in (
            (".", 10), (".", 20), (",", 10), (">", 70), ("<", 10), ("<", 0), (",", 0), (">", 60), (">", 120),
            (">", 180), (">", 240), (">", 299), (">", 299),
        ):  # fmt: skip
            await press(pilot, key)
            await at_time(pilot, session, second)
        await until(pilot, shows(pilot, "4m59s of 4m59s · paused"))
        await press(pilot, "space")  # again from the beginning
        await at_time(pilot, session, 0)


async def test_it_goes_from_finding_to_finding_as_they_were(session: ReplaySession) -> None:
    async with opened(session, (200, 50)) as pilot:
        assert not shows(pilot, "made-up at 20")()
        await press(pilot, "]")
        await at_time(pilot, session, 20)
        found = {f.signature for f in session.report.of(CHECKOUT)}
        assert "made-up" in found
        pilot.app.screen.post_message(messages.DeploymentOpened(CHECKOUT))
        await until(pilot, shows(pilot, "made-up at 20"))
        await press(pilot, "]")
        await at_time(pilot, session, 40)
        await until(pilot, lambda: not shows(pilot, "made-up at 20")())
        await press(pilot, "[")
        await at_time(pilot, session, 20)
        await until(pilot, shows(pilot, "made-up at 20"))


async def test_its_keys_stand_in_the_help(session: ReplaySession) -> None:
    async with opened(session) as pilot:
        await press(pilot, "question_mark")
        for words in ("10s back", "10s on", "next finding", "finding before", "faster", "slower", "a minute on"):
            assert words in seen(pilot)
        assert "history" not in seen(pilot)
        assert "profile" not in seen(pilot)


async def test_nothing_can_be_changed_or_asked(session: ReplaySession) -> None:
    async with opened(session) as pilot:
        await press(pilot, "f", "u", "p", "h")
        assert isinstance(pilot.app.screen, FleetScreen)
        assert "READ-ONLY" in seen(pilot)
        for ask in (session.plan, session.apply, session.profile, session.undo, session.undo_preview, session.resume):
            with pytest.raises(ReadOnly, match="This is a recording"):
                ask(CHECKOUT).result(1)
    assert session.ended.result(10) is None


async def test_the_plot_and_the_log_end_at_the_recordings_time(session: ReplaySession) -> None:
    async with opened(session) as pilot:
        await press(pilot, "]")
        await at_time(pilot, session, 20)
        (points,) = session.series(CHECKOUT, "memory-used").values()
        assert points[-1].at == at(20)
        await press(pilot, "<")
        await at_time(pilot, session, 0)
        (points,) = session.series(CHECKOUT, "memory-used").values()
        assert len(points) == 1


def test_what_a_recorder_drops_meanwhile_is_said_and_what_is_left_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "CHAPTER_SECONDS", 15.0)
    reports = story(120)
    recording = Recording(tmp_path / "a", 64 * MIB)
    with contextlib.closing(recording):
        for one in reports[:40]:
            recording.add(one)
        with contextlib.closing(ReplaySession(tmp_path / "a", lambda: 0.0)) as session:
            player = session._player
            player.go(at(35))
            assert not player.report.failures
            recording._most = 16 * 1024
            for one in reports[40:80]:
                recording.add(one)
            oldest = round(recording.first_at - at(0))
            assert oldest > 40  # all that it was opened with
            for second in (0, 20, 39):
                player.go(at(second))
                assert player.report.snapshot.deployments() == reports[oldest].snapshot.deployments()
                (failure,) = player.report.failures
                assert "what was before 12:4" in failure.why
                assert "is not there any more" in failure.why
            assert session.replay.passed_seconds == 0
            player.go(at(79))
            assert player.report.snapshot.deployments() == reports[79].snapshot.deployments()
            session.seek(-60)
            assert session.now.timestamp() == recording.first_at


def test_a_moment_that_is_dropped_while_it_is_read_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Reader(written(tmp_path / "a", story(3)))) as reader:
        player = Player(reader)
        monkeypatch.setattr(reader, "moments", lambda first, last: iter(()))
        player.go(at(1))
        assert "it is not there any more" in player.report.failures[0].why
