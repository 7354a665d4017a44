"""A development server serves a container.

What it means. With ``--reload`` the server watches all files, starts anew when one changes, runs a single worker and
passes signals on through another process; ``fastapi dev`` adds debug pages that show code and values.

What proves it. The setting or the command, or the server's own words: ``Started reloader process``, ``Will watch for
changes in these directories``, ``Starting development server``.

What it is not. A process in a developer's checkout: information only. A configured reload of gunicorn by HUP.

What to do. ``fastapi run``, or the server without its development flags.
"""

from __future__ import annotations

from itertools import pairwise

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _shared, _wording
from probes.model import Replica

TOLD = _wording.told(
    "dev/reloader",
    r"Started reloader process \[\d+\]|Will watch for changes in these directories: |Starting development server",
)


def detect(view: View) -> Verdict:
    """Fires on development flags of what runs now, else on the latest words of its log."""
    deployment = view.deployment
    evidence: list[Evidence] = []
    setting = deployment.settings.get("reload")
    if setting is not None and setting.value is True and deployment.running:
        evidence.append(Evidence("settings", f"reload is on ({setting.source})"))
    evidence += [
        Evidence("inspect", " ".join(r.command)[:300], replica=r.id) for r in deployment.running if _dev_command(r)
    ]
    if not evidence and setting is None:
        evidence = [_shared.evidence_of(hit) for hit in view.hits(TOLD.key)[-2:]]
    if not evidence:
        return SILENT
    return Fires(
        severity="info" if deployment.kind == "process" else "warning",
        title="a development server serves this: it watches files and starts anew when one changes",
        evidence=tuple(evidence[:6]),
    )


def _dev_command(replica: Replica) -> bool:
    words = [word.rpartition("/")[2] for word in replica.command]
    return ("fastapi", "dev") in pairwise(words) or "--reload" in words or "--debug" in words


SIGNATURE = Signature(
    id=SignatureId("dev-server"),
    title="Development server in a container",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("drop-dev-flags"), RemedyId("advise")),
    proof=Proof(
        basis="settings",
        window_seconds=60.0,  # a server that had to be made anew has to start first
        shown=lambda deployment: all(r.command for r in deployment.running),
    ),
    source="fastapi.tiangolo.com/fastapi-cli; uvicorn.dev/settings (--reload: development only)",
    patterns=(TOLD,),
    fires=(
        Example("--reload", deployment=_cases.container(settings={"reload": True})),
        Example("fastapi dev", deployment=_cases.container(command=("/usr/local/bin/fastapi", "dev", "main.py"))),
        Example("uvicorn's words", "INFO:     Started reloader process [5786] using WatchFiles\n"),
        Example(
            "a local process",
            deployment=_cases.deployment(_cases.replica(), settings={"reload": True}, kind="process"),
        ),
    ),
    silent=(
        Example("fastapi run", deployment=_cases.container(command=("fastapi", "run", "main.py"))),
        Example("no reload", deployment=_cases.container(settings={"reload": False})),
        Example("gunicorn's reload by a signal", "[2026-11-22 09:49:26 +0000] [5715] [INFO] Handling signal: hup\n"),
        Example(
            "an option of another program",
            deployment=_cases.container(command=("gunicorn", "--log-level", "debug", "app:app")),
        ),
    ),
)
