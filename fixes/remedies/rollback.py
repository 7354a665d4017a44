"""Goes back to the revision that ran before.

What it does: puts the pods' description of a former revision in the place of the present one, as
``kubectl rollout undo`` does, and follows the rollout.

When it is right: the failure began with the present revision (within 15 minutes of its beginning), and the former one
had another image.

When it is not: the same image with another cause. A rollback brings back neither ConfigMaps and Secrets nor a database
schema: where a migration ran, the former code may not understand what it left.

Risk: the pods are replaced, one after the other; where those of the former revision do not get ready, the present one
is put back.

Guard: only to a revision with another image, one that has ready replicas still before all others. Refused while the
finding is the effect of one in another deployment, and for objects of Helm, Argo CD or Flux, which have a rollback of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Intent, Rollback
from probes.model import Deployment, Node
from probes.orchestrator import Managed, Revision

BEGAN_WITH_IT = timedelta(minutes=15)
_ELSEWHERE: Mapping[str, str] = {
    "helm": "helm rollback {name}",
    "argocd": "argocd app rollback {name}",
    "flux": "revert the commit from which Flux makes it",
}


def _current(deployment: Deployment) -> Revision | None:
    around = deployment.orchestrated
    return None if around is None else next((one for one in around.revisions if one.current), None)


def _candidates(deployment: Deployment) -> tuple[Revision, ...]:
    """Former revisions with other images: those that are ready still, then the latest."""
    current = _current(deployment)
    if current is None or deployment.orchestrated is None:
        return ()
    others = [
        one
        for one in deployment.orchestrated.revisions
        if not one.current and one.images and set(one.images) != set(current.images)
    ]
    return tuple(sorted(others, key=lambda one: (one.ready == 0, -one.number)))


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    around = deployment.orchestrated
    if around is not None and around.managed is not None:
        return _elsewhere(around.managed)
    cause = finding.explained_by
    if cause is not None and cause.deployment != deployment.id:
        return f"The cause is {cause.signature} of {cause.deployment}: a former revision would meet it again."
    current = _current(deployment)
    if current is None:
        return "Which revision runs is not known."
    if not _candidates(deployment):
        return "No former revision with another image is kept."
    began = current.created_at
    if began is not None and finding.since - began > BEGAN_WITH_IT:
        return "The failure began more than 15 minutes after this revision did: that is not its cause."
    if began is not None and finding.since < began:
        return "The failure is older than this revision: that is not its cause."
    return None


def _elsewhere(managed: Managed) -> str:
    how = _ELSEWHERE[managed.by].format(name=managed.name)
    return f"It is kept by {managed.by} ({managed.name}), which would bring this revision back: {how}."


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    found = _candidates(deployment)
    return (Parameter("revision", "Revision", found[0].number if found else 1, minimum=1),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Rollback(int(values["revision"]))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = ["It brings back neither ConfigMaps and Secrets nor a database schema."]
    wanted = next((r for r in _candidates(deployment) if r.number == _facts.whole(values["revision"])), None)
    if wanted is None:
        said.append("That revision is not one with another image.")
    elif wanted.ready:
        said.append(f"Revision {wanted.number} has {wanted.ready} ready replicas.")
    else:
        said.append(f"Whether revision {wanted.number} ever was ready is not kept by Kubernetes.")
    return tuple(said)


REMEDY = Remedy(
    id=RemedyId("rollback"),
    title="Go back to the former revision",
    capability="rollback",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
