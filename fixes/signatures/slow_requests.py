"""Requests take seconds.

What it means. Users wait. The time is spent in the application (a query without an index, a call to a slow service, a
computation) or before it (a queue for a worker, a thread or a connection).

What proves it. Durations in the access log or in the application's own lines: with 20 lines or more, at least 5
requests of a second or longer that are more than 5 % of all lines (so the 95th percentile is above a second); in a
shorter text one of 2 s. ``Slow request: … took N s``, and PostgreSQL's ``duration: N ms`` of a statement, likewise.

What it is not. A blocked loop, an exhausted pool or a throttled CPU: they explain slow requests. Streams, downloads,
long polls and WebSockets, which last as long as they are wanted. Requests that the proxy gave up (504). Other things
that took long, such as a start.

What to do. Find where the time goes (profile) before anything is scaled.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fixes.model import Example, RemedyId, Signature, SignatureId, Threshold, Verdict, View
from fixes.signatures import _logged, _shared, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

_PATH = r"(?:GET|POST|PUT|PATCH|DELETE|HEAD) (?P<path>/[^ ?\"\\]*)"
_METHOD = _PATH + r"[^ ]* "
"""With the query, so that a number in it is no duration."""
_LONG = r"[1-9]\d{0,4}"
_KEYS = r"(?:rt|urt|request_time|upstream_response_time|duration|elapsed|latency|took|process_time|response_time)"
_SECONDS = rf"[ =:\"(]{_LONG}(?:\.\d{{1,9}})?"
_ENDED = r"(?:[^A-Za-z0-9]|$)"
# Every request's line begins with a method, and most have digits: these are what is rare in one that took long. Two
# digits each, because hyperscan spells out a class in front of a letter only while that makes few words.
_SOUGHT_SECONDS = (
    *(rf"[ =:\"(](?:[1-9][0-9.]{{0,13}})?[{pair}]s{_ENDED}" for pair in ("01", "23", "45", "67", "89")),
    rf"{_SECONDS} s{_ENDED}",
    rf"{_SECONDS} ?sec(?:s|onds?)?{_ENDED}",
)
SECONDS = _wording.pattern(
    "slow/seconds",
    rf"{_METHOD}(?:.*[ =:\"(])?(?P<s>{_LONG}(?:\.\d{{1,9}})?) ?s(?:ec|ecs|econds?)?(?:[^A-Za-z0-9]|$)",
    sought=_SOUGHT_SECONDS,
)
_STATUS = rf"{_METHOD}.*\" \d{{3}} .*"
PLAIN = _wording.pattern(
    "slow/plain",
    rf"{_STATUS}[ \"](?P<s>{_LONG}\.\d{{6}})(?: ?\"|$)",
    sought=(r"\d\.\d{6}(?:\"|$)", r"\d\.\d{6} \""),
)
AMID = _wording.pattern(
    "slow/amid", rf"{_STATUS}[ \"](?P<s>[1-9]\.\d{{6}})[^0-9\"]", sought=(r"[ \"][1-9]\.\d{6}[^0-9\"]",)
)
"""Before other fields; with more digits it is one of them as well."""
MILLIS = _wording.pattern(
    "slow/millis",
    rf"{_METHOD}(?:.*[ =:\"(])?(?P<ms>[1-9]\d{{3,7}}(?:\.\d{{1,6}})?) ?ms(?:[^A-Za-z]|$)",
    sought=(r"[ =:\"(][1-9]\d{3,7}(?:\.\d{1,6})? ?ms(?:[^A-Za-z]|$)",),
)
GRANIAN = _wording.pattern(
    "slow/granian",
    rf"{_METHOD}HTTP/\d(?:\.\d)?\" \d{{3}} (?P<ms>[1-9]\d{{3,7}}\.\d{{3}})$",
    sought=(r"\d{4}\.\d{3}$",),
)
_KEYED = rf"{_KEYS}(?:_s|_seconds)?=\"?(?P<s>{_LONG}\.\d{{1,9}})(?:[^0-9.msu]|$)"
KEYED = _wording.pattern("slow/keyed", rf"{_METHOD}(?:.* )?{_KEYED}", sought=(_KEYED,))
FIELD = _wording.pattern(
    "slow/field", rf"\"{_KEYS}(?:_ms|_millis)\": ?\"?(?P<ms>[1-9]\d{{3,7}})(?:\.\d{{1,9}})?[,}}\" ]"
)
FIELD_SECONDS = _wording.pattern(
    "slow/field-seconds", rf"\"{_KEYS}(?:_s|_sec|_seconds)\": ?\"?(?P<s>{_LONG}(?:\.\d{{1,9}})?)[,}}\" ]"
)
TOLD = _wording.pattern(
    "slow/told", r"[Ss]low request:? .*(?:took|in) (?P<s>[1-9]\d{0,4}(?:\.\d{1,9})?) ?s(?:ec|econds?)?(?:[^a-z]|$)"
)
STATEMENT = _wording.pattern(
    "slow/statement", r"LOG:  duration: (?P<ms>[1-9]\d{3,8}(?:\.\d{1,3})?) ms  (?:statement|execute|bind|parse)"
)
PATTERNS = (SECONDS, PLAIN, AMID, MILLIS, GRANIAN, KEYED, FIELD, FIELD_SECONDS, TOLD, STATEMENT)

P95 = Threshold(
    "p95_seconds", 1.0, "the 95th percentile of requests must be this or longer", "seconds", minimum=1.0, maximum=3600.0
)
"""A request below a second is not slow, and its line is not read for that."""
SHORT_TEXT_LINES = 20
SHORT_TEXT_SECONDS = 2.0
LEAST_SLOW = 5
SHARE = 0.05
_WANTED_LONG = re.compile(
    r"(?i)web ?socket|event-stream|/(?:ws|wss|sse|events?|streams?|subscribe|poll|long-?poll|download|export|upload"
    r"|files?|media|video|metrics/stream)(?:[/?.\" ]|$)|\" (?:101|206|499|504) "
)
_A_REQUEST = re.compile(r"\"(?:path|url|uri|route|endpoint|http\.(?:target|route|url)|request_path|method)\"")


class Slow(NamedTuple):
    """One request of a second or longer."""

    hit: LogHit
    place: At
    seconds: float


def detect(view: View) -> Verdict:
    """Fires where a good part of the requests is slow."""
    least = view.threshold(P95)
    found = [one for one in slow(view) if one.seconds >= least]
    if not found:
        return _shared.unseen(view)
    by_replica: dict[str, list[Slow]] = {}
    for one in found:
        by_replica.setdefault(one.place.replica, []).append(one)
    bad = [one for many in by_replica.values() if _often(many, least) for one in many]
    if not bad:
        return _shared.unseen(view)
    longest = max(bad, key=lambda one: one.seconds)
    path = longest.hit.fields.get("path", "")
    what = "a statement" if longest.hit.key == STATEMENT.key else path or "a request"
    return _logged.fires(
        view,
        [(one.hit, one.place) for one in sorted(bad, key=lambda one: one.seconds)],
        "warning",
        f"requests take seconds: {what} took {longest.seconds:.1f} s",
        facts={"slowest_seconds": round(longest.seconds, 3), **({"path": path} if path else {})},
    )


def slow(view: View) -> list[Slow]:
    """The requests of a second or longer that nobody wanted to last, one for each line."""
    found: dict[tuple[str, int], Slow] = {}
    for hit, place in _shared.places(view, *PATTERNS):
        folded = hit.key in (FIELD.key, FIELD_SECONDS.key)
        if _WANTED_LONG.search(hit.sample) or (folded and not _A_REQUEST.search(hit.sample)):
            continue
        seconds = float(hit.fields["s"][:12]) if "s" in hit.fields else float(hit.fields.get("ms", "0")[:14]) / 1000
        known = found.get((place.replica, place.line))
        if seconds < 1 or seconds > 86400 or (known is not None and known.seconds >= seconds):
            continue
        found[place.replica, place.line] = Slow(hit, place, seconds)
    return sorted(found.values(), key=lambda one: (one.place.replica, one.place.line))


def _often(many: list[Slow], least_seconds: float) -> bool:
    """Whether the 95th percentile is so long: lines bound the number of requests from above."""
    last = many[-1].place.line
    if last < SHORT_TEXT_LINES:
        return any(one.seconds >= max(SHORT_TEXT_SECONDS, least_seconds) for one in many)
    lines = last - max(0, many[0].place.line - SHORT_TEXT_LINES)
    return len(many) >= LEAST_SLOW and len(many) > SHARE * lines


_GUNICORN = '127.0.0.1 - - [22/Nov/2026:09:46:15 +0000] "GET /slow HTTP/1.1" 200 2 8.000985s\n'
_FAST = 'INFO:     10.0.0.1:5 - "GET /health HTTP/1.1" 200 OK\n'

SIGNATURE = Signature(
    id=SignatureId("slow-requests"),
    title="Slow requests",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("profile"), RemedyId("scale"), RemedyId("advise")),
    thresholds=(P95,),
    source="access log formats of gunicorn (%(L)s), hypercorn (%(L)s), granian (%(dt_ms)s), nginx ($request_time)",
    patterns=PATTERNS,
    explains=(SignatureId("connections-dropped"),),
    fires=(
        Example("gunicorn's access log", _GUNICORN),
        Example("seconds without a unit", '10.0.0.1 - - [x] "GET /slow HTTP/1.1" 200 2 "-" "curl/8" 8.000985\n'),
        Example(
            "hypercorn", '[2026-11-22 09:46:04 +0000] [4979] [INFO] 127.0.0.1:37234 "GET /a 1.1" 200 2 3.609162s\n'
        ),
        Example("granian", '[2026-11-22 09:27:30 +0000] 127.0.0.1 - "GET /a HTTP/1.1" 200 4006.211\n'),
        Example("nginx", '10.0.0.1 - [x] "GET /a HTTP/1.1" 200 15 rt=3.005 uct="0.000" urt="3.005"\n'),
        Example("the application's own line", "WARNING api Slow request: GET /orders took 4.2 s\n"),
        Example("in JSON", '{"event": "request", "method": "GET", "path": "/orders", "duration_ms": 4210.7}\n'),
        Example("PostgreSQL", "2026 UTC [6741] app@app LOG:  duration: 3103.701 ms  statement: select pg_sleep(3.1)\n"),
        Example("one in four of a long log", (_FAST * 3 + _GUNICORN.replace("8.0", "1.5")) * 20),
    ),
    silent=(
        Example("fast", '127.0.0.1 - - [x] "GET /health HTTP/1.1" 200 2 0.000697s\n'),
        Example("one of 1 s", '[2026-11-22 09:27:30 +0000] 127.0.0.1 - "GET /db/pp HTTP/1.1" 500 1006.211\n'),
        Example("one in a long log", _FAST * 30 + _GUNICORN + _FAST * 30),
        Example("rare in a long log", (_FAST * 40 + _GUNICORN) * 8),
        Example("a stream", '127.0.0.1 - - [x] "GET /events HTTP/1.1" 200 2 800.100985s\n'),
        Example("a WebSocket", '127.0.0.1 - - [x] "GET /chat HTTP/1.1" 101 0 800.100985s\n'),
        Example("a number in a query", 'INFO:     10.0.0.1:5 - "GET /wait?for=5s HTTP/1.1" 200 OK\n'),
        Example("a start", "INFO api warmup done in 4.2 seconds\n"),
        Example("no duration", '127.0.0.1:55490 - "GET /sleep?s=3.2 HTTP/1.1" 200\n'),
        Example("a large answer", 'INFO: 10.0.0.1:5 - "GET /a HTTP/1.1" 200 8123456 "-" "Mozilla/5.0 (X11)"\n'),
        Example("a job in JSON", '{"event": "job done", "job": "nightly", "duration_ms": 64210}\n'),
        Example("the proxy gave up", '10.0.0.1 - [x] "GET /a HTTP/1.1" 504 167 rt=2.007 uct="0.000" urt="2.007"\n'),
    ),
)
