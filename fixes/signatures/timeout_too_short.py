"""gunicorn's time-out is close to what requests take.

What it means. A ``sync`` or ``gthread`` worker gives no sign of life while it serves one request; at ``timeout`` (30 s
unless it is set) its master kills it, and the request is lost. Requests that take half of that are near it.

What proves it. The worker class and the time-out (30 s or less) from the settings, and a request in the log
that took more than half of the time-out.

What it is not. ASGI workers, whose slow awaited requests are never killed. A longer time-out. Workers that were killed
already (``worker-timeout``).

What to do. 60 s, and faster requests.
"""

from __future__ import annotations

from fixes.model import SILENT, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _logged
from fixes.signatures.slow_requests import PATTERNS, slow
from probes.model import Deployment

_ONE_AT_A_TIME = ("sync", "gthread")
DEFAULT_SECONDS = 30.0


def detect(view: View) -> Verdict:
    """Fires on requests that took more than half of the time-out of such a worker."""
    worker = view.deployment.setting("worker_class")
    limit = view.deployment.setting("timeout")
    seconds = float(limit) if isinstance(limit, (int, float)) and not isinstance(limit, bool) else DEFAULT_SECONDS
    if worker not in _ONE_AT_A_TIME or not 0 < seconds <= DEFAULT_SECONDS:
        return SILENT
    near = [one for one in slow(view) if "path" in one.hit.fields and one.seconds > seconds / 2]
    if not near:
        return SILENT
    longest = max(one.seconds for one in near)
    title = f"a request took {longest:.1f} s, and {worker} workers are killed at {seconds:g} s"
    return _logged.fires(
        view, [(one.hit, one.place) for one in near], "info", title, facts={"slowest_seconds": longest}
    )


def _is_longer(deployment: Deployment) -> bool:
    limit = deployment.setting("timeout")
    return isinstance(limit, (int, float)) and not 0 < limit <= DEFAULT_SECONDS


def _service(worker: str, timeout: float) -> Deployment:
    return _cases.deployment(settings={"worker_class": worker, "timeout": timeout}, server="gunicorn")


_LINE = '127.0.0.1 - - [22/Nov/2026:09:46:15 +0000] "GET /slow HTTP/1.1" 200 2 18.000985s\n'

SIGNATURE = Signature(
    id=SignatureId("timeout-too-short"),
    title="Worker time-out close to what requests take",
    severity="info",
    detect=detect,
    remedies=(RemedyId("set-worker-timeout"),),
    proof=Proof("settings", shown=_is_longer),
    source="docs.gunicorn.org/en/stable/settings.html#timeout",
    patterns=PATTERNS,
    fires=(
        Example("sync", _LINE, _service("sync", 30)),
        Example("gthread", _LINE, _service("gthread", 20)),
    ),
    silent=(
        Example("an ASGI worker", _LINE, _service("uvicorn_worker.UvicornWorker", 30)),
        Example("60 s", _LINE, _service("sync", 60)),
        Example("quick requests", _LINE.replace("18.0", "3.0"), _service("sync", 30)),
        Example("the worker is not known", _LINE),
    ),
)
