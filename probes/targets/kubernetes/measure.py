"""Memory, CPU and throttling of all containers, from whoever tells of many at once.

The order: a Prometheus server that is configured; each node's counters (cAdvisor) where ``nodes/proxy`` is granted,
often for nodes with something that is looked at or in trouble, seldom for the others; else the list of metrics-server;
else a Prometheus server that the cluster runs (:mod:`.found`, which tells latency in any case), or the kubelets'
summaries. Each figure says its source and its time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from probes.base import DeploymentId, Failure, ReplicaId
from probes.model import Deployment, Interest, Latency, Memory
from probes.target import Unreadable
from probes.targets.kubernetes import cadvisor, figures
from probes.targets.kubernetes.choice import key_of
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.found import Found, Running, ask, ask_again_seconds
from probes.targets.kubernetes.ids import node_name
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.prometheus import Prometheus
from probes.targets.kubernetes.readings import CADVISOR, LIST, Readings
from probes.targets.kubernetes.views import ServiceView

LIST_SECONDS = 15.0
"""Between two lists of metrics-server, which itself looks every 15 s; for each 2,000 replicas so much more."""
NODE_SECONDS = 15.0
"""Between two looks at a node's counters, which change every 10 to 15 s; of far ones as their size allows."""
_FAR_BYTES_PER_SECOND = 200_000.0
"""Of counters of nodes that nobody looks at: beyond, they are asked less often, and at last not at all."""
_FAR_LONGEST_SECONDS = 120.0
_DOCUMENT_BYTES = 64 << 20
_DOCUMENT_SECONDS = 15.0
_NODES_AT_ONCE = 4
_AGAIN_SECONDS = 300.0
"""Until what is forbidden or not there is asked for again."""
_IDLE_ROUNDS = 2
"""Rounds without anything that runs, until that is so: what is listed now is known a moment later."""
_REFUSALS = frozenset({"forbidden", "not-found"})


