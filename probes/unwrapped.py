"""Puts together the lines that rich broke at the width of its console, so that patterns see what was said.

``RichHandler`` writes in columns: a time (or as many spaces), the level, the message, and where it was said. A message
goes on below, in the column where it began; its tracebacks, and those of Typer and ``fastapi run``, are boxes. A record
becomes the lines that were logged, and empty ones, so that lines are counted as before: what a traceback ends with
stays at its place.

A break is rich's own where the next word would not have fitted; any other was in the message.
"""

from __future__ import annotations

import re

_HEAD = re.compile(
    rb"^(?P<front>(?:[^\n]{0,80}?\] | {2,40})?)(?P<level>DEBUG   |INFO    |WARNING |ERROR   |CRITICAL) "
    rb"(?P<said>\S[^\n]*)$"
)
_PATH = re.compile(rb"(?<! ) +(?P<path>[\w.\-<>]+\.py[\w]?(?::\d+)?) *$")
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_ENGINES = re.compile(rb"[^\x1e]*\x1e |" + _STAMP.pattern)
"""What an engine puts before each line: a time, or the fields of its own file as ``structured`` leaves them."""
_GOES_ON = re.compile(b"(?:%b)?(?:    |%b|%b)" % (_STAMP.pattern, "│".encode(), "╰─".encode()))
_BELOW = b" " * 9
"""What stands before a message's second line, at least: as much as before its first where no time is shown."""
_LEVELS = (b" ERROR    ", b" CRITICAL ", b" WARNING  ", b" INFO     ", b" DEBUG    ")
_TOP, _SIDE, _BOTTOM = "╭─".encode(), "│".encode(), "╰─".encode()
_FRAME = re.compile(r"^(?P<file>\S[^\n]*?):(?P<line>\d+) in (?P<name>\S+)$")
_CODE = re.compile(r"^ *❱ *\d+ (?P<code>.*)$")
_RAISED = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout|Exceeded|Group|Greenlet|Exit|Interrupt)(?::|$)"
)
_HEADER = b"Traceback (most recent call last):"
_QUIET = (b"DEBUG", b"INFO")
_MOST_LINES = 400
"""Of one record; what is longer is left as it is from there on."""
_LONGEST_PATH = 500
_MOST_BYTES = 32 * 1024


def unwrap(data: bytes) -> bytes:
    """Whole lines, each ended, as many as were given; records of rich's as the lines that they hold."""
    boxed = _TOP[:1] in data and _TOP in data  # one byte is searched many times faster than two
    if not boxed and not (_BELOW in data and any(level in data for level in _LEVELS)):
        return data
    lines = data[:-1].split(b"\n")
    if any(map(_ENGINES.match, lines[:2])):
        leads = [found[0] if (found := _ENGINES.match(line)) else b"" for line in lines]
        told = _unwrapped([line[len(lead) :] for line, lead in zip(lines, leads, strict=True)])
        return b"".join(b"%b%b\n" % pair for pair in zip(leads, told, strict=True))
    return b"\n".join(_unwrapped(lines)) + b"\n"


def _unwrapped(lines: list[bytes]) -> list[bytes]:
    made: list[bytes] = []
    at = 0
    while at < len(lines):
        end, said, joined = _record(lines, at)
        empty = [b""] * (end - at - len(said))
        headers = [index for index, one in enumerate(said) if one.startswith(_HEADER)]
        first, joined = (headers[-1], joined) if headers else (len(said), 0)
        made += [*said[:first], *empty[joined:], *said[first:], *empty[:joined]]
        at = end
    return made


def whole(data: bytes, start: int, end: int) -> int:
    """Where to cut before ``end``, so that no record of rich's is divided; ``end`` where none is near."""
    cut, least = end, max(start + 1, end - _MOST_BYTES)
    while cut > least and _GOES_ON.match(data, cut):
        cut = data.rfind(b"\n", start, cut - 1) + 1
    return cut if cut > least else end


def _record(lines: list[bytes], at: int) -> tuple[int, list[bytes], int]:
    """Where the record that begins here ends, what it says in no more lines, and how many were joined to the last."""
    line = lines[at]
    if line.lstrip().startswith(_TOP):
        column = len(line) - len(line.lstrip())
        end, said = _box(lines, at, column)
        return _told(lines, end, column, said, _columns(line.rstrip()) - column, at)
    head = _HEAD.match(line) if b"  " in line or b"] " in line else None
    if head is None:
        return at + 1, [line], 0
    column = head.start("said")
    if at + 1 == len(lines) or not _is_below(lines[at + 1], column):
        return at + 1, [line], 0
    path = _PATH.search(line, column)
    message = line[: path.start()] if path else line.rstrip()
    if path:
        width = _columns(line[: path.start("path")]) - 1 - _columns(line[:column])
    else:
        width = max(_columns(one) for one in lines[at : at + 8] if _is_below(one, column) or one is line) - column
    where = b" " + path["path"] if path else b""
    end, said, joined = _told(
        lines, at + 1, column, [message[column:]], width, at, quiet=head["level"].strip() in _QUIET
    )
    return end, [message[:column] + said[0] + where, *said[1:]], joined


