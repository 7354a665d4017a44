"""One workload and its pods, as the fleet holds them; changed by the target's event loop alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from probes.base import DeploymentId, NodeId, ReplicaId, TargetId
from probes.model import Replica
from probes.targets.kubernetes import parse, recognition
from probes.targets.kubernetes.ids import deployment_id, node_id, replica_id
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.recognition import Known
from probes.targets.kubernetes.told import NOTHING, Told
from probes.targets.kubernetes.views import ContainerView, PodView, TemplateView, WorkloadKind, WorkloadView

GroupKey = tuple[str, str, str]
"""Namespace, kind and name of a workload."""
_HISTORY = 20
"""Pods that are over, of one workload, the latest ones: thousands are kept where nobody clears them away."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_LABELS: Mapping[str, str] = {}
_NO_TEMPLATE = TemplateView()


class Group:
    """A workload: what the API says of it (where it may be read) and the pods that belong to it."""

    __slots__ = (
        "_built",
        "_known",
        "_latest",
        "id",
        "key",
        "kind",
        "name",
        "namespace",
        "pods",
        "target",
        "told",
        "workload",
    )

    def __init__(self, target: TargetId, key: GroupKey, kind: WorkloadKind) -> None:
        self.target = target
        self.key = key
        self.kind: WorkloadKind = kind
        self.namespace, _, self.name = key
        self.id: DeploymentId = deployment_id(target, *key)
        self.workload: WorkloadView | None = None
        self.pods: dict[str, PodView] = {}
        self.told: tuple[TemplateView | None, Told] = (None, NOTHING)
        """What was learned beside the description, and the template of which it was."""
        self._known: tuple[TemplateView, bool | None, Told, Known] | None = None
        self._latest: PodView | None = None
        self._built: dict[str, tuple[PodView, Measured | None, str, Replica]] = {}

    def put(self, pod: PodView) -> None:
        """Takes a pod as it is now."""
        self.pods[pod.key] = pod
        self._latest = None

    def drop(self, key: str) -> None:
        """Forgets a pod."""
        del self.pods[key]
        self._latest = None

    @property
    def empty(self) -> bool:
        """Nothing of it is there."""
        return not self.pods and self.workload is None

    @property
    def labels(self) -> Mapping[str, str]:
        """Those of its pods."""
        if self.workload is not None and self.workload.template_labels:
            return self.workload.template_labels
        newest = self._newest()
        return newest.labels if newest is not None else _NO_LABELS

    @property
    def template(self) -> TemplateView:
        """What its next pod is made from: its own where it may be read, else that of its newest pod."""
        if self.workload is not None and self.workload.template.containers:
            return self.workload.template
        newest = self._newest()
        return newest.template if newest is not None else _NO_TEMPLATE

    @property
    def told_now(self) -> Told:
        """What was learned of the present template."""
        template = self.template
        former, told = self.told
        if former is not template and told is not NOTHING:
            served = told.served()
            told = Told(before=served) if served is not None else NOTHING
            self.told = (template, told)
        return told

    @property
    def known(self) -> Known:
        """What it is recognised as."""
        template = self.template
        enable = self.workload.enable if self.workload is not None else None
        told = self.told_now
        before = self._known
        if before is not None and before[0] is template and before[1] == enable and before[2] is told:
            return before[3]
        known = recognition.recognise(template, enable, told)
        self._known = (template, enable, told, known)
        return known

    def learn(self, template: TemplateView, told: Told) -> None:
        """Takes what was learned of a template; of a former one it comes too late."""
        now = self.told_now
        if template is self.template:
            self.told = (template, now.joined(told))

    def unseen(self) -> tuple[PodView, ContainerView] | None:
        """A running pod of the present image, and a container of it whose files may tell more than is known."""
        template, inside = self.template, self.told_now.inside
        for name in self.known.candidates:
            wanted = template.container(name) if name not in inside else None
            for pod in self.pods.values() if wanted is not None else ():
                mine, status = pod.template.container(name), pod.status(name)
                runs = status is not None and status.running and not pod.terminating
                if runs and mine is not None and wanted is not None and mine.image == wanted.image:
                    return pod, mine
        return None

    def serving(self, pod: PodView) -> str:
        """The name of the container of a pod that serves."""
        wanted = self.known.container
        if wanted is not None and pod.template.container(wanted) is not None:
            return wanted
        own = pod.template
        found = recognition.recognise(own).container if own is not self.template else None
        return found or (own.containers[0].name if own.containers else wanted or "")

    def members(self, oldest: datetime) -> list[PodView]:
        """The pods that are replicas, by name: all but those that were over before ``oldest``."""
        over = [one for one in self.pods.values() if one.over]
        if not over:
            return sorted(self.pods.values(), key=_name)
        recent = [(parse.ended_at(one, self.serving(one)) or _EPOCH, one) for one in over]
        recent.sort(key=lambda pair: pair[0])
        shown = [one for at, one in recent[-_HISTORY:] if at >= oldest]
        return sorted([one for one in self.pods.values() if not one.over] + shown, key=_name)

    def replicas(self, members: Iterable[PodView], measured: Mapping[ReplicaId, Measured]) -> tuple[Replica, ...]:
        """As data; the same objects while nothing changed."""
        built: dict[str, tuple[PodView, Measured | None, str, Replica]] = {}
        for pod in members:
            container = self.serving(pod)
            reading = measured.get(replica_id(pod.namespace, pod.name, container))
            before = self._built.get(pod.name)
            if before is not None and before[0] is pod and before[1] is reading and before[2] == container:
                built[pod.name] = before
            else:
                node = node_id(self.target, pod.node) if pod.node else None
                built[pod.name] = (pod, reading, container, parse.replica(pod, container, reading, node))
        self._built = built
        return tuple(one[3] for one in built.values())

    def node_of(self, replicas: Iterable[Replica]) -> NodeId | None:
        """The node of all of them; ``None`` where they are on several."""
        nodes = {one.node for one in replicas}
        return nodes.pop() if len(nodes) == 1 else None

    def _newest(self) -> PodView | None:
        if self._latest is None and self.pods:
            self._latest = max(self.pods.values(), key=lambda one: (one.created_at or _EPOCH, one.name))
        return self._latest


def _name(pod: PodView) -> str:
    return pod.name
