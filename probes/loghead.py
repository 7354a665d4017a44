"""Tells a line that says a thing from one that quotes it: by what stands in front, and by the level of the record.

An application that logs what people write to it (tickets, chats, queries) writes every server's words sooner or later.
A server's own message begins where the head of its line ends: a time, a level, a logger, an engine's prefix. Prose,
quotation marks and a level of mere information in front of an error say that somebody talks about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Place = Literal["message", "complaint", "raised", "unquoted"]
"""Where a text must stand to be a record's own.

``message``: it begins the record's message. ``complaint``: likewise, and the record is no mere information. ``raised``:
a complaint, or what an exception says, in a traceback or behind other words of a warning or an error. ``unquoted``:
anywhere, but in a record of mere information neither within quotation marks nor behind prose. Both not within what
prose cites at any level: ``WARNING blocked the prompt "…``.
"""

_LONGEST = 400
_QUIET = frozenset({"trace", "debug", "info", "notice", "verbose", "information"})
_LEVELS = "|".join(
    (
        *_QUIET,
        "warn",
        "warning",
        "err",
        "error",
        "crit",
        "critical",
        "fatal",
        "alert",
        "emerg",
        "emergency",
        "exception",
    )
)
_LEVEL = re.compile(rf"(?i)(?<![\w.\-/%])(?P<level>{_LEVELS})(?![\w.\-%])")
_LEVEL_FIELD = re.compile(
    r"(?i)\"(?:[\w.]*\.)?(?:level|levelname|level_name|loglevel|log_level|lvl|levelno|no|severity_?text|status|name)\":"
    r"\"?(?P<level>\w+)"
)
_SEVERITY_FIELD = re.compile(r"(?i)\"(?:severity|priority)\":\"?(?P<level>\w+)")
"""What a collector says of a line's stream: Google's has INFO for all of standard output."""
_QUIET_NUMBER = 20
"""INFO of the standard library; no shape that is in use has a warning below."""

_COMPOSE = re.compile(r"^(?:\d\d:\d\d:\d\d )?[\w.\-]+ +\| ?")
_CONTAINERD = re.compile(r"^(?:\S{20,40} )?std(?:out|err) [FP] ")
_SYSLOG = re.compile(r"^(?:<\d+>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.\-]+ [\w.\-/]+(?:\[\w+\])?: ")
_STERN = re.compile(r"^[a-z0-9][a-z0-9.\-]*-[a-z0-9]{5} (?:› )?[a-z0-9][a-z0-9\-]* ")
_FIELD = re.compile(r"(?:^|(?<=\s))[\w.@\-]+=(?:\"[^\"]*\"|'[^']*'|[^\s\"']+)(?=\s)")
_OPENS_FIELD = re.compile(r"(?:^|\s)(?:msg|message|event|text)=[\"']?$")
_BRACKETS = re.compile(r"\[[^\[\]]{0,120}\]|\([^()]{0,120}\)|<[\w.\-]{0,40}>")
_NO_PROSE = re.compile(
    r"(?:^|(?<=[\s:|,]))(?:MainProcess|MainThread|AnyIO worker thread|(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat),?"
    r"|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?=[\s:|,])"
)
"""Names of processes and threads that have no digit (the standard library's, anyio's), and those of days and months."""
_RETRY = re.compile(r"Backing off \S+\(\.\.\.\) for [\d.]+s \(|Retrying \S+ in [\d.]+ seconds as it raised ")
"""What backoff (1 and 2) and tenacity (to 9) say of an exception, at whatever level they are told to."""
_NAME_WORDS = 3
"""A service's own name has no more: ``CRITICAL Checkout Service: …``."""
_FOREIGN = re.compile(r"[\"'`“”„‘’«»?!]")
_CITED = re.compile(r"(?:^|[\s(\[])(?P<word>\w+) (?P<mark>[\"'`])")
"""A quotation mark behind a word, as prose cites: ``blocked the prompt "…``; other signs in code and fields."""
_ANNOUNCES = (":", "{", "[", "(", "=")
"""At the end of a head: what it is about stands below."""
_BRACKETS_ALONE = frozenset({"{", "[", "(", "}", "]", ")"})
_CITES_AN_ERROR = frozenset(
    {"file", "in", "error", "exception", "raised", "failed", "failure", "reason", "cause", "with", "by", "got"}
)
"""Before a frame's file (``File "…``) and before what went wrong."""
_MARKS = ":|,;-–—•›│+#"
_NAME = re.compile(r"[\d._/@=\-]")
_EXCEPTION = re.compile(
    r"(?:\(?(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout)\)?(?:: ?| |\([\"']))+$"
    r"|(?:^|(?<=\s))(?:[A-Za-z_]\w*\.)+$"
)
"""Names of exceptions in front of what they say, and a module in front of a name."""


def fits(place: Place, front: str, record: str = "", *, below: bool = False) -> bool:
    """Whether what was found stands where its own message would have it.

    ``front`` is what stands before it in the line, ``record`` the other fields of the JSON object that the line was
    unpacked from; ``below`` is a line of it under the first.
    """
    if place in {"raised", "unquoted"} and len(front) <= _LONGEST:
        retry = _RETRY.search(front)
        if retry and _is_head(front[: retry.start()]):
            return True
        if (_first_level(front) or _recorded(record)) and _is_cited(front):
            return False
    if place == "unquoted":
        return not (_is_quiet(front, record) and (_is_quoted(front) or not _is_head(front, raised=True)))
    if len(front) > _LONGEST:
        return False
    if place == "raised":
        return _raised(_EXCEPTION.sub("", front), record)
    if not _is_head(front) or (place == "message" and below):
        return False
    if below and not (_first_level(front) or _recorded(record)):
        return False  # a message of several lines that nobody called an error
    return place == "message" or not _is_quiet(front, record)


