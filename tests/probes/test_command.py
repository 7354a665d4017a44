# ruff: noqa: E501 - tables of commands and sources read better in long lines
from __future__ import annotations

import shlex
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import servers
from probes.base import Value
from probes.command import CannotRewrite, Rewritten, rewrite
from probes.intent import Desired

PACKAGES = {"gunicorn": "27.0.1", "uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"}
ANYWHERE = Desired(bind_host="0.0.0.0")
FOUR = Desired(gunicorn={"workers": 4, "timeout": 60}, server="gunicorn")


def again(
    argv: tuple[str, ...],
    want: Desired,
    environment: Mapping[str, str] | None = None,
    packages: Mapping[str, str] = PACKAGES,
    files: Mapping[str, str] | None = None,
) -> Rewritten:
    """Rewrites, and sees that rewriting once more changes nothing."""

    def read_file(path: str) -> bytes | None:
        return files[path].encode() if files and path in files else None

    once = rewrite(argv, environment or {}, want, packages, read_file, "/app")
    twice = rewrite(once.argv, once.environment, want, packages, read_file, "/app")
    assert (twice.argv, twice.environment) == (once.argv, once.environment)
    return once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uvicorn a:b", "uvicorn a:b --host 0.0.0.0"),
        ("uvicorn --host=127.0.0.1 a:b --port 81", "uvicorn --host=0.0.0.0 a:b --port 81"),
        ("python -m uvicorn a:b --host localhost", "python -m uvicorn a:b --host 0.0.0.0"),
        ("fastapi dev main.py", "fastapi dev main.py --host 0.0.0.0"),
        ("fastapi run main.py", "fastapi run main.py"),
        ("gunicorn a:b", "gunicorn a:b --bind 0.0.0.0:8000"),
        ("gunicorn -b127.0.0.1:81 a:b", "gunicorn -b0.0.0.0:81 a:b"),
        ("gunicorn -b 127.0.0.1:81 --bind=[::1]:82 -b unix:/x a:b", "gunicorn -b 0.0.0.0:81 --bind=0.0.0.0:82 -b unix:/x a:b"),
        ("hypercorn a:b --bind localhost:90", "hypercorn a:b --bind 0.0.0.0:90"),
        ("granian a:b", "granian a:b --host 0.0.0.0"),
        ("tini -- poetry run uvicorn a:b", "tini -- poetry run uvicorn a:b --host 0.0.0.0"),
    ],
)  # fmt: skip
def test_the_address_is_replaced_where_it_stands_and_else_added(before: str, after: str) -> None:
    assert again(tuple(shlex.split(before)), ANYWHERE).argv == tuple(shlex.split(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("migrate && exec  uvicorn a:b --port $PORT  2>&1 | tee log", "migrate && exec  uvicorn a:b --port $PORT --host 0.0.0.0  2>&1 | tee log"),
        ("gunicorn -b 127.0.0.1:${PORT:-80} a:b # here", "gunicorn -b 0.0.0.0:${PORT:-80} a:b # here"),
        ('uvicorn "a:b" --host "$HOST"', 'uvicorn "a:b" --host 0.0.0.0'),
        ("X=$(date); (uvicorn a:b --host 127.0.0.1 >x) ; echo $X", "X=$(date); (uvicorn a:b --host 0.0.0.0 >x) ; echo $X"),
    ],
)  # fmt: skip
def test_inside_a_shells_text_every_other_character_stays(before: str, after: str) -> None:
    found = again(("sh", "-c", before, "arg0"), ANYWHERE, {"PORT": "9", "HOST": "127.0.0.1"})
    assert found.argv == ("sh", "-c", after, "arg0")


def test_a_shell_in_a_shell_is_quoted_again() -> None:
    found = again(("sh", "-c", "exec bash -c 'uvicorn \"a:b\"'"), ANYWHERE)
    assert found.argv == ("sh", "-c", "exec bash -c 'uvicorn \"a:b\" --host 0.0.0.0'")


def test_settings_change_where_they_stand_also_in_variables() -> None:
    want = Desired(gunicorn={"timeout": 60, "workers": 4, "max_requests": 1000, "preload_app": False})
    found = again(
        ("gunicorn", "-Rw2", "--preload", "a:b"), want, {"GUNICORN_CMD_ARGS": "--timeout 5 -k 'asgi'", "X": "y"}
    )
    assert found.argv == ("gunicorn", "-Rw4", "a:b", "--max-requests", "1000")
    assert found.environment == {"GUNICORN_CMD_ARGS": "--timeout 60 -k asgi", "X": "y"}
    assert again(("uvicorn", "a:b"), ANYWHERE, {"UVICORN_HOST": "::1"}).environment == {"UVICORN_HOST": "0.0.0.0"}


