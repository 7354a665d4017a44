"""The pool of an HTTP client is exhausted: requests to another service wait for a connection and give up.

What it means. httpx keeps at most 100 connections per client. When all are in use, a request waits for ``pool`` seconds
and then ends in ``httpx.PoolTimeout``, whose message is empty. Either the other service is slow, or answers are not
read to their end and closed, or there is less room than the load needs.

What proves it. ``httpx.PoolTimeout`` at least three times within a minute.

What it is not. ``ConnectTimeout`` and ``ReadTimeout``: the other service does not answer. ``psycopg_pool.PoolTimeout``
(a database's pool). A blocked event loop, which lets every time-out pass: it explains this one.

What to do. One client for the whole application, limits that fit the load, time-outs for each phase, and streamed
answers in ``async with``.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _logged, _shared, _wording

TIMEOUT = _wording.unquoted("http-pool/timeout", r"httpx(?:\._exceptions)?\.PoolTimeout(?:[^A-Za-z(]|$)")
BARE = _wording.unquoted("http-pool/bare", r"(?:^|\s)PoolTimeout: ?$", 16)
"""What granian makes of it: an exception's name without its module."""
LEAST = 3
WITHIN = timedelta(minutes=1)


def detect(view: View) -> Verdict:
    """Fires when three requests gave up within a minute."""
    found = list(_shared.places(view, TIMEOUT))
    found += [(hit, place) for hit, place in _shared.places(view, BARE) if any("/httpx/" in x for x in hit.before)]
    moments = sorted(place.at for _, place in found if place.at is not None)
    undated = len(found) - len(moments)
    soon = any(b - a <= WITHIN for a, b in zip(moments, moments[LEAST - 1 :], strict=False))
    if not soon and undated < LEAST:
        return _shared.unseen(view)
    total = sum(_shared.count(view, hit) for hit in {id(hit): hit for hit, _ in found}.values())
    title = "requests to another service found no free connection in httpx's pool"
    return _logged.fires(view, found, "error", title, count=total)


_LINE = "httpx.PoolTimeout\n"
_GRANIAN = '  File "/opt/venv/lib/python3.11/site-packages/{}", line 118, in get\n    raise error\nPoolTimeout: \n'

SIGNATURE = Signature(
    id=SignatureId("http-pool-exhausted"),
    title="HTTP client's pool exhausted",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("profile")),
    source="www.python-httpx.org/advanced/resource-limits; httpx/_exceptions.py",
    patterns=(TIMEOUT, BARE),
    explains=(SignatureId("unhandled-exceptions"),),
    fires=(
        Example("three tracebacks' ends", _LINE * 3),
        Example("granian", _GRANIAN.format("httpx/_transports/default.py") * 3),
        Example("in JSON", '{"exc": "Traceback\\nhttpx.PoolTimeout\\n"}\n' * 4),
        Example(
            "three in a minute",
            "".join(f"2026-11-22T09:00:{second}Z {_LINE}" for second in (10, 30, 50)),
        ),
    ),
    silent=(
        Example("twice", _LINE * 2),
        Example("three in three minutes", "".join(f"2026-11-22T09:0{minute}:00Z {_LINE}" for minute in (1, 3, 5))),
        Example("another library's, without its module", _GRANIAN.format("psycopg_pool/pool_async.py") * 3),
        Example("other time-outs", "httpx.ReadTimeout\nhttpx.ConnectTimeout\n" * 5),
        Example("a database's pool", "psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec\n" * 5),
        Example("the line that catches it", "    except httpx.PoolTimeout(\n" * 3),
    ),
)
