"""The fleet: order, cursor, filter, banners, hostile names."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from console.output import finding_lines
from fixes.model import Open, SignatureId
from probes.base import DeploymentId
from probes.model import Deployment
from screens import columns, findings, rows
from screens.fleet import FleetScreen
from screens.widgets.filterbar import FilterBar
from tests.screens import reports as r
from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until


def names(screen: object) -> list[str]:
    assert isinstance(screen, FleetScreen)
    return [key.split("/", 1)[1] for key in screen.table.keys]


async def test_the_worst_trouble_stands_first() -> None:
    async with opened(FakeSession()) as pilot:
        assert names(pilot.app.screen) == ["billing", "checkout", "shop/orders", "reports", "gateway", "auth", "search"]


async def test_the_cursor_stays_on_its_deployment_when_the_order_changes() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        await press(pilot, "end")
        assert screen.subject() == "docker/search"
        worse = r.finding(r.SEARCH, "pool-exhausted", "critical", "the pool is empty", ())
        session.publish(r.report(findings=(worse,)))
        await until(pilot, lambda: names(screen)[0] == "search")
        assert screen.subject() == "docker/search"


async def test_the_cursor_keeps_its_line_on_the_screen_while_rows_come_in_above() -> None:
    many = r.large(200)
    session = FakeSession(many)
    async with opened(session) as pilot:
        table = pilot.app.screen.query_one("#fleet")
        await press(pilot, *["pagedown"] * 4)
        line = table._cursor - table.scroll_offset.y
        key = table.cursor
        first = [r.deployment(f"aaa-{n}") for n in range(30)]
        target = many.snapshot.targets[r.DOCKER]
        session.publish(r.report(r.state(r.DOCKER, (*first, *target.deployments.values())), findings=()))
        await until(pilot, lambda: len(table.keys) == 230)
        assert table.cursor == key
        assert table._cursor - table.scroll_offset.y == line


async def test_the_cursor_stays_on_the_worst_until_somebody_moves_it() -> None:
    session = FakeSession(r.report(r.state(r.DOCKER, (r.AUTH,))))
    async with opened(session) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        assert screen.subject() == "docker/auth"
        session.publish(r.report())
        await until(pilot, lambda: len(names(screen)) == 7)
        assert screen.subject() == "docker/billing"


async def test_an_update_draws_only_the_lines_that_differ() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        drawn: list[int] = []
        original = screen.table.render_line
        screen.table.render_line = lambda y: (drawn.append(y), original(y))[1]  # type: ignore[method-assign]
        changed = r.deployment("auth", used=97)
        docker = (r.CHECKOUT, r.ORDERS, r.GATEWAY, r.BILLING, r.SEARCH, changed)
        session.publish(r.report(r.state(r.DOCKER, docker), r.state(r.LOCAL, (r.REPORTS,))))
        await until(pilot, lambda: "97M" in seen(pilot))
        line = names(screen).index("auth") + 1
        assert line in drawn


async def test_typing_narrows_and_escape_shows_all_again() -> None:
    async with opened(FakeSession()) as pilot:
        screen = pilot.app.screen
        await press(pilot, "slash", *"oom")
        assert names(screen) == ["checkout"]
        await press(pilot, "enter", "escape")
        assert len(names(screen)) == 7
        assert not screen.query_one(FilterBar).display


def test_a_filter_means_names_before_findings_and_findings_before_what_their_titles_tell() -> None:
    leak = r.deployment("leak-demo")
    told = r.finding(r.SEARCH, "pool-exhausted", "critical", "connections leak: the pool is empty", ())
    grown = r.finding(r.AUTH, "memory-leak", "warning", "memory grows", ())
    seen_of = r.report(r.state(r.DOCKER, (leak, r.AUTH, r.SEARCH)), findings=(told, grown))

    def found(needle: str) -> list[str]:
        return [row.name for row in rows.matching(rows.Fleet().update(seen_of).values(), needle)]

    assert found("leak") == ["leak-demo"]
    assert found("memory-leak") == ["auth"]
    assert found("auth leak") == ["auth"]
    assert found("connections") == ["search"]
    assert found("leak connections") == []


def test_the_arrow_of_the_sorted_column_is_never_cut() -> None:
    room = columns.Longest(20, 8, 0)
    for width in (79, 99, 119, 199):
        plain = columns.columns(width, room, "severity", reverse=False)
        for key in rows.SORTS:
            shown = columns.columns(width, room, key, reverse=False)
            assert [c.key for c in shown] == [c.key for c in plain]
            assert sum(c.width + 1 for c in shown) <= width
            assert all(len(c.title) <= c.width for c in shown)


async def test_a_filter_that_matches_nothing_says_so() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "slash", *"zzz")
        assert "Nothing matches zzz" in seen(pilot)


async def test_every_column_can_be_sorted_by_and_turned_round() -> None:
    async with opened(FakeSession()) as pilot:
        screen = pilot.app.screen
        await press(pilot, "s")
        assert names(screen) == sorted(names(screen))
        await press(pilot, "S")
        assert names(screen) == sorted(names(screen), reverse=True)


async def test_the_title_of_a_column_can_be_clicked() -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        screen = pilot.app.screen
        line = seen(pilot).splitlines()[1]
        await pilot.click("#fleet", offset=(line.index("MEMORY") - 1, 0))
        await pilot.pause()
        assert names(screen)[:2] == ["checkout", "shop/orders"]
        assert names(screen)[-1] == "billing", "what is unknown stands last"


@pytest.mark.parametrize("name", ["[/foo]", "[@click=app.quit]x[/]", "[red]", "{x}", "日本語サービス", "a\\[b"])
async def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    hostile: Deployment = r.deployment(name, used=100)
    found = r.finding(hostile, "oom-killed", "critical", f"{name} died", r.OOM.evidence, r.OOM.remedies)
    state = r.state(r.DOCKER, (hostile,), "stale", why=f"{name} is odd", hint=name)
    session = FakeSession(r.report(state, findings=(found,)))
    for size in (SMALL, LARGE):
        async with opened(session, size) as pilot:
            assert name in seen(pilot)
            await press(pilot, "y", "enter")
            await until(pilot, lambda: "probe latency" in seen(pilot) or "findings 1" in seen(pilot))
            assert name in seen(pilot)
            await press(pilot, "escape", "f")
            assert name in seen(pilot)
            await press(pilot, "escape", "p")
            await press(pilot, "escape", "ctrl+p")
            assert pilot.app.is_running


async def test_a_link_that_is_down_says_why_and_its_rows_stay() -> None:
    down = r.state(r.DOCKER, (r.CHECKOUT,), "down", why="connection refused", hint="is the engine running?")
    async with opened(FakeSession(r.report(down, r.state(r.LOCAL, (r.REPORTS,))))) as pilot:
        text = seen(pilot)
        assert "docker is down since 12:32:07: connection refused – is the engine running?" in text
        assert "checkout" in text


async def test_an_interrupted_change_is_named_above_all() -> None:
    async with opened(FakeSession(r.report(pending=("20260301-1200-ab",)))) as pilot:
        assert "a change was interrupted: 20260301-1200-ab" in seen(pilot).splitlines()[1]


async def test_without_a_deployment_it_says_what_was_looked_at_and_what_to_try() -> None:
    empty = r.report(
        r.state(r.DOCKER, ()), r.state(r.LOCAL, (), "forbidden", why="permission denied", hint="run as root")
    )
    async with opened(FakeSession(empty)) as pilot:
        text = seen(pilot)
        for part in ("No FastAPI deployment was found", "docker", "permission denied", "run as root", "fastops doctor"):
            assert part in text


async def test_while_targets_connect_it_says_that_it_looks() -> None:
    async with opened(FakeSession(r.report(r.state(r.DOCKER, (), "connecting")))) as pilot:
        assert "Looking for FastAPI" in seen(pilot)


async def test_a_selected_deployment_shows_its_findings_beside_the_table_where_there_is_room() -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        await press(pilot, "down")
        text = seen(pilot)
        assert "oom_kill rose from 2 to 3" in text
        assert "worker 17 died by SIGKILL" in text


async def test_copying_names_the_finding_and_its_evidence() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "down", "y")
        assert "docker/checkout" in pilot.app.clipboard
        assert "was sent SIGKILL! Perhaps out of memory?" in pilot.app.clipboard


async def test_ten_thousand_rows_draw_only_what_is_seen() -> None:
    session = FakeSession(r.large(10_000))
    async with opened(session) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        await press(pilot, "end")
        assert screen.subject() == screen.table.keys[-1]
        assert len(screen._made) < 200


async def test_what_does_not_run_is_never_called_well() -> None:
    stopped = r.deployment("nightly", state="exited")
    none = msgspec.structs.replace(r.deployment("idle"), replicas=())
    session = FakeSession(r.report(r.state(r.DOCKER, (stopped, none)), findings=()))
    async with opened(session) as pilot:
        text = seen(pilot)
        assert text.count("○") == 3, "two lines, and what is said of the selected one"
        assert "✓" not in text
        await press(pilot, "enter")
        assert "✓" not in seen(pilot)


async def test_the_findings_of_a_process_that_was_started_by_hand_and_ended_are_counted_apart() -> None:
    over = replace(r.deployment("tried", target=r.LOCAL, state="exited"), kind="process")
    unit = replace(over, id=DeploymentId(f"{r.LOCAL}/shop"), name="shop", origin="shop.service")
    found = tuple(r.finding(one, "worker-boot-failed", "critical", "it does not start", ()) for one in (over, unit))
    async with opened(FakeSession(r.report(r.state(r.LOCAL, (over, unit)), findings=found))) as pilot:
        assert "◆ 1  1 of what has ended  2 deployments" in seen(pilot)


async def test_a_target_that_is_not_complete_is_being_read() -> None:
    state = r.state(r.DOCKER, (r.AUTH,))
    session = FakeSession(r.report(msgspec.structs.replace(state, complete=False)))
    async with opened(session) as pilot:
        assert "docker reading…" in seen(pilot)
        session.publish(r.report(state))
        await until(pilot, lambda: "reading…" not in seen(pilot))


LONG = "checkout-service-for-the-european-market-with-a-name-that-somebody-generated-7f9c4d5b8-x2k9q"


async def test_long_names_take_no_column_away_and_stand_whole_on_their_own_screen() -> None:
    one, two = (r.deployment(LONG[:-1] + end, used=480, restarts=12) for end in "qz")
    found = r.finding(one, "oom-killed", "critical", f"worker 17 of {LONG} was killed", r.OOM.evidence, r.OOM.remedies)
    session = FakeSession(r.report(r.state(r.DOCKER, (one, two, r.AUTH)), findings=(found,)))
    async with opened(session) as pilot:
        lines = seen(pilot).splitlines()
        for title in ("NAME", "READY", "WRK", "MEMORY", "RST", "CORES", "P95", "FINDING"):
            assert title in lines[1]
        assert any("x2k9q" in line and "480M/512M" in line and "oom-killed" in line for line in lines)
        assert any("x2k9z" in line for line in lines), "what differs at the end can be told"
        await press(pilot, "enter")
        lines = seen(pilot).splitlines()
        assert LONG in "".join(line.strip() for line in lines[1:3])
        assert "1/1 ready" in lines[3], "how it stands is not cut off by its name"
        await press(pilot, "f")
        assert "worker 17" in seen(pilot).splitlines()[1], "the finding is named beside a long name"


async def test_the_line_of_the_filter_says_how_to_leave_it() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "slash", *"oom")
        assert "1 of 7 · enter keeps · esc clears" in seen(pilot)


def test_what_is_undecided_for_the_same_want_stands_in_one_line_and_evidence_that_reads_alike_once() -> None:
    opens = [Open(SignatureId(name), "its logs: not read yet") for name in ("oom-killed", "worker-timeout")]
    opens.append(Open(SignatureId("memory-leak"), "9 samples"))
    assert findings.undecided(opens).plain.splitlines() == [
        "? oom-killed, worker-timeout need its logs: not read yet",
        "? memory-leak needs 9 samples",
    ]
    found = r.OOM
    twice = replace(found, evidence=(*found.evidence, *found.evidence))
    assert findings.full(twice, r.NOW).plain == findings.full(found, r.NOW).plain
    assert finding_lines(twice) == finding_lines(found)
