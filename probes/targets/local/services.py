"""All local services between sweeps: which there are, what they are called, what was said of them last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from probes import accessformat
from probes.base import DeploymentId, NodeId, ReplicaId, TargetId
from probes.latency import latency
from probes.logs import Matcher
from probes.model import Deployment
from probes.procfs import Tree
from probes.scrapes import Scrapes
from probes.targets.local.find import Master
from probes.targets.local.logs import ServiceLog
from probes.targets.local.measure import Measured
from probes.targets.local.names import Names, deployment_id
from probes.targets.local.service import Service


class Services:
    """The services by id; what ended is kept for the look-back."""

    def __init__(self, target: TargetId, matcher: Matcher, lookback: timedelta) -> None:
        self._target = target
        self._matcher = matcher
        self._lookback = lookback
        self._names = Names()
        self._services: dict[DeploymentId, Service] = {}
        self._current: dict[DeploymentId, Deployment] = {}
        self.by_replica: Mapping[ReplicaId, Service] = {}
        self.scrapes: Callable[[], Mapping[ReplicaId, Scrapes]] = dict
        """What the services count of their own requests."""

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services.values())

    def get(self, deployment: DeploymentId) -> Service | None:
        """A service by its deployment's id."""
        return self._services.get(deployment)

    def take(self, masters: Sequence[Master], tree: Tree) -> None:
        """Brings the services up to what a sweep found."""
        names = self._names.name([one.key for one in masters])
        seen: set[DeploymentId] = set()
        for master in masters:
            identity = deployment_id(names[master.key])
            if identity in seen:  # two masters of one key: an upgrade by USR2 is under way
                continue
            seen.add(identity)
            service = self._services.get(identity)
            if service is None:
                log = ServiceLog(self._matcher, self._lookback)
                service = self._services[identity] = Service(identity, names[master.key], log)
            service.running(master)
            if master.command is not None:
                service.log.book.expect(accessformat.of(master.command.server, master.command.settings))
            service.log.attach(master, (master.pid, *tree.descendants(master.pid)))
        oldest = datetime.now(UTC) - self._lookback
        for service in [one for identity, one in self._services.items() if identity not in seen]:
            service.ended()
            if service.ended_at is not None and service.ended_at < oldest:
                self._forget(service)
        self.by_replica = {one.master.replica: one for one in self if one.master is not None}

    @staticmethod
    def measured(service: Service, found: Measured | None) -> None:
        """Takes one sample in; without one the service has ended."""
        if found is None:
            service.ended()
            return
        service.measured = found
        service.changed = True

    def poll(self) -> None:
        """Reads what came into the logs."""
        for service in self:
            if service.log.poll():
                service.changed = True

    def deployments(self, node: NodeId) -> Mapping[DeploymentId, Deployment]:
        """All services as data; what did not change is the object of before."""
        for service in self:
            if service.changed and service.master is not None:
                service.changed = False
                fresh = self._with_latency(service, service.deployment(self._target, node, self._lookback))
                if self._current.get(service.id) != fresh:
                    self._current[service.id] = fresh
        for gone in self._current.keys() - self._services.keys():
            del self._current[gone]
        return dict(self._current)

    def _with_latency(self, service: Service, deployment: Deployment) -> Deployment:
        told = latency(
            deployment.replicas,
            deployment.settings,
            deployment.server,
            self.scrapes(),
            service.log.book.requests if deployment.logs.state == "followed" else lambda _: (),
            time.monotonic(),
            time.time(),
        )
        return deployment if told is None else msgspec.structs.replace(deployment, latency=told)

    def complete(self) -> bool:
        """Whether each was measured."""
        return all(one.measured is not None or one.ended_at is not None for one in self)

    def close(self) -> None:
        """Closes files and journal readers."""
        for service in self:
            service.log.close()

    def _forget(self, service: Service) -> None:
        del self._services[service.id]
        service.log.close()
        if service.master is not None:
            self._names.forget([service.master.key])