def test_the_ports_of_a_configuration_file_are_kept() -> None:
    files = {"/app/gunicorn.conf.py": "bind = ['127.0.0.1:9001', '127.0.0.1:9002']"}
    found = again(("gunicorn", "a:b"), ANYWHERE, files=files)
    assert found.argv == ("gunicorn", "a:b", "--bind", "0.0.0.0:9001", "--bind", "0.0.0.0:9002")


def test_uvicorn_moves_to_gunicorn_with_the_worker_that_is_installed() -> None:
    argv = ("/venv/bin/uvicorn", "a:b", "--port", "81", "--factory", "--timeout-keep-alive", "9")
    found = again(argv, FOUR)
    command = servers.parse(found.argv, {}, working_dir="/app")
    assert command is not None
    assert found.argv[0] == "/venv/bin/gunicorn"
    assert (command.server, command.app, command.factory, command.asgi) == ("gunicorn", "a:b", True, True)
    assert command.binds() == (("127.0.0.1", 81),)
    assert {name: command.settings[name].value for name in ("workers", "timeout", "keepalive", "worker_class")} == {
        "workers": 4,
        "timeout": 60,
        "keepalive": 9,
        "worker_class": "uvicorn_worker.UvicornWorker",
    }
    own = again(argv, FOUR, packages={"gunicorn": "27.0.1", "uvicorn": "0.54"})
    assert "asgi" in own.argv
    old = again(argv, FOUR, packages={"gunicorn": "21.2.0", "uvicorn": "0.29"})
    assert ("uvicorn.workers.UvicornWorker" in old.argv, "deprecated" in old.notes[0]) == (True, True)


def test_without_gunicorn_the_workers_are_uvicorns_own_and_a_note_says_so() -> None:
    found = again(("sh", "-c", "exec uvicorn a:b --workers $(nproc)"), FOUR, packages={"uvicorn": "0.54"})
    assert found.argv[2] == "exec uvicorn a:b --workers 4"
    assert found.notes[0].startswith("gunicorn is not installed")


def test_variables_of_the_shell_survive_the_move() -> None:
    found = again(("sh", "-c", "exec uvicorn a:b --host 0.0.0.0 --port ${PORT:-80} > log"), FOUR, {"PORT": "9"})
    assert "exec gunicorn " in found.argv[2]
    assert " --bind 0.0.0.0:${PORT:-80} " in found.argv[2]
    assert found.argv[2].endswith(" a:b > log")


@pytest.mark.parametrize(
    ("argv", "want", "why"),
    [
        (("python", "main.py"), ANYWHERE, "own code"),
        (("/start.sh",), ANYWHERE, "/start.sh, a script"),
        (("sh", "-c", "uvicorn a:b & uvicorn c:d"), ANYWHERE, "more than one"),
        (("sh", "-c", "gunicorn $OPTIONS a:b"), ANYWHERE, "variable"),
        (("sh", "-c", "gunicorn -b $(hostname):80 a:b"), ANYWHERE, "computed"),
        (("uvicorn", "a:b", "--uds", "/x"), ANYWHERE, "Unix socket"),
        (("uvicorn", "a:b", "--limit-concurrency", "5"), FOUR, "--limit-concurrency"),
        (("fastapi", "dev", "x.py"), Desired(gunicorn={"workers": 2}, server="uvicorn"), "reload"),
        (("granian", "a:b"), FOUR, "granian"),
        (("gunicorn", "a:b"), Desired(gunicorn={"on_starting": "x"}), "on_starting"),
    ],
)
def test_what_cannot_be_rewritten_safely_is_refused_with_a_sentence(
    argv: tuple[str, ...], want: Desired, why: str
) -> None:
    files = {"/start.sh": "#!/bin/sh\nexec uvicorn a:b\n"}
    with pytest.raises(CannotRewrite, match=why):
        again(argv, want, {"OPTIONS": "-b 127.0.0.1:80"}, files=files)


# Properties.

OPTIONS = [
    ("-w", "2"), ("--workers=3",), ("-w5",), ("-b", "127.0.0.1:81"), ("--bind=[::1]:82",), ("-b:83",), ("--timeout", "7"), ("-t9",),
    ("-k", "asgi"), ("--worker-class=sync",), ("--preload",), ("--max-requests", "5"), ("--keep-alive=4",), ("--name", "a b"),
    ("--access-logfile", "-"), ("-e", "X=$Y"), ("--graceful-timeout", "6"), ("--log-level=debug",),
]  # fmt: skip
WANTS: dict[str, list[Value]] = {
    "workers": [1, 4],
    "timeout": [30, 60],
    "max_requests": [0, 1000],
    "worker_class": ["uvicorn_worker.UvicornWorker"],
    "keepalive": [75],
    "worker_tmp_dir": ["/dev/shm"],
}
wants = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in WANTS.items()})


