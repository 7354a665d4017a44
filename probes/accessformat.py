"""What a line of an access log says: by the server's format where it is known, else by what cannot be mistaken. Pure.

Formats: gunicorn's and hypercorn's ``access_log_format`` (``%(D)s`` microseconds, ``%(M)s`` milliseconds, ``%(L)s``
seconds), granian's ``--access-log-fmt`` (``%(dt_ms)d``). Whole seconds (``%(T)s``) are too coarse for percentiles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from probes.model import Setting

GRANIAN_DEFAULT = '[%(time)s] %(addr)s - "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).3f'
FORMAT_CHARACTERS = 2000
_DIRECTIVE = re.compile(r"%\((\{[^}]{0,100}\}[a-z]|\w{1,40})\)[-#0 +]*\d{0,3}(?:\.\d{1,3})?([sdif])|%%")
_UNITS = {"D": 1e-6, "M": 1e-3, "L": 1.0, "dt_ms": 1e-3}
_NAMES = {
    "D": "%(D)s",
    "M": "%(M)s",
    "L": "%(L)s",
    "dt_ms": "%(dt_ms)s",
}
Kind = Literal["literal", "free", "method", "path", "request", "status", "time", "took"]
_KINDS: Mapping[str, Kind] = {
    "r": "request",
    "R": "request",
    "m": "method",
    "method": "method",
    "U": "path",
    "path": "path",
    "s": "status",
    "status": "status",
    "t": "time",
    **dict.fromkeys(_UNITS, "took"),
}
_STAMP = r"(?:\d{4}-\d\d-\d\dT\S{8,40} )?"
_LOGGER = r"(?:\[[^\]\n]{1,40}\] \[\d{1,10}\] \[\w{1,10}\] )?"
"""What hypercorn's loggers write in front of each line."""

GENERIC = re.compile(
    rb'"(?P<method>[A-Z]{3,7}) (?P<path>[^\s"]{1,2048})(?: (?:HTTP/)?\d(?:\.\d)?)?" (?P<status>[1-5]\d\d)\b'
    rb"(?P<rest>[^\n]{0,4096})"
)
"""The request and its status as all of the servers write them by default."""


class Format(NamedTuple):
    """A format with a duration in it."""

    line: re.Pattern[bytes]
    """Finds whole lines: groups ``path``, ``status``, ``took``."""
    unit_seconds: float
    name: str
    """The directive, for people."""


def of(server: str | None, settings: Mapping[str, Setting]) -> Format | None:
    """The format by a server's settings."""
    said = settings.get("access_log_format")
    return compiled(server, said.value if said is not None and isinstance(said.value, str) else None)


@lru_cache(maxsize=256)
def compiled(server: str | None, given: str | None) -> Format | None:
    """The format of a server's access log; ``None`` without a path, a status and a duration in it."""
    if given is None:
        given = GRANIAN_DEFAULT if server == "granian" else None
    if given is None or len(given) > FORMAT_CHARACTERS or "\n" in given:
        return None
    pieces = _pieces(given)
    kinds = {kind for kind, _ in pieces}
    if "took" not in kinds or "status" not in kinds or kinds.isdisjoint({"path", "request"}):
        return None
    parts: list[str] = []
    for (kind, said), (behind, after) in zip(pieces, (*pieces[1:], ("literal", "")), strict=True):
        part = re.escape(said) if kind == "literal" else _pattern(kind, after[:1]) if behind == "literal" else None
        if part is None:
            return None  # where the one value ends and the next begins is anybody's guess
        parts.append(part)
    try:
        line = re.compile(f"^{_STAMP}{_LOGGER}{''.join(parts)}\r?$".encode(), re.MULTILINE)
    except (re.error, UnicodeEncodeError):
        return None
    duration = next(said for kind, said in pieces if kind == "took")
    return Format(line, _UNITS[duration], _NAMES[duration])


