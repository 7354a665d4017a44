"""All workloads of one cluster and the deployments that they make; keeps what did not change as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from probes.base import DeploymentId, NodeId, ReplicaId, TargetId
from probes.loghits import LogCoverage, LogHit
from probes.model import Capability, Deployment, DeploymentKind, Latency, Node
from probes.servers import ServerCommand
from probes.target import Options
from probes.targets.kubernetes import build, guards, owners
from probes.targets.kubernetes.group import Group, GroupKey
from probes.targets.kubernetes.happened import Happened, Heard
from probes.targets.kubernetes.ids import node_id, replica_id, replica_parts
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.questions import Asked, Questions
from probes.targets.kubernetes.surroundings import Surroundings
from probes.targets.kubernetes.told import Told
from probes.targets.kubernetes.undecided import Undecided, Unseen
from probes.targets.kubernetes.views import (
    HappeningView,
    NodeView,
    ObjectView,
    PodView,
    TemplateView,
    WorkloadKind,
    WorkloadView,
)

Capabilities = Callable[[DeploymentKind], Mapping[Capability, str | None]]


class Fleet:
    """Changed by the target's event loop alone: :meth:`take` is what a :class:`Mirror` calls."""

    def __init__(self, target: TargetId, options: Options) -> None:
        self.target = target
        self.options = options
        self.deployments: dict[DeploymentId, Deployment] = {}
        self.measured: dict[ReplicaId, Measured] = {}
        """Put here by the sampler, which then calls :meth:`touch`; what a former container told is forgotten."""
        self.nodes: dict[NodeId, Node] = {}
        self.hits: Callable[[DeploymentId, datetime], tuple[LogHit, ...]] = lambda _id, _oldest: ()
        self.coverage: Callable[[DeploymentId], LogCoverage] | None = None
        self.capabilities: Capabilities = guards.capabilities
        self.woken = asyncio.Event()
        """Set when there is something to publish."""
        self._groups: dict[GroupKey, Group] = {}
        self._by_id: dict[DeploymentId, Group] = {}
        self._home: dict[str, Group] = {}
        """Pod's key → where it belongs."""
        self._sets: dict[str, WorkloadView] = {}
        """ReplicaSets by their uid."""
        self._around: Surroundings[Group] = Surroundings()
        self._happened = Happened()
        self._dirty: dict[Group, None] = {}
        self._ending: dict[Group, None] = {}
        """Those with pods that are over and still within the look-back."""
        self._open = Questions()
        self.undecided = Undecided()
        self._latency: Mapping[DeploymentId, Latency] = {}

    def oldest(self) -> datetime:
        """The beginning of the look-back."""
        return datetime.now(UTC) - self.options.lookback

    def take(self, before: ObjectView | None, now: ObjectView | None) -> None:
        """An object came, changed or went."""
        view = now or before
        if isinstance(view, PodView):
            self._take_pod(view.key, now if isinstance(now, PodView) else None)
        elif isinstance(view, WorkloadView):
            if isinstance(before, WorkloadView) and now is not None and before.uid != view.uid:
                self._take_workload(before, gone=True)
            self._take_workload(view, gone=now is None)
        elif isinstance(view, HappeningView):
            if now is not None and self._happened.put(view, self.oldest()):
                self.woken.set()
        elif isinstance(view, NodeView):
            self._take_node(view, gone=now is None)
        elif view is not None:
            for group in self._around.take(view, gone=now is None):
                self._mark(group)
        if self._dirty:
            self.woken.set()

    def touch(self, replicas: Iterable[ReplicaId]) -> None:
        """Something about these replicas changed beside the objects: a measurement, a line in a log."""
        for replica in replicas:
            group = self._home.get("/".join(replica_parts(replica)[:2])) or self._named(replica)
            if group is not None and group.id in self.deployments:
                self._mark(group)
        if self._dirty:
            self.woken.set()

    def told_latency(self, latency: Mapping[DeploymentId, Latency]) -> None:
        """Takes how long users' requests took, of all deployments that it is known of."""
        before, self._latency = self._latency, latency
        for key in before.keys() | latency.keys():
            group = self._by_id.get(key)
            if group is not None and before.get(key) != latency.get(key):
                self._mark(group)
        if self._dirty:
            self.woken.set()

    def heard(self) -> Iterator[Heard]:
        """Events of the API about what is listed that were not handed out yet, oldest first."""
        return self._happened.fresh(self._listed_about)

    @property
    def asked_version(self) -> int:
        """Rises when :meth:`open` may tell something else."""
        return self._open.version

    def open(self) -> Iterator[Asked]:
        """What the services' own documents may tell: of workloads that cannot be told otherwise and run."""
        return self._open.pending()

    def command(self, deployment: DeploymentId) -> ServerCommand | None:
        """The server's command of a workload, where it is known."""
        group = self._by_id.get(deployment)
        return None if group is None else group.known.command

    def unseen(self, among: Iterable[DeploymentId]) -> Iterator[Unseen]:
        """What is listed, runs, and was not looked into."""
        for key in among:
            group = self._by_id.get(key) if key in self.deployments else None
            found = group.unseen() if group is not None else None
            if group is not None and found is not None:
                yield Unseen(key, group.template, *found)

    def again(self, deployments: Iterable[DeploymentId]) -> None:
        """Builds these anew: something else than they changed."""
        for group in [self._by_id[one] for one in deployments if one in self._by_id]:
            self._mark(group)
            self.woken.set()

    def tell(self, deployment: DeploymentId, template: TemplateView, told: Told) -> None:
        """What was learned of a workload beside its description, which was this one."""
        group = self._by_id.get(deployment)
        if group is not None:
            group.learn(template, told)
            self._mark(group)
            self.woken.set()

    def age(self) -> None:
        """Takes what is past the look-back off the list: to be called now and then."""
        oldest = self.oldest()
        self._happened.forget(oldest)
        for group in list(self._ending):
            self._mark(group)
        if self._dirty:
            self.woken.set()

    def refresh(self, *, new_alone: bool = False) -> frozenset[DeploymentId]:
        """Builds what is dirty anew; the ids of those that differ from before.

        ``new_alone`` leaves what stands in the list for later: while lists come in, more of it is told with each page.
        """
        oldest = self.oldest()
        dirty, self._dirty = self._dirty, {}
        if new_alone:
            self._dirty = {one: None for one in dirty if one.id in self.deployments}
            dirty = {one: None for one in dirty if one not in self._dirty}
        changed: set[DeploymentId] = set()
        for group in dirty:
            if group.empty:
                self._forget(group)
            built = None if group.empty else self._build(group, oldest)
            if built is None:
                if self.deployments.pop(group.id, None) is not None:
                    changed.add(group.id)
            elif built != self.deployments.get(group.id):
                if group.id not in self.deployments:
                    self._happened.look_again()
                self.deployments[group.id] = built
                changed.add(group.id)
        return frozenset(changed)

    def _build(self, group: Group, oldest: datetime) -> Deployment | None:
        known = group.known
        held = self.undecided.take(group, listed=group.id in self.deployments)
        if known.questions:
            self._open.put(group, self._around.services(group.namespace, group.labels))
        else:
            self._open.drop(group)
        if held or not (known.framework == "fastapi" or (known.framework == "unknown" and self.options.unknown)):
            return None
        self._around.labelled(group, group.namespace, group.labels)
        made = build.deployment(
            group,
            self._around.of(group, group.key, group.labels, group.workload),
            self.measured,
            oldest,
            self.capabilities(group.kind),
            hits=self.hits(group.id, oldest),
            latency=self._latency.get(group.id),
            logs=None if self.coverage is None else self.coverage(group.id),
        )
        if any(one.over for one in group.pods.values()) and made.replicas:
            self._ending[group] = None
        else:
            self._ending.pop(group, None)
        passing = group.workload is None or group.kind == "Job"
        return None if passing and not made.replicas else made

    def _take_pod(self, key: str, pod: PodView | None) -> None:
        before = self._home.get(key)
        old = before.pods.get(key) if before is not None else None
        if old is not None:
            self._forget_former(old, pod)
        home = None if pod is None else self._group(*owners.of_pod(pod, self._sets))
        if before is not None and before is not home:
            before.drop(key)
            del self._home[key]
            self._mark(before)
        if home is not None and pod is not None:
            if before is not home:
                self._home[key] = home
                self._happened.look_again()
            home.put(pod)
            self._mark(home)

    def _forget_former(self, old: PodView, pod: PodView | None) -> None:
        """A new container begins with nothing measured."""
        for status in old.statuses:
            now = pod.status(status.name) if pod is not None and pod.uid == old.uid else None
            if now is None or (now.container_id != status.container_id and status.container_id is not None):
                self.measured.pop(replica_id(old.namespace, old.name, status.name), None)

    def _take_workload(self, view: WorkloadView, *, gone: bool) -> None:
        if view.kind == "ReplicaSet":
            if gone:
                self._sets.pop(view.uid, None)
            else:
                self._sets[view.uid] = view
            for group in self._around.revised(view, gone=gone):
                self._mark(group)
            self._move_pods(view)
            if view.owner_uid is not None:
                return
        group = self._group(view.namespace, view.kind, view.name)
        group.workload = None if gone else view
        self._around.keeps(group, view.uid, gone=gone)
        self._mark(group)

    def _move_pods(self, replicaset: WorkloadView) -> None:
        """Pods whose owner was guessed before their ReplicaSet was known."""
        for key in owners.guesses(replicaset):
            group = self._groups.get(key)
            for pod in list(group.pods.values()) if group is not None else ():
                if pod.owner_uid == replicaset.uid:
                    self._take_pod(pod.key, pod)

    def _take_node(self, view: NodeView, *, gone: bool) -> None:
        key = node_id(self.target, view.name)
        cpus = None if view.cpus is None else max(1, round(view.cpus))
        node = Node(key, view.name, cpus=cpus, memory_total_bytes=view.memory_bytes)
        if gone:
            self.nodes.pop(key, None)
        elif self.nodes.get(key) != node:
            self.nodes[key] = node
            self.woken.set()

    def _group(self, namespace: str, kind: WorkloadKind, name: str) -> Group:
        key = (namespace, kind, name)
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = Group(self.target, key, kind)
            self._by_id[found.id] = found
        return found

    def _forget(self, group: Group) -> None:
        self._groups.pop(group.key, None)
        self._by_id.pop(group.id, None)
        self._open.drop(group)
        self.undecided.drop(group)
        self._ending.pop(group, None)
        self._around.forget(group, group.key)

    def _mark(self, group: Group) -> None:
        self._dirty[group] = None

    def _named(self, replica: ReplicaId) -> Group | None:
        """The workload whose own name stands in a replica's place: see :class:`Heard`."""
        namespace, name, kind = replica_parts(replica)
        return self._groups.get((namespace, kind, name))

    def _listed_about(self, view: HappeningView) -> tuple[DeploymentId, ReplicaId] | None:
        """The deployment that an event is about, and the replica."""
        if view.kind == "Pod":
            key = f"{view.namespace}/{view.about}"
            group = self._home.get(key)
            if group is None or group.id not in self.deployments:
                return None
            return group.id, replica_id(view.namespace, view.about, group.serving(group.pods[key]))
        place = owners.of_happening(view, self._sets)
        group = self._groups.get(place) if place is not None else None
        if group is None or group.id not in self.deployments:
            return None
        replicas = self.deployments[group.id].replicas
        return group.id, replicas[0].id if replicas else replica_id(group.namespace, group.name, group.kind)
