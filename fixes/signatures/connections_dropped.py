"""Connections are closed before the answer: by this service, or by one that it calls.

What it means. The peer took the request and closed or reset the connection without an answer: a worker that died, a
server that stopped, an answer that took longer than the proxy waits, or a connection that was closed while idle. A
proxy in front turns it into 502, 503 or 504.

What proves it. nginx's error log (``upstream prematurely closed connection``, ``upstream timed out``, ``recv() failed
(104`` or ``connect() failed (111`` towards the upstream, ``no live upstreams``), its access log with 502 or 504 beside
the upstream's times, or the exception of an HTTP client: ``Server disconnected``, ``Remote end closed connection
without response``, a reset.

What it is not. A client that hangs up (499, ``client prematurely closed connection``, ``ClientDisconnect``). The normal
close of a WebSocket. A connection to a database, whose driver stands in the traceback. A peer that is not there at
all. A 503 that the application or a limit of concurrency answers on purpose.

What to do. Find what ended the other side: a worker's death, a time-out, a deploy. Retry what may be retried.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _logged, _shared, _wording
from probes.loghits import LogHit

NGINX = _wording.unquoted(
    "dropped/nginx",
    r"upstream prematurely closed connection ?$"
    r"|(?:upstream prematurely closed connection|upstream timed out \(\d+: [^)]*\)|no live upstreams"
    r"|(?:recv|connect|send|writev|readv)\(\) failed \((?:32|104|110|111|113): [^)]*\)) while [^,]*upstream",
)
GATEWAY = _wording.pattern(
    "dropped/gateway",
    r"HTTP/\d(?:\.\d)?\\?\" 50[24] \d+ .*(?:urt=|uct=|upstream)"
    r"|(?:^|\s)nginx[\w.\-]* +\| .*HTTP/\d(?:\.\d)?\\?\" 50[24] \d",
    place="unquoted",
    sought=(r"\d\\?\" 50[24] \d",),
)
TRAEFIK = _wording.unquoted("dropped/traefik", r"'50[24] (?:Bad Gateway|Gateway Timeout)' caused by")
CLIENT = _wording.unquoted(
    "dropped/client",
    r"Server disconnected without sending a response|ServerDisconnectedError(?:: |\W|$)"
    r"|Remote end closed connection without response|peer closed connection without sending complete message body"
    r"|ClientOSError: \[Errno 104\]|\('Connection aborted\.', (?:ConnectionResetError|RemoteDisconnected)"
    r"|IncompleteRead\(\d+ bytes read|httpx\.(?:Read|Write|Close)Error(?:: |\W|$)",
    12,
)
RESET = _wording.unquoted("dropped/reset", r"ConnectionResetError: \[Errno 104\] Connection reset by peer", 20)
_HTTP_CLIENT = re.compile(r"(?:/http/client|/httpx/|/httpcore/|/aiohttp/|/urllib3?/|/requests/)")
_DATABASE = re.compile(
    r"(?:asyncpg|psycopg|pymysql|aiomysql|asyncmy|MySQLdb|redis|pymongo|motor|sqlalchemy|websockets)[/\\.]"
)


def detect(view: View) -> Verdict:
    """Fires on answers that never came, from the proxy's and the client's side."""
    found = [
        (hit, place) for hit, place in _shared.places(view, NGINX, GATEWAY, TRAEFIK, CLIENT, RESET) if _is_http(hit)
    ]
    if not found:
        return _shared.unseen(view)
    proxy = any(hit.key in (NGINX.key, GATEWAY.key, TRAEFIK.key) for hit, _ in found)
    title = "the proxy in front got no answer" if proxy else "a service that it calls closed the connection unanswered"
    return _logged.fires(view, found, "error", title, count=_logged.per_burst(found, 3), facts={"proxy": proxy})


def _is_http(hit: LogHit) -> bool:
    """Whether the peer was asked over HTTP: by the words alone, or by what stands around a bare reset."""
    around = [*hit.before, *_shared.unfolded(hit.sample)]
    if hit.key == RESET.key:
        known = any(_HTTP_CLIENT.search(line) for line in around)
        database = any(_DATABASE.search(line) for line in around)
        return (known or not hit.before) and not database
    return not (hit.key == CLIENT.key and any(_DATABASE.search(line) for line in hit.before[-3:]))


_UPSTREAM = (
    'client: 10.0.0.1, server: api, request: "GET /a HTTP/1.1", upstream: "http://10.0.0.2:8000/a", host: "api"\n'
)
_NGINX = "2026/11/22 09:44:29 [error] 7#7: *1 "

SIGNATURE = Signature(
    id=SignatureId("connections-dropped"),
    title="Connections closed without an answer",
    severity="error",
    detect=detect,
    remedies=(RemedyId("scale"), RemedyId("advise")),
    source="nginx ngx_http_upstream.c (words of its error log); exceptions of httpx, aiohttp, http.client, urllib3",
    patterns=(NGINX, GATEWAY, TRAEFIK, CLIENT, RESET),
    explains=(SignatureId("unhandled-exceptions"),),
    fires=(
        Example(
            "nginx waited too long",
            _NGINX
            + "upstream timed out (110: Connection timed out) while reading response header from upstream, "
            + _UPSTREAM,
        ),
        Example(
            "the upstream closed",
            _NGINX + "upstream prematurely closed connection while reading response header from upstream, " + _UPSTREAM,
        ),
        Example(
            "the upstream reset",
            _NGINX
            + "recv() failed (104: Connection reset by peer) while reading response header from upstream, "
            + _UPSTREAM,
        ),
        Example(
            "the upstream is not there",
            _NGINX + "connect() failed (111: Connection refused) while connecting to upstream, " + _UPSTREAM,
        ),
        Example("nginx has none left", _NGINX + "no live upstreams while connecting to upstream, " + _UPSTREAM),
        Example(
            "nginx's access log",
            '10.0.0.1 - [22/Nov/2026:09:44:29 +0000] "GET /a HTTP/1.1" 504 167 rt=2.007 uct="0.000" urt="2.007"\n',
        ),
        Example("nginx among others", 'nginx-1  | 10.0.0.1 - - [x] "GET /a HTTP/1.1" 502 157 "-" "curl/8"\n'),
        Example("a reset in httpx", "httpx.ReadError\n"),
        Example("httpx", "httpx.RemoteProtocolError: Server disconnected without sending a response.\n"),
        Example("aiohttp", "aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected\n"),
        Example(
            "requests",
            "requests.exceptions.ConnectionError: ('Connection aborted.', "
            "RemoteDisconnected('Remote end closed connection without response'))\n",
        ),
        Example(
            "a reset of the standard library's client",
            '  File "/usr/local/lib/python3.11/http/client.py", line 286, in _read_status\n'
            "ConnectionResetError: [Errno 104] Connection reset by peer\n",
        ),
    ),
    silent=(
        Example("a client that hangs up", _NGINX + "client prematurely closed connection, " + _UPSTREAM),
        Example(
            "a client that hangs up while nginx waits",
            _NGINX
            + "epoll_wait() reported that client prematurely closed connection, so upstream connection is closed "
            "too while sending request to upstream, " + _UPSTREAM,
        ),
        Example(
            "499", '10.0.0.1 - [22/Nov/2026:09:44:29 +0000] "GET /a HTTP/1.1" 499 0 rt=2.007 uct="0.000" urt="2.007"\n'
        ),
        Example("a WebSocket's end", "DEBUG:    > CLOSE 1000 (OK) [2 bytes]\nINFO:     connection closed\n"),
        Example("a 503 on purpose", 'INFO:     10.0.0.1:5 - "GET /e/503 HTTP/1.1" 503 Service Unavailable\n'),
        Example(
            "a database's connection",
            '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connect_utils.py", line 9, in _connect\n'
            "ConnectionResetError: [Errno 104] Connection reset by peer\n",
        ),
        Example("PostgreSQL's client left", "LOG:  could not receive data from client: Connection reset by peer\n"),
        Example("nobody listens", "httpx.ConnectError: [Errno 111] Connection refused\n"),
        Example(
            "words in a URL", '10.0.0.1 - - [d] "GET /?q=upstream+timed+out HTTP/1.1" 200 26 rt=0.002 urt="0.002"\n'
        ),
    ),
)