def _pieces(given: str) -> list[tuple[Kind, str]]:
    """What stands in a line, one after the other: literal text, and values by their directives.

    Each that is wanted counts once; any other is free text, and those with nothing between them are one.
    """
    pieces: list[tuple[Kind, str]] = []
    taken: set[Kind] = set()

    def add(kind: Kind, said: str) -> None:
        if pieces and pieces[-1][0] == kind == "literal":
            pieces[-1] = ("literal", pieces[-1][1] + said)
        elif said and not (kind == "free" and pieces and pieces[-1][0] in {"free", "path"}):  # a query behind its path
            pieces.append((kind, said))

    end = 0
    for found in _DIRECTIVE.finditer(given):
        add("literal", given[end : found.start()])
        end = found.end()
        if found[1] is None:
            add("literal", "%")
            continue
        kind = _KINDS.get(found[1], "free")
        tells: set[Kind] = {"method", "path"} if kind == "request" else {kind}
        known = kind == "time" or not tells & taken
        add(kind if known else "free", found[1])
        taken |= tells
    add("literal", given[end:])
    return pieces


def _pattern(kind: Kind, stop: str) -> str | None:
    """A value that ends at the character behind it; ``None`` where it could hold that character.

    As it cannot, there is one way to read a line, and no line takes long.
    """
    but = re.escape(stop)
    method = "(?P<method>[A-Z]{1,20})"
    match kind:
        case "took":
            return None if stop.isdigit() or stop == "." else r"(?P<took>\d{1,12}(?:\.\d{1,12})?)"
        case "status":
            return r"(?P<status>[1-5]\d\d)"
        case "method":
            return None if "A" <= stop <= "Z" else method
        case "path":
            return rf'(?P<path>[^\s?"{but}]{{1,2048}})(?:\?[^\s"{but}]{{0,2048}})?'
        case "request":
            return rf'{method} (?P<path>[^\s"{but}]{{1,2048}})(?: [^\s"{but}]{{1,16}})?'
        case "time":
            return r"\[[^\]\n]{0,64}\]"
    if not stop:
        return r'[^\s"]{0,512}'
    return r'(?:[^"\\\n]|\\.){0,2048}' if stop == '"' else rf"[^{but}\n]{{0,2048}}"


_NGINX = "$request_time"
_UNIT_SECONDS = {b"s": 1.0, b"ms": 1e-3, b"us": 1e-6, b"\xc2\xb5s": 1e-6}
_LEARNT = re.compile(
    rb"(?:\b(?:rt|request_time)=\"?(?P<nginx>\d{1,6}\.\d{3})(?![\d.])"
    rb"|\b(?:duration|took|elapsed|response_time|request_time|rt)[=:] ?\"?(?P<named>\d{1,9}(?:\.\d{1,9})?)"
    rb"(?P<unit>ms|us|\xc2\xb5s|s)\b"
    rb"|\" (?P<last>\d{1,6}\.\d{3})\r?$"
    rb"|[\" \d] (?P<exact>\d{1,6}\.\d{6})\r?$"
    rb"|[\" \w] (?P<bare>\d{1,9}(?:\.\d{1,9})?)(?P<of>ms|us|\xc2\xb5s)\r?$)"
)


def learnt(rest: bytes) -> tuple[float, str] | None:
    """Seconds and the kind of duration in what stands behind the status; ``None`` where there is none to be sure of.

    nginx writes ``$request_time`` as seconds with three decimals, gunicorn and hypercorn ``%(L)s`` with six; anything
    else needs its unit. A bare whole number may be bytes, and is not taken.
    """
    found = _LEARNT.search(rest)
    if found is None:
        return None
    seconds = found["nginx"] or found["last"]
    if seconds is not None:
        return float(seconds), _NGINX
    if found["exact"] is not None:
        return float(found["exact"]), "%(L)s"
    number, unit = (found["named"], found["unit"]) if found["named"] is not None else (found["bare"], found["of"])
    return float(number) * _UNIT_SECONDS[unit], "durations with their unit"
