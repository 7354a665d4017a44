"""Workers are never replaced, or all at the same moment.

What it means. A slow leak, in the application or a library, grows for as long as a worker lives. ``max_requests``
bounds it: a worker is replaced after so many requests. Without jitter all workers reach that number together, and for
a moment nobody answers.

What proves it. gunicorn's or uvicorn's setting with two workers or more: ``max_requests`` is 0, or it is set and
``max_requests_jitter`` is 0. It is advice, and a warning while a worker is seen to leak (``memory-leak``).

What it is not. A single worker, which nobody would replace in time or an engine starts again. A uvicorn before 0.30,
whose master does not replace workers.

What to do. 1000 requests with a jitter of 100.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, memory_leak
from fixes.signatures._shared import MIB
from probes.base import Value
from probes.model import Deployment

REPLACES_SINCE = (0, 30)
SPREADS_SINCE = (0, 41)


def detect(view: View) -> Verdict:
    """Fires on the settings of a server with several workers."""
    deployment = view.deployment
    requests, jitter = (_number(deployment.setting(n)) for n in ("max_requests", "max_requests_jitter"))
    workers = _number(deployment.setting("workers"))
    if requests is None or workers is None or workers < 2 or not deployment.running or not _replaces(deployment):
        return SILENT
    if requests == 0:
        title = "workers are never replaced: a slow leak grows without bound"
    elif jitter == 0 and _spreads(deployment):
        title = f"all {workers:.0f} workers are replaced at the same time, after {requests:.0f} requests"
    else:
        return SILENT
    names = ("max_requests", "max_requests_jitter", "workers")
    known = [(name, deployment.settings[name]) for name in names if name in deployment.settings]
    text = ", ".join(f"{name} is {setting.value} ({setting.source})" for name, setting in known)
    leaks = memory_leak.SIGNATURE.detect(view)
    evidence = (Evidence("settings", text), *(leaks.evidence[:1] if isinstance(leaks, Fires) else ()))
    return Fires("warning" if isinstance(leaks, Fires) else "info", title, evidence)


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _replaces(deployment: Deployment) -> bool:
    return deployment.server == "gunicorn" or (
        deployment.server == "uvicorn" and _release(deployment) >= REPLACES_SINCE
    )


def _spreads(deployment: Deployment) -> bool:
    return deployment.server == "gunicorn" or _release(deployment) >= SPREADS_SINCE


def _release(deployment: Deployment) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", deployment.packages.get("uvicorn", ""))[:2])


def _service(server: str, workers: int, requests: int, jitter: int, release: str = "0.45.0") -> Deployment:
    settings: dict[str, Value] = {"workers": workers, "max_requests": requests, "max_requests_jitter": jitter}
    replica = _cases.replica(workers=(_cases.worker(1, role="master"), _cases.worker(), _cases.worker(18)))
    return _cases.deployment(replica, settings=settings, server=server, packages={"uvicorn": release})


_LEAK = _cases.points(*((10.0 * i - 2400, (100 + i) * MIB) for i in range(241)))

SIGNATURE = Signature(
    id=SignatureId("no-worker-recycling"),
    title="Workers are not recycled",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("enable-worker-recycling"),),
    proof=Proof("settings", shown=lambda d: d.setting("max_requests") is not None),
    source="docs.gunicorn.org/en/stable/settings.html#max-requests; uvicorn.dev/settings (--limit-max-requests)",
    fires=(
        Example("gunicorn's default", deployment=_service("gunicorn", 4, 0, 0)),
        Example("without jitter", deployment=_service("gunicorn", 4, 1000, 0)),
        Example("uvicorn", deployment=_service("uvicorn", 2, 0, 0)),
        Example(
            "beside a leak",
            deployment=_service("gunicorn", 4, 0, 0),
            series={"worker-anonymous": {f"{_cases.REPLICA}/17": _LEAK}},
        ),
    ),
    silent=(
        Example("recycled with jitter", deployment=_service("gunicorn", 4, 1000, 100)),
        Example("a single worker", deployment=_service("gunicorn", 1, 0, 0)),
        Example("an old uvicorn", deployment=_service("uvicorn", 2, 0, 0, "0.17.6")),
        Example("the settings are not known"),
    ),
)