def _told(
    lines: list[bytes], at: int, column: int, said: list[bytes], width: int, first: int, *, quiet: bool = False
) -> tuple[int, list[bytes], int]:
    """Goes on with a message in its column; ``said`` is what stands above.

    What a ``quiet`` record says in several lines is one message: none of them is an error of its own.
    """
    last, end = "", min(len(lines), first + _MOST_LINES)
    boxed = bool(said) and column >= 0 and lines[at - 1].lstrip().startswith(_BOTTOM)
    if said and not boxed:
        last = said[-1].decode(errors="replace")
    in_traceback, joined = boxed, 0
    while at < end and (_is_below(lines[at], column) if column else boxed and _goes_on(lines[at], last, width)):
        line = lines[at]
        if line.lstrip().startswith(_TOP):
            at, frames = _box(lines, at, len(line) - len(line.lstrip()))
            said += frames
            last, boxed, in_traceback, joined = "", True, True, 0
            continue
        text = line[column:].decode(errors="replace").rstrip()
        begins = text.startswith(("Traceback (most", "During handling of", "The above exception"))
        count = len(said)
        if said and quiet and not in_traceback and not begins:
            said[-1] += (
                b"" if _is_wrapped(last, text, width) and _is_cut(last, width) else b" "
            ) + text.strip().encode()
        elif said and _is_wrapped(last, text, width) and not (begins or (in_traceback and _RAISED.match(text))):
            said[-1] += (b"" if _is_cut(last, width) else b" ") + text.encode()
        else:
            said.append(text.encode())
        joined = joined + 1 if len(said) == count else 0
        in_traceback = in_traceback or text.startswith("Traceback (most")
        last = text
        at += 1
    return at, said, joined


def _is_below(line: bytes, column: int) -> bool:
    """Whether it goes on in this column: nothing stands before it."""
    return len(line) > 0 and not line[:column].strip(b" ") and not _HEAD.match(line)


def _goes_on(line: bytes, last: str, width: int) -> bool:
    """Below a box at the edge of the screen: the exception, and what of it did not fit."""
    text = line.decode(errors="replace").rstrip()
    return bool(_RAISED.match(text)) if not last else bool(text) and _is_wrapped(last, text, width)


def _is_wrapped(last: str, text: str, width: int) -> bool:
    """Whether rich broke the line: the next word did not fit any more."""
    if not last or not text or text.startswith(" "):
        return False
    return len(last.rstrip()) + 1 + len(text.split(" ", 1)[0]) > width


def _is_cut(last: str, width: int) -> bool:
    """Whether the line is part of a word that is longer than the column."""
    return len(last) >= width and " " not in last.strip() and last[-1] not in ".,;:!?)"


def _box(lines: list[bytes], at: int, column: int) -> tuple[int, list[bytes]]:
    """The traceback in a box as Python writes it, in no more lines than the box has; another box as it is."""
    if b"Traceback" not in lines[at]:
        return at + 1, [lines[at]]
    said = [_HEADER.decode()]
    end, broken, last = at + 1, "", ""
    width = _columns(lines[at].strip()) - len("│  │")
    while end < len(lines) and end - at < _MOST_LINES:
        line = lines[end][column:].strip()
        if not line.startswith(_SIDE):
            break
        end += 1
        inner = line.decode(errors="replace").strip("│").rstrip()[1:]
        path = broken + (" " if broken and not _is_cut(last, width) else "") + inner
        frame, code = _FRAME.match(path), _CODE.match(inner)
        broken, last = "", inner
        if frame:
            said.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame["name"]}')
        elif code:
            said.append(f"    {code['code'].replace('│   ', '').lstrip(' │')}")
        elif path.startswith(("/", "C:")) and len(path) < _LONGEST_PATH:
            broken = path
    if end < len(lines) and lines[end][column:].strip().startswith(_BOTTOM):
        end += 1
    return end, [one.encode() for one in said]


def _columns(line: bytes) -> int:
    return len(line.decode(errors="replace"))
