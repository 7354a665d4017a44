"""The settings of one server's command, each with its source: framework < file < environment < command line."""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from probes import app_discovery, gunicorn_config
from probes.base import Value
from probes.model import Setting
from probes.server_defaults import GRANIAN_DEFAULTS, GUNICORN_DEFAULTS, HYPERCORN_DEFAULTS, UVICORN_DEFAULTS
from probes.server_options import TABLES, Given, Program, Table, scan, typed

__all__ = ["READERS", "TABLES", "Known", "address", "gunicorn_variables", "scan"]

ReadFile = Callable[[str], bytes | None]
COMMAND_LINE = "command line"
DEFAULT = "default"

# Names in the configuration files that are not fastops' own.
_GUNICORN_FILE = {"preload_app": "preload", "logconfig": "log_config", "wsgi_app": "app"}
_HYPERCORN_FILE = {
    "keep_alive_timeout": "keepalive",
    "use_reloader": "reload",
    "logconfig": "log_config",
    "application_path": "app",
}
_HIDDEN = frozenset({"chdir", "pythonpath", "app_dir", "interface", "factory", "app_name", "entrypoint", "config"})


@dataclass
class Known:
    """Settings as they are gathered, the later over the earlier."""

    settings: dict[str, Setting] = field(default_factory=dict)
    config_file: str | None = None
    config_module: str | None = None
    """``python:MODULE``, where that stands in the place of a file: nobody reads it here."""
    config_source: str = COMMAND_LINE
    app_dir: str | None = None
    factory: bool = False
    interface: str | None = None

    def put(self, name: str, value: object, source: str) -> None:
        """Sets one setting; a value that is none of its type makes it unknown, ``None`` unsets it."""
        if isinstance(value, list) and name == "bind" and all(isinstance(one, str) for one in value):
            value = ",".join(value)
        usable = typed(name, value) if isinstance(value, str | int | float | bool) else None
        if usable is None:
            self.settings.pop(name, None)
        else:
            self.settings[name] = Setting(value=usable, source=source)

    def put_given(self, given: Sequence[Given], source: str) -> None:
        """Sets what a command line gives; several binds are one list."""
        binds = [str(one.value) for one in given if one.name == "bind" and one.value is not None]
        for one in given:
            if one.name is not None and one.name != "bind":
                self.put(one.name, one.value, source)
        if binds:
            self.put("bind", ",".join(binds), source)

    def take(self, name: str) -> str | None:
        """Removes a setting that is no setting of the service's and returns its text."""
        setting = self.settings.pop(name, None)
        return None if setting is None else str(setting.value)

    def finish(self, working_dir: str) -> Known:
        """Splits the first address into host and port and sorts out what is not shown."""
        for name in ("app_dir", "chdir"):
            directory = self.take(name)
            self.app_dir = self.app_dir or (posixpath.join(working_dir, directory) if directory else None)
        self.interface = self.take("interface")
        self.factory = self.take("factory") == "True"
        bind = self.settings.get("bind")
        if bind is not None:
            for one in str(bind.value).split(","):
                found = address(one)
                if found is not None:
                    self.settings["host"] = Setting(value=found[0], source=bind.source)
                    self.settings["port"] = Setting(value=found[1], source=bind.source)
                    break
                if one.startswith("unix:"):
                    self.settings.setdefault("uds", Setting(value=one[5:], source=bind.source))
        for name in _HIDDEN:
            self.settings.pop(name, None)
        if self.config_file is not None:
            self.settings["config_file"] = Setting(value=self.config_file, source=self.config_source)
        elif self.config_module is not None:
            self.settings["config_file"] = Setting(value=self.config_module, source=COMMAND_LINE)
        return self


def address(bind: str) -> tuple[str, int] | None:
    """``0.0.0.0:80``, ``[::]:80``, ``:80``, ``host`` → host and port; ``None`` for sockets and descriptors.

    As gunicorn's ``util.parse_address`` reads them: no host is 0.0.0.0, no port is 8000.
    """
    bind = bind.strip().removeprefix("tcp://")
    if not bind or bind.startswith(("unix:", "fd://", "/")):
        return None
    match = re.fullmatch(r"\[(?P<six>[^\]]*)\](?::(?P<p6>[0-9]{1,5}))?|(?P<host>[^:]*)(?::(?P<port>[0-9]{1,5}))?", bind)
    if match is None:
        return None
    if match["six"] is not None:
        return match["six"], int(match["p6"] or 8000)
    return match["host"] or "0.0.0.0", int(match["port"] or 8000)  # noqa: S104 - it is what gunicorn binds


