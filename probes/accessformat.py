"""What a line of an access log says: by the server's format where it is known, else by what cannot be mistaken. Pure.

Formats: gunicorn's and hypercorn's ``access_log_format`` (``%(D)s`` microseconds, ``%(M)s`` milliseconds, ``%(L)s``
seconds), granian's ``--access-log-fmt`` (``%(dt_ms)d``). Whole seconds (``%(T)s``) are too coarse for percentiles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

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
_METHOD, _STATUS = "(?P<method>[A-Z]{1,20})", r"(?P<status>[1-5]\d\d)"
_REQUEST = _METHOD + r' (?P<path>[^\s"]{1,2048})(?: [^\s"]{1,16})?'
_ATOMS = {
    "r": _REQUEST,
    "R": _REQUEST,
    "m": _METHOD,
    "method": _METHOD,
    "U": r'(?P<path>[^\s?"]{1,2048})',
    "path": r'(?P<path>[^\s?"]{1,2048})',
    "s": _STATUS,
    "status": _STATUS,
    "t": r"\[[^\]\n]{0,64}\]",
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
    parts: list[str] = []
    seen: set[str] = set()
    duration: str | None = None
    end = 0
    for found in _DIRECTIVE.finditer(given):
        parts.append(re.escape(given[end : found.start()]))
        end = found.end()
        atom = found[1]
        if atom is None:
            parts.append("%")
        elif atom in _UNITS and duration is None:
            duration = atom
            parts.append(r"(?P<took>\d{1,12}(?:\.\d{1,12})?)")
        else:
            parts.append(_once(_ATOMS.get(atom) or _text(given, end), seen))
    parts.append(re.escape(given[end:]))
    if duration is None or not {"path", "status"} <= seen:
        return None
    try:
        line = re.compile(f"^{_STAMP}{_LOGGER}{''.join(parts)}\r?$".encode(), re.MULTILINE)
    except re.error:
        return None
    return Format(line, _UNITS[duration], _NAMES[duration])


def _once(pattern: str, seen: set[str]) -> str:
    """The pattern; what it names was named before, so it stands there without the name."""

    def name(found: re.Match[str]) -> str:
        if found[1] in seen:
            return "(?:"
        seen.add(found[1])
        return found[0]

    return re.sub(r"\(\?P<(\w+)>", name, pattern)


def _text(given: str, end: int) -> str:
    """Any value: up to the character that stands behind it."""
    behind = given[end : end + 1]
    if behind in {"", "%"}:
        return r'[^\s"]{0,512}'
    if behind == '"':
        return r'(?:[^"\\\n]|\\.){0,2048}'
    return rf"[^{re.escape(behind)}\n]{{0,2048}}"


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