@given(
    st.lists(st.sampled_from(OPTIONS), max_size=6),
    st.lists(st.sampled_from(OPTIONS), max_size=2),
    wants,
    st.sampled_from([None, "0.0.0.0", "::"]),
    st.booleans(),
)
def test_what_is_wanted_is_there_and_everything_else_is_as_before(
    options: list[tuple[str, ...]],
    variable: list[tuple[str, ...]],
    settings: dict[str, Value],
    host: str | None,
    in_shell: bool,
) -> None:
    words = ["gunicorn", *(word for option in options for word in option), "a:b"]
    argv = ("sh", "-c", f"set -e; exec {shlex.join(words)} 2>&1") if in_shell else tuple(words)
    environment = {"GUNICORN_CMD_ARGS": shlex.join(word for option in variable for word in option), "PORT": "77"}
    want = Desired(gunicorn=settings, bind_host=host)
    before = servers.parse(argv, environment)
    done = again(argv, want, environment)
    after = servers.parse(done.argv, done.environment)
    assert before is not None
    assert after is not None
    for name, value in settings.items():
        assert after.settings[name].value == value
    if host is not None:
        assert {one for one, _ in after.binds()} == {host}
        assert [port for _, port in after.binds()] == [port for _, port in before.binds()]
    untouched = before.settings.keys() - settings.keys() - {"bind", "host", "port"}
    assert {name: after.settings[name].value for name in untouched} == {
        name: before.settings[name].value for name in untouched
    }
    assert after.app == before.app


UVICORN = [
    ("--port", "81"), ("--host=127.0.0.1",), ("--workers", "3"), ("--timeout-keep-alive=9",), ("--limit-max-requests", "7"),
    ("--factory",), ("--reload",), ("--no-access-log",), ("--timeout-graceful-shutdown", "4"), ("--loop", "uvloop"),
]  # fmt: skip


@given(st.lists(st.sampled_from(UVICORN), max_size=6), wants, st.sampled_from([None, "0.0.0.0"]), st.booleans())
def test_a_move_to_gunicorn_keeps_what_both_have(
    options: list[tuple[str, ...]], settings: dict[str, Value], host: str | None, in_shell: bool
) -> None:
    words = ["uvicorn", *(word for option in options for word in option), "a:b"]
    argv = ("sh", "-c", f"exec {shlex.join(words)}") if in_shell else tuple(words)
    before = servers.parse(argv, {})
    done = again(argv, Desired(gunicorn=settings, bind_host=host, server="gunicorn"))
    after = servers.parse(done.argv, {})
    assert before is not None
    assert after is not None
    assert (after.server, after.app, after.factory) == ("gunicorn", before.app, before.factory)
    assert after.binds() == ((host or before.binds()[0][0], before.binds()[0][1]),)
    for name in ("workers", "keepalive", "max_requests", "reload", "graceful_timeout"):
        if name in before.settings:
            assert after.settings[name].value == settings.get(name, before.settings[name].value), name
    assert all(after.settings[name].value == value for name, value in settings.items())


words = st.one_of(
    st.sampled_from(
        [
            "gunicorn",
            "uvicorn",
            "fastapi",
            "run",
            "a:b",
            "-b",
            ":80",
            "--bind=",
            "-w",
            "--workers",
            "--",
            "$X",
            "$(",
            "&&",
            "'",
            '"',
            "${PORT}",
            "sh",
            "-c",
            ">",
            "-k",
            "--host",
            "--port",
        ]
    ),
    st.text(max_size=8),
)


@given(st.lists(words, max_size=10), wants, st.booleans())
def test_any_command_is_rewritten_or_refused(argv: list[str], settings: dict[str, Value], nested: bool) -> None:
    line = ("sh", "-c", " ".join(argv)) if nested else tuple(argv)
    for want in (Desired(gunicorn=settings, bind_host="0.0.0.0"), Desired(server="gunicorn", gunicorn=settings)):
        try:
            found = rewrite(line, {"X": "a b", "PORT": "1"}, want, PACKAGES)
        except CannotRewrite:
            continue
        assert servers.parse(found.argv, found.environment) is not None
