"""A service that this one needs, other than its database, cannot be reached.

What it means. A cache, a broker or another HTTP service refuses connections, does not answer, or its name is not
known. Depending on the application it answers 500, works without, or waits.

What proves it. The client's own words, which name the host: redis-py's ``Error 111 connecting to H:P``, Celery's
``consumer: Cannot connect to``, aiohttp's ``Cannot connect to host H:P``, urllib3's ``Failed to establish a new
connection`` with its host. Where no request failed of it within the window it is information only.

What it is not. The database (``db-unreachable``). httpx's ``All connection attempts failed``, which names nobody. What
recovered: Celery says that it is connected again; one failure that did not come back within five minutes.

What to do. Check the name and the port from inside the container, and that the other service runs and listens.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _logged, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

_HOST = r"(?P<host>[0-9A-Za-z._\-]+):(?P<port>\d{1,5})"
REDIS = _wording.unquoted("dependency/redis", rf"Error (?:\d+|-\d+) (?:while )?connecting to {_HOST}")
CELERY = _wording.unquoted(
    "dependency/celery",
    r"consumer: Cannot connect to [a-z+]+://(?:[^@/ ]*@)?(?P<host>[0-9A-Za-z._\-]+):?(?P<port>\d{1,5})?",
)
AIOHTTP = _wording.unquoted("dependency/aiohttp", rf"Cannot connect to host {_HOST} ssl:")
URLLIB3 = _wording.unquoted(
    "dependency/urllib3",
    r"HTTPS?ConnectionPool\(host='(?P<host>[^']+)', port=(?P<port>\d{1,5})\): Max retries exceeded with url: .*"
    r"(?:NewConnectionError|NameResolutionError|ConnectTimeoutError)",
)
CONNECTED = _wording.unquoted(
    "dependency/connected",
    r"Connected to (?:redis|rediss|amqps?|pyamqp|sqs|sentinel)://(?:[^@/ ]*@)?(?P<host>[0-9A-Za-z._\-]+)",
)
FAILED = _wording.pattern(
    "dependency/answered-5xx",
    r"HTTP/\d(?:\.\d)?\\?\" 5\d\d(?:[^0-9]|$)",
    sought=(r"\d\\?\" 5\d\d(?:[^0-9]|$)",),
)
QUIET = timedelta(minutes=5)
MANY = 3


def detect(view: View) -> Verdict:
    """Fires on each peer that was out of reach and did not come back."""
    places = list(_shared.places(view, REDIS, CELERY, AIOHTTP, URLLIB3))
    found = [(hit, place) for hit, place in places if not _connected(view, hit, place)]
    last = max((place.at for _, place in found if place.at is not None), default=None)
    if not found or (len(found) < MANY and last is not None and view.now - last > QUIET):
        return _shared.unseen(view)
    fields = found[-1][0].fields
    peer = f"{fields.get('host', '')}:{fields['port']}" if fields.get("port") else fields.get("host", "a service")
    hurt = bool(view.hits(FAILED.key, _traceback.HEADER.key))
    unhurt = "" if hurt else "; no request is known to have failed of it"
    total = sum(_shared.count(view, hit) for hit in {id(hit): hit for hit, _ in found}.values())
    return _logged.fires(
        view,
        found,
        "error" if hurt else "info",
        f"{peer}, which it needs, cannot be reached{unhurt}",
        count=total,
        facts={"host": fields.get("host", ""), **({"port": int(fields["port"])} if fields.get("port") else {})},
    )


def _connected(view: View, hit: LogHit, place: At) -> bool:
    return any(
        at.replica == place.replica and at.line > place.line and other.fields.get("host") == hit.fields.get("host")
        for other, at in _shared.places(view, CONNECTED)
    )


_500 = 'INFO:     10.0.0.1:5 - "GET /a HTTP/1.1" 500 Internal Server Error\n'
_REDIS = "redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.\n"
_CELERY = "[2026-11-22 09:00:00,000: ERROR/MainProcess] consumer: Cannot connect to redis://cache:6379/0: Error 111.\n"

SIGNATURE = Signature(
    id=SignatureId("dependency-unreachable"),
    title="A service that it needs is out of reach",
    severity="error",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("advise")),
    source="redis/connection.py; celery/worker/consumer; aiohttp/client_exceptions.py; urllib3/connectionpool.py",
    patterns=(REDIS, CELERY, AIOHTTP, URLLIB3, CONNECTED, FAILED, _traceback.HEADER),
    explains=(SignatureId("unhandled-exceptions"), SignatureId("slow-requests"), SignatureId("error-rate")),
    fires=(
        Example("Redis", _REDIS + _500),
        Example("Redis by a name that is not known", "Error -2 connecting to cache:6379. Name or service not known.\n"),
        Example("Celery", _CELERY),
        Example(
            "aiohttp",
            "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host stock:8080 ssl:default "
            "[Connect call failed ('10.0.0.9', 8080)]\n" + _500,
        ),
        Example(
            "requests",
            "HTTPConnectionPool(host='stock', port=80): Max retries exceeded with url: /a "
            "(Caused by NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))\n"
            + _500,
        ),
    ),
    silent=(
        Example("it came back", _CELERY + "[2026-11-22 09:00:04,000: INFO] Connected to redis://cache:6379/0\n"),
        Example(
            "once, long ago",
            "2026-11-22T09:00:00Z " + _REDIS + "2026-11-22T09:08:00Z " + _500,
        ),
        Example("nobody is named", "httpx.ConnectError: All connection attempts failed\n"),
        Example("a database", 'connection to server at "db" (10.0.0.3), port 5432 failed: Connection refused\n'),
    ),
)