def _variables(known: Known, table: Table, prefix: str, environment: Mapping[str, str]) -> None:
    """Variables that click makes of options: ``UVICORN_TIMEOUT_KEEP_ALIVE``; it takes empty ones for none."""
    for flag, name in table.names.items():
        if flag.startswith("--no-") or not flag.startswith("--"):
            continue
        variable = prefix + flag[2:].replace("-", "_").upper()
        if prefix == "GRANIAN_" and name == "accesslog":
            variable = "GRANIAN_LOG_ACCESS_ENABLED"
        if environment.get(variable):
            value: Value = environment[variable]
            if name == "accesslog":
                value = typed("reload", value) is True
            known.put(name, value, variable)


def _workers_variable(known: Known, environment: Mapping[str, str]) -> None:
    if environment.get("WEB_CONCURRENCY"):
        known.put("workers", environment["WEB_CONCURRENCY"], "WEB_CONCURRENCY")


def gunicorn_variables(environment: Mapping[str, str]) -> dict[str, Setting]:
    """Settings that ``GUNICORN_CMD_ARGS`` gives."""
    known = Known()
    known.put_given(_cmd_args(environment), "GUNICORN_CMD_ARGS")
    return known.finish("/").settings


def _cmd_args(environment: Mapping[str, str]) -> tuple[Given, ...]:
    try:
        return scan(shlex.split(environment.get("GUNICORN_CMD_ARGS", "")), TABLES["gunicorn"]).given
    except ValueError:
        return ()


def _gunicorn(words: Sequence[str], environment: Mapping[str, str], read_file: ReadFile, working_dir: str) -> Known:
    known = Known()
    for name, value in GUNICORN_DEFAULTS.items():
        known.put(name, value, DEFAULT)
    if "PORT" in environment:
        known.put("bind", f"0.0.0.0:{environment['PORT']}", "PORT")
    _workers_variable(known, environment)
    found = scan(words, TABLES["gunicorn"])
    variables = _cmd_args(environment)
    named = [str(one.value) for one in (*variables, *found.given) if one.name == "config" and one.value]
    _gunicorn_file(known, named[-1] if named else None, environment, read_file, working_dir)
    known.put_given(variables, "GUNICORN_CMD_ARGS")
    known.put_given(found.given, COMMAND_LINE)
    if found.positional:
        known.put("app", words[found.positional[0]], COMMAND_LINE)
    return known.finish(working_dir)


def _gunicorn_file(
    known: Known, named: str | None, environment: Mapping[str, str], read_file: ReadFile, working_dir: str
) -> None:
    """The configuration file over the defaults: what it sets and cannot be told is unknown, not the default."""
    if named is not None and named.startswith("python:"):
        known.config_module = named
        known.settings.clear()
        return
    path = posixpath.normpath(posixpath.join(working_dir, (named or "gunicorn.conf.py").removeprefix("file:")))
    data = read_file(path)
    if data is None and named is None:
        return
    known.config_file = path
    known.config_source = COMMAND_LINE if named is not None else DEFAULT
    if data is None:
        known.settings.clear()
        return
    _file(known, gunicorn_config.read(data, environment), _GUNICORN_FILE, path)


def _file(known: Known, config: gunicorn_config.ConfigFile, names: Mapping[str, str], path: str) -> None:
    if config.opaque:
        known.settings.clear()
    for name in config.unknown:
        known.settings.pop(names.get(name, name), None)
    allowed = set(TABLES["gunicorn"].names.values()) | set(TABLES["hypercorn"].names.values()) | {"app"}
    for name, value in config.values.items():
        ours = names.get(name, name)
        if ours in allowed and ours != "config" and name not in names.values() - names.keys():
            known.put(ours, value, path)


