"""The server closes idle connections before the proxy in front does, and now and then a request meets a closed one.

What it means. A proxy keeps connections to the server open and sends the next request on one that is idle. Closes the
server it at that moment (gunicorn after 2 s, uvicorn and hypercorn after 5 s), the request is lost and the client gets
a 502, of which the server's own log knows nothing. It happens rarely and at random, and more often the less is asked.

What proves it. Two sources: a proxy in front says that the upstream closed or reset the connection before it answered
(``upstream prematurely closed``, ``recv() failed (104``), and the server's keep-alive is shorter than the proxy's idle
time-out (60 s unless it is said) while no worker died, timed out or was replaced within that time, which would explain
it.

What it is not. No proxy is seen. A synchronous worker, which keeps no connection. An upstream that is not there, or
that takes longer than the proxy waits. Workers that die, and a deploy.

What to do. A keep-alive that is longer than the proxy's idle time-out (75 s), or a shorter one at the proxy.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, RemedyId, Signature, SignatureId, Threshold, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording
from fixes.signatures.connections_dropped import NGINX
from fixes.signatures.worker_died import CRASHED, EXITED, RECYCLED

IDLE = Threshold(
    "idle_seconds", 60.0, "the proxy keeps an idle connection so long", unit="seconds", minimum=1.0, maximum=3600.0
)
_CLOSED = re.compile(
    r"upstream prematurely closed|recv\(\) failed \((?:32|104): |(?:send|writev)\(\) failed \((?:32|104): "
)
_ENDED = (
    _wording.TIMED_OUT,
    _wording.KILLED,
    _wording.KILLED_BEFORE_21,
    _wording.CHILD_DIED,
    _wording.STOPPING,
    _wording.BOOTING,
    CRASHED,
    EXITED,
    RECYCLED,
)
_SYNCHRONOUS = ("sync", "gthread", "gevent", "eventlet", "tornado")


def detect(view: View) -> Verdict:
    """Fires on connections that an upstream closed although nothing of it ended, where its keep-alive is short."""
    found = [(hit, place) for hit, place in _shared.places(view, NGINX) if _CLOSED.search(hit.sample)]
    if not found:
        return _shared.unseen(view)
    setting = view.deployment.settings.get("keepalive")
    value = setting.value if setting is not None else None
    worker = str(view.deployment.setting("worker_class") or "")
    if setting is None or not isinstance(value, (int, float)) or worker in _SYNCHRONOUS:
        return SILENT
    if value >= view.threshold(IDLE) or _something_ended(view):
        return SILENT
    evidence = Evidence(
        "settings", f"keepalive is {setting.value} ({setting.source})", value=float(value), unit="seconds"
    )
    return _logged.fires(
        view,
        found,
        "error",
        f"it closes idle connections after {value:g} s, and the proxy in front sends requests on them",
        count=_logged.per_burst(found, 3),
        facts={"keepalive_seconds": float(value)},
        more=(evidence,),
    )


def _something_ended(view: View) -> bool:
    """Whether a worker or a replica ended or began in the window: its connections ended with it."""
    if any(True for _ in _shared.places(view, *_ENDED)):
        return True
    begun = [r.started_at for r in view.deployment.replicas] + [w.started_at for w in view.deployment.workers]
    return any(moment is not None and moment >= view.start for moment in begun)


_UPSTREAM = (
    "2026/11/22 09:44:29 [error] 7#7: *1 {} while reading response header from upstream, client: 10.0.0.1, "
    'server: api, request: "GET /a HTTP/1.1", upstream: "http://127.0.0.1:8000/a", host: "api"\n'
)
_CLOSES = _UPSTREAM.format("upstream prematurely closed connection")
_RESETS = _UPSTREAM.format("recv() failed (104: Connection reset by peer)")
_SHORT = _cases.container(settings={"keepalive": 5}, workers=(_cases.worker(),))

SIGNATURE = Signature(
    id=SignatureId("keepalive-mismatch"),
    title="Keep-alive shorter than the proxy's",
    severity="error",
    detect=detect,
    remedies=(RemedyId("apply-gunicorn-config"), RemedyId("advise")),
    thresholds=(IDLE,),
    source="nginx ngx_http_upstream_module (keepalive_timeout 60s); gunicorn keepalive (2 s), uvicorn "
    "--timeout-keep-alive (5 s)",
    patterns=(NGINX, *_ENDED),
    explains=(SignatureId("connections-dropped"),),
    fires=(
        Example("nginx before uvicorn", _CLOSES, deployment=_SHORT),
        Example("a reset", _RESETS, deployment=_SHORT),
    ),
    silent=(
        Example("no proxy", "INFO: up\n", deployment=_SHORT),
        Example("longer than the proxy's", _CLOSES, deployment=_cases.container(settings={"keepalive": 75})),
        Example("the server's setting is not known", _CLOSES),
        Example(
            "synchronous workers",
            _CLOSES,
            deployment=_cases.container(settings={"keepalive": 2, "worker_class": "sync"}),
        ),
        Example(
            "a worker timed out",
            "[2026-11-22 09:44:29 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:7)\n" + _CLOSES,
            _SHORT,
        ),
        Example(
            "a worker was replaced",
            _CLOSES,
            deployment=_cases.container(settings={"keepalive": 5}, workers=(_cases.worker(started_at=_cases.ago(40)),)),
        ),
        Example(
            "the upstream is not there",
            "2026/11/22 09:44:29 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to "
            "upstream, client: 10.0.0.1\n",
            deployment=_SHORT,
        ),
    ),
)
