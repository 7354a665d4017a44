"""Kubernetes on the screens: namespaces, pods, what is around them, production."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from probes.base import TargetId
from screens import findings, rows
from screens.deployment import DeploymentScreen
from screens.fix import FixScreen
from screens.fleet import FleetScreen
from screens.mode import Mode
from screens.widgets.filterbar import FilterBar
from tests.screens import clusters as k
from tests.screens import reports as r
from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until


def ids(screen: object) -> list[str]:
    assert isinstance(screen, FleetScreen)
    return [key.removeprefix("k8s/") for key in screen.table.keys]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_several_namespaces_are_shown_and_one_is_not(size: tuple[int, int]) -> None:
    async with opened(FakeSession(k.report()), size) as pilot:
        assert "NAMESPACE" in seen(pilot)
        assert any("checkout" in line and " pay " in line for line in seen(pilot).splitlines())
    async with opened(FakeSession(r.report(r.state(k.PROD, (k.CHECKOUT, k.ORDERS)), findings=())), size) as pilot:
        assert "NAMESPACE" not in seen(pilot)


async def test_contexts_are_shown_by_the_names_that_people_know_where_there_are_several() -> None:
    aws = TargetId("k8s/arn%3Aaws%2Fprod")
    other = replace(k.workload("web", target=aws), target=aws)
    session = FakeSession(r.report(r.state(aws, (other,)), r.state(k.TEST, (k.STAGED,)), findings=()))
    async with opened(session, LARGE) as pilot:
        assert "k8s/arn:aws/prod" in seen(pilot)
        assert "%3A" not in seen(pilot).splitlines()[0]


async def test_rows_sort_by_namespace() -> None:
    async with opened(FakeSession(k.report())) as pilot:
        screen = pilot.app.screen
        while screen._sort != "namespace":
            await press(pilot, "s")
        assert [one.split("/")[1] for one in ids(screen)] == ["pay", "shop", "shop"]


async def test_a_namespace_is_filtered_by_its_word_and_by_one_key() -> None:
    async with opened(FakeSession(k.report(second=True))) as pilot:
        screen = pilot.app.screen
        await press(pilot, "slash", *"ns:pa")
        assert ids(screen) == ["prod/pay/Deployment/checkout"]
        await press(pilot, "escape", "home")
        assert screen.subject() == k.CHECKOUT.id
        await press(pilot, "n")
        assert {one.split("/")[1] for one in ids(screen)} == {"shop"}
        assert screen.query_one(FilterBar).text == "ns:shop"
        assert screen.focused is screen.table
        await press(pilot, "n")
        assert len(ids(screen)) == 4


def test_a_namespace_that_is_there_does_not_match_those_that_begin_like_it() -> None:
    fleet = rows.Fleet()
    spaces = ("shop", "shop-test", "pay")
    made = fleet.update(r.report(r.state(k.PROD, tuple(k.workload("web", namespace=n) for n in spaces)), findings=()))
    assert [row.namespace for row in rows.matching(made.values(), "ns:shop web")] == ["shop"]
    assert [row.namespace for row in rows.matching(made.values(), "ns:sho")] == ["shop", "shop-test"]


async def test_docker_has_no_key_for_namespaces() -> None:
    async with opened(FakeSession()) as pilot:
        before = list(pilot.app.screen.table.keys)
        await press(pilot, "n")
        assert list(pilot.app.screen.table.keys) == before
        assert not pilot.app.screen.query_one(FilterBar).display


async def test_a_deployment_shows_its_pods_the_worst_first_and_what_is_around_them() -> None:
    async with opened(FakeSession(k.report()), LARGE) as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, DeploymentScreen)
        await until(pilot, lambda: "checkout-5c9f8d7b6-00000" in seen(pilot))
        text = seen(pilot)
        for part in ("CrashLoopBackOff", "OOMKilled (137)", "pool-a-0", "ProgressDeadlineExceeded", "Helm (shop)"):
            assert part in text, part
        await press(pilot, "6")
        screen = pilot.app.screen
        assert screen.focused is not None
        assert screen.focused.id == "replicas"


async def test_pods_and_their_surroundings_fit_a_small_screen() -> None:
    async with opened(FakeSession(k.report()), SMALL) as pilot:
        await press(pilot, "enter", "6")
        text = seen(pilot)
        for part in ("CrashLoopBackOff", "rollout", "readiness", "GET :8000/health", "no container has a port named"):
            assert part in text, part


async def test_why_no_process_is_listed_is_said() -> None:
    async with opened(FakeSession(k.report()), SMALL) as pilot:
        await press(pilot, "enter", "3")
        assert "reading them needs an exec, and this is read-only" in " ".join(seen(pilot).split())


def test_an_effect_stands_below_its_cause() -> None:
    assert [(f.signature, depth) for f, depth in findings.nested((k.LOOP, k.OOM))] == [
        ("oom-killed", 0),
        ("crash-loop", 1),
    ]
    text = findings.pane((k.LOOP, k.OOM), (), r.NOW, width=80).plain
    assert text.index("killed for memory") < text.index("└ ")
    assert all(line.startswith("  ") for line in text[text.index("└ ") :].splitlines()[1:])


def test_causes_in_a_circle_hide_nothing() -> None:
    one = replace(k.OOM, explained_by=replace(k.LOOP.explained_by, signature=k.LOOP.signature))
    assert {f.signature for f, _ in findings.nested((k.LOOP, one))} == {"oom-killed", "crash-loop"}


async def test_production_has_a_frame_and_the_rest_has_none() -> None:
    session = FakeSession(k.report(second=True))
    session.production = frozenset({k.PROD})
    session.read_only_targets = frozenset({k.PROD})
    async with opened(session, LARGE) as pilot:
        assert pilot.app.screen.has_class("-production"), "some of it is production"
        assert "k8s/prod read-only" in seen(pilot)
        await press(pilot, "enter")
        assert pilot.app.screen.subject() == k.CHECKOUT.id
        assert pilot.app.screen.has_class("-production")
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, DeploymentScreen), "it is read-only"
        await press(pilot, "escape", "slash", *"ns:shop checkout", "enter")
        pilot.app.screen.table.move_to(k.STAGED.id)
        await press(pilot, "enter")
        assert pilot.app.screen.subject() == k.STAGED.id
        assert not pilot.app.screen.has_class("-production")


async def test_production_that_may_be_changed_keeps_its_frame_over_a_fix() -> None:
    session = FakeSession(k.report())
    session.production = frozenset({k.PROD})
    session.confirm = "k8s/prod is production."
    async with opened(session, LARGE) as pilot:
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, FixScreen)
        assert pilot.app.screen.has_class("-production")
        await press(pilot, "enter")
        assert "k8s/prod is production." in seen(pilot)
        await press(pilot, "y", "enter")
        assert not session.calls("apply")
        await press(pilot, "backspace", *"checkout", "enter")
        await until(pilot, lambda: bool(session.calls("apply")))


def test_production_is_told_by_the_whole_target() -> None:
    mode = Mode(production=frozenset({k.PROD}), read_only_targets=frozenset({k.PROD}))
    assert mode.frames(k.CHECKOUT.id)
    assert not mode.frames(k.STAGED.id)
    assert not mode.writable(k.CHECKOUT.id)
    assert mode.writable(k.STAGED.id)


async def test_ten_thousand_workloads_are_sorted_and_filtered_and_only_what_is_seen_is_drawn() -> None:
    async with opened(FakeSession(k.large(10_000))) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        while screen._sort != "namespace":
            await press(pilot, "s")
        assert ids(screen)[0] == "prod/team-00/Deployment/service-00000"
        await press(pilot, "end", "n")
        assert len(ids(screen)) == 10_000 // 40
        assert len(screen._made) < 200