class Meter:
    """Polls until it is cancelled; one round is :meth:`step`."""

    def __init__(
        self,
        client: ApiClient,
        readings: Readings,
        kubelets: Kubelets,
        *,
        namespace: Callable[[], str | None],
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        services: Callable[[], list[ServiceView]],
        latency: Callable[[Mapping[DeploymentId, Latency]], None],
        prometheus: Prometheus | None = None,
    ) -> None:
        """``prometheus`` is the configured one; ``namespace`` limits what is listed."""
        self._client = client
        self._readings = readings
        self._kubelets = kubelets
        self._namespace = namespace
        self._deployments = deployments
        self._latency = latency
        self._prometheus = prometheus
        self._found: Found | None = None
        if prometheus is None:
            self._found = Found(
                client, readings, running=self._running, services=services, latency=latency, lacking=self._lacking
            )
        self._due: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._counters: dict[ReplicaId, cadvisor.Counters] = {}
        self._failures: dict[str, Failure] = {}
        self._tried: set[str] = set()
        self._idle = 0
        self.interest = Interest()

    def settled(self) -> bool:
        """Whether each source was asked once, or there is nothing to ask for."""
        if self._idle >= _IDLE_ROUNDS and not self._running():
            return True
        return "round" in self._tried and (self._found is None or self._found.settled())

    def failures(self) -> tuple[Failure, ...]:
        """What keeps figures from being read; nothing where another source has them."""
        told = {"prometheus": self._failures.get("prometheus")}
        if (
            "list" in self._failures
            and "nodes" in self._failures
            and self._prometheus is None
            and not (self._found is not None and self._found.figures)
        ):
            told["list"] = self._failures["list"]
        # That throttling alone is unknown is no failure: the right to it is not granted by default, for good reason.
        return tuple(one for one in told.values() if one is not None)

    async def step(self) -> None:
        """Asks what is due. Raises nothing but cancellation; failures are kept."""
        now = time.monotonic()
        if not self._anything_due(now):
            return
        running = self._running()
        self._idle = 0 if running else self._idle + 1
        if not running:
            return
        if self._prometheus is not None and self._is_due("prometheus", now):
            await self._ask_prometheus(self._prometheus, running)
        if self._prometheus is None or "prometheus" in self._failures:
            if self._is_due("list", now):
                await self._ask_list(running)
            await self._ask_nodes(running, now)
        self._tried.add("round")

    async def step_beside(self) -> None:
        """Asks the Prometheus server that the cluster runs, where none is configured; run beside :meth:`step`."""
        if self._found is not None:
            await self._found.step()

    def forget(self, alive: set[ReplicaId]) -> None:
        """Drops replicas that are no more."""
        self._counters = {one: kept for one, kept in self._counters.items() if one in alive}

    async def close(self) -> None:
        """Ends the connections to Prometheus."""
        if self._prometheus is not None:
            await self._prometheus.close()

    def _running(self) -> Running:
        return {
            replica.id: (key, replica)
            for key, deployment in self._deployments().items()
            for replica in deployment.replicas
            if replica.state == "running"
        }

    def _anything_due(self, now: float) -> bool:
        known = [at for what, at in self._due.items() if what in ("list", "prometheus")]
        nodes = [at for what, at in self._due.items() if what.startswith("node ")]
        if "round" not in self._tried or any(at <= now for at in known):
            return True
        return self._due.get("nodes", 0.0) <= now and (not nodes or min(nodes) <= now)

    def _lacking(self) -> bool:
        """Whether the usual sources tell too little."""
        return bool({"list", "nodes"} & self._failures.keys())

    def _is_due(self, what: str, now: float) -> bool:
        return now >= self._due.get(what, 0.0)

    def _later(self, what: str, seconds: float) -> None:
        self._due[what] = time.monotonic() + seconds

    def _fail(self, what: str, failure: Failure) -> None:
        self._failures[what] = failure
        self._later(what, _AGAIN_SECONDS if failure.code in _REFUSALS else 2 * LIST_SECONDS)

    async def _ask_list(self, running: Running) -> None:
        """All pods' figures by metrics-server, except those that a better source tells of."""
        self._later("list", LIST_SECONDS * (1 + len(running) // 2000))
        namespace = self._namespace()
        within = f"namespaces/{namespace}/" if namespace is not None else ""
        try:
            body = await self._client.get(f"/apis/metrics.k8s.io/v1beta1/{within}pods", timeout_seconds=15.0)
            found = await asyncio.to_thread(figures.pod_metrics, body, running.keys())
        except Unreadable as unreadable:
            self._fail("list", _unlisted(unreadable.failure))
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail("list", Failure("unexpected-answer", "metrics.k8s.io", "its answer is not understood", ""))
            return
        self._failures.pop("list", None)
        self._take(found)

    def _take(self, found: Mapping[ReplicaId, figures.Figure]) -> None:
        for replica, figure in found.items():
            memory = Memory(used_bytes=figure.working_set_bytes, source=figure.source)
            known = self._readings.of(replica).cpu
            cpu = None
            if figure.used_cores is not None:
                # Shares of throttled periods are of the time when they were measured, which is over.
                known = msgspec.structs.replace(known or _NO_CPU, throttled_ratio=None, throttled_time_ratio=None)
                cpu = msgspec.structs.replace(known, used_cores=figure.used_cores)
            self._readings.figure(replica, LIST, figure.at, memory, cpu)

    async def _ask_nodes(self, running: Running, now: float) -> None:
        """The counters of the nodes whose turn it is."""
        if not self._is_due("nodes", now):
            return
        near: dict[str, bool] = {}
        for key, replica in running.values():
            node = node_name(replica.node)
            if node is not None and self._kubelets.silent(replica.node) is None:
                near[node] = near.get(node, False) or key_of(key, self.interest)
        typical = sum(self._sizes.values()) / len(self._sizes) if self._sizes else 0.0
        far_seconds = max(NODE_SECONDS, len(near) * typical / _FAR_BYTES_PER_SECOND)
        due = [
            node
            for node, close in near.items()
            if self._is_due(f"node {node}", now) and (close or not self._sizes or far_seconds <= _FAR_LONGEST_SECONDS)
        ]
        turns = asyncio.Semaphore(_NODES_AT_ONCE)
        # The first node tells whether it is allowed at all.
        for some in (due[:1], due[1:]):
            if "nodes" not in self._failures:
                await asyncio.gather(*(self._ask_node(one, running, turns) for one in some))
            for node in some:
                self._later(f"node {node}", NODE_SECONDS if near[node] else far_seconds)

    async def _ask_node(self, node: str, running: Running, turns: asyncio.Semaphore) -> None:
        mine = {one for one, (_, replica) in running.items() if node_name(replica.node) == node}
        somebody = running[next(iter(mine))][1].node
        document = cadvisor.Document(mine)
        size = 0
        try:
            async with turns, asyncio.timeout(_DOCUMENT_SECONDS):
                path = f"/api/v1/nodes/{node}/proxy/metrics/cadvisor"
                async with aclosing(self._client.stream(path)) as chunks:
                    async for chunk in chunks:
                        document.feed(chunk)
                        size += len(chunk)
                        if size > _DOCUMENT_BYTES:
                            break
                if "list" in self._failures:
                    await self._ask_summary(node, mine)
        except (Unreadable, TimeoutError) as error:
            self._kubelets.failed(somebody, error)
            if isinstance(error, Unreadable) and error.failure.code == "forbidden":
                self._fail("nodes", error.failure)
            return
        self._kubelets.answered(somebody)
        self._failures.pop("nodes", None)
        self._sizes[node] = size
        for replica, counters in document.counters(datetime.now(UTC)).items():
            self._count(replica, counters)

    def _count(self, replica: ReplicaId, counters: cadvisor.Counters) -> None:
        before = self._counters.get(replica)
        if before is not None and counters.at <= before.at:
            return
        self._counters[replica] = counters
        if counters.working_set_bytes is None:
            return
        memory = Memory(used_bytes=counters.working_set_bytes, oom_kills=counters.oom_events, source=cadvisor.SOURCE)
        cpu = cadvisor.cpu(counters, before)
        if cpu.used_cores is None and (known := self._readings.of(replica).cpu) is not None:
            cpu = msgspec.structs.replace(cpu, used_cores=known.used_cores)
        self._readings.figure(replica, CADVISOR, counters.at, memory, cpu)

    async def _ask_summary(self, node: str, mine: set[ReplicaId]) -> None:
        """CPU at once, where metrics-server tells none: counters need a second look for it."""
        body = await self._client.get(f"/api/v1/nodes/{node}/proxy/stats/summary", timeout_seconds=_DOCUMENT_SECONDS)
        try:
            self._take(await asyncio.to_thread(figures.summary, body, mine))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return

    async def _ask_prometheus(self, server: Prometheus, running: Running) -> None:
        self._later("prometheus", ask_again_seconds(running))
        try:
            self._latency(await ask(server, running, self._readings, figures=True))
        except Unreadable as unreadable:
            self._failures["prometheus"] = unreadable.failure
            return
        self._failures.pop("prometheus", None)


_NO_CPU = cadvisor.cpu(cadvisor.Counters(at=datetime.fromtimestamp(0, UTC)), None)


def _unlisted(failure: Failure) -> Failure:
    what = "memory and CPU of pods"
    if failure.code == "forbidden":
        hint = "allow list on pods of metrics.k8s.io, or name a Prometheus server in the configuration"
        return Failure("forbidden", what, failure.why, hint)
    if failure.code in {"not-found", "too-busy", "server-error"}:
        hint = "install metrics-server, allow get on nodes/proxy, or name a Prometheus server in the configuration"
        return Failure("not-found", what, "the cluster has no metrics.k8s.io, or it does not answer", hint)
    return Failure(failure.code, what, failure.why, failure.hint)
