"""A fix from its diff to its verdict, and the way back."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import timedelta

import pytest

from fixes.model import Advice, Change, ChangeId, Entry, Outcome, RemedyId, Verified
from probes.target import Outdated, Refused
from screens.fix import FixScreen
from screens.history import HistoryScreen
from screens.undo import UndoScreen
from tests.screens import reports as r
from tests.screens.fake import COMPOSE, FakeSession, failed
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until


async def test_a_fix_shows_its_diff_first_and_changes_nothing_without_a_yes() -> None:
    session = FakeSession()
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "f")
        assert "+  memory: 1073741824" in seen(pilot)
        assert "/srv/shop/compose.yaml" in seen(pilot)
        await press(pilot, "y")
        assert "memory: 1073741824" in pilot.app.clipboard, "y copies while nothing is asked"
        await press(pilot, "enter")
        assert "Apply this on docker/checkout?" in seen(pilot)
        await press(pilot, "n")
        await press(pilot, "enter", "escape", "escape")
        assert not session.calls("apply")


async def test_a_yes_applies_shows_progress_and_the_verdict() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: "✓ gone" in seen(pilot))
        assert "docker update --memory 1g checkout" in seen(pilot)
        assert session.calls("apply") == [("apply", "set-memory-limit", None)]


@pytest.mark.parametrize(
    ("verified", "why", "words"),
    [
        ("gone", None, "✓ gone"),
        ("present", "3 kills since", "◆ still there: 3 kills since"),
        ("untested", "no requests came", "? not verified: no requests came"),
    ],
)
async def test_verification_says_what_it_saw(verified: Verified, why: str | None, words: str) -> None:
    session = FakeSession()
    session.outcome = Outcome(applied=True, verified=verified, change=ChangeId("c1"), took_seconds=3, why=why)
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: words in seen(pilot))


async def test_what_was_not_applied_offers_no_undo() -> None:
    session = FakeSession()
    session.outcome = Outcome(applied=False, verified=None, change=ChangeId("c1"), took_seconds=3, why="it changed")
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: "not applied: it changed" in seen(pilot))
        await press(pilot, "u")
        assert isinstance(pilot.app.screen, FixScreen)


async def test_what_somebody_changed_before_the_yes_is_planned_again_and_asked_about_again() -> None:
    session = FakeSession()
    session.held = failed(Outdated("It was changed since the diff was made; plan again."))
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: len(session.calls("plan")) == 2)
        assert any("this is the plan as it is now" in one.message for one in pilot.app._notifications)
        screen = pilot.app.screen
        assert isinstance(screen, FixScreen)
        await until(pilot, lambda: screen.stage == "planned")
        assert len(session.calls("apply")) == 1, "a yes to the former diff is none to this one"
        session.held = None
        await press(pilot, "enter", "y")
        await until(pilot, lambda: "✓ gone" in seen(pilot))
        assert len(session.calls("apply")) == 2


async def test_where_a_yes_is_not_enough_the_name_has_to_be_typed() -> None:
    session = FakeSession()
    session.confirm = "Files in the writable layer of checkout are lost."
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter")
        assert "Files in the writable layer" in seen(pilot)
        await press(pilot, "y", "enter")
        assert not session.calls("apply")
        await press(pilot, "backspace", *"checkout", "enter")
        await until(pilot, lambda: bool(session.calls("apply")))
        assert session.calls("apply") == [("apply", "set-memory-limit", "checkout")]


@pytest.mark.parametrize("asking", [False, True])
async def test_a_warning_too_long_for_a_low_screen_says_so_and_is_read_above_the_diff(asking: bool) -> None:
    session = FakeSession()
    session.warnings = (
        f"Compose keeps two containers: {'and that is so ' * 100}`docker compose up` may remove either.",
    )
    async with opened(session) as pilot:
        await press(pilot, "down", "f", *(["enter"] if asking else []))
        assert "▲ what to know before stands above the diff; pgdn reads on" in seen(pilot)
        assert "may remove either" not in seen(pilot)
        for _ in range(8):
            await press(pilot, "pagedown")
            if "may remove either" in seen(pilot):
                break
        assert "may remove either" in seen(pilot)
        assert len(session.calls("plan")) == 1, "the cursor stays on its remedy"
        await press(pilot, *(["y"] if asking else []))
        assert bool(session.calls("apply")) == asking


async def test_a_short_warning_stands_once_and_the_help_says_how_to_reach_the_diff() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "down", "f")
        assert seen(pilot).count("requests in flight are lost while") == 1
        assert "pgdn" not in seen(pilot)
        await press(pilot, "question_mark")
        assert "on to the diff" in seen(pilot)
        assert "page the diff down" in seen(pilot)


async def test_another_remedy_makes_another_plan_and_one_that_cannot_says_why() -> None:
    session = FakeSession()
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "f", "down")
        assert session.calls("plan")[-1][3] == "enable-worker-recycling"
        await press(pilot, "end")
        assert "there is no file" in seen(pilot)
        await press(pilot, "enter", "y")
        assert not session.calls("apply")


async def test_a_value_can_be_edited_before_the_diff_is_made() -> None:
    session = FakeSession()
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "f", "e")
        await press(pilot, *["backspace"] * 10, *"2GiB", "enter")
        await until(pilot, lambda: len(session.calls("plan")) == 2)
        assert session.calls("plan")[-1][4] == {"limit": "2GiB"}


async def test_a_refusal_is_one_sentence_on_the_screen() -> None:
    session = FakeSession()
    session.refusal = Refused("The file [/srv/x] changed since.")
    async with opened(session) as pilot:
        await press(pilot, "down", "f")
        assert "The file [/srv/x] changed since." in seen(pilot)
        await press(pilot, "enter", "y")
        assert not session.calls("apply")


async def test_advice_changes_nothing_and_its_code_can_be_copied() -> None:
    session = FakeSession()
    session.advice = Advice(title="[/x] Do not block", text="Await the sleep.", code="await asyncio.sleep(5)")
    async with opened(session) as pilot:
        await press(pilot, "down", "f")
        assert "changes nothing" in seen(pilot)
        assert "[/x] Do not block" in seen(pilot)
        await press(pilot, "enter", "y")
        assert pilot.app.clipboard == "await asyncio.sleep(5)"
        assert not session.calls("apply")


async def test_leaving_while_it_is_applied_tells_how_it_ended() -> None:
    session = FakeSession()
    session.held = Future()
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        assert "working" in seen(pilot)
        await press(pilot, "escape")
        session.held.set_result(session.outcome)
        await until(pilot, lambda: "✓ gone" in seen(pilot))


async def test_undo_shows_the_way_back_and_asks() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: "takes it back" in seen(pilot))
        await press(pilot, "u")
        assert isinstance(pilot.app.screen, UndoScreen)
        assert session.calls("undo_preview") == [("undo_preview", "20260301-124107-a1b2")]
        assert not session.calls("undo")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(session.calls("undo")))


def entry(identity: str, state: str, minutes: float) -> Entry:
    return Entry(
        id=ChangeId(identity),
        at=r.NOW - timedelta(minutes=minutes),
        deployment=r.CHECKOUT.id,
        signature=r.OOM.signature,
        remedy=RemedyId("set-memory-limit"),
        title="Raise the memory limit to 1 GiB",
        state=state,  # type: ignore[arg-type]
        steps=(),
        diff=(Change(document="/srv/shop/compose.yaml", diff=COMPOSE, summary="write it"),),
        verified="gone" if state == "applied" else None,
        by="ops@host",
    )


async def test_the_journal_names_what_was_interrupted_first_and_resumes_after_a_yes() -> None:
    session = FakeSession()
    session.entries = (entry("old", "applied", 60), entry("cut", "applying", 90))
    async with opened(session, SMALL) as pilot:
        await press(pilot, "h")
        await until(pilot, lambda: "interrupted" in seen(pilot))
        await press(pilot, "u")
        assert isinstance(pilot.app.screen, HistoryScreen), "what was interrupted is resumed, not undone"
        await press(pilot, "b", "n")
        assert not session.calls("resume")
        await press(pilot, "b", "y")
        await until(pilot, lambda: session.calls("resume") == [("resume", "cut", False)])
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen))
        await press(pilot, "down", "u")
        assert session.calls("undo_preview") == [("undo_preview", "old")]


async def test_a_journal_that_is_left_open_shows_what_others_change_meanwhile() -> None:
    session = FakeSession()
    async with opened(session, LARGE) as pilot:
        await press(pilot, "h")
        assert "No change was made from here yet" in seen(pilot)
        made = entry("new", "applied", 1)
        session.entries = (made,)
        await until(pilot, lambda: made.title in seen(pilot), 60)


async def test_what_was_taken_back_of_an_interrupted_change_is_called_taken_back() -> None:
    session = FakeSession()
    session.entries = (entry("cut", "applying", 90),)
    session.outcome = Outcome(True, None, ChangeId("cut"), 2.0, "It was interrupted, and taken back.")
    async with opened(session, LARGE) as pilot:
        await press(pilot, "h")
        await until(pilot, lambda: "interrupted" in seen(pilot))
        await press(pilot, "b", "y")
        await until(pilot, lambda: "↶ taken back" in seen(pilot))
        assert "not verified" not in seen(pilot)


async def test_a_fix_that_was_taken_back_says_so_and_an_undo_offers_no_undo() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await press(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: "takes it back" in seen(pilot))
        await press(pilot, "u", "enter", "y")
        await until(pilot, lambda: "↶ taken back" in seen(pilot))
        assert "takes it back" not in seen(pilot)
        assert "✓ gone" not in seen(pilot)
        session.entries = (entry(str(session.outcome.change), "undone", 0),)
        await press(pilot, "u", "escape")
        assert isinstance(pilot.app.screen, FixScreen)
        await until(pilot, lambda: "↶ taken back" in seen(pilot))
        assert "✓ gone" not in seen(pilot)
        await press(pilot, "u")
        assert isinstance(pilot.app.screen, FixScreen)
        assert len(session.calls("undo_preview")) == 1


async def test_a_long_path_beside_a_bar_loses_its_middle_and_not_its_end() -> None:
    path = "/usr/lib/python3.12/site-packages/" + "package/" * 12 + "routes.py:41"
    session = FakeSession()
    session.advice = Advice(title="A stack", text="The loop waits.", code=f"worker 17\n→ {path} in slow_report")
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "f")
        (shown,) = [text for text in seen(pilot).splitlines() if "slow_report" in text]
        assert "│ → /usr/lib" in shown
        assert "…" in shown
        assert "routes.py:41 in slow_report" in shown
        await press(pilot, "y")
        assert path in pilot.app.clipboard, "what is copied is whole"


async def test_hints_name_the_keys_as_they_are_bound() -> None:
    session = FakeSession()
    session.warnings = ("Much is to be known. " * 100,)
    keymap = {"page_down": "ctrl+d", "apply": "a", "yes": "o", "no": "x", "undo": "U"}
    async with opened(session, keymap=keymap) as pilot:
        await press(pilot, "down", "f")
        assert "stands above the diff; ^d reads on" in seen(pilot)
        assert "a apply this: it asks first" in seen(pilot)
        await press(pilot, "a")
        assert "o yes   x no" in seen(pilot)
        await press(pilot, "o")
        await until(pilot, lambda: "U takes it back" in seen(pilot))


async def test_the_journal_offers_no_key_to_itself() -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        assert "h history" in seen(pilot)
        await press(pilot, "h")
        assert isinstance(pilot.app.screen, HistoryScreen)
        assert "h history" not in seen(pilot)
        await press(pilot, "h", "escape")
        assert not isinstance(pilot.app.screen, HistoryScreen)
