"""The programs that a configuration file of supervisord starts. Pure."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Mapping, Sequence

from probes.base import Frozen

DEFAULTS = ("supervisord.conf", "etc/supervisord.conf", "/etc/supervisord.conf", "/etc/supervisor/supervisord.conf")
"""Where supervisord looks without ``-c``, in its order (supervisord.org/configuration.html)."""
_EXPANDED = re.compile(r"%\(ENV_(?P<name>[A-Za-z_]\w*)\)s")
_PAIR = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>\"[^\"]*\"|'[^']*'|[^,\n]*)")
_MOST = 32


class Program(Frozen, frozen=True):
    """One ``[program:…]`` that is started by itself."""

    argv: tuple[str, ...]
    directory: str | None = None
    environment: Mapping[str, str] = {}
    """What it gets beside what supervisord itself has."""


class Configuration(Frozen, frozen=True):
    """What a file says."""

    programs: tuple[Program, ...] = ()
    includes: tuple[str, ...] = ()
    """Other files, as they are written: relative to this one, and with ``*`` and ``?``."""


def named(argv: Sequence[str]) -> tuple[str, ...]:
    """The files that supervisord reads when it is started with these arguments: the first one that is there."""
    for at, word in enumerate(argv):
        if word in ("-c", "--configuration"):
            return tuple(argv[at + 1 : at + 2])
        found = re.fullmatch(r"(?:-c|--configuration=)(.+)", word)
        if found is not None:
            return (found[1],)
    return DEFAULTS


def read(data: bytes, environment: Mapping[str, str]) -> Configuration:
    """The file's programs; empty where it is none of supervisord's."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read_string(data.decode("utf-8", "replace"))
    except configparser.Error:
        return Configuration()
    sections = [parser[name] for name in parser.sections() if name.startswith("program:")]
    programs = (_program(one, environment) for one in sections[:_MOST])
    include = parser.get("include", "files", fallback="")
    return Configuration(tuple(one for one in programs if one is not None), tuple(include.split()[:_MOST]))


def _program(section: configparser.SectionProxy, environment: Mapping[str, str]) -> Program | None:
    def expand(value: str) -> str:
        return _EXPANDED.sub(lambda found: environment.get(found["name"], ""), value).replace("%%", "%")

    if section.get("autostart", "true").strip().lower() in ("false", "no", "off", "0"):
        return None
    try:
        argv = tuple(shlex.split(expand(section.get("command", ""))))
    except ValueError:
        return None
    pairs = _PAIR.finditer(expand(section.get("environment", "")))
    given = {one["name"]: one["value"].strip().strip("\"'") for one in pairs}
    directory = section.get("directory")
    return Program(argv, expand(directory) if directory else None, given) if argv else None
