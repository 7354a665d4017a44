"""When a line of a log was written, by the engine's stamp in front of it or by the time that the line itself shows.

Only lines that matter are parsed, and floods repeat the same second: what was parsed once is remembered.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

# What `timestamps=1` of the Engine API puts before each line: RFC 3339 with nanoseconds, and a space.
_STAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_ZONE = rb"(?: ?(Z|[+-]\d\d:?\d\d)(?![0-9:]))?"
# gunicorn `[2026-11-22 09:21:50 +0000]`, logging `2026-11-22 09:22:25,407`, ISO 8601, nginx `2026/11/22 09:21:50`.
_ISO = re.compile(rb"\b(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?" + _ZONE)
# The Common Log Format: `[22/Nov/2026:09:21:50 +0000]`.
_COMMON = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_LOOK_AT = 512
"""Bytes of a plain line in which its time is looked for; a JSON line may show it last."""
_LOOK_AT_JSON = 4096
_REMEMBER = 1024


class LineClock:
    """Reads times from lines; ``zone`` is what a time without an offset means."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._known: dict[bytes, datetime | None] = {}

    def split(self, line: bytes) -> tuple[datetime | None, int]:
        """The line's time in UTC (``None`` when it shows none), and how many bytes the engine's stamp takes."""
        stamp = _STAMP.match(line)
        if stamp:
            return self._remembered(stamp), stamp.end()
        return self.written(line), 0

    @staticmethod
    def stamped(line: bytes) -> int:
        """How many bytes the engine's stamp takes; 0 without one."""
        stamp = _STAMP.match(line)
        return stamp.end() if stamp else 0

    def written(self, line: bytes) -> datetime | None:
        """The time that stands in the line itself."""
        head = line[: _LOOK_AT_JSON if line[:1] == b"{" else _LOOK_AT]
        found = _ISO.search(head)
        if found:
            return self._remembered(found)
        common = _COMMON.search(head)
        return self._common(common) if common else None

    def _remembered(self, found: re.Match[bytes]) -> datetime | None:
        text = found.group()
        if text in self._known:
            return self._known[text]
        if len(self._known) >= _REMEMBER:
            self._known.clear()
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        micro = int((fraction or b"0").ljust(6, b"0")[:6])
        parts = (int(year), int(month), int(day), int(hour), int(minute), int(second), micro)
        value = self._known[text] = _utc(parts, _offset(offset) or self._zone)
        return value

    @staticmethod
    def _common(found: re.Match[bytes]) -> datetime | None:
        day, name, year, hour, minute, second, offset = found.groups()
        month, rest = divmod(_MONTHS.find(name), 3)
        if rest:
            return None
        return _utc((int(year), month + 1, int(day), int(hour), int(minute), int(second), 0), _offset(offset) or UTC)


def _offset(text: bytes | None) -> tzinfo | None:
    if not text:
        return None
    if text == b"Z":
        return UTC
    digits = text[1:].replace(b":", b"")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=-minutes if text[:1] == b"-" else minutes)) if minutes < 24 * 60 else UTC


def _utc(parts: tuple[int, int, int, int, int, int, int], zone: tzinfo) -> datetime | None:
    try:
        return datetime(*parts, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # what looks like a time and is none
        return None
