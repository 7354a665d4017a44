"""The logs of all deployments: followed where something is wrong or somebody looks, read now and then elsewhere.

Nobody's log costs a task or a connection until it is read: what is followed is bounded, and so is how often the rest is
read. Each deployment's is read once as soon as it is listed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

import msgspec

from probes.accesslog import AccessLog
from probes.base import DeploymentId, Failure, ReplicaId
from probes.loghits import LogCoverage, LogHit, LogLine
from probes.logs import Matcher
from probes.model import Deployment, Interest, Replica
from probes.target import Unreadable
from probes.targets.kubernetes.books import SAMPLED_REPLICAS, Books
from probes.targets.kubernetes.choice import sick, to_sample, worth_reading
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.cover import to_follow, together
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.turns import Turns
from probes.targets.kubernetes.views import HappeningView

_FOLLOWED_SECONDS = 5.0
"""So long a follower may take to read the past before it is not waited for."""
_AT_ONCE = 12
_FORBIDDEN_SECONDS = 300.0
_FOLLOW_AGAIN_SECONDS = 10.0


class Logs:
    """Changed by the target's event loop alone."""

    def __init__(
        self,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        lookback: timedelta,
        touch: Callable[[Iterable[ReplicaId]], None],
        kubelets: Kubelets,
    ) -> None:
        self._deployments = deployments
        self._touch = touch
        self._kubelets = kubelets
        self._client: ApiClient | None = None
        self._books = Books(deployments, lookback, touch)
        self._turns = Turns()
        self._sampling: dict[DeploymentId, asyncio.Task[None]] = {}
        self._followers: dict[ReplicaId, asyncio.Task[None]] = {}
        self._ended: dict[ReplicaId, float] = {}
        """When following ended by itself: it is begun again, but not at once."""
        self._looked: dict[DeploymentId, frozenset[tuple[ReplicaId, str]]] = {}
        self._passed: dict[DeploymentId, str] = {}
        """Why the logs of a deployment could not be asked for when it was its turn."""
        self._sick: set[DeploymentId] = set()
        self._interest = Interest()
        self._stale = True
        """Whom to follow is to be decided anew."""
        self._forbidden: dict[str, tuple[float, Failure]] = {}

    def prepare(self, matcher: Matcher) -> None:
        """From now on lines can be taken: this is what they are matched with."""
        self._books.matcher = matcher

    def connect(self, client: ApiClient) -> None:
        """From now on logs are read over this connection; after :meth:`prepare`."""
        self._client = client
        self._stale = True

    async def disconnect(self) -> None:
        """Ends all reading; what was read is kept, and gone on with later."""
        self._client = None
        tasks = [*self._followers.values(), *self._sampling.values()]
        self._followers, self._sampling = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def focus(self, interest: Interest) -> None:
        """What to follow first."""
        if interest != self._interest:
            self._interest = interest
            self._stale = True

    def update(self, changed: Collection[DeploymentId]) -> None:
        """Takes note of what became of these deployments: new ones are due, crashed ones again, gone ones forgotten."""
        deployments = self._deployments()
        for key in changed:
            deployment = deployments.get(key)
            if deployment is None:
                self._forget(key)
                continue
            self._books.keep(key, {one.id for one in deployment.replicas})
            known = self._books.of(key)
            news = [one for one in deployment.replicas if one.id in known and known[one.id].notice(one)]
            if any(worth_reading(one) for one in deployment.replicas) and not self._turns.add(key) and news:
                self._turns.hurry(key)
            ill = any(sick(one) for one in deployment.replicas)
            looks = frozenset((one.id, one.state) for one in deployment.replicas)
            if ill != (key in self._sick) or looks != self._looked.get(key):
                self._stale = True
                self._looked[key] = looks
                (self._sick.add if ill else self._sick.discard)(key)

    def tick(self) -> None:
        """Begins what is due: to be called about once a second."""
        if self._client is None:
            return
        if self._stale and (self._kubelets.heard or not self._turns.waiting):  # one is asked before a hundred are
            self._stale = False
            self._choose()
        passed = True
        while passed:  # what cannot be asked for now takes nobody's place
            passed = False
            for key in self._turns.take(_AT_ONCE - len(self._sampling), set(self._sampling)):
                if self._passed_over(key):
                    passed = True
                    continue
                task = self._sampling[key] = asyncio.create_task(self._sample(self._client, key))
                task.add_done_callback(partial(self._sampled, key))

    @property
    def ready(self) -> bool:
        """Whether lines can be taken: what they are matched with is there."""
        return self._books.matcher is not None

    @property
    def hurried(self) -> bool:
        """Whether there is something that was never read, and a connection: a tick may come sooner."""
        return self._turns.waiting and self._client is not None

    def settled(self) -> bool:
        """Whether every log was read once, or cannot be."""
        return not self._turns.waiting

    def failures(self) -> tuple[Failure, ...]:
        """What keeps logs from being read, once for each reason."""
        now = time.monotonic()
        return tuple(failure for until, failure in self._forbidden.values() if until > now)[:3]

    def hear(self, deployment: DeploymentId, replica: ReplicaId, event: HappeningView) -> None:
        """Takes what the API says of a replica as a line."""
        self._books.hear(deployment, replica, event)

    def hits(self, deployment: DeploymentId, oldest: datetime) -> tuple[LogHit, ...]:
        """What matched in a deployment's logs since ``oldest``."""
        return self._books.hits(deployment, oldest)

    def requests(self, deployment: DeploymentId, replica: ReplicaId) -> tuple[AccessLog, ...]:
        """What a log that comes as it is written says of requests: one that is read now and then tells no rate."""
        return self._books.requests(deployment, replica) if replica in self._followers else ()

    def lines(self, deployment: DeploymentId, after: int) -> tuple[LogLine, ...]:
        """The kept tail of a deployment's logs."""
        return self._books.lines(deployment, after)

    def coverage(self, deployment: DeploymentId) -> LogCoverage:
        """What of a deployment's logs was read."""
        found = self._deployments().get(deployment)
        known = self._books.of(deployment)
        if found is None:  # it is being built for the first time
            return LogCoverage(state="unread", why="not read yet")
        replicas = [one.id for one in found.replicas if worth_reading(one)]
        passed = LogCoverage(state="unread", why=self._passed[deployment]) if deployment in self._passed else None
        logs = together([known[one].coverage if one in known else passed for one in replicas])
        ratio = self._books.structured_ratio(deployment)
        return logs if ratio is None else msgspec.structs.replace(logs, structured_ratio=ratio)

    def _forget(self, key: DeploymentId) -> None:
        for replica in self._books.forget(key):
            follower = self._followers.pop(replica, None)
            if follower is not None:
                follower.cancel()
        self._passed.pop(key, None)
        self._turns.drop(key)
        self._sick.discard(key)
        self._looked.pop(key, None)
        self._stale = True

    def _choose(self) -> None:
        """Follows the logs of what is looked at and of what is in trouble, within bounds; ends the others."""
        assert self._client is not None
        wanted = to_follow(self._deployments(), self._interest, self._sick)
        for replica in [one for one, task in self._followers.items() if one not in wanted or task.done()]:
            self._followers.pop(replica).cancel()
        now = time.monotonic()
        self._ended = {one: at for one, at in self._ended.items() if now - at < _FOLLOW_AGAIN_SECONDS}
        for replica, key in wanted.items():
            if replica in self._followers or replica in self._ended:
                continue
            if self._why_not(key, replica) is None:
                log = self._books.log(key, replica)
                follow = log.follow(self._client, partial(self._replica, key, replica))
                task = self._followers[replica] = asyncio.create_task(follow)
                task.add_done_callback(partial(self._follower_ended, replica))

    def _follower_ended(self, replica: ReplicaId, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and self._followers.get(replica) is done:
            del self._followers[replica]
            self._ended[replica] = time.monotonic()
            asyncio.get_running_loop().call_later(_FOLLOW_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._stale = True

    def _replica(self, key: DeploymentId, replica: ReplicaId) -> Replica | None:
        deployment = self._deployments().get(key)
        return next((one for one in deployment.replicas if one.id == replica), None) if deployment is not None else None

    def _why_not(self, key: DeploymentId, replica: ReplicaId) -> str | None:
        """Why a log is not asked for now."""
        found = self._replica(key, replica)
        refused = self._forbidden.get(replica.partition("/")[0])
        if refused is not None and refused[0] > time.monotonic():
            return refused[1].why
        return self._kubelets.silent(found.node if found is not None else None)

    def _passed_over(self, key: DeploymentId) -> bool:
        """Whether none of the logs that would be read may be asked for; that is then said."""
        chosen = to_sample(self._deployments().get(key), self._books.of(key), SAMPLED_REPLICAS)
        if any(one.id in self._followers for one in chosen):
            return False
        reasons = [self._why_not(key, one.id) for one in chosen]
        if not all(reasons):
            return False
        known = self._books.of(key)
        for one, why in zip(chosen, reasons, strict=True):
            if one.id in known:
                known[one.id].unread(why or "")
            elif self._passed.get(key) != why:  # no log is opened for it: there may be thousands
                self._passed[key] = why or ""
                self._touch((one.id,))
        self._turns.done(key)
        return True

    async def _sample(self, client: ApiClient, key: DeploymentId) -> None:
        """Reads a few of a deployment's logs."""
        self._passed.pop(key, None)
        for replica in to_sample(self._deployments().get(key), self._books.of(key), SAMPLED_REPLICAS):
            log = self._books.log(key, replica.id)
            if replica.id in self._followers:
                await log.told(_FOLLOWED_SECONDS)
                continue
            why = self._why_not(key, replica.id)
            if why is not None:
                log.unread(why)
                continue
            try:
                await log.sample(client, replica)
                self._kubelets.answered(replica.node)
            except (Unreadable, TimeoutError) as error:
                self._kubelets.failed(replica.node, error)
                failure = error.failure if isinstance(error, Unreadable) else None
                if failure is not None and failure.code == "forbidden":
                    self._forbidden[replica.id.partition("/")[0]] = (time.monotonic() + _FORBIDDEN_SECONDS, failure)
                log.unread(failure.why if failure is not None else "the kubelet did not answer in time")

    def _sampled(self, key: DeploymentId, done: asyncio.Task[None]) -> None:
        if self._sampling.get(key) is done:
            del self._sampling[key]
        if not done.cancelled():
            self._turns.done(key)
            if self._turns.waiting and not self._sampling:
                self.tick()
