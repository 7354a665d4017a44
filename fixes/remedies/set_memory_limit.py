"""Raises the memory limit of a container.

What it does: writes a new limit into the container (``docker update`` where that is enough, without a restart) and
into the Compose file where there is one. The default is the largest of 1 GiB, 1.5 × the most memory that was seen in
use and, where the kernel killed for memory, 1.5 × the limit that was hit. At least 512 MiB; rounded up to a whole
MiB. On Kubernetes the limit stands in the pods' description, which is rolled out; what is reserved (the request) stays,
unless both are the same on purpose. Where no rollout follows (a pod of its own, ``OnDelete``) the running pods are
resized in place; a limit that such a pod did not have cannot be taken away again before the pod is replaced.

When it is right: the service needs more than it was given, or its limit is below what a FastAPI service with a few
libraries takes to start. Against a leak it buys time; recycling the workers or finding the leak ends it.

Risk: none to requests where the engine changes the limit in place. A host that promises more memory than it has kills
something else, so the new limit is capped by what the machine can give: 90 % of what is available, shared among the
replicas, beside what they use already.

Guard: never a limit of which more than 90 % is in use now; on Kubernetes none above what a node, a LimitRange or a
quota allows. Where a VerticalPodAutoscaler owns the limits, or Helm, Argo CD or Flux the object, the patch is written
into a file instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from fixes.values import GIB, MIB, byte_text, down_to_mib, up_to_mib
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

LEAST = 512 * MIB
ADVISED = GIB
ABOVE_PEAK = 1.5
HIT_THE_LIMIT = ("oom-killed", "worker-sigkill", "memory-leak", "memory-near-limit")
"""Findings in which the limit itself bounded the peak that was seen."""


def _parameters(deployment: Deployment, finding: Finding, node: Node | None) -> tuple[Parameter, ...]:
    used, limit = _facts.memory_used(deployment) or 0, _facts.memory_limit(deployment)
    least = max(LEAST, up_to_mib(used / 0.9))
    most = _capacity(deployment, node)
    peak = max(_facts.memory_peak(deployment, finding) or 0, limit or 0 if finding.signature in HIT_THE_LIMIT else 0)
    advised = max(ADVISED, least, up_to_mib(peak * ABOVE_PEAK), limit or 0)
    default = advised if most is None or most < least else min(advised, most)
    return (Parameter("limit", "Memory limit", default, "bytes", minimum=least, maximum=most),)


def _capacity(deployment: Deployment, node: Node | None) -> int | None:
    """What one replica can be given on its machine, in bytes; ``None`` when that is not known."""
    if node is None or node.memory_total_bytes is None:
        return None
    total = node.memory_total_bytes
    available = total if node.memory_available_bytes is None else node.memory_available_bytes
    free_each = 0.9 * available / max(1, len(deployment.replicas))
    return down_to_mib(min(0.9 * total, free_each + (_facts.memory_used(deployment) or 0)))


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(memory_limit_bytes=up_to_mib(float(values["limit"])))


def _cautions(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    limit, wanted = _facts.memory_limit(deployment), float(values["limit"])
    if limit is not None and wanted < limit:
        said.append(f"This lowers the limit from {byte_text(limit)} to {byte_text(wanted)}.")
    if finding.signature == "memory-leak":
        said.append("A higher limit delays the end of a leak; it does not stop it.")
    return tuple(said)


REMEDY = Remedy(
    id=RemedyId("set-memory-limit"),
    title="Raise the memory limit",
    capability="memory-limit",
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
