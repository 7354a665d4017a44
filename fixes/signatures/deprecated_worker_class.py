"""The worker class comes from uvicorn itself, where it is deprecated.

What it means. ``uvicorn.workers`` is deprecated since uvicorn 0.30 and will be removed: after that update the service
does not start. The same classes live on in the distribution ``uvicorn-worker``; gunicorn 24 and later bring a worker
of their own (``asgi``).

What proves it. The setting ``worker_class`` beside the installed uvicorn, or uvicorn's own warning in the log.

What it is not. The same class under a uvicorn before 0.30, where there was no other.

What to do. Install ``uvicorn-worker`` and use ``uvicorn_worker.UvicornWorker``, or gunicorn's ``asgi``.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _shared, _wording
from probes.model import Deployment

WARNING = _wording.unquoted("worker-class/warning", r"The `uvicorn\.workers` module is deprecated")
SINCE = (0, 30)
_TITLE = "the worker class uvicorn.workers is deprecated: use uvicorn_worker.UvicornWorker"


def detect(view: View) -> Verdict:
    """Fires on the setting with a uvicorn that deprecates it, or on uvicorn's warning."""
    setting = view.deployment.settings.get("worker_class")
    release = view.deployment.packages.get("uvicorn", "")
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if setting is not None and str(setting.value).startswith("uvicorn.workers.") and numbers >= SINCE:
        text = f"worker_class is {setting.value} ({setting.source}), uvicorn {release} is installed"
        return Fires("info", _TITLE, (Evidence("settings", text),))
    if setting is not None and not str(setting.value).startswith("uvicorn.workers."):
        return SILENT
    hits = view.hits(WARNING.key)
    return Fires("info", _TITLE, tuple(_shared.evidence_of(hit) for hit in hits[-2:])) if hits else SILENT


def _service(worker_class: str, release: str) -> Deployment:
    return _cases.deployment(
        settings={"worker_class": worker_class, "bind": "0.0.0.0:8000", "app": "app:app"},
        server="gunicorn",
        packages={"uvicorn": release, "gunicorn": "23.0.0", "uvicorn-worker": "0.3.0"},
    )


SIGNATURE = Signature(
    id=SignatureId("deprecated-worker-class"),
    title="Deprecated worker class",
    severity="info",
    detect=detect,
    remedies=(RemedyId("apply-gunicorn-config"),),
    proof=Proof("settings", shown=lambda d: d.setting("worker_class") is not None),
    source="uvicorn's release notes, 0.30.0 (uvicorn.workers); uvicorn-worker's own page",
    patterns=(WARNING,),
    fires=(
        Example("uvicorn 0.34", deployment=_service("uvicorn.workers.UvicornWorker", "0.34.0")),
        Example("its H11 variant", deployment=_service("uvicorn.workers.UvicornH11Worker", "0.30.1")),
        Example(
            "uvicorn's warning",
            "/opt/venv/uvicorn/workers.py:24: DeprecationWarning: The `uvicorn.workers` module is deprecated. Please "
            "use `uvicorn-worker` package instead.\n",
            deployment=_cases.deployment(server="gunicorn", packages={"uvicorn-worker": "0.3.0"}),
        ),
    ),
    silent=(
        Example("uvicorn 0.17", deployment=_service("uvicorn.workers.UvicornWorker", "0.17.6")),
        Example("its successor", deployment=_service("uvicorn_worker.UvicornWorker", "0.34.0")),
        Example("nothing is known"),
    ),
)
