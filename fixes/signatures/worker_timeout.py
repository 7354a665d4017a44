"""gunicorn killed a worker because its heartbeat stopped for longer than ``timeout``.

What it means. gunicorn's master watches a sign of life of each worker. A ``sync`` or ``gthread`` worker gives none
while it serves one request; an ASGI worker gives it from its event loop, so slow requests that await are never
killed, only a loop that does not turn is. The master then writes ``WORKER TIMEOUT (pid:N)`` and kills the worker with
all requests that it was serving: clients see a reset or a 502.

What proves it. The line ``WORKER TIMEOUT (pid:N)``, the same in gunicorn 20 to 27.

What it is not. The same words in another message: a ticket, a query or a chat that the application logs. A graceful
stop or a worker that reached ``max_requests`` ends without that line; gunicorn 21 to 23 write ``was sent SIGTERM!`` as
an error at every normal stop. A worker that was killed by the kernel for memory is ``oom-killed``, which explains a
time-out that follows from it.

What to do. Workers that serve one request at a time, and applications that take long to start: more time. ASGI
workers: find the call that blocks the loop (profile); a longer time-out only prolongs the outage.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _shared, _wording
from fixes.signatures._shared import At
from probes.model import Deployment

DEFAULT_TIMEOUT_SECONDS = 30.0
"""gunicorn's ``timeout`` where nothing else is set (docs.gunicorn.org, settings)."""


def detect(view: View) -> Verdict:
    """Fires on each time-out in the window."""
    found = list(_shared.places(view, _wording.TIMED_OUT))
    if not found:
        return _shared.unseen(view)
    hits = list(dict.fromkeys(hit.fields.get("pid", "") for hit, _ in found))
    total = sum(_shared.count(view, hit) for hit in view.hits(_wording.TIMED_OUT.key))
    first, last = _shared.span([place for _, place in found])
    latest, place = max(found, key=lambda one: (one[1].at or view.start, one[1].line))
    pid = latest.fields.get("pid", "")
    limit = _timeout(view.deployment)
    told = not view.pasted or view.deployment.setting("timeout") is not None
    span = f"{limit:g} s" if told else "longer than its time-out"
    boots = [_while_starting(view, hit.fields.get("pid", ""), where) for hit, where in found]
    boot = any(boots)
    worker = f"worker {pid}" if len(hits) == 1 else f"{len(hits)} workers (the last: pid {pid})"
    were = "was" if len(hits) == 1 else "were"
    when = " before the application had started" if boot else ""
    seen = _shared.seen(view, total)
    evidence = tuple(_shared.evidence_of(hit) for hit in view.hits(_wording.TIMED_OUT.key)[-5:])
    return Fires(
        severity="error",
        title=f"{worker} gave no sign of life for {span} and {were} killed by the master{when}{seen}",
        evidence=evidence,
        count=total,
        first_at=first,
        last_at=last,
        facts={
            "pid": int(pid) if pid.isdecimal() else 0,
            **({"timeout_seconds": limit} if told else {}),
            "boot": boot,
            "only_boots": all(boots),
            "replica": place.replica,
        },
    )


def _timeout(deployment: Deployment) -> float:
    value = deployment.setting("timeout")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else DEFAULT_TIMEOUT_SECONDS


def _while_starting(view: View, pid: str, place: At) -> bool:
    """Whether the worker waited for the application's start-up, or had just been booted, when it was killed."""
    waiting = _shared.latest_line(view, place.replica, place.line, _wording.WAITING)
    started = _shared.latest_line(view, place.replica, place.line, _wording.STARTED)
    if waiting is not None:
        return started is None or started.line < waiting.line
    booted = [
        where
        for hit in view.deployment.hits
        if hit.key == _wording.BOOTING.key and hit.replica == place.replica and hit.fields.get("pid") == pid
        for where in hit.marks
        if where.line < place.line
    ]
    if not booted or booted[-1].at is None or place.at is None or started is not None:
        return False
    # An application that is imported in the worker and takes its whole allowance never says anything before.
    return place.at - booted[-1].at <= timedelta(seconds=_timeout(view.deployment) * 1.2 + 2) and _asgi(view.deployment)


def _asgi(deployment: Deployment) -> bool:
    """Whether a good start would have said so: uvicorn's workers do."""
    return "uvicorn" in str(deployment.setting("worker_class") or "").lower()


_BOOT = "[2026-11-22 09:53:02 +0000] [6541] [INFO] Booting worker with pid: 6541\n"
_UP = (
    "[2026-11-22 09:53:02 +0000] [6541] [INFO] Started server process [6541]\n"
    "[2026-11-22 09:53:02 +0000] [6541] [INFO] Waiting for application startup.\n"
    "[2026-11-22 09:53:02 +0000] [6541] [INFO] Application startup complete.\n"
)

