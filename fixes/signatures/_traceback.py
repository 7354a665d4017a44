"""Reads tracebacks out of a log: which exception ended a request, and in which line of the application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from fixes.model import View
from fixes.signatures import _shared, _wording
from fixes.signatures._shared import At
from probes.base import ReplicaId
from probes.loghits import LogHit

HEADER = _wording.complaint(
    "exception/header",
    r"Exception in ASGI application|Error in ASGI Framework|Application callable raised an exception"
    r"|Error handling request /",
)
"""The servers' words for an exception that nothing caught: uvicorn, hypercorn, granian, gunicorn's own workers."""
OUTERMOST = _wording.unquoted(
    "exception/outermost", r"starlette/middleware/errors\.py\\?\", line \d+, in __call__|in run_endpoint_function"
)
"""Starlette's last middleware, and the call of an endpoint: what a traceback without its head still shows."""
SERVER = _wording.unquoted("exception/server", r"uvicorn[\w/]*\.py\\?\", line \d+, in run_asgi")
"""uvicorn's frame around a request: it is in a traceback only where nothing caught the exception."""
BEGIN = _wording.pattern("exception/begin", r"Traceback \(most recent call last\)")
NAMED = _wording.pattern(
    "exception/named",
    r"(?:^|\| +|\] |\]: |F )(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*"
    r"(?:Error|Exception|Timeout|Exceeded|Group|Greenlet|Exit))(?:: |$)",
    20,
)
CHAINED = _wording.pattern(
    "exception/chained", r"The above exception was the direct cause|During handling of the above exception"
)
PATTERNS = (HEADER, OUTERMOST, SERVER, BEGIN, NAMED, CHAINED)

LONGEST = 400
"""Lines that one traceback may take."""
_CHAIN = 14
"""Lines that an exception's own text may take before the next part of a chain begins."""
_FRAME = re.compile(r"File \\?\"(?P<file>[^\"\\]+)\\?\", line (?P<line>\d+), in (?P<function>[\w<>.]+)")
_LIBRARY = re.compile(r"(?:^|/)(?:site-packages|dist-packages|lib(?:64)?/python\d[\w.]*)/|^<|\.pyx$")
_LAST = re.compile(r"^(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?:: .*)?$")


class Raised(NamedTuple):
    """One exception that ended a request."""

    head: LogHit
    place: At
    type: str | None
    """Its name with its module; ``None`` where the end of the traceback is not there."""
    frame: tuple[str, int, str] | None
    """File, line and function of the application, the innermost that is known."""
    text: str | None


def raised(view: View) -> list[Raised]:
    """The exceptions that the servers reported in the window, and those of which only the end is there."""
    heads = list(_shared.places(view, HEADER))
    named = sorted(_shared.places(view, NAMED), key=lambda one: (one[1].replica, one[1].line))
    chained = {(p.replica, p.line) for _, p in _shared.places(view, CHAINED)}
    found = []
    for index, (hit, place) in enumerate(sorted(heads, key=lambda one: (one[1].replica, one[1].line))):
        later = [p.line for _, p in heads if p.replica == place.replica and p.line > place.line]
        end = min([*later, place.line + LONGEST])
        found.append(_folded(hit, place) if "\\n" in hit.sample else _below(hit, place, end, named, chained))
        if index >= 200:
            break
    return found or _tails(view, named)


def _below(
    head: LogHit, place: At, end: int, named: Sequence[tuple[LogHit, At]], chained: set[tuple[ReplicaId, int]]
) -> Raised:
    """The exception that stands below a server's words, the last one of a chain."""
    last = _chain_end(place, end, named, chained)
    if last is None or any((place.replica, last[1].line + step) in chained for step in range(1, _CHAIN)):
        return Raised(head, place, None, None, None)  # its end is not there
    hit, at = last
    latest = hit.marks[-1].line == at.line
    return Raised(
        head,
        place,
        hit.fields.get("type"),
        frame_in(hit.before) if latest else None,
        (_shared.exception_in([hit.sample]) or hit.sample.strip()) if latest else None,
    )


def _chain_end(
    place: At, end: int, named: Sequence[tuple[LogHit, At]], chained: set[tuple[ReplicaId, int]]
) -> tuple[LogHit, At] | None:
    """The last exception of the chain that is the first below a place, and above the line ``end``."""
    last: tuple[LogHit, At] | None = None
    for hit, at in named:
        if at.replica != place.replica or not place.line < at.line < end:
            continue
        goes_on = last is None or any((at.replica, line) in chained for line in range(last[1].line, at.line))
        if not goes_on:
            break
        last = (hit, at)
    return last


def ended_by(view: View, place: At) -> tuple[LogHit, str] | None:
    """The exception that ends the traceback which runs through a place, and its words, however long that is.

    Its type alone where its line is not kept: only the latest of each type is.
    """
    named = sorted(_shared.places(view, NAMED), key=lambda one: (one[1].replica, one[1].line))
    chained = {(p.replica, p.line) for _, p in _shared.places(view, CHAINED)}
    last = _chain_end(place, place.line + LONGEST, named, chained)
    if last is None:
        return None
    hit, at = last
    kept = _shared.exception_in([hit.sample]) if hit.marks[-1].line == at.line else None
    return hit, kept or hit.fields.get("type", "an exception")


def _folded(head: LogHit, place: At) -> Raised:
    """The traceback stands in the same line, as JSON writes it."""
    lines = _shared.unfolded(head.sample)
    name = next((m["type"] for line in reversed(lines) if (m := _LAST.match(line.strip(' "}')))), None)
    text = _shared.exception_in(lines)
    return Raised(head, place, text.split(":")[0] if text else name, frame_in(lines), text)


def _tails(view: View, named: Sequence[tuple[LogHit, At]]) -> list[Raised]:
    """Ends of tracebacks through the framework whose beginning is not in the log any more."""
    found = []
    for hit, place in _shared.places(view, OUTERMOST):
        if _shared.latest_line(view, place.replica, place.line, BEGIN, HEADER) is None and "\\n" not in hit.sample:
            one = _below(hit, place, place.line + LONGEST, named, set())
            if one.type is not None:
                found.append(one)
    for hit, place in _shared.places(view, SERVER):
        found.append(_below(hit, place, place.line + LONGEST, named, set()))
    return found[:1]


def end_in(lines: Sequence[str]) -> str | None:
    """The exception that ends the traceback whose frames these lines begin with, whatever its name ends in."""
    for line in lines:
        if line.strip() and not line.startswith((" ", "\t")):
            return line.strip()[:300] if _LAST.match(line.rstrip()) else None
    return None


def frame_in(lines: Sequence[str]) -> tuple[str, int, str] | None:
    """The innermost frame of the application in these lines of a traceback."""
    for line in reversed(lines):
        found = _FRAME.search(line)
        if found and not _LIBRARY.search(found["file"]) and len(found["line"]) < 8:
            return found["file"], int(found["line"]), found["function"]
    return None
