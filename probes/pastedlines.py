"""Takes the prefixes off pasted log lines, and tells by them which lines belong together. Pure.

Known are Compose (``web-1  | …``), ``kubectl logs --prefix`` (``[pod/NAME/CONTAINER] …``), the files of a node's
container runtime (``TIME stderr F …``), syslog and the journal (``Nov 22 09:21:50 HOST gunicorn[7]: …``). Engine time
stamps stay where they are: the log matcher reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

Origin = Literal["plain", "compose", "pod", "journal"]

_COMPOSE = re.compile(rb"(?P<name>[A-Za-z0-9][\w.\-]{0,120}(?:@[\w.\-]+)?) *\| ?")
_NUMBERED = re.compile(rb"[-_.]\d+(?:\.[a-z0-9]+@.*)?$")
_POD = re.compile(rb"\[(?P<name>pod/[^\]\s]{1,400})\] ")
_SYSLOG = re.compile(
    rb"(?:(?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) (?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?"
    rb"|(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?P<zone>Z|[+-]\d\d:?\d\d)?)"
    rb" [\w.\-]{1,255} (?P<name>[\w.\-@/\\:()]{1,100}?)(?:\[\d+\])?: "
)
_RUNTIME = re.compile(rb"(?m)^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) )std(?:out|err) [FP] ")
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_LEAST = 0.5
_LEAST_NUMBERED = 0.1
"""The share of a block's lines that must bear a bar before what stands there is taken for Compose's names; names that
end in a replica's number are rarer in other text."""


class Part(NamedTuple):
    """Lines of one stream."""

    origin: Origin
    name: str
    data: bytes
    numbers: range | list[int]
    """The number of each line in what was pasted, from 1."""


def parts(data: bytes, first: int, now: datetime) -> Iterator[Part]:
    """Whole lines, each ended, by stream; ``first`` is the number of the first, ``now`` tells a date's year."""
    if b" stderr " in data or b" stdout " in data:
        data = _RUNTIME.sub(rb"\1", data)
    lines: list[bytes] | None = None
    if b"| " in data or b"|\n" in data:
        lines = data[:-1].split(b"\n")
        found = [_COMPOSE.match(line) for line in lines]
        if _is_compose(found, lines):
            yield from _grouped(lines, first, found, "compose")
            return
    if b"[pod/" in data:
        lines = lines or data[:-1].split(b"\n")
        found = [_POD.match(line) for line in lines]
        if any(found):
            yield from _grouped(lines, first, found, "pod")
            return
    if b": " in data and _SYSLOG.match(data):
        lines = lines or data[:-1].split(b"\n")
        yield from _journal(lines, first, now)
        return
    yield Part("plain", "", data, range(first, first + data.count(b"\n")))


def _is_compose(found: list[re.Match[bytes] | None], lines: list[bytes]) -> bool:
    names = [one["name"] for one in found if one]
    if not names:
        return False
    if all(_NUMBERED.search(name) for name in set(names)):
        least, fewest = _LEAST_NUMBERED, 1
    else:
        least, fewest = _LEAST, 2
    filled = sum(1 for line in lines if line.strip())
    return len(names) >= max(fewest, least * filled)


def _grouped(lines: list[bytes], first: int, found: list[re.Match[bytes] | None], origin: Origin) -> Iterator[Part]:
    """Lines without a prefix go to the stream of the line before."""
    streams: dict[str, tuple[list[bytes], list[int]]] = {}
    name = next((one["name"] for one in found if one), b"").decode("ascii", "replace")
    for number, (line, match) in enumerate(zip(lines, found, strict=True), first):
        if match:
            name = match["name"].decode("utf-8", "replace")
            line = line[match.end() :]  # noqa: PLW2901 - the same line, without its prefix
        kept, numbers = streams.setdefault(name, ([], []))
        kept.append(line)
        numbers.append(number)
    for stream, (kept, numbers) in streams.items():
        yield Part(origin, stream, b"\n".join(kept) + b"\n", numbers)


def _journal(lines: list[bytes], first: int, now: datetime) -> Iterator[Part]:
    streams: dict[str, tuple[list[bytes], list[int]]] = {}
    name = ""
    for number, line in enumerate(lines, first):
        match = _SYSLOG.match(line)
        if match:
            name = match["name"].decode("ascii", "replace")
            line = _stamp(match, now) + line[match.end() :]  # noqa: PLW2901
        kept, numbers = streams.setdefault(name, ([], []))
        kept.append(line)
        numbers.append(number)
    for stream, (kept, numbers) in streams.items():
        yield Part("journal", stream, b"\n".join(kept) + b"\n", numbers)


def _stamp(found: re.Match[bytes], now: datetime) -> bytes:
    """The line's time as an engine would write it; syslog leaves out the year, which is the latest that fits."""
    if found["iso"]:
        zone = found["zone"] or b"Z"
        return found["iso"] + (zone if b":" in zone or zone == b"Z" else zone[:3] + b":" + zone[3:]) + b" "
    month, rest = divmod(_MONTHS.find(found["month"]), 3)
    if rest:
        return b""
    day = int(found["day"])
    year = now.year - ((month + 1, day) > (now.month, now.day))
    try:
        datetime(year, month + 1, day, tzinfo=UTC)
    except ValueError:
        return b""
    return b"%04d-%02d-%02dT%bZ " % (year, month + 1, day, found["clock"])