def is_dictated(line: str, above: Iterable[str]) -> bool:
    """Whether a line is part of a message of mere information that has several: a dump, or what somebody was told.

    ``above`` are the lines before it, the nearest first. It is, where it bears no level, and what stands above up to a
    record's head with such a level is indented as it is itself, or that head announces it by a colon or a bracket. A
    traceback is none: what writes to standard error does so between other records.
    """
    if _first_level(line[:_LONGEST]):
        return False
    indented = line[:1].isspace()
    for other in above:
        said = other.lstrip()
        if not said or said.startswith('File "') or "Traceback (most recent" in other or "Exception Group" in other:
            return False
        if len(said) < len(other):  # no head of a record: what rich indents is put together elsewhere
            continue
        level = _LEVEL.search(other[:_LONGEST])
        if level is not None and _is_head(other[: level.end()] + " "):
            announced = other.rstrip().endswith(_ANNOUNCES)
            return level["level"].lower() in _QUIET and (announced or (indented and bool(other[level.end() :].strip())))
        indented = indented and said.rstrip() in _BRACKETS_ALONE
    return False


def _raised(front: str, record: str) -> bool:
    if _is_quiet(front, record):
        return False
    told = _first_level(front) or _recorded(record)
    if told and told not in _QUIET:  # other words of an error may lead to what the exception said
        return not _is_quoted(front)
    return _is_head(front.lstrip(" |+-"))


def _is_quoted(front: str) -> bool:
    """Whether a quotation mark is open; that of a field (``error="…``) quotes nobody."""
    return front.count('"') % 2 == 1 and not front[: front.rfind('"')].endswith("=")


def _is_cited(front: str) -> bool:
    """Whether prose opened a quotation and has not closed it: of a text, not of an error."""
    for found in _CITED.finditer(front):
        word, rest = found["word"].lower(), front[found.end() :]
        closed = re.search(rf"(?<!\\){found['mark']}(?!\w)", rest)
        if not closed and word not in _CITES_AN_ERROR and not _LEVEL.fullmatch(word):
            return True
    return False


def _is_quiet(front: str, record: str) -> bool:
    levels = [found["level"].lower() for found in _LEVEL.finditer(front)] if _is_head(front) else [_first_level(front)]
    told = _recorded(record, collected=not any(levels))
    return told in _QUIET or any(level in _QUIET for level in levels)


def _first_level(front: str) -> str:
    found = _LEVEL.search(front)
    return found["level"].lower() if found else ""


def _recorded(record: str, *, collected: bool = True) -> str:
    """The level that a record's fields name, numbers as words; empty where none does."""
    for shape in (_LEVEL_FIELD, _SEVERITY_FIELD) if collected else (_LEVEL_FIELD,):
        for found in shape.finditer(record):
            level = found["level"].lower()
            if level.isdecimal() and len(level) == 2:
                return "info" if int(level) <= _QUIET_NUMBER else "error"
            if re.fullmatch(_LEVELS, level):
                return level
    return ""


def _is_head(front: str, *, raised: bool = False) -> bool:
    """Whether this is nothing but the head of a line of a log: no prose, no quotation; an exception's name, if told."""
    if len(front) > _LONGEST:
        return False
    rest = _EXCEPTION.sub("", front) if raised else front
    for prefix in (_COMPOSE, _CONTAINERD, _SYSLOG, _STERN):
        rest = prefix.sub("", rest, count=1)
    rest = _OPENS_FIELD.sub(" ", _FIELD.sub("", rest))
    rest = _NO_PROSE.sub("", _BRACKETS.sub(_kept, rest))
    if _FOREIGN.search(rest) or (rest and not rest[-1].isspace() and rest[-1] not in ":|-["):
        return False
    tokens = rest.split()
    level_at = _complaint_at(tokens)
    words, capitals, told = 0, True, False  # "INFO the last error was": one level, and words
    for at, token in enumerate(tokens):
        bare = token.strip(_MARKS)
        if any(letter.isalpha() and not letter.isascii() for letter in bare):
            return False
        last = bare.rpartition(":")[2]  # LEVEL:logger:message
        named = any(letter.isalnum() for letter in bare)
        leveled = _LEVEL.fullmatch(last) is not None and not (told and last.islower())
        told = told or (leveled and last.lower() in _QUIET)
        if not named or leveled or (words == 0 and last != token and last == bare) or _NAME.search(last):
            words, capitals = 0, True
            continue
        words, capitals = (words + 1, capitals) if last == bare else (1, bare.count(":") < 2)
        capitals = capitals and last[0].isupper()
        if words > 1:
            # A name of several words; in front of a level a colon would make it somebody's who is quoted.
            own = level_at is not None and (level_at < at or ":" not in token)
            if not (own and capitals and words <= _NAME_WORDS):
                return False
    return True


def _kept(brackets: re.Match[str]) -> str:
    """What stands for brackets: the level in them, else a name."""
    level = brackets[0].strip("[]()<> ")
    return f"{level} " if _LEVEL.fullmatch(level) else "#0 "


def _complaint_at(tokens: list[str]) -> int | None:
    """Where the first level of a warning or worse stands; ``None`` without one, and where one of information does."""
    first = None
    for at, token in enumerate(tokens):
        for part in token.strip(_MARKS).split(":"):
            if part.lower() in _QUIET:
                return None
            if first is None and _LEVEL.fullmatch(part):
                first = at
    return first
