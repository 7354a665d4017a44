"""All containers of one engine and the deployments that they make; keeps what did not change as it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from probes import accessformat
from probes.base import DeploymentId, NodeId, ReplicaId, TargetId
from probes.latency import latency
from probes.logbook import LogBook
from probes.loghits import LogCoverage, LogLine
from probes.logs import Matcher
from probes.model import Deployment
from probes.scrapes import Scrapes
from probes.target import Options
from probes.targets.docker import deployments as grouping
from probes.targets.docker.answers import Inspect
from probes.targets.docker.client import EngineClient
from probes.targets.docker.container import Container
from probes.targets.docker.documents import is_kept
from probes.targets.docker.follower import Follower, together
from probes.targets.docker.recognition import Known


class Fleet:
    """Changed by the target's event loop alone."""

    def __init__(self, target: TargetId, options: Options) -> None:
        self.target = target
        self.options = options
        self.containers: dict[ReplicaId, Container] = {}
        self.deployments: dict[DeploymentId, Deployment] = {}
        self.node: NodeId | None = None
        self.here = False
        """The engine runs on this machine: files that its labels name are ours."""
        self.skew = timedelta(0)
        """The engine's clock less ours."""
        self.woken = asyncio.Event()
        """Set when there is something to publish."""
        self.scrapes: Callable[[], Mapping[ReplicaId, Scrapes]] = dict
        """What the services count of their own requests."""
        self._dirty: set[DeploymentId] = set()
        self._matcher: Matcher | None = None
        self._client: EngineClient | None = None
        self._books: dict[DeploymentId, LogBook] = {}
        self._followers: dict[ReplicaId, Follower] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def oldest(self) -> datetime:
        """The beginning of the look-back, by the engine's clock."""
        return datetime.now(UTC) + self.skew - self.options.lookback

    def put(self, found: Inspect, known: Known, *, local: bool) -> Container:
        """Takes a container as the engine describes it now."""
        key = ReplicaId(found.id)
        container = self.containers.get(key)
        if container is None:
            container = self.containers[key] = Container(found)
        else:
            container.update(found)
        container.known = known
        container.local = local
        self.here = self.here or local
        self._place(container)
        self.touch([key])
        return container

    def remove(self, replica: ReplicaId) -> None:
        """Forgets a container that the engine has no more."""
        container = self.containers.pop(replica, None)
        if container is not None:
            self._leave(container)

    def touch(self, replicas: Iterable[ReplicaId]) -> None:
        """Something about these containers changed."""
        for replica in replicas:
            container = self.containers.get(replica)
            if container is not None and container.deployment is not None:
                self._dirty.add(container.deployment)
        if self._dirty:
            self.woken.set()

    def follow(self, client: EngineClient | None, matcher: Matcher | None) -> None:
        """Follows the logs of what is listed over this connection; ``None`` ends following."""
        self._client, self._matcher = client, matcher or self._matcher
        for container in self.containers.values():
            self._follow(container)
        if client is None:
            for follower in self._followers.values():
                self._end(follower)

    def lines(self, deployment: DeploymentId, after: int) -> tuple[LogLine, ...]:
        """The kept tail of a deployment's logs."""
        book = self._books.get(deployment)
        return book.lines(after) if book is not None else ()

    def members(self, deployment: DeploymentId) -> list[Container]:
        """The containers of a deployment."""
        return [one for one in self.containers.values() if one.deployment == deployment]

    def settled(self) -> bool:
        """Whether everything listed was measured and its log's past read, once."""
        return all(one.settled for one in self.containers.values() if one.deployment is not None)

    def age(self) -> None:
        """Takes what ended before the look-back off the list."""
        oldest = self.oldest()
        for container in self.containers.values():
            if container.deployment is not None and container.ended_before(oldest):
                self._leave(container)

    def refresh(self) -> frozenset[DeploymentId]:
        """Builds what is dirty anew; the ids of those that differ from before."""
        oldest = self.oldest()
        dirty, self._dirty = self._dirty, set()
        joined = grouping.joined_by(self.containers.values()) if dirty else {}
        changed: set[DeploymentId] = set()
        groups: dict[DeploymentId, list[Container]] = {key: [] for key in dirty}
        for container in self.containers.values():
            if container.deployment in groups:
                groups[container.deployment].append(container)
        for key, members in groups.items():
            if not members:
                self._books.pop(key, None)
                if self.deployments.pop(key, None) is not None:
                    changed.add(key)
                continue
            built = self._build(key, members, oldest, joined)
            if built != self.deployments.get(key):
                self.deployments[key] = built
                changed.add(key)
        return frozenset(changed)

    def _build(
        self, key: DeploymentId, members: list[Container], oldest: datetime, joined: dict[str, str]
    ) -> Deployment:
        book = self._books.get(key)
        followers = [self._followers.get(one.id) for one in members]
        coverages = [
            LogCoverage(state="unread", why="not read yet") if one is None else one.coverage for one in followers
        ]
        logs = together(coverages)
        if book is not None and book.structured_ratio is not None:
            logs = msgspec.structs.replace(logs, structured_ratio=book.structured_ratio)
        built = grouping.build(
            self.target,
            key,
            members,
            oldest=oldest,
            joined=joined,
            node=self.node,
            local=self.here,
            hits=book.hits(oldest) if book is not None else (),
            logs=logs,
        )
        told = latency(
            built.replicas,
            built.settings,
            built.server,
            self.scrapes(),
            book.requests if book is not None and logs.until is None else lambda _: (),
            time.monotonic(),
            (datetime.now(UTC) + self.skew).timestamp(),
        )
        return built if told is None else msgspec.structs.replace(built, latency=told)

    def _place(self, container: Container) -> None:
        """Lists the container where it belongs, or nowhere."""
        wanted = grouping.deployment_id(self.target, container) if self._listed(container) else None
        if container.deployment == wanted:
            self._follow(container)
            return
        self._leave(container)
        container.deployment = wanted
        self._follow(container)

    def _listed(self, container: Container) -> bool:
        known = container.known
        if known is None or grouping.one_off(container) or is_kept(container.base.name):
            return False
        framework = known.recognition.framework
        if framework != "fastapi" and not (framework == "unknown" and self.options.unknown):
            return False
        return not container.ended_before(self.oldest())

    def _leave(self, container: Container) -> None:
        follower = self._followers.pop(container.id, None)
        if follower is not None:
            self._end(follower)
        if container.deployment is not None:
            book = self._books.get(container.deployment)
            if book is not None:
                book.drop(container.id)
            self._dirty.add(container.deployment)
            container.deployment = None
            self.woken.set()

    def _follow(self, container: Container) -> None:
        if container.deployment is None or self._client is None or self._matcher is None:
            return
        follower = self._followers.get(container.id)
        if follower is None:
            book = self._books.get(container.deployment)
            if book is None:
                book = self._books[container.deployment] = LogBook(self._matcher)
                command = container.known.command if container.known is not None else None
                if command is not None:
                    book.expect(accessformat.of(command.server, command.settings))
            replica = container.id
            follower = self._followers[replica] = Follower(
                container, book.stream(replica, "docker logs"), self.oldest(), lambda: self.touch([replica])
            )
        follower.start(self._client)

    def _end(self, follower: Follower) -> None:
        task = asyncio.create_task(follower.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ends all following."""
        await asyncio.gather(*(one.stop() for one in self._followers.values()), *self._ending, return_exceptions=True)
