"""Requests end in an exception that nothing in the application handles.

What it means. The client gets ``500 Internal Server Error`` without a reason, and the server writes a traceback. It is
either a defect of the application (a key that is not there, a division by zero) or the effect of a failure that has
a finding of its own.

What proves it. The servers' own words: ``Exception in ASGI application`` (uvicorn, gunicorn with its workers),
``Error in ASGI Framework`` (hypercorn), ``Application callable raised an exception`` (granian); or the end of a
traceback through the framework's outermost frames. They are grouped by the exception and by the innermost line of the
application. From 5 in 5 minutes it is an error, below that a warning.

What it is not. An ``HTTPException`` that the application raises on purpose (a 500 without a traceback). An exception
that was caught and logged. ``CancelledError`` of requests that a shutdown ended by force,
``SystemExit`` in a worker that was killed by its time-out. Where another finding
explains the exception, such as an exhausted pool, that one is the cause and this one its effect.

What to do. Read the line that the evidence names. Log an id with each error and give it to the client, so that a
report can be found in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from fixes.model import Evidence, Example, Fires, RemedyId, Severity, Signature, SignatureId, Verdict, View
from fixes.signatures import _shared, _traceback
from fixes.signatures._traceback import Raised

MANY = 5
SOON = timedelta(minutes=5)
_OF_AN_END = ("CancelledError", "KeyboardInterrupt", "GeneratorExit", "SystemExit")
"""What ends requests by force: a shutdown, a worker that is killed by its time-out."""
MOST_GROUPS = 4


def detect(view: View) -> Verdict:
    """Fires on exceptions that reached the server, the most frequent kind first."""
    raised = _traceback.raised(view)
    found = [one for one in raised if one.type is None or one.type.rpartition(".")[2] not in _OF_AN_END]
    if not found:
        return _shared.unseen(view)
    kinds = Counter(one.type for one in found)
    heads = {id(one.head): one.head for one in found}.values()
    total = max(len(found), sum(_shared.count(view, hit) for hit in heads) - len(raised) + len(found))
    first, last = _shared.span([one.place for one in found])
    named = [kind for kind, _ in kinds.most_common() if kind]
    frames = {one.type: one.frame for one in found if one.frame}
    main = named[0] if named else None
    place = frames.get(main)
    others = f" and {len(named) - 1} other kinds" if len(named) > 2 else f" and {named[1]}" if len(named) > 1 else ""
    where = f" in {place[0]}:{place[1]}" if place else ""
    seen = _shared.seen(view, total)
    return Fires(
        severity=_severity(found, total),
        title=f"requests end in an unhandled {main or 'exception'}{where}{others}{seen}",
        evidence=tuple(_evidence(found, kinds)),
        count=total,
        first_at=first,
        last_at=last,
        facts={
            **({"exception": main} if main else {}),
            **({"file": place[0], "line": place[1], "function": place[2]} if place else {}),
        },
    )


def _severity(found: Sequence[Raised], total: int) -> Severity:
    moments = sorted(one.place.at for one in found if one.place.at is not None)
    if not moments:
        return "error" if total >= MANY else "warning"
    soon = any(b - a <= SOON for a, b in zip(moments, moments[MANY - 1 :], strict=False))
    return "error" if soon else "warning"


def _evidence(found: Sequence[Raised], kinds: Counter[str | None]) -> list[Evidence]:
    """One for each kind: the latest of it whose text and frame are known."""
    evidence = []
    for kind, number in kinds.most_common(MOST_GROUPS):
        latest = [one for one in found if one.type == kind]
        one = next((o for o in reversed(latest) if o.text), latest[-1])
        frame = one.frame
        evidence.append(
            Evidence(
                source="log",
                text=one.text or one.type or one.head.sample.strip()[:300],
                at=one.place.at,
                replica=one.place.replica,
                file=frame[0] if frame else None,
                line=frame[1] if frame else None,
                value=float(number),
                unit="exceptions",
            )
        )
    return evidence


_HEAD = "ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n"
_STARLETTE = (
    '  File "/opt/venv/lib/python3.11/site-packages/starlette/middleware/errors.py", line 186, in __call__\n'
    "    raise exc\n"
    '  File "/opt/venv/lib/python3.11/site-packages/fastapi/routing.py", line 381, in run_endpoint_function\n'
    "    return await dependant.call(**values)\n"
)
_OWN = '  File "/srv/app/orders.py", line 37, in read\n    return {"x": rows["tenant"]}\n'
_KEY = _STARLETTE + _OWN + "KeyError: 'tenant'\n"
_JSON = (
    '{"level": "ERROR", "message": "Exception in ASGI application\\n", "exc_info": "Traceback (most recent call last):'
    '\\n  File \\"/srv/app/orders.py\\", line 37, in read\\n    x\\nKeyError: \'tenant\'"}\n'
)

SIGNATURE = Signature(
    id=SignatureId("unhandled-exceptions"),
    title="Unhandled exceptions in requests",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="uvicorn/protocols/http (run_asgi, 0.17 to 0.54); hypercorn/asyncio/task_group.py; granian's own words; "
    "starlette/middleware/errors.py",
    patterns=_traceback.PATTERNS,
    explains=(SignatureId("error-rate"),),
    fires=(
        Example("uvicorn", _HEAD + _KEY),
        Example("five of them", (_HEAD + _KEY) * 5),
        Example(
            "cut off below the server's words",
            "[2026-11-22 09:38:17 +0000] [31289] [ERROR] Exception in ASGI application\n",
        ),
        Example(
            "hypercorn",
            "[2026-11-22 09:38:23 +0000] [7] [ERROR] Error in ASGI Framework\nTraceback (most recent call last):\n",
        ),
        Example(
            "granian", "[ERROR] Application callable raised an exception\nTraceback (most recent call last):\n" + _KEY
        ),
        Example("the end of a traceback", _KEY + 'INFO:     10.0.0.1:5 - "GET /health HTTP/1.1" 200 OK\n'),
        Example("in JSON", _JSON),
        Example(
            "the second part of a chain",
            "The above exception was the direct cause of the following exception:\n\nTraceback (most recent call "
            'last):\n  File "/opt/venv/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py", line 366, in '
            "run_asgi\n" + _KEY,
        ),
        Example("with a prefix", "".join(f"api.1  | {line}\n" for line in (_HEAD + _KEY).splitlines())),
    ),
    silent=(
        Example(
            "caught and logged",
            "2026-11-22 09:38:45,079 ERROR    [api] failed to persist upload\nTraceback (most recent call last):\n"
            + _OWN
            + "KeyError: 'tenant'\n",
        ),
        Example(
            "caught and logged by a handler of the application",
            "ERROR [api] conflict\nTraceback (most recent call last):\n"
            '  File "/opt/venv/lib/python3.11/site-packages/fastapi/routing.py", line 381, in run_endpoint_function\n'
            + _OWN
            + "app.errors.ConflictError: taken\n",
        ),
        Example(
            "requests that a shutdown ended",
            _HEAD
            + _STARLETTE
            + "asyncio.exceptions.CancelledError: Task cancelled, timeout graceful shutdown exceeded\n",
        ),
        Example("a 500 on purpose", 'INFO:     10.0.0.1:5 - "GET /e/500 HTTP/1.1" 500 Internal Server Error\n'),
        Example(
            "a start that failed in its lifespan",
            "ERROR:    Traceback (most recent call last):\n"
            '  File "/opt/venv/lib/python3.11/site-packages/starlette/middleware/errors.py", line 152, in __call__\n'
            "    await self.app(scope, receive, send)\n" + _OWN + "KeyError: 'tenant'\n"
            "ERROR:    Application startup failed. Exiting.\n",
        ),
        Example(
            "a start that failed",
            "Traceback (most recent call last):\n" + _OWN + "KeyError: 'tenant'\n"
            "ERROR:    Application startup failed. Exiting.\n",
        ),
    ),
)
