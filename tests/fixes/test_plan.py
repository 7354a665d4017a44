"""A plan refuses what cannot be, and says all that a person must know before a yes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.apply import opened
from fixes.model import Advice, Parameter, Reference, SignatureId
from fixes.plan import make_plan, offer, undo_plan
from fixes.values import BadValue, byte_text, check, read, settle
from probes.base import DeploymentId
from probes.intent import Desired
from probes.target import Refused
from tests.fixes.fake import World, deployment, finding, plan_of, remedy

LIMIT = Parameter("limit", "Memory limit", 1 << 30, "bytes", minimum=512 << 20, maximum=4 << 30)
TIME = Parameter("timeout", "Time-out", 60, "seconds", minimum=1, maximum=600)


async def test_a_plan_holds_steps_diffs_values_and_risk() -> None:
    world = World({"file:/a.yaml": "a: 1\n"})
    plan = await make_plan(
        deployment(), finding(), remedy(parameters=lambda _d, _f, _n: (LIMIT,)), {"limit": "2GiB"}, world
    )
    assert plan.values == {"limit": 2 << 30}
    assert "+limit: 1g" in plan.changes[0].diff
    assert plan.changes[1].diff == ""
    assert (plan.risk, plan.restart, plan.confirm) == ("restart", True, None)
    assert world.texts == {"file:/a.yaml": "a: 1\n"}


@pytest.mark.parametrize(
    ("capabilities", "said"),
    [({}, "Nothing can change that for a container"), ({"memory-limit": "Docker is rootless here."}, "rootless")],
)
async def test_what_the_target_cannot_do_is_refused_with_its_reason(capabilities: dict[str, str], said: str) -> None:
    incapable = deployment(capabilities=capabilities)
    with pytest.raises(Refused, match=said):
        await make_plan(incapable, finding(), remedy(), {}, World({"a": ""}))
    shown = offer(remedy(), incapable, finding())
    assert not shown.applicable
    assert said in (shown.why_not or "")


async def test_the_remedys_own_refusal_wins_over_the_targets_yes() -> None:
    with pytest.raises(Refused, match="not for this one"):
        await make_plan(
            deployment(), finding(), remedy(why_not=lambda _d, _f: "not for this one"), {}, World({"a": ""})
        )


async def test_what_is_in_force_already_is_not_planned_again() -> None:
    with pytest.raises(Refused, match="nothing to change: memory limit 1 GiB is in force"):
        await make_plan(
            deployment(), finding(), remedy(parameters=lambda _d, _f, _n: (LIMIT,)), {}, World({"a": "limit: 1g\n"})
        )


async def test_warnings_and_typed_confirmations_of_remedy_and_steps_are_gathered() -> None:
    world = World({"a": ""})
    draft = world.draft

    async def noted(one, want):
        steps = await draft(one, want)
        told = {"notes": ["The tag moved since."], "confirm": "Files were changed in the container."}
        return [replace(steps[0], arguments=told), *steps[1:]]

    world.draft = noted
    cause = Reference(DeploymentId("docker/db"), SignatureId("oom-killed"))
    plan = await make_plan(
        deployment(),
        finding(explained_by=cause),
        remedy(cautions=lambda _d, _f, _v: ("Slow.",), confirm=lambda _d, _f, _v: "It holds sessions."),
        {},
        world,
    )
    assert plan.warnings[0] == "Slow."
    assert "effect of oom-killed of docker/db" in plan.warnings[1]
    assert plan.warnings[2] == "The tag moved since."
    assert plan.confirm == "It holds sessions. Files were changed in the container."


async def test_a_remedy_that_changes_nothing_gives_advice_and_no_steps() -> None:
    advice = Advice("Stack", "main.py:7")
    plan = await make_plan(
        deployment(),
        finding(),
        remedy(intend=None, capability=None, advise=lambda _d, _f: advice),
        {},
        World({"a": ""}),
    )
    assert plan.advice == advice
    assert (plan.steps, plan.changes, plan.risk) == ((), (), "none")


async def test_the_undo_of_a_change_is_shown_as_its_diff_turned_round() -> None:
    plan = await plan_of(World({"file:/a.yaml": "a: 1\n"}))
    entry = opened(plan, None)
    entry = replace(entry, state="applied", steps=tuple(replace(s, state="done") for s in entry.steps))
    back = undo_plan(entry)
    assert back.id == plan.id
    assert "-limit: 1g" in back.changes[-1].diff
    assert back.risk == "restart"
    assert back.warnings == ()


async def test_what_a_drafter_notes_about_the_way_back_is_shown_with_the_undo() -> None:
    plan = await plan_of(World({"file:/a.yaml": "a: 1\n"}))
    steps = [replace(step, arguments={"undo_notes": ["Files stay\x1b behind."]}) for step in plan.steps]
    entry = opened(replace(plan, steps=tuple(steps)), None)
    entry = replace(entry, state="applied", steps=tuple(replace(s, state="done") for s in entry.steps))
    (said,) = undo_plan(entry).warnings
    assert said.startswith("Files stay")
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        (LIMIT, "512MiB", 512 << 20),
        (LIMIT, "1g", 1 << 30),
        (LIMIT, "1GiB", 1 << 30),
        (LIMIT, "1.5 gib", 3 << 29),
        (LIMIT, "600MB", 600_000_000),
        (LIMIT, "1073741824", 1 << 30),
        (LIMIT, 1 << 30, 1 << 30),
        (TIME, "60s", 60),
        (TIME, "2min", 120),
        (TIME, "45", 45),
        (Parameter("x", "X", True), "off", False),
        (Parameter("x", "X", "sync"), "gthread", "gthread"),
        (Parameter("x", "X", 0.5), "0.25", 0.25),
    ],
)
def test_values_are_read_with_their_units(parameter: Parameter, typed: str | int, value: object) -> None:
    assert read(parameter, typed) == value
    assert type(read(parameter, typed)) is type(value)


@pytest.mark.parametrize(
    ("parameter", "typed", "said"),
    [
        (LIMIT, "lots", "limit must be a number of bytes such as 512MiB or 1GiB, not 'lots'."),
        (LIMIT, "60s", "such as 512MiB"),
        (LIMIT, "-1g", "must be a number"),
        (LIMIT, "256MiB", "limit must be at least 512 MiB, not 256 MiB."),
        (LIMIT, "8g", "limit can be at most 4 GiB here, not 8 GiB."),
        (TIME, "1.5s", "timeout must be a whole number of seconds, not '1.5s'."),
        (TIME, "0", "at least 1 s"),
        (TIME, "1e9", "must be a number"),
        (Parameter("x", "X", True), "maybe", "x must be yes or no"),
        (Parameter("x", "X", 1), float("nan"), "finite"),
        (replace(LIMIT, minimum=5 << 30), "6g", "at least 5 GiB is needed and at most 4 GiB is possible"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(parameter: Parameter, typed: str | float, said: str) -> None:
    with pytest.raises(BadValue) as caught:
        check(parameter, read(parameter, typed))
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadValue, match="no parameter memory; it has: limit"):
        settle((LIMIT,), {"memory": 1})


@given(st.text(max_size=30))
def test_whatever_is_typed_gives_a_value_or_a_sentence(typed: str) -> None:
    for parameter in (LIMIT, TIME, Parameter("x", "X", True), Parameter("x", "X", 0.5)):
        try:
            answer: object = read(parameter, typed)
        except BadValue as error:
            answer = str(error)
        assert isinstance(answer, (int, float)) or parameter.name in str(answer)


@given(st.integers(0, 1 << 60))
def test_bytes_are_shown_with_a_number_that_reads_well(count: int) -> None:
    number, unit = byte_text(count).split()
    assert unit in {"B", "KiB", "MiB", "GiB", "TiB"}
    assert float(number) <= 1024 or unit == "TiB"


def test_desired_of_the_stand_in_is_what_the_remedy_intends() -> None:
    intend = remedy().intend
    assert intend is not None
    assert intend(deployment(), finding(), {}) == Desired(memory_limit_bytes=1 << 30)
