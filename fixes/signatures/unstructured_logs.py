"""Most lines of the log are not JSON, so that nothing can be counted, searched or joined by its fields.

What it means. A traceback is forty lines that belong to nobody; a level, a route or a request's id can only be guessed
by patterns. It hurts when something fails and several replicas have to be read together.

What proves it. Of the lines that were read (20 at least) more than half are no JSON objects.

What it is not. A log of which few lines were seen: that is undecided, so that the first lines of new replicas neither
end nor begin it. A service on one's own machine, whose log a person reads.

What to do. One handler that writes an object a line, the server's own loggers included.
"""

from __future__ import annotations

import msgspec

from fixes.model import (
    SILENT,
    Evidence,
    Example,
    Fires,
    RemedyId,
    Signature,
    SignatureId,
    Threshold,
    Undecided,
    Verdict,
    View,
)
from fixes.signatures import _cases, _shared
from probes.loghits import LogCoverage
from probes.model import Deployment, DeploymentKind

MOST = Threshold("structured_ratio", 0.5, "fewer of the lines than these are objects", minimum=0.0, maximum=1.0)


def detect(view: View) -> Verdict:
    """Fires where fewer than half of the lines are JSON objects."""
    ratio = view.deployment.logs.structured_ratio
    if view.deployment.kind == "process" or view.deployment.desired == 0:
        return SILENT
    if ratio is None:
        unread = _shared.unseen(view)
        return Undecided("20 lines of its log") if unread is SILENT else unread
    if ratio >= view.threshold(MOST):
        return SILENT
    share = "hardly a line of its log is" if ratio < 0.05 else f"only {ratio:.0%} of the lines of its log are"
    evidence = Evidence("inspect", f"{ratio:.0%} of the lines that were read are JSON objects", value=ratio)
    return Fires("info", f"{share} structured", (evidence,))


def _read(ratio: float | None, kind: DeploymentKind = "container") -> Deployment:
    return _cases.deployment(logs=LogCoverage("followed", since=_cases.ago(900), structured_ratio=ratio), kind=kind)


SIGNATURE = Signature(
    id=SignatureId("unstructured-logs"),
    title="Unstructured log",
    severity="info",
    detect=detect,
    remedies=(RemedyId("advise"),),
    thresholds=(MOST,),
    source="12factor.net/logs; kubernetes.io/docs/concepts/cluster-administration/system-logs (JSON format)",
    fires=(
        Example("plain lines", deployment=_read(0.0)),
        Example("the application's are, the server's are not", deployment=_read(0.3)),
    ),
    silent=(
        Example("records", deployment=_read(1.0)),
        Example("records, and some lines of the server's start", deployment=_read(0.8)),
        Example("too few lines, as after a rollout", deployment=_read(None), undecided=True),
        Example("scaled to nothing", deployment=msgspec.structs.replace(_read(None), desired=0)),
        Example("a local process", deployment=_read(0.0, kind="process")),
    ),
)
