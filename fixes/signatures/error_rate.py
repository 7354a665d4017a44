"""A good part of the requests ends in a server error.

What it means. The service answers 5xx: by an exception, by a failed dependency, or because it sheds load.

What proves it. Status codes in the access log: in two minutes running at least five answers with 5xx in each, and
at least 5 % of the lines between them (a request writes a line or more, so the share of the requests is not
smaller; lines of tracebacks are not counted).

What it is not. A few errors among many requests. 4xx, which are the client's. A text whose lines have no times.
Answers to checks of the health path, and to what fastops asks itself: they are no requests of users.

What to do. Find the cause: a finding that explains it stands above this one. After a deploy, go back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from fixes.model import Example, RemedyId, Signature, SignatureId, Threshold, Verdict, View
from fixes.signatures import _logged, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.base import ReplicaId
from probes.http import OWN_PATHS
from probes.loghits import LogHit

FAILED = _wording.pattern(
    "access/5xx",
    r"\"?(?:GET|POST|PUT|PATCH|DELETE|HEAD) "
    rf"(?:(?P<own>{'|'.join(re.escape(path) for path in sorted(OWN_PATHS))}) |[^\"]* ?)"
    r"(?:HTTP/)?[123](?:\.\d)?\\?\" (?P<status>5\d\d)(?:[^0-9]|$)",
    sought=(r"\d\\?\" 5\d\d(?:[^0-9]|$)",),
)
LEAST = 5
SHARE = Threshold(
    "error_ratio",
    0.05,
    "so many of the lines must be answers with 5xx, two minutes running",
    minimum=0.001,
    maximum=1.0,
)
MINUTE = timedelta(minutes=1)


def detect(view: View) -> Verdict:
    """Fires for replicas with errors in two minutes running."""
    by_replica: dict[ReplicaId, list[tuple[LogHit, At]]] = defaultdict(list)
    for hit, place in _shared.places(view, FAILED):
        if not hit.fields.get("own"):
            by_replica[place.replica].append((hit, place))
    bad = [one for found in by_replica.values() for one in _worst(view, found)]
    if not bad:
        return _shared.unseen(view)
    total = sum(_shared.count(view, hit) for hit in {id(hit): hit for hit, _ in bad}.values())
    statuses = ", ".join(sorted({hit.fields.get("status", "") for hit, _ in bad}))
    return _logged.fires(
        view, bad, "error", f"requests end in {statuses}, minute after minute", count=total, facts={"errors": total}
    )


def _worst(view: View, found: Sequence[tuple[LogHit, At]]) -> list[tuple[LogHit, At]]:
    """The errors of the last two minutes with any, where there are enough of them."""
    dated = sorted(((hit, place) for hit, place in found if place.at is not None), key=lambda one: one[1].line)
    if not dated:
        return []
    last = _at(dated[-1])
    latest = [one for one in dated if _at(one) > last - MINUTE]
    before = [one for one in dated if last - 2 * MINUTE < _at(one) <= last - MINUTE]
    if len(latest) < LEAST or len(before) < LEAST:
        return []
    both = [*before, *latest]
    first, end = both[0][1].line, both[-1][1].line
    lines = end - first + 1 - _of_tracebacks(view, both[0][1].replica, first, end)
    return both if len(both) >= view.threshold(SHARE) * max(1, lines) else []


def _at(one: tuple[LogHit, At]) -> datetime:
    at = one[1].at
    assert at is not None
    return at


def _of_tracebacks(view: View, replica: ReplicaId, first: int, last: int) -> int:
    """How many of these lines belong to tracebacks that the server wrote."""
    ends = sorted(p.line for _, p in _shared.places(view, _traceback.NAMED) if p.replica == replica)
    total = 0
    for _, place in _shared.places(view, _traceback.HEADER):
        if place.replica == replica and first <= place.line <= last:
            end = next((line for line in ends if line > place.line), place.line)
            total += min(end - place.line, _traceback.LONGEST)
    return total


def _minutes(errors: int, fine: int, minutes: int) -> str:
    """A log of so many minutes, each with so many errors and good answers."""
    lines = []
    for minute in range(minutes):
        for second in range(errors + fine):
            status = "500 Internal Server Error" if second < errors else "200 OK"
            at = f"2026-11-22T09:{minute:02}:{min(59, second // 4):02}Z"
            lines.append(f'{at} INFO:     10.0.0.1:5 - "GET /a HTTP/1.1" {status}\n')
    return "".join(lines)


SIGNATURE = Signature(
    id=SignatureId("error-rate"),
    title="Many server errors",
    severity="error",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("restart"), RemedyId("advise")),
    thresholds=(SHARE,),
    source="sre.google/workbook/alerting-on-slos; access logs of uvicorn, gunicorn, hypercorn and granian",
    patterns=(FAILED, _traceback.HEADER, _traceback.NAMED),
    fires=(
        Example("half of the requests", _minutes(10, 10, 3)),
        Example("one in ten", _minutes(6, 54, 2)),
        Example(
            "hypercorn",
            _minutes(8, 0, 2).replace(
                'INFO:     10.0.0.1:5 - "GET /a HTTP/1.1" 500 Internal Server Error', '"GET /a 1.1" 500 21'
            ),
        ),
    ),
    silent=(
        Example("one minute", _minutes(30, 10, 1)),
        Example("few", _minutes(4, 0, 5)),
        Example("fastops' own requests", _minutes(12, 0, 3).replace("/a", "/.fastops/loop")),
        Example("a health path that is down", _minutes(12, 0, 3).replace("/a", "/health")),
        Example("few among many", _minutes(5, 220, 2)),
        Example("without times", _minutes(10, 10, 2).replace("2026-11-22T", "")),
        Example("the client's errors", _minutes(10, 0, 3).replace("500 Internal Server Error", "404 Not Found")),
    ),
)
