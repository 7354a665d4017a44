"""The TLS handshake with the database does not come to an end.

What it means. The connection was made and the server agreed to TLS, or should have, and then nothing came: a proxy that
does not know the protocol, a packet size that the way does not carry, a load balancer without a server behind it, or a
server too busy for handshakes.

What proves it. ``SSL handshake is taking longer than 60.0 seconds`` from a database driver; asyncpg's own time-out
while its traceback stands in ``start_tls``; ``The handshake operation timed out`` below a driver's frames.

What it is not. A connection that nobody accepts, or a server that never answers the request for TLS
(``db-unreachable``); libpq says ``timeout expired`` of all three. A handshake towards another service.

What to do. Ask the server directly, without the proxy: ``openssl s_client -starttls postgres -connect HOST:PORT``.
Compare the port: the database's, not a proxy's for HTTPS.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _dialling, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

SLOW = _database.pattern("handshake-slow", r"SSL handshake is taking longer than (?P<seconds>[\d.]+) seconds")
TIMED_OUT = _database.pattern("handshake-timeout", r"(?:_ssl\.c:\d+: )?[Tt]he handshake operation timed out")


def detect(view: View) -> Verdict:
    """Fires on handshakes with the database that were given up."""
    found = [(hit, place) for hit, place in _shared.places(view, SLOW) if _raised_bare(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, TIMED_OUT) if _database.toward(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, _dialling.CONNECT) if _pending(view, hit, place)]
    return _database.verdict(view, found, "error", _title)


def _raised_bare(hit: LogHit) -> bool:
    """The driver asyncpg lets asyncio's error through as it is; HTTP clients wrap it."""
    told = _database.toward(hit)
    return told if told is not None else "ConnectionAbortedError: SSL" in hit.sample


def _pending(view: View, hit: LogHit, place: At) -> bool:
    """The time-out of asyncpg ran out while it was in the handshake."""
    if not _dialling.gave_up(hit) or not _dialling.in_handshake(view, place):
        return False
    raised = [_dialling.handshake(other) for other in view.hits(_dialling.START_TLS.key)]
    return any(one is None or one[0] in ("CancelledError", "TimeoutError") for one in raised)


def _title(hit: LogHit) -> str:
    seconds = hit.fields.get("seconds")
    after = f" within {float(seconds):g} s" if seconds and seconds.count(".") < 2 and seconds[0].isdecimal() else ""
    return f"the TLS handshake with the database did not end{after}"


_START = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connect_utils.py", line 1012, in _create_ssl_connection\n'
    "    new_tr = await loop.start_tls(\n             ^^^^^^^^^^^^^^^^^^^^^\n"
    '  File "uvloop/loop.pyx", line 1629, in uvloop.loop.Loop.start_tls\n'
)
_SLOW = "ConnectionAbortedError: SSL handshake is taking longer than 60.0 seconds: aborting the connection\n"
_GAVE_UP = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connection.py", line 2497, in connect\n'
    "    async with compat.timeout(timeout):\n"
    '  File "/usr/local/lib/python3.11/asyncio/timeouts.py", line 115, in __aexit__\n'
    "    raise TimeoutError from exc_val\nTimeoutError\n"
)

SIGNATURE = Signature(
    id=SignatureId("db-ssl-handshake-timeout"),
    title="The TLS handshake with the database hangs",
    severity="error",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("advise")),
    source="asyncio/sslproto.py _check_handshake_timeout, uvloop/sslproto.pyx; asyncpg/connect_utils.py (0.22 to 0.32)",
    patterns=(SLOW, TIMED_OUT, _dialling.CONNECT, _dialling.START_TLS, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("worker-boot-failed"),
        SignatureId("startup-stalled"),
        SignatureId("unhandled-exceptions"),
        SignatureId("pool-exhausted"),
    ),
    fires=(
        Example("asyncio's limit", _START + _SLOW),
        Example("its last line alone", _SLOW + "\nERROR:    Application startup failed. Exiting.\n"),
        Example(
            "asyncpg's limit",
            _START + "asyncio.exceptions.CancelledError\n\nThe above exception was the direct cause of the following "
            "exception:\n\n" + _GAVE_UP,
        ),
        Example(
            "PyMySQL",
            '  File "/opt/venv/lib/python3.11/site-packages/pymysql/connections.py", line 950, in '
            "_request_authentication\n"
            "ssl.SSLError: ('The handshake operation timed out',)\n",
        ),
    ),
    silent=(
        Example(
            "nobody answers",
            '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connect_utils.py", line 996, in '
            "_create_ssl_connection\n    tr, pr = await loop.create_connection(\nasyncio.exceptions.CancelledError\n"
            + _GAVE_UP,
        ),
        Example(
            "another service",
            '  File "/opt/venv/lib/python3.11/site-packages/aiohttp/connector.py", line 1024, in '
            "_wrap_create_connection\n" + _SLOW,
        ),
        Example("httpx", "httpx.ConnectTimeout: _ssl.c:983: The handshake operation timed out\n"),
    ),
)
