"""Flags for development go, and every other word of a command stays as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import servers
from probes.command import CannotRewrite, Rewritten, rewrite
from probes.intent import Desired
from probes.targets.kubernetes.patches import applied, difference
from probes.targets.kubernetes.wanted import wanted
from tests.probes.kubernetes._objects import facts, workload

PRODUCTION = Desired(production=True)


def again(argv: tuple[str, ...], environment: Mapping[str, str] | None = None, want: Desired = PRODUCTION) -> Rewritten:
    """Rewrites, and sees that rewriting once more changes nothing."""
    once = rewrite(argv, environment or {}, want, {})
    twice = rewrite(once.argv, once.environment, want, {})
    assert (twice.argv, twice.environment) == (once.argv, once.environment)
    return once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uvicorn a:b --reload --port 81", "uvicorn a:b --port 81"),
        ("uvicorn --reload --reload-dir src --reload-include=*.y a:b", "uvicorn a:b"),
        ("python -m uvicorn a:b --debug", "python -m uvicorn a:b"),
        ("gunicorn --reload -w 2 --reload-engine poll a:b", "gunicorn -w 2 a:b"),
        ("fastapi dev main.py --port 81", "fastapi run main.py --port 81"),
        ("python -m fastapi dev", "python -m fastapi run"),
        ("fastapi run --reload main.py", "fastapi run main.py"),
        ("hypercorn a:b --debug --reload -w 2", "hypercorn a:b -w 2"),
        ("granian a:b --reload --reload-paths x", "granian a:b"),
        ("uvicorn a:b", "uvicorn a:b"),
    ],
)
def test_flags_for_development_are_taken_out_of_the_command(before: str, after: str) -> None:
    assert again(tuple(shlex.split(before))).argv == tuple(shlex.split(after))


def test_inside_a_shells_text_every_other_character_stays() -> None:
    found = again(("sh", "-c", 'migrate  && exec uvicorn "a:b" --reload --port $PORT  # here'), {"PORT": "9"})
    assert found.argv == ("sh", "-c", 'migrate  && exec uvicorn "a:b" --port $PORT  # here')


def test_variables_that_ask_for_it_change_too() -> None:
    assert again(("uvicorn", "a:b"), {"UVICORN_RELOAD": "1"}).environment == {"UVICORN_RELOAD": "false"}
    said = again(("gunicorn", "a:b", "--reload"), {"GUNICORN_CMD_ARGS": "--reload --workers=3 --reload-engine poll"})
    assert (said.argv, said.environment) == (("gunicorn", "a:b"), {"GUNICORN_CMD_ARGS": "--workers=3"})


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("sh", "-c", "GUNICORN_CMD_ARGS='--reload' gunicorn a:b"), "still reload.*GUNICORN_CMD_ARGS"),
        (("sh", "-c", "GUNICORN_CMD_ARGS='--reload' gunicorn --reload a:b"), "still reload.*GUNICORN_CMD_ARGS"),
        (("sh", "-c", "UVICORN_RELOAD=1 uvicorn a:b"), "UVICORN_RELOAD"),
        (("gunicorn", "a:b", "--rel"), "--rel may stand for --reload"),
        (("gunicorn", "--reload-e", "poll", "a:b"), "--reload-e may stand for --reload-engine"),
    ],
)
def test_what_leaves_a_flag_in_force_is_no_rewriting(argv: tuple[str, ...], why: str) -> None:
    with pytest.raises(CannotRewrite, match=why):
        rewrite(argv, {}, PRODUCTION, {})


def test_an_abbreviation_that_can_be_told_is_dropped() -> None:
    assert again(("hypercorn", "a:b", "--relo", "--deb")).argv == ("hypercorn", "a:b")
    assert again(("gunicorn", "--reload-en", "poll", "a:b")).argv == ("gunicorn", "a:b")


def test_the_address_of_fastapi_dev_stays_where_it_must_not_open() -> None:
    argv = ("fastapi", "dev", "main.py")
    opened = again(argv)
    assert "all interfaces" in opened.notes[0]
    kept = again(argv, want=Desired(production=True, bind_host="127.0.0.1"))
    assert kept.argv == ("fastapi", "run", "main.py", "--host", "127.0.0.1")
    told = again((*argv, "--host", "127.0.0.1"))
    assert (told.argv, told.notes) == (("fastapi", "run", "main.py", "--host", "127.0.0.1"), ())


def test_workers_that_start_by_it_are_named() -> None:
    assert "4 workers start now" in again(("uvicorn", "a:b", "--reload", "--workers", "4")).notes[0]


@pytest.mark.parametrize(
    ("argv", "environment", "why"),
    [
        (("sh", "-c", "uvicorn a:b $OPTS"), {"OPTS": "--reload --port 81"}, "variable of the shell"),
        (("sh", "-c", "UVICORN_RELOAD=1 uvicorn a:b"), {}, "UVICORN_RELOAD"),
        (("python", "main.py"), {}, "no server"),
    ],
)
def test_what_cannot_be_taken_away_is_refused(argv: tuple[str, ...], environment: dict[str, str], why: str) -> None:
    with pytest.raises(CannotRewrite, match=why):
        rewrite(argv, environment, PRODUCTION, {})


def test_a_configuration_file_that_reloads_is_named() -> None:
    def read_file(path: str) -> bytes | None:
        return b"reload = True\n" if path == "/app/gunicorn.conf.py" else None

    with pytest.raises(CannotRewrite, match=r"/app/gunicorn\.conf\.py"):
        rewrite(("gunicorn", "a:b"), {}, PRODUCTION, {}, read_file, "/app")


DEV = st.lists(
    st.sampled_from([("--reload",), ("--reload-dir", "src"), ("--reload-delay=2",), ("--debug",)]), max_size=4
)
PLAIN = st.lists(
    st.sampled_from([("--port", "81"), ("--workers=3",), ("--factory",), ("--no-access-log",), ("--root-path", "/x")]),
    max_size=4,
)


@st.composite
def commands(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A command of uvicorn with flags for development anywhere, and the same without."""
    plain, dev = draw(PLAIN), draw(DEV)
    mixed = draw(st.permutations([*((one, True) for one in plain), *((one, False) for one in dev)]))
    kept = [one for one, stays in mixed if stays]
    return (
        ["uvicorn", *(word for one, _ in mixed for word in one), "a:b"],
        ["uvicorn", *(word for one in kept for word in one), "a:b"],
    )


