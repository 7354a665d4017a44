"""All patterns in one hyperscan database over raw bytes, and the same expressions for :mod:`re`.

Hyperscan reports every end offset of a match: a pattern that ends in a repetition should end in ``$``, else each
further byte costs a report. It is fast where it can wait for a few rare bytes, three or more together: a pattern
that begins as every request's line does is slow, and is sought by what is rare in it (:attr:`Pattern.sought`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes import loghead
from probes.loghits import Pattern

if TYPE_CHECKING:
    import hyperscan

_MAX_CONTEXT = 20

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\^", re.DOTALL)
_BEGIN = r"(?:^|Z |:\d\d |\x1e )"
_LOOKAROUND = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:[=!]|<[=!])")
_BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?P=)")


class BadPattern(ValueError):
    """An expression that the matcher cannot take: one sentence that names the pattern and the reason."""


class Matcher:
    """All patterns in one hyperscan database, built when it is first needed."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        """Raises :class:`BadPattern`."""
        self.patterns = tuple(patterns)
        self.expressions = tuple(_expression(pattern) for pattern in self.patterns)
        self._database: hyperscan.Database | None = None

    def prepare(self) -> None:
        """Compiles the database (some 10 ms for 60 patterns); raises :class:`BadPattern`."""
        if self._database is not None or not self.patterns:
            return
        import hyperscan

        database = hyperscan.Database()
        wanted = [(one, index) for index, p in enumerate(self.patterns) for one in p.sought or (p.regex,)]
        try:
            database.compile(
                expressions=[_anywhere(one).encode() for one, _ in wanted],
                ids=[index for _, index in wanted],
                elements=len(wanted),
                flags=hyperscan.HS_FLAG_MULTILINE,
            )
        except hyperscan.HyperscanError as error:
            raise BadPattern(f"hyperscan refuses {self._refused()}: {error}") from error
        self._database = database

    def _refused(self) -> str:
        """The pattern that does not compile alone; asked only after all together did not."""
        import hyperscan

        for pattern in self.patterns:
            wanted = [_anywhere(one).encode() for one in pattern.sought or (pattern.regex,)]
            try:
                hyperscan.Database().compile(
                    expressions=wanted,
                    ids=[0] * len(wanted),
                    elements=len(wanted),
                    flags=hyperscan.HS_FLAG_MULTILINE,
                )
            except hyperscan.HyperscanError:
                return f"the pattern {pattern.key}"
        return "the patterns together"

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Candidates as (end offset, index of the pattern), in order."""
        self.prepare()
        found: list[tuple[int, int]] = []
        if self._database is None:
            return found
        append = found.append

        def note(index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            append((end, index))

        self._database.scan(data, match_event_handler=note)
        found.sort()
        return found

    def confirm(self, index: int, line: bytes, lead: int, record: bytes) -> tuple[re.Match[bytes], int] | None:
        """The match of one pattern in one line and its offset; ``None`` where there is none, or not in its place.

        ``lead`` is how many bytes of the line are the other fields of a JSON record; ``record`` is the first line of
        the record that this line stands below.
        """
        expression, place = self.expressions[index], self.patterns[index].place
        found = expression.search(line) if place is None or not lead else None
        at = 0
        if found is None and lead:
            found, at = expression.search(line[lead:]), lead
        if found is None or place is None:
            return found and (found, at + found.start())
        fields = (record or line[:lead]).decode(errors="replace")
        front = fields[: max(0, fields.find('{"'))] + line[at : at + found.start()].decode(errors="replace")
        return (found, at + found.start()) if loghead.fits(place, front, fields, below=bool(record)) else None


def _anywhere(regex: str) -> str:
    """The expression for whole logs, where a line's text may begin behind an engine's time or the fields of a record.

    It finds candidates only: whether the text begins there is confirmed on the line.
    """
    return _TOKEN.sub(lambda found: _BEGIN if found.group() == "^" else found.group(), regex)


def _expression(pattern: Pattern) -> re.Pattern[bytes]:
    if _LOOKAROUND.search(pattern.regex):
        raise BadPattern(f"the pattern {pattern.key} uses lookaround, which the log matcher does not know")
    if _BACK_REFERENCE.search(pattern.regex):
        raise BadPattern(f"the pattern {pattern.key} refers back to a group, which the log matcher does not know")
    if pattern.regex.startswith("^"):
        raise BadPattern(f"the pattern {pattern.key} begins with ^, but lines bear prefixes: write (?:^|\\s)")
    if not 0 <= pattern.context_lines <= _MAX_CONTEXT:
        raise BadPattern(f"the pattern {pattern.key} asks for more than {_MAX_CONTEXT} lines of context")
    try:
        return re.compile(pattern.regex.encode())
    except (re.error, UnicodeEncodeError) as error:
        raise BadPattern(f"the pattern {pattern.key} is no regular expression: {error}") from error
