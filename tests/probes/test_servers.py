# ruff: noqa: E501 - tables of commands and sources read better in long lines
from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from unittest import mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import gunicorn_config, server_defaults, server_options, server_settings, servers, shell
from probes.base import Value
from probes.server_options import TABLES
from probes.servers import ServerCommand


def parse(
    *argv: str, environment: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> ServerCommand:
    def read_file(path: str) -> bytes | None:
        return files[path].encode() if files and path in files else None

    found = servers.parse(argv, environment or {}, read_file, "/app")
    assert found is not None
    return found


def value(command: ServerCommand, name: str) -> Value | None:
    setting = command.settings.get(name)
    return None if setting is None else setting.value


# Options against the real programs.


def click_parameters(program: str) -> list[click.Parameter]:
    if program == "uvicorn":
        from uvicorn.main import main

        return main.params
    if program == "granian":
        from granian.cli import cli

        return cli.params
    import typer.main
    from fastapi_cli.cli import app

    group = typer.main.get_command(app)
    return [*group.commands["run"].params, *group.commands["dev"].params]  # type: ignore[attr-defined]


@pytest.mark.parametrize("program", ["uvicorn", "granian", "fastapi"])
def test_every_option_of_the_installed_click_programs_is_known_with_its_arity(program: server_options.Program) -> None:
    parameters = click_parameters(program)
    options = [one for one in parameters if one.param_type_name == "option"]
    values = {name for one in options if not getattr(one, "is_flag", False) for name in one.opts}
    flags = {name for one in options if getattr(one, "is_flag", False) for name in (*one.opts, *one.secondary_opts)}
    assert options
    assert values - TABLES[program].values == set()
    assert flags - TABLES[program].flags == set()


def test_every_option_of_the_installed_gunicorn_is_known_with_its_arity() -> None:
    from gunicorn.config import KNOWN_SETTINGS

    for setting in KNOWN_SETTINGS:
        flags = set(setting.cli or ())
        expected = (
            TABLES["gunicorn"].flags if setting.action in ("store_true", "store_const") else TABLES["gunicorn"].values
        )
        assert flags <= expected, setting.name


def test_every_option_of_the_installed_hypercorn_is_known_with_its_arity() -> None:
    import argparse

    from hypercorn import __main__ as hypercorn

    seen: list[argparse.ArgumentParser] = []

    def stop(self: argparse.ArgumentParser, _args: object = None) -> None:
        seen.append(self)
        raise SystemExit

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop), pytest.raises(SystemExit):
        hypercorn.main(["x"])
    actions = [action for action in seen[0]._actions if action.option_strings]
    assert {n for a in actions if a.nargs == 0 for n in a.option_strings} <= TABLES["hypercorn"].flags
    assert {n for a in actions if a.nargs != 0 for n in a.option_strings} <= TABLES["hypercorn"].values


