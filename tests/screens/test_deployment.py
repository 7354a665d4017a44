"""One deployment: panes, log, evidence."""

from __future__ import annotations

from msgspec.structs import replace

from fixes import catalogue
from probes.base import PatternKey
from probes.history import Point
from probes.model import HttpSample, Latency
from screens import plots, rows
from screens.deployment import DeploymentScreen
from screens.fix import FixScreen
from screens.marks import ORDINARY, telling
from screens.widgets.chart import Chart, Line
from screens.widgets.logview import LogView
from tests.screens import reports as r
from tests.screens.fake import FakeSession, log
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until


async def test_a_large_screen_shows_all_panes_at_once() -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: "limit 512M" in seen(pilot) and "400 lines" in seen(pilot))
        text = seen(pilot)
        for part in ("memory", "cpu, cores", "probe latency", "findings", "workers", "settings", "log", "4001 (17)"):
            assert part in text


def test_the_latency_plot_says_who_counted_what() -> None:
    assert plots.latency_title(r.CHECKOUT) == "probe latency"
    told = Latency(r.NOW, 0.1, 0.2, 0.3, requests_per_second=12.0, error_ratio=0.015, source="its own /metrics")
    assert plots.latency_title(replace(r.CHECKOUT, latency=told)) == "latency · 12/s · 1.5% errors · its own /metrics"
    rates = replace(told, probed=True, error_ratio=0.0, source="access log (no durations); percentiles: others'")
    assert plots.latency_title(replace(r.CHECKOUT, latency=rates)) == "probe latency · 12/s · access log (no durations)"
    points = (Point(1.0, 0.2),)
    series: plots.Series = {"request-p95": {"its own /metrics": points, "another": ()}}
    assert plots.latency(replace(r.CHECKOUT, latency=told), series).lines == (Line("users p95", points),)
    assert plots.latency(replace(r.CHECKOUT, latency=rates), series).lines == ()


def test_a_refused_connection_is_no_quick_answer() -> None:
    refused = HttpSample(r.NOW, "/", 0.001, error="refused")
    late = HttpSample(r.NOW, "/", 5.0, error="timeout")
    one = r.CHECKOUT.replicas[0]

    def asked(*samples: HttpSample) -> float | None:
        return rows.p95(
            replace(r.CHECKOUT, latency=None, replicas=(replace(one, loop_probes=samples, health_probes=()),))
        )

    assert asked(refused) is None
    assert asked(refused, late) == 5.0


def test_the_fleet_shows_the_users_p95_before_fastops_own() -> None:
    told = Latency(r.NOW, p95_seconds=0.7, source="its own /metrics")
    assert rows.p95(replace(r.CHECKOUT, latency=told)) == 0.7
    assert rows.p95(replace(r.CHECKOUT, latency=replace(told, p95_seconds=None))) == rows.p95(r.CHECKOUT) == 0.31


async def test_a_small_screen_has_tabs() -> None:
    async with opened(FakeSession(), SMALL) as pilot:
        await press(pilot, "down", "enter")
        assert "oom_kill rose from 2 to 3" in seen(pilot)
        await press(pilot, "2")
        await until(pilot, lambda: "limit 512M" in seen(pilot))
        await press(pilot, "3")
        assert "4001 (17)" in seen(pilot)
        await press(pilot, "4")
        await until(pilot, lambda: "/orders/400" in seen(pilot))
        await press(pilot, "5")
        assert "GUNICORN_CMD_ARGS" in seen(pilot)


async def test_n_jumps_between_marked_lines_and_the_log_stands_still_until_it_follows_again() -> None:
    session = FakeSession()
    session.log = log(r.CHECKOUT.id)
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "l")
        view = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: view.total == 400)
        assert view.following
        await press(pilot, "N")
        assert view.current is not None
        assert view.current.number == 360
        await press(pilot, "N")
        assert view.current.number == 260
        session.log = log(r.CHECKOUT.id, 450)
        await until(pilot, lambda: view.total == 450)
        assert view.current.number == 260
        assert not view.following
        await press(pilot, "G")
        assert view.following
        assert "/orders/450" in seen(pilot)