@given(commands(), st.booleans())
def test_nothing_else_is_touched(pair: tuple[list[str], list[str]], in_shell: bool) -> None:
    before, after = pair
    if in_shell:
        assert again(("sh", "-c", f"exec {shlex.join(before)}")).argv == ("sh", "-c", f"exec {shlex.join(after)}")
    else:
        assert again(tuple(before)).argv == tuple(after)
    parsed = servers.parse(after, {})
    assert parsed is not None
    assert parsed.settings["reload"].value is False


@given(commands(), st.integers(0, 9), st.sampled_from(["1", "", "false", None]))
def test_on_kubernetes_taking_it_back_leaves_the_object_as_it_was(
    pair: tuple[list[str], list[str]], at: int, variable: str | None
) -> None:
    """Also where the words are divided between ``command`` and ``args``, or stand in the image."""
    before, after = pair
    env = [] if variable is None else [{"name": "UVICORN_RELOAD", "value": variable}]
    thing = workload(command=before[: at or None], env=env, **({"args": before[at:]} if at and before[at:] else {}))
    made = wanted(thing, PRODUCTION, facts()).thing
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert [*container["command"], *container.get("args", [])] == after
    assert applied(made, difference(made, thing)) == thing
    assert wanted(made, PRODUCTION, facts()).thing == made


def test_the_images_own_command_is_written_out_without_them() -> None:
    thing = workload()
    container = thing["spec"]["template"]["spec"]["containers"][0]
    del container["command"]
    seen = ("fastapi", "dev", "main.py", "--host", "0.0.0.0")
    made = wanted(thing, PRODUCTION, facts(command=seen))
    assert made.thing["spec"]["template"]["spec"]["containers"][0]["command"] == ["fastapi", "run", *seen[2:]]
    assert "written out" in " ".join(made.notes)
    container["args"] = ["dev", "main.py"]
    made = wanted(thing, PRODUCTION, facts())
    assert made.thing["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", "main.py"]


def test_a_variable_alone_leaves_the_images_command_in_the_image() -> None:
    thing = workload(env=[{"name": "UVICORN_RELOAD", "value": "1"}])
    del thing["spec"]["template"]["spec"]["containers"][0]["command"]
    made = wanted(thing, PRODUCTION, facts(command=("uvicorn", "a:b"))).thing
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert "command" not in container
    assert container["env"] == [{"name": "UVICORN_RELOAD", "value": "false"}]
