"""Makes a finding of lines in a log: the evidence, how often and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from fixes.model import Evidence, Fires, Severity, View
from fixes.signatures import _shared
from fixes.signatures._shared import At
from probes.base import Value
from probes.loghits import LogHit

Found = Sequence[tuple[LogHit, At]]
MOST_EVIDENCE = 6


def fires(
    view: View,
    found: Found,
    severity: Severity,
    title: str,
    *,
    count: int | None = None,
    facts: Mapping[str, Value] = {},
    more: Sequence[Evidence] = (),
) -> Fires:
    """A finding on these places; how often it happened is said behind the title."""
    hits = list({id(hit): hit for hit, _ in found}.values())
    total = max(1, len(found) + len(more) if count is None else count)
    first, last = _shared.span([place for _, place in found])
    moments = [m for m in (first, last, *(e.at for e in more)) if m is not None]
    seen = _shared.seen(view, total)
    return Fires(
        severity=severity,
        title=title + seen,
        evidence=(*more[:MOST_EVIDENCE], *(_shared.evidence_of(hit) for hit in hits[-MOST_EVIDENCE:])),
        count=total,
        first_at=min(moments, default=None),
        last_at=max(moments, default=None),
        facts=facts,
    )


def near(place: At, other: At, lines: int) -> bool:
    """Whether two places of one log are at most so many lines apart."""
    return place.replica == other.replica and abs(place.line - other.line) <= lines


def per_burst(found: Found, lines: int) -> int:
    """How many times it happened, where one occurrence writes several matching lines within so many lines."""
    places = sorted({(place.replica, place.line) for _, place in found})
    again = sum(a[0] != b[0] or b[1] - a[1] > lines for a, b in pairwise(places))
    return min(1, len(places)) + again