async def test_the_log_filter_narrows_and_leaves_the_line_in_its_context_when_it_is_cleared() -> None:
    async with opened(FakeSession(), SMALL) as pilot:
        await press(pilot, "down", "l")
        view = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: view.total == 400)
        await press(pilot, "slash", *"sigkill", "enter")
        assert view.matching == 4
        await press(pilot, "up", "up", "escape")
        assert view.matching == 400
        assert view.current is not None
        assert view.current.number == 160
        assert "/orders/159" in seen(pilot)


def test_what_servers_print_when_all_is_well_is_not_marked() -> None:
    known = {key for signature in catalogue.signatures().values() for key in (p.key for p in signature.patterns)}
    assert known >= ORDINARY, "a pattern was renamed"
    line = log(r.CHECKOUT.id, 1)[0]
    assert not telling(replace(line, keys=(PatternKey("server/booting"),)))
    assert telling(replace(line, keys=(PatternKey("server/booting"), PatternKey("boot/worker-failed"))))


async def test_pausing_holds_the_log_too() -> None:
    session = FakeSession()
    session.log = log(r.CHECKOUT.id, 10)
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "l")
        view = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: view.total == 10)
        await press(pilot, "space")
        session.log = log(r.CHECKOUT.id, 20)
        pilot.app.screen._ask_lines()  # type: ignore[attr-defined]
        await pilot.pause()
        assert view.total == 10
        await press(pilot, "space")
        await until(pilot, lambda: view.total == 20)


async def test_fix_answers_the_selected_finding() -> None:
    session = FakeSession()
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "enter", "down", "down", "f")
        assert isinstance(pilot.app.screen, FixScreen)
        assert session.calls("plan")[0][2] == "memory-leak"


async def test_a_plot_is_drawn_again_only_when_something_differs() -> None:
    session = FakeSession()
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: "limit 512M" in seen(pilot))
        chart = pilot.app.screen.query_one("#memory", Chart)
        before = chart.render()
        assert chart.render() is before
        chart.show(chart._plot)
        assert chart.render() is before


async def test_a_deployment_that_is_gone_keeps_its_last_state() -> None:
    session = FakeSession()
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "enter", "3")
        session.publish(r.report(r.state(r.DOCKER, (r.AUTH,))))
        await until(pilot, lambda: "not listed any more" in seen(pilot))
        assert isinstance(pilot.app.screen, DeploymentScreen)
        assert "4001 (17)" in seen(pilot)


async def test_a_finding_is_as_high_as_its_lines_from_the_first_paint_on() -> None:
    async with opened(FakeSession()) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: "oom_kill rose" in seen(pilot))
        lines = seen(pilot).splitlines()
        first = next(n for n, line in enumerate(lines) if "killed by the kernel" in line)
        second = next(n for n, line in enumerate(lines) if "died by SIGKILL" in line)
        assert second - first == 7, "six lines, and one between the two"


async def test_a_long_log_line_says_that_it_goes_on_and_is_read_in_full_by_a_key() -> None:
    session = FakeSession()
    short, long = log(r.CHECKOUT.id, 2)
    session.log = (short, replace(long, text=f"{'x' * 3000}the end of it"))
    async with opened(session, SMALL) as pilot:
        await press(pilot, "down", "l")
        view = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: view.total == 2)
        assert "x…" in seen(pilot)
        assert "the end of it" not in seen(pilot)
        await press(pilot, "w")
        assert "the end of it" in seen(pilot), "it follows, so that the end is what is seen"
        assert "x…" not in seen(pilot)
        await press(pilot, "g")
        assert "the end of it" not in seen(pilot)
        await press(pilot, "down", *["pagedown"] * 4)
        assert "the end of it" in seen(pilot), "a line that is longer than the screen is paged through"
        await press(pilot, *["pageup"] * 6)
        assert view.current == session.log[0]
        await press(pilot, "w")
        assert "x…" in seen(pilot)


async def test_the_log_tells_its_keys_as_they_are_bound_while_it_has_them() -> None:
    async with opened(FakeSession(), SMALL, keymap={"log_next": "m", "log_follow": "F"}) as pilot:
        await press(pilot, "down", "l", "N")
        assert "m, N" in str(pilot.app.screen.query_one("#log-pane").border_title)
        assert "F follows" in str(pilot.app.screen.query_one("#log-pane").border_title)
        await press(pilot, "1")
        assert "follows" not in str(pilot.app.screen.query_one("#log-pane").border_title)