def _uvicorn(words: Sequence[str], environment: Mapping[str, str], _read_file: ReadFile, working_dir: str) -> Known:
    known = Known()
    for name, value in UVICORN_DEFAULTS.items():
        known.put(name, value, DEFAULT)
    _workers_variable(known, environment)
    if environment.get("UVICORN_APP"):
        known.put("app", environment["UVICORN_APP"], "UVICORN_APP")
    _variables(known, TABLES["uvicorn"], "UVICORN_", environment)
    found = scan(words, TABLES["uvicorn"])
    known.put_given(found.given, COMMAND_LINE)
    if found.positional:
        known.put("app", words[found.positional[0]], COMMAND_LINE)
    return _without_socket(known.finish(working_dir))


def _without_socket(known: Known) -> Known:
    """A Unix socket takes the place of host and port."""
    if "uds" in known.settings:
        for name in ("host", "port"):
            known.settings.pop(name, None)
    return known


def _fastapi(words: Sequence[str], environment: Mapping[str, str], read_file: ReadFile, working_dir: str) -> Known:
    known = Known()
    develops = words[:1] == ["dev"]
    for name, value in UVICORN_DEFAULTS.items():
        known.put(name, value, DEFAULT)
    known.put("host", "127.0.0.1" if develops else "0.0.0.0", DEFAULT)  # noqa: S104 - its documented default
    known.put("reload", develops, DEFAULT)
    _workers_variable(known, environment)
    if environment.get("PORT"):
        known.put("port", environment["PORT"], "PORT")
    found = scan(words, TABLES["fastapi"])
    known.put_given(found.given, COMMAND_LINE)
    path = words[found.positional[1]] if len(found.positional) > 1 else None
    attribute, entry = known.take("app_name"), known.take("entrypoint")
    discovered = app_discovery.discover(path, attribute, entry, read_file, working_dir)
    if discovered is not None:
        known.app_dir = discovered.directory
        known.put("app", discovered.app, discovered.source)
    return known.finish(working_dir)


def _hypercorn(words: Sequence[str], environment: Mapping[str, str], read_file: ReadFile, working_dir: str) -> Known:
    known = Known()
    for name, value in HYPERCORN_DEFAULTS.items():
        known.put(name, value, DEFAULT)
    found = scan(words, TABLES["hypercorn"])
    named = next((str(one.value) for one in reversed(found.given) if one.name == "config" and one.value), None)
    if named is not None and named.startswith("python:"):
        known.config_module = named
        known.settings.clear()
    elif named is not None:
        file = known.config_file = posixpath.normpath(posixpath.join(working_dir, named.removeprefix("file:")))
        data = read_file(file)
        if data is None:
            known.settings.clear()
        elif named.startswith("file:"):
            _file(known, gunicorn_config.read(data, environment), _HYPERCORN_FILE, file)
        else:
            _file(known, _toml(data), _HYPERCORN_FILE, file)
    known.put_given(found.given, COMMAND_LINE)
    if found.positional:
        known.put("app", words[found.positional[0]], COMMAND_LINE)
    return known.finish(working_dir)


def _toml(data: bytes) -> gunicorn_config.ConfigFile:
    try:
        return gunicorn_config.ConfigFile(values=tomllib.loads(data.decode("utf-8", "replace")))
    except (tomllib.TOMLDecodeError, RecursionError):
        return gunicorn_config.ConfigFile(values={}, opaque=True)


def _granian(words: Sequence[str], environment: Mapping[str, str], _read_file: ReadFile, working_dir: str) -> Known:
    known = Known()
    for name, value in GRANIAN_DEFAULTS.items():
        known.put(name, value, DEFAULT)
    known.put("interface", "rsgi", DEFAULT)
    _variables(known, TABLES["granian"], "GRANIAN_", environment)
    found = scan(words, TABLES["granian"])
    known.put_given(found.given, COMMAND_LINE)
    if found.positional:
        known.put("app", words[found.positional[0]], COMMAND_LINE)
    return _without_socket(known.finish(working_dir))


READERS: Mapping[Program, Callable[[Sequence[str], Mapping[str, str], ReadFile, str], Known]] = {
    "gunicorn": _gunicorn,
    "uvicorn": _uvicorn,
    "fastapi": _fastapi,
    "hypercorn": _hypercorn,
    "granian": _granian,
}
