"""Restarts the replicas, one at a time.

What it does: each replica is stopped with its own signal and grace period and started again; the next follows when it
is ready. Nothing is configured anew. On Kubernetes it is a rollout, as ``kubectl rollout restart`` makes one.

When it is right: a state that a start clears: a wedged worker, a full connection table, a port that was taken.

When it is not: a failure that comes from configuration, code or a dependency, which a start repeats. It is refused
while this finding is the effect of one in another deployment.

Risk: requests in flight on the replica may be lost after its grace period, and state in memory is lost. The logs and
measurements of before are saved first.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Remedy, RemedyId
from probes.base import Value
from probes.intent import Intent, Restart
from probes.model import Deployment

REPEATED_BY_A_START = (
    "worker-boot-failed",
    "missing-env",
    "bind-loopback",
    "port-mismatch",
    "memory-limit-low",
    "memory-unlimited",
    "plaintext-secret",
    "probe-missing",
    "probe-misconfigured",
    "crash-loop",
    "image-pull-failed",
    "container-cannot-start",
    "pod-unschedulable",
)


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    cause = finding.explained_by
    if cause is not None and cause.deployment != deployment.id:
        return f"The cause is {cause.signature} of {cause.deployment}: a restart here would meet it again."
    if finding.signature in REPEATED_BY_A_START:
        return "Another start would end the same way: the cause is in its configuration or code."
    return None


def _intend(_deployment: Deployment, _finding: Finding, _values: Mapping[str, Value]) -> Intent:
    return Restart()


def _cautions(deployment: Deployment, _finding: Finding, _values: Mapping[str, Value]) -> tuple[str, ...]:
    rollout = deployment.orchestrated.rollout if deployment.orchestrated is not None else None
    starts_first = rollout is not None and bool(rollout.max_surge)
    if len(deployment.running) < 2 and not starts_first:
        return ("There is one replica: nobody answers while it starts.",)
    return ()


REMEDY = Remedy(
    id=RemedyId("restart"),
    title="Restart, one replica at a time",
    capability="restart",
    why_not=_why_not,
    intend=_intend,
    cautions=_cautions,
)
