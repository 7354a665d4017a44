"""Shows the code or configuration to write.

What it does: nothing is changed. For a finding that only the program or its definition can end, it shows what to
write: the asynchronous counterpart of the blocking call that was found, the bounded cache, the pool's settings, the
Compose lines for a missing variable or a port; for objects of Kubernetes in kubectl's words.

When it is right: always safe to look at; it is the default where no setting can help.

Risk: none.
"""

from __future__ import annotations

from fixes.counted import ORCHESTRATED
from fixes.model import Advice, Finding, Remedy, RemedyId
from fixes.remedies._advice import ADVICE
from fixes.remedies._advice_kubernetes import KUBERNETES
from probes.model import Deployment


def _why_not(_deployment: Deployment, finding: Finding) -> str | None:
    if finding.signature not in ADVICE and "advice" not in finding.facts:
        return f"There is no advice for {finding.signature}."
    return None


def _advise(deployment: Deployment, finding: Finding) -> Advice:
    if deployment.kind in ORCHESTRATED and finding.signature in KUBERNETES:
        return KUBERNETES[finding.signature](deployment, finding)
    if finding.signature in ADVICE:
        return ADVICE[finding.signature](deployment, finding)
    return Advice(finding.title, str(finding.facts["advice"]))  # a signature of the user's own brings its advice


REMEDY = Remedy(
    id=RemedyId("advise"),
    title="Show what to write",
    capability=None,
    why_not=_why_not,
    advise=_advise,
)