SIGNATURE = Signature(
    id=SignatureId("worker-timeout"),
    title="Worker killed by its own time-out",
    severity="error",
    detect=detect,
    remedies=(RemedyId("set-worker-timeout"), RemedyId("profile")),
    proof=Proof(window_seconds=60.0),
    source="gunicorn/arbiter.py murder_workers (20.0 to 27.0); docs.gunicorn.org/en/stable/settings.html#timeout",
    patterns=(_wording.TIMED_OUT, _wording.BOOTING, _wording.WAITING, _wording.STARTED),
    explains=(SignatureId("connections-dropped"), SignatureId("unhandled-exceptions")),
    fires=(
        Example(
            "gunicorn 20 with a uvicorn worker",
            _BOOT + _UP + "[2026-11-22 09:53:06 +0000] [6539] [CRITICAL] WORKER TIMEOUT (pid:6541)\n"
            "[2026-11-22 09:53:06 +0000] [6539] [WARNING] Worker with pid 6541 was terminated due to signal 6\n",
        ),
        Example(
            "gunicorn 27 with its own asgi worker",
            "[2026-11-22 09:22:36 +0000] [3018] [INFO] ASGI server listening on http://0.0.0.0:8000\n"
            "[2026-11-22 09:22:40 +0000] [3016] [CRITICAL] WORKER TIMEOUT (pid:3018)\n"
            "[2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:3018) was sent SIGKILL! Perhaps out of memory?\n",
        ),
        Example(
            "in JSON",
            '{"timestamp": "2026-11-22 09:22:29,063", "level": "CRITICAL", "name": "gunicorn.error", '
            '"message": "WORKER TIMEOUT (pid:3005)"}\n',
        ),
        Example("in logfmt", 'time=2026-11-22T09:22:29Z level=critical msg="WORKER TIMEOUT (pid:3005)"\n'),
        Example(
            "in a format of the user's own",
            "2026-11-22 09:22:29 - gunicorn.error - CRITICAL - WORKER TIMEOUT (pid:3005)\n",
        ),
        Example("with nothing but the message", "WORKER TIMEOUT (pid:3005)\n"),
        Example(
            "as a collector passes it on",
            '{"severity": "INFO", "textPayload": "[2026-11-22 09:22:36 +0000] [5] [CRITICAL] WORKER TIMEOUT (pid:9)"}'
            "\n",
        ),
        Example(
            "coloured and with a prefix",
            "api.1  | \x1b[31m[2026-11-22 09:22:36 +0000] [5] [CRITICAL] WORKER\x1b[0m TIMEOUT (pid:9)\n",
        ),
        Example(
            "with names of processes and threads",
            "2026-11-22 09:22:36,123 CRITICAL MainProcess MainThread gunicorn.error: WORKER TIMEOUT (pid:42)\n",
        ),
        Example("with the time as C writes it", "Sun Nov 22 09:22:36 2026 CRITICAL WORKER TIMEOUT (pid:42)\n"),
        Example(
            "with fields behind it",
            "[2026-11-22 09:22:36 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:42) (request_id=abc)\n",
        ),
        Example("in single quotation marks", "level=critical msg='WORKER TIMEOUT (pid:42)' logger=gunicorn.error\n"),
    ),
    silent=(
        Example(
            "a graceful stop of gunicorn 21",
            "[2026-11-22 09:53:29 +0000] [6574] [INFO] Handling signal: term\n"
            "[2026-11-22 09:53:29 +0000] [6574] [ERROR] Worker (pid:6579) was sent SIGTERM!\n"
            "[2026-11-22 09:53:30 +0000] [6574] [INFO] Shutting down: Master\n",
        ),
        Example(
            "recycling after max_requests",
            "[2026-11-22 09:49:14 +0000] [5683] [WARNING] Maximum request limit of 2 exceeded. Terminating process.\n"
            "[2026-11-22 09:49:14 +0000] [5683] [INFO] Worker exiting (pid: 5683)\n"
            "[2026-11-22 09:49:15 +0000] [5690] [INFO] Booting worker with pid: 5690\n",
        ),
        Example("words in a URL", 'INFO:     127.0.0.1:5 - "GET /?q=WORKER+TIMEOUT+(pid:3) HTTP/1.1" 200 OK\n'),
        Example(
            "an application that logs what a ticket says",
            'INFO:app:support ticket says "[CRITICAL] WORKER TIMEOUT (pid:42)"\n'
            "INFO:app:user said: [2026-11-22 20:43:18 +0000] [18] [CRITICAL] WORKER TIMEOUT (pid:19)\n"
            "INFO:app:[2026-11-22 20:43:18 +0000] [18] [CRITICAL] WORKER TIMEOUT (pid:19)\n"
            "user asked why [CRITICAL] WORKER TIMEOUT (pid:42)\n"
            "WARNING:app:WORKER TIMEOUT (pid:42) is all that the log says, what now?\n",
        ),
        Example(
            "the same in JSON",
            '{"level": "info", "logger": "chat", "message": "WORKER TIMEOUT (pid:42)"}\n'
            '{"level": "info", "logger": "chat", "message": "hello\\nWORKER TIMEOUT (pid:42)\\nwhat is that?"}\n'
            '{"message": "request", "query": "[CRITICAL] WORKER TIMEOUT (pid:42)"}\n',
        ),
        Example(
            "a query string that was decoded", 'INFO: 10.0.0.1:5 - "GET /?q=[CRITICAL] WORKER TIMEOUT (pid:3)" 200 OK\n'
        ),
        Example("a test's name", "test_oom.py::test_worker_timeout PASSED\n"),
    ),
)
