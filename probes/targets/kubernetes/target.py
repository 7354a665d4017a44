"""The Kubernetes target: connects, lists, follows, and publishes what it knows, whatever becomes of the API server."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import unquote

from probes.base import DeploymentId, Failure, ReplicaId
from probes.beside import beside
from probes.loghits import LogLine
from probes.model import Interest, Link, LinkState, Replica, TargetState
from probes.target import Access, Drafter, Options, ReadOnly, Unreadable, Writer
from probes.targets.kubernetes import contexts
from probes.targets.kubernetes.access import ClusterAccess
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.fleet import Fleet
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.mirror import Mirror
from probes.targets.kubernetes.observing import Observing
from probes.targets.kubernetes.preserve import preserve

_PUBLISH_SECONDS = 0.15
"""Between two publications: readings that come together are told together."""
_LISTING_SECONDS = 0.6
_PARTLY_SECONDS = 3.0
"""While lists come in, what is shown already is told anew so often; what is new to the list is told at once."""
_MANY = 50
"""With more deployments than this, each is told less often while lists come in that tell more and more of it."""
_BACKOFF_SECONDS = (0.5, 15.0)
_LIST_FIRST_SECONDS = 5.0
_PATIENCE_SECONDS = 15.0
"""After so long on a live link the state counts as complete: one silent kubelet must not delay the others for ever."""
_MUTE_SECONDS = 10.0
"""A server that takes requests and does not say within so long which version it is counts as silent; a page of a list
may take longer, and makes it live whenever it comes."""
_LINKS: Mapping[str, LinkState] = {"expired": "expired", "forbidden": "forbidden", "permission-denied": "forbidden"}


class KubernetesTarget:
    """Implements :class:`probes.target.Target`; raises :class:`Unreadable` when there is no such context."""

    def __init__(self, spec: str = "k8s", options: Options | None = None) -> None:
        self.options = options or Options()
        self.place = contexts.resolve(spec, self.options.namespace)
        self.id = self.place.target
        self._client = ApiClient(
            self.place,
            read_only=self.options.read_only,
            reread=lambda: contexts.resolve(spec, self.options.namespace),
        )
        self._fleet = Fleet(self.id, self.options)
        self._mirror = Mirror(
            self._client,
            self._fleet.take,
            namespace=self.place.namespace,
            own_namespace=self.place.own_namespace,
        )
        self._access = ClusterAccess(
            self._client, self._replica, execute=self.options.execute, read_only=self.options.read_only
        )
        self.access: Access = self._access
        self._observing = Observing(self._client, self._fleet, self._mirror, self._access, self.options)
        self._version: str | None = None
        self._link = Link(state="connecting", since=datetime.now(UTC))
        self._live_until: datetime | None = None
        self._live_at = 0.0
        self._refreshed_at = 0.0
        self._complete = False
        self._lists_ended = asyncio.Event()
        self._publish: Callable[[TargetState], None] = lambda _: None

    @cached_property
    def drafter(self) -> Drafter:
        """What drafts fixes; loaded when the first is: a start needs none."""
        from probes.targets.kubernetes.draft import KubernetesDrafter

        return KubernetesDrafter(self._client)

    async def run(self, publish: Callable[[TargetState], None]) -> None:
        """Publishes until cancelled; a cluster that is down, forbidden or expired is a state, and tried again."""
        self._publish = publish
        self._link = Link(state="connecting", since=datetime.now(UTC))  # also after a run that a defect ended
        self._tell()
        publisher = asyncio.create_task(self._publish_changes())
        try:
            await beside(self._keep_connected(), publisher)
        finally:
            publisher.cancel()
            await asyncio.gather(publisher, return_exceptions=True)

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect_and_follow()
            except Unreadable as unreadable:
                was_live = self._link.state == "live"
                failures = 1 if was_live else failures + 1
                low, high = _BACKOFF_SECONDS
                delay = min(high, low * 2 ** min(failures - 1, 6)) * random.uniform(0.7, 1.3)  # noqa: S311
                self._lost(unreadable.failure, delay)
                await asyncio.sleep(delay)

    async def _connect_and_follow(self) -> None:
        observing: asyncio.Task[None] | None = None
        version = asyncio.create_task(self._learn_version())
        try:
            self._lists_ended.clear()
            listing = asyncio.create_task(self._mirror.list())
            try:
                await self._listed_or_shown(listing)
                self._link = Link(state="live", since=datetime.now(UTC))
                self._live_at, self._complete = asyncio.get_running_loop().time(), False
                self._fleet.woken.set()
                observing = asyncio.create_task(self._observe(listing))
                await beside(_ended(listing), observing)
                self._lists_ended.set()  # what was left for later is told now
            finally:
                listing.cancel()
                await asyncio.gather(listing, return_exceptions=True)
            self._fleet.woken.set()
            await beside(self._mirror.follow(), observing)
        finally:
            beside_it = [version] if observing is None else [version, observing]
            for task in beside_it:
                task.cancel()
            await asyncio.gather(*beside_it, return_exceptions=True)

    async def _learn_version(self) -> None:
        try:
            self._version = await self._client.version(timeout_seconds=_MUTE_SECONDS)
            self._fleet.woken.set()
        except Unreadable as unreadable:  # what tells is whether pods can be listed: that is gone on with
            if unreadable.failure.code == "timeout" and self._link.state != "live":
                self._lost(unreadable.failure, None)

    async def _observe(self, listing: asyncio.Task[None]) -> None:
        """Reads what stands beside the objects once those are listed: it would slow the list, and be told twice."""
        await self._observing.prepare()
        await asyncio.wait({listing}, timeout=_LIST_FIRST_SECONDS)
        await self._observing.run()

    async def _listed_or_shown(self, listing: asyncio.Task[None]) -> None:
        """Until the first pods are there, or nothing more comes; raises what the listing raises."""
        while not listing.done() and not self._mirror.objects("pods"):
            woken = asyncio.create_task(self._fleet.woken.wait())
            await asyncio.wait({listing, woken}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        if listing.done():
            listing.result()

    async def _publish_changes(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if not self._complete else None):
                    await self._fleet.woken.wait()
            woken = self._fleet.woken.is_set()
            self._fleet.woken.clear()
            complete = self._is_complete()
            if woken or complete != self._complete:
                self._complete = complete
                self._tell()
            if self._lists_many():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._lists_ended.wait(), _LISTING_SECONDS)
            else:
                await asyncio.sleep(_PUBLISH_SECONDS)

    def _lists_many(self) -> bool:
        return self._link.state == "live" and not self._mirror.listed and len(self._fleet.deployments) > _MANY

    def _is_complete(self) -> bool:
        if self._link.state != "live" or not self._mirror.listed:
            return False
        if self._complete or self._observing.settled():
            return True
        return asyncio.get_running_loop().time() - self._live_at > _PATIENCE_SECONDS

    def _tell(self) -> None:
        at = asyncio.get_running_loop().time()
        partly = self._lists_many() and at - self._refreshed_at < _PARTLY_SECONDS
        changed = self._fleet.refresh(new_alone=partly)
        self._refreshed_at = self._refreshed_at if partly else at
        self._observing.update(changed)
        now = datetime.now(UTC)
        if self._link.state == "live":
            self._live_until = now
        self._publish(
            TargetState(
                target=self.id,
                link=self._link,
                as_of=self._live_until or now,
                version=self._version,
                nodes=dict(self._fleet.nodes),
                failures=(*self._mirror.failures, *self._observing.failures()) if self._link.state == "live" else (),
                deployments=dict(self._fleet.deployments),
                changed=changed,
                complete=self._complete,
                listed=self._mirror.listed,
            )
        )

    def _lost(self, failure: Failure, delay: float | None) -> None:
        now = datetime.now(UTC)
        known = self._live_until is not None
        state: LinkState = _LINKS.get(failure.code, "stale" if known else "down")
        same = self._link.state == state
        self._link = Link(
            state=state,
            since=self._link.since if same else now,
            why=f"{failure.what}: {failure.why}." if state == "forbidden" else f"{failure.why}.",
            hint=failure.hint or None,
            retry_at=None if delay is None else now + timedelta(seconds=delay),
        )
        self._complete = False
        self._tell()

    def _replica(self, replica: ReplicaId) -> Replica | None:
        return self._observing.replica(replica)

    def focus(self, interest: Interest) -> None:
        """What to read first."""
        self._observing.focus(interest)

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of a deployment's logs, and what the API said of it between them."""
        return self._observing.lines(deployment, after)

    async def preserve(self, deployment: DeploymentId) -> Mapping[str, bytes]:
        """Descriptions, logs (those before a restart, too), events and the workload of a deployment's pods."""
        found = self._fleet.deployments.get(deployment)
        serving = {one.id: replica_parts(one.id)[2] for one in found.replicas} if found is not None else {}
        return await preserve(self._client, deployment, serving)

    async def collectors(self, deployment: DeploymentId) -> tuple[str, ...]:
        """The Services that take telemetry, and have a pod that is ready."""
        from probes.targets.kubernetes import collectors

        namespace = unquote(deployment.split("/")[2])
        return await collectors.find(self._client, namespace, everywhere=self.place.namespace is None)

    def writer(self) -> Writer:
        """Raises :class:`ReadOnly` in read-only mode."""
        if self.options.read_only:
            raise ReadOnly("This session is read-only.")
        from probes.targets.kubernetes.write import KubernetesWriter

        return KubernetesWriter(self._client)

    async def close(self) -> None:
        """Ends connections, and a credentials plugin that runs."""
        await self._observing.close()
        await self._access.close()
        await self._client.close()


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
    task.result()