def gunicorn_says(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    from gunicorn.config import Config

    config = Config()
    namespace = config.parser().parse_args(argv)
    return {name: given for name, given in vars(namespace).items() if given is not None}


GUNICORN_NAMES = {"preload": "preload_app", "app": "args"}
GUNICORN_LINES = [
    "-w4 app:app",
    "-w=4 app:app",
    "-Rw 4 --preload app:app",
    "--workers 3 --workers=5 -k sync --worker-cl asgi app:app",
    "app:app --max-requests 10 --max-requests-jitter=3 -t 9 --graceful-t 4 --keep-alive 7 --thr 2",
    "-b 0.0.0.0:80 -b [::]:81 --bind=unix:/run/x app:app --worker-tmp-dir /dev/shm --access-logfile - --log-file x",
    "-D -n app.name --env A=B --pid x --proxy-protocol auto -c conf.py app:app",
    "--proxy-protocol --reload app:app",
]


@pytest.mark.parametrize("text", GUNICORN_LINES)
def test_gunicorns_own_parser_reads_the_same_values(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = text.split()
    theirs = gunicorn_says(words, monkeypatch)
    ours = parse("gunicorn", *words, files={"/app/conf.py": ""})
    for name, setting in ours.settings.items():
        if setting.source != "command line" or name in ("host", "port", "uds", "config_file"):
            continue
        real = theirs[GUNICORN_NAMES.get(name, name)]
        if isinstance(real, list):
            real = ",".join(real)
        assert str(real) == str(setting.value), name
    known = set(TABLES["gunicorn"].names.values()) & {GUNICORN_NAMES.get(name, name) for name in theirs}
    assert {name for name in known if name not in ("config", "chdir", "pythonpath")} <= ours.settings.keys()


def test_the_documented_defaults_are_the_installed_programs_own() -> None:
    from gunicorn.config import KNOWN_SETTINGS
    from hypercorn.config import Config

    real = {setting.name: setting.default for setting in KNOWN_SETTINGS}
    for name, default in server_defaults.GUNICORN_DEFAULTS.items():
        theirs = real[GUNICORN_NAMES.get(name, name)]
        assert default == (theirs[0] if isinstance(theirs, list) else theirs), name
    hypercorn = Config()
    names = {"keepalive": "keep_alive_timeout", "reload": "use_reloader"}
    for name, default in server_defaults.HYPERCORN_DEFAULTS.items():
        theirs = getattr(hypercorn, names.get(name, name))
        assert default == (theirs[0] if isinstance(theirs, list) else theirs or default), name
    for program, defaults in (
        ("uvicorn", server_defaults.UVICORN_DEFAULTS),
        ("granian", server_defaults.GRANIAN_DEFAULTS),
    ):
        flags = {flag: name for flag, name in TABLES[program].names.items() if name in defaults}  # type: ignore[index]
        for parameter in click_parameters(program):
            name = next((flags[flag] for flag in parameter.opts if flag in flags), "")
            if name and isinstance(parameter.default, int | str | bool):
                assert parameter.default == defaults[name], name


def test_clicks_own_variables_are_read_under_the_names_that_click_gives_them() -> None:
    for program, prefix in (("uvicorn", "UVICORN_"), ("granian", "GRANIAN_")):
        table = TABLES[program]  # type: ignore[index]
        for parameter in click_parameters(program):
            flag = next((one for one in parameter.opts if one in table.names), None)
            name = table.names.get(flag or "")
            if flag is None or name not in server_options.NUMBERS or parameter.name is None:
                continue
            found = parse(program, "m:a", environment={f"{prefix}{parameter.name.upper()}": "77"})
            assert value(found, name) == 77, parameter.name


# Precedence.


def test_the_later_source_wins_and_is_named() -> None:
    files = {"/app/gunicorn.conf.py": "workers = 2\ntimeout = 20\nkeepalive = 21\n"}
    environment = {"WEB_CONCURRENCY": "9", "GUNICORN_CMD_ARGS": "--timeout 40 -w 4", "PORT": "5000"}
    found = parse("gunicorn", "--workers", "6", "app:app", environment=environment, files=files)
    settings = {name: (one.value, one.source) for name, one in found.settings.items()}
    assert settings["workers"] == (6, "command line")
    assert settings["timeout"] == (40, "GUNICORN_CMD_ARGS")
    assert settings["keepalive"] == (21, "/app/gunicorn.conf.py")
    assert settings["bind"] == ("0.0.0.0:5000", "PORT")
    assert settings["graceful_timeout"] == (30, "default")
    assert (
        parse("gunicorn", "a:a", environment={"WEB_CONCURRENCY": "9"}).settings["workers"].source == "WEB_CONCURRENCY"
    )


def test_what_a_configuration_file_computes_is_unknown_and_not_the_default() -> None:
    config = (
        "import multiprocessing, os\nworkers = multiprocessing.cpu_count() * 2 + 1\nif os.getenv('X'):\n    timeout = 5\n"
        "port = os.environ.get('PORT', '9001')\nbind = [f'0.0.0.0:{port}']\nthreads = int(os.getenv('T', 3))\npreload_app = True\n"
    )
    found = parse("gunicorn", "a:a", "-c", "conf.py", environment={"T": "8"}, files={"/app/conf.py": config})
    assert (value(found, "workers"), value(found, "timeout")) == (None, None)
    assert (value(found, "bind"), value(found, "threads"), value(found, "preload")) == ("0.0.0.0:9001", 8, True)
    for named in ("python:settings", "missing.py"):
        unread = parse("gunicorn", "a:a", "-c", named, "-w", "2")
        assert (value(unread, "timeout"), value(unread, "workers")) == (None, 2)
    starred = parse("gunicorn", "a:a", files={"/app/gunicorn.conf.py": "from base import *\nworkers = 3"})
    assert (value(starred, "timeout"), value(starred, "workers")) == (None, 3)


@pytest.mark.parametrize(
    ("worker_class", "asgi"),
    [("uvicorn_worker.UvicornWorker", True), ("uvicorn.workers.UvicornH11Worker", True), ("asgi", True), ("my.UvicornWorker", True),
     ("sync", False), ("gthread", False), ("gevent", False), ("gunicorn.workers.sync.SyncWorker", False), ("my.Own", None)],
)  # fmt: skip
def test_the_worker_class_tells_whether_gunicorn_serves_asgi(worker_class: str, asgi: bool | None) -> None:
    assert parse("gunicorn", "-k", worker_class, "a:a").asgi is asgi


# Ways to start a server.

WAYS = [
    (("gunicorn", "app:app"), None),
    (("/opt/venv/bin/gunicorn", "app:app"), None),
    (("/usr/bin/python3.12", "/usr/bin/gunicorn", "app:app"), None),
    (("python", "-m", "gunicorn", "app:app"), "python -m gunicorn"),
    (("python", "-X", "dev", "-um", "gunicorn.app.wsgiapp", "app:app"), "python -m gunicorn.app.wsgiapp"),
    (("tini", "-g", "--", "gunicorn", "app:app"), "tini"),
    (("dumb-init", "--", "sh", "-c", "exec gunicorn app:app"), "dumb-init, sh -c"),
    (("/bin/sh", "-c", "alembic upgrade head && exec gunicorn app:app"), "sh -c"),
    (("bash", "-lc", "set -e; if [ -n \"$X\" ]; then echo x; fi\ngunicorn 'app:app' >/dev/null 2>&1"), "bash -c"),
    (("env", "-i", "A=B", "gunicorn", "app:app"), None),
    (("poetry", "run", "gunicorn", "app:app"), "poetry run"),
    (("uv", "run", "--no-sync", "gunicorn", "app:app"), "uv run"),
    (("gosu", "gunicorn", "gunicorn", "app:app"), "gosu"),
    (("opentelemetry-instrument", "--traces_exporter", "otlp", "gunicorn", "app:app"), "opentelemetry-instrument"),
    (("/start.sh",), "/start.sh"),
    (("/entry.sh", "gunicorn", "app:app"), "entry.sh"),
    (("sh", "/start.sh"), "/start.sh"),
]
SCRIPTS = {
    "/start.sh": "#!/bin/sh\nset -e\n# gunicorn old:app\nexport APP=app:app\nexec gunicorn ${APP}\n",
    "/entry.sh": '#!/usr/bin/env bash\nmigrate\nexec "$@"\n',
}


@pytest.mark.parametrize(("argv", "via"), WAYS)
def test_a_server_is_found_behind_shells_and_wrappers(argv: tuple[str, ...], via: str | None) -> None:
    found = parse(*argv, files=SCRIPTS)
    assert (found.server, found.app) == ("gunicorn", "app:app")
    assert found.via == via


@pytest.mark.parametrize(
    "argv",
    [(), ("",), ("python",), ("pip", "install", "uvicorn"), ("sh", "-c", "grep gunicorn log"), ("uvicorn", "--version"), ("uvicorn",),
     ("gunicorn", "--check-config", "a:a"), ("fastapi", "--help"), ("sh", "-c", "echo 'open"), ("celery", "-A", "uvicorn"), ("postgres",)],
)  # fmt: skip
def test_what_starts_no_server_is_none(argv: tuple[str, ...]) -> None:
    assert servers.parse(argv, {}) is None


def test_variables_of_the_shell_are_expanded_and_what_it_computes_is_unknown() -> None:
    text = 'P=70; exec uvicorn a:b --port ${P}01 --workers $(nproc) --host "${HOST:-::}" $MORE'
    found = parse("sh", "-c", text, environment={"MORE": "--limit-concurrency 5 --root-path=/x"})
    assert (value(found, "port"), value(found, "host"), value(found, "workers")) == (7001, "::", None)
    assert (value(found, "limit_concurrency"), value(found, "root_path")) == (5, "/x")
    assert found.binds() == (("::", 7001),)


def test_the_shells_own_directory_is_where_the_configuration_is_read() -> None:
    found = parse(
        "sh", "-c", "cd srv && WEB_CONCURRENCY=3 gunicorn a:b", files={"/app/srv/gunicorn.conf.py": "timeout=7"}
    )
    assert (value(found, "timeout"), value(found, "workers"), found.config_file) == (7, 3, "/app/srv/gunicorn.conf.py")


def test_gunicorns_process_titles_say_what_they_can() -> None:
    found = parse("gunicorn: master [shop.main:app]", environment={"GUNICORN_CMD_ARGS": "-w 3 -k asgi"})
    assert (found.app, value(found, "workers"), value(found, "timeout"), found.asgi) == ("shop.main:app", 3, None, True)
    assert parse("gunicorn: master [shop]").app is None


def test_fastapi_run_and_dev_bind_what_they_document_and_find_the_application() -> None:
    files = {
        "/app/src/__init__.py": "",
        "/app/src/web/__init__.py": "",
        "/app/src/web/server.py": "from fastapi import FastAPI\nweb = FastAPI()",
        "/app/main.py": "from x import api",
    }
    run = parse(
        "fastapi", "run", "src/web/server.py", "--workers", "4", environment={"UVICORN_HOST": "1.2.3.4"}, files=files
    )
    assert (run.server, run.app, run.app_dir, run.manager) == ("uvicorn", "src.web.server:web", "/app", True)
    assert run.binds() == (("0.0.0.0", 8000),)
    develop = parse("fastapi", "dev", environment={"PORT": "99"}, files=files)
    assert (develop.app, develop.binds(), value(develop, "reload")) == ("main:api", (("127.0.0.1", 99),), True)
    assert parse("fastapi", "run", "-e", "m.n:o").app == "m.n:o"
    project = {"/app/pyproject.toml": '[tool.fastapi]\nentrypoint = "deep.mod:app"'}
    assert parse("fastapi", "run", files=project).app == "deep.mod:app"


def test_the_real_fastapi_cli_finds_the_same_application(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    from fastapi_cli.discover import get_import_data

    from probes import rooted

    root = Path(str(tmp_path))
    package = root / "shop_under_test" / "web"
    package.mkdir(parents=True)
    (root / "shop_under_test" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "main.py").write_text("from fastapi import FastAPI\nzebra = FastAPI()\nservice = FastAPI()\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    theirs = get_import_data(path=Path("shop_under_test/web/main.py"))
    ours = servers.parse(
        ("fastapi", "run", "shop_under_test/web/main.py"), {}, lambda path: rooted.read_file("/", path), str(root)
    )
    assert ours is not None
    assert (ours.app, ours.app_dir) == (theirs.import_string, str(theirs.module_data.extra_sys_path))


def test_the_other_servers_are_understood() -> None:
    hypercorn = parse(
        "hypercorn", "-c", "h.toml", "asgi:m:a", files={"/app/h.toml": 'bind = "[::]:9000"\nworkers = 3\n'}
    )
    assert (hypercorn.app, hypercorn.binds(), value(hypercorn, "workers")) == ("m:a", (("::", 9000),), 3)
    granian = parse("granian", "m:a", environment={"GRANIAN_INTERFACE": "asgi", "GRANIAN_PORT": "81"})
    assert (granian.asgi, granian.binds()) == (True, (("127.0.0.1", 81),))
    assert parse("granian", "m:a").asgi is False
    socket = parse("uvicorn", "m:a", "--uds", "/run/x.sock", "--app-dir", "src", "--factory")
    assert (socket.binds(), value(socket, "uds"), socket.app_dir, socket.factory) == (
        (),
        "/run/x.sock",
        "/app/src",
        True,
    )


def test_managers_are_told_from_lone_servers() -> None:
    assert not parse("uvicorn", "m:a").manager
    assert parse("uvicorn", "m:a", "--workers", "2").manager
    assert parse("uvicorn", "m:a", "--reload").manager
    assert parse("uvicorn", "m:a", environment={"WEB_CONCURRENCY": "2"}).manager
    assert not parse("hypercorn", "m:a", "--workers", "0").manager


@pytest.mark.parametrize(
    ("bind", "expected"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), (":80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80)), ("8080", ("8080", 8000)),
     ("localhost", ("localhost", 8000)), ("unix:/x", None), ("fd://3", None), ("tcp://h:1", ("h", 1)), ("", None), ("::1:80", None)],
)  # fmt: skip
def test_addresses_are_read_as_gunicorn_reads_them(bind: str, expected: tuple[str, int] | None) -> None:
    assert server_settings.address(bind) == expected
    if expected is not None:
        from gunicorn.util import parse_address

        host, port = parse_address(bind)
        assert (host or "0.0.0.0", port) == expected


# Anything at all.

words = st.one_of(
    st.sampled_from(
        [
            "gunicorn",
            "uvicorn",
            "fastapi",
            "hypercorn",
            "granian",
            "run",
            "dev",
            "sh",
            "-c",
            "python",
            "-m",
            "env",
            "A=B",
            "--",
            "-",
            "-w",
            "-w4",
            "--workers",
            "--bind=",
            "-b",
            ":80",
            "a:b",
            "app:app",
            "exec",
            "--timeout=3",
            "-k",
            "$X",
            "$(",
            "`",
            "'",
            '"',
            "&&",
            "|",
            ";",
            "${",
            "${A:-b}",
            "#",
            "\\",
            "/start.sh",
        ]
    ),
    st.text(max_size=12),
)


@given(
    st.lists(words, max_size=10),
    st.dictionaries(st.sampled_from(["GUNICORN_CMD_ARGS", "PORT", "UVICORN_PORT", "X"]), st.text()),
)
def test_any_command_is_survived(argv: list[str], environment: dict[str, str]) -> None:
    found = servers.parse(argv, environment, {"/start.sh": " ".join(argv).encode()}.get, "/")
    assert found is None or found.server in ("gunicorn", "uvicorn", "hypercorn", "granian")
    nested = servers.parse(["sh", "-c", " ".join(argv)], environment)
    assert nested is None or all(isinstance(one.value, str | int | float | bool) for one in nested.settings.values())


@given(st.lists(words, max_size=12).map(" ".join), st.dictionaries(st.sampled_from("ABX"), st.text()))
def test_any_shell_text_is_split_or_refused_with_words_where_they_stand(text: str, environment: dict[str, str]) -> None:
    try:
        commands = shell.split(text, environment)
    except shell.ShellError:
        return
    for command in commands:
        for word in command.words:
            raw = text[word.start : word.end]
            assert raw
            if re.fullmatch(r"[\w:=./-]+", raw):
                assert word.value == raw


@given(st.text())
def test_a_quoted_word_is_read_as_it_was(value: str) -> None:
    commands = shell.split(f"echo {shell.quote(value)}", {})
    assert [word.value for word in commands[0].words] == ["echo", value]


@given(st.binary(max_size=300))
def test_any_configuration_file_is_survived(source: bytes) -> None:
    found = gunicorn_config.read(source, {})
    assert not found.values.keys() & found.unknown


@given(
    st.lists(
        st.sampled_from(["workers=3", "workers=f()", "timeout=-1", "x=[1,'a']", "bind=x", "from y import *"]),
        max_size=6,
    )
)
def test_what_a_file_is_said_to_set_is_what_python_sets(lines: list[str]) -> None:
    source = "\n".join(lines)
    found = gunicorn_config.read(source.encode(), {})
    scope: dict[str, object] = {"f": lambda: 0}
    if found.opaque or found.unknown or "bind=x" in lines:
        return
    exec(source, scope)
    assert found.values == {name: one for name, one in scope.items() if name not in ("__builtins__", "f")}
