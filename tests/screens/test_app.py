"""The application: reports, pause, keys, read-only mode, refusals."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from console.app import FastopsApp
from console.changes import applying
from console.exits import DEFECT
from console.seam import sentence
from fixes.model import ChangeId
from probes.base import Failure, TargetId
from probes.target import ReadOnly, Refused, Unreadable
from screens.advice import ProfileScreen
from screens.deployment import DeploymentScreen
from screens.fix import FixScreen
from screens.fleet import FleetScreen
from screens.help import HelpScreen
from screens.history import HistoryScreen
from screens.undo import UndoScreen
from tests.screens import reports as r
from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, opened, press, seen, until


async def test_reports_from_another_thread_are_shown_and_only_the_newest_counts() -> None:
    session = FakeSession(r.report(r.state(r.DOCKER, ())))
    async with opened(session) as pilot:

        def flood() -> None:
            for n in range(50):
                session.publish(r.report(r.state(r.DOCKER, (r.deployment(f"service-{n}"),))))

        thread = threading.Thread(target=flood)
        thread.start()
        await until(pilot, lambda: "service-49" in seen(pilot))
        thread.join()


async def test_pause_stops_the_display_and_catches_up_after() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await press(pilot, "space")
        assert " PAUSED " in seen(pilot)
        session.publish(r.report(r.state(r.DOCKER, (r.deployment("newcomer"),))))
        await pilot.pause()
        assert "newcomer" not in seen(pilot)
        await press(pilot, "space")
        await until(pilot, lambda: "newcomer" in seen(pilot))
        assert "PAUSED" not in seen(pilot)


async def test_a_screen_that_was_covered_shows_the_newest_report_again() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, DeploymentScreen)
        session.publish(r.report(r.state(r.DOCKER, (r.deployment("newcomer"),))))
        await press(pilot, "escape")
        await until(pilot, lambda: "newcomer" in seen(pilot))


async def test_every_key_of_the_contract_leads_somewhere() -> None:
    for key, screen in (
        ("enter", DeploymentScreen),
        ("l", DeploymentScreen),
        ("f", FixScreen),
        ("u", UndoScreen),
        ("p", ProfileScreen),
        ("h", HistoryScreen),
        ("question_mark", HelpScreen),
    ):
        async with opened(FakeSession()) as pilot:
            await press(pilot, key)
            assert isinstance(pilot.app.screen, screen), key
            await press(pilot, "escape")
            assert isinstance(pilot.app.screen, FleetScreen), key


async def test_q_ends_the_application() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "q")
        await until(pilot, lambda: not pilot.app.is_running)


@pytest.mark.parametrize("opener", ["", "slash", "f", "question_mark", "ctrl+p"])
async def test_ctrl_c_ends_the_application_wherever_it_stands(opener: str) -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, *([opener] if opener else []), "ctrl+c")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_ctrl_c_asks_once_more_while_a_change_is_under_way() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        session.under_way = applying(ChangeId("c1"))
        await press(pilot, "ctrl+c")
        assert pilot.app.is_running
        await press(pilot, "ctrl+c")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_keys_can_be_bound_again() -> None:
    async with opened(FakeSession(), keymap={"fix": "x", "open": "o"}) as pilot:
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, FleetScreen)
        await press(pilot, "x")
        assert isinstance(pilot.app.screen, FixScreen)
        await press(pilot, "escape", "o")
        assert isinstance(pilot.app.screen, DeploymentScreen)


async def test_help_is_made_from_the_bindings() -> None:
    async with opened(FakeSession(), LARGE, keymap={"fix": "x"}) as pilot:
        await press(pilot, "question_mark")
        text = seen(pilot)
        assert "x fix" in text
        assert "/ filter" in text
        assert "critical" in text


async def test_the_palette_finds_deployments() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "ctrl+p", *"checkout")
        await until(pilot, lambda: "worker 17 was killed" in seen(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        assert "docker/checkout" in seen(pilot)


@pytest.mark.parametrize("key", ["f", "u"])
async def test_in_read_only_mode_the_keys_that_change_something_are_dead_and_not_shown(key: str) -> None:
    session = FakeSession(read_only=True)
    async with opened(session, LARGE) as pilot:
        assert "READ-ONLY" in seen(pilot)
        last = seen(pilot).splitlines()[-1]
        assert " fix" not in last
        assert " undo" not in last
        await press(pilot, "down", key)
        assert isinstance(pilot.app.screen, FleetScreen)
        await press(pilot, "enter", key)
        assert isinstance(pilot.app.screen, DeploymentScreen)
        assert not session.calls("plan")
        assert not session.calls("undo_preview")


async def test_in_read_only_mode_every_key_on_every_screen_changes_nothing() -> None:
    session = FakeSession(read_only=True)
    keys = [*"abcdefghijklmnoprstuvwxyzNGS123450", "enter", "space", "tab", "up", "down", "pagedown", "delete", "f5"]
    async with opened(session) as pilot:
        for opener in ("", "enter", "l", "p", "h"):
            while len(pilot.app.screen_stack) > 1:
                pilot.app.pop_screen()
            await press(pilot, *([opener] if opener else []))
            for key in keys:
                await pilot.press(key)
        await pilot.pause()
    assert {str(call[0]) for call in session.asked} <= {"start", "focus", "profile", "close"}


async def test_one_target_may_be_read_only_beside_another() -> None:
    session = FakeSession()
    session.read_only_targets = frozenset({TargetId("docker")})
    async with opened(session) as pilot:
        await press(pilot, "down", "f")
        assert isinstance(pilot.app.screen, FleetScreen)
        await press(pilot, "down", "down", "f")
        assert isinstance(pilot.app.screen, FixScreen)


def test_every_failure_is_one_sentence() -> None:
    failure = Failure(code="timeout", what="docker inspect", why="no answer in 5 s", hint="try again")
    assert sentence(Unreadable(failure)) == "docker inspect: no answer in 5 s – try again"
    assert sentence(Refused("It runs no more.")) == "It runs no more."
    assert "read-only" in sentence(ReadOnly())
    assert "in time" in sentence(TimeoutError())
    assert sentence(KeyError("x")).startswith("This is a defect of fastops: KeyError")


async def test_sixteen_colours_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    session = FakeSession()
    app = FastopsApp(session, clock=lambda: r.NOW)
    app.theme = "fastops-16"
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(session.listeners))
        await press(pilot, "down", "enter", "escape", "f", "escape", "question_mark")
        assert app.is_running


def test_the_first_screen_loads_nothing_that_it_does_not_show() -> None:
    code = "import sys, console.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    late = {"plotext", "docker", "httpx", "psutil", "hyperscan", "yaml", "click", "screens.deployment", "screens.fix"}
    assert not late & set(loaded.stdout.split())
    assert not [name for name in loaded.stdout.split() if name.startswith(("fixes.signatures.", "probes.targets."))]


async def test_leaving_while_a_change_is_under_way_is_asked_twice() -> None:
    session = FakeSession()
    session.under_way = applying(ChangeId("20260301-124107-a1b2"))
    async with opened(session) as pilot:
        await press(pilot, "q")
        assert pilot.app.is_running
        assert any("takes it back" in one.message for one in pilot.app._notifications)
        await press(pilot, "q")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_a_session_that_died_ends_the_console_with_a_sentence() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        session.ended.set_exception(RuntimeError("boom"))
        await until(pilot, lambda: not pilot.app.is_running)
        assert pilot.app.return_code == DEFECT


async def test_nothing_is_asked_where_nothing_is_under_way() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "q")
        await until(pilot, lambda: not pilot.app.is_running)
