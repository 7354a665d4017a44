"""A namespace of a real cluster with workloads in it, and fastops's own way to write there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from probes.intent import Intent, RestorePoint, Step
from probes.model import Deployment
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.draft import KubernetesDrafter
from probes.targets.kubernetes.kinds import KINDS
from probes.targets.kubernetes.rendering import CHANGE, lasting
from probes.targets.kubernetes.rollout import Patience, counted
from probes.targets.kubernetes.write import KubernetesWriter
from tests.cluster import namespaces
from tests.cluster.api import Api, ApiError
from tests.lab import images
from tests.probes.kubernetes import _objects

Json = dict[str, Any]
UP_SECONDS = 90.0
QUICK = Patience(stall=25.0, most=60.0, held=2.0, poll=0.3)
CHANGE_ID = "20261122-k4test"
DIES = {"PYTHONHOME": "/nonexistent"}
"""A variable with which no Python starts."""


class Shop:
    """One namespace."""

    def __init__(self, kubeconfig: Path, api: Api, name: str) -> None:
        self.kubeconfig, self.api, self.name = kubeconfig, api, name

    def client(self, *, read_only: bool = False, user: str | None = None) -> ApiClient:
        """A client of this loop; as another user where one is named."""
        place = resolve("k8s", environment={"KUBECONFIG": str(self.kubeconfig)})
        if user is not None:
            place = replace(place, user=replace(place.user, impersonate=(("Impersonate-User", user),)))
        return ApiClient(place, read_only=read_only)

    def path(self, kind: str, name: str | None = None) -> str:
        """Of an object, or of a list."""
        return KINDS[kind].path(self.name, name)

    def get(self, kind: str, name: str = "web") -> Json:
        """A live object."""
        return self.api.get(self.path(kind, name))

    def spec(self, kind: str = "Deployment", name: str = "web") -> Json:
        """All that a person wrote into it, and the mark of a change where there is one."""
        live = self.get(kind, name)
        return {**lasting(live), "mark": (live["metadata"].get("annotations") or {}).get(CHANGE)}

    def app(self, kind: str = "Deployment", name: str = "web") -> Json:
        """The serving container of its template."""
        found: Json = self.get(kind, name)["spec"]["template"]["spec"]["containers"][0]
        return found

    def pods(self, name: str = "web") -> list[Json]:
        """Those that are there and do not go."""
        every = self.api.items(self.path("Pod"), labelSelector=f"app={name}")
        return [pod for pod in every if not pod["metadata"].get("deletionTimestamp")]

    def start(self, name: str = "web", kind: str = "Deployment", *, up: bool = True, **changes: Any) -> Deployment:
        """A workload, in place of one of its name; ``changes`` are of its container, its spec or its metadata."""
        thing = _objects.workload(kind=kind, namespace=self.name)
        metadata, spec = changes.pop("metadata", {}), changes.pop("spec", {})
        labels = {"app": name}
        more = changes.pop("pod", {})
        image = {"image": images.tags("app")[-1], "imagePullPolicy": "IfNotPresent"}
        pod = {
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": [_objects.container(**{**image, **changes})],
            **more,
        }
        thing["metadata"] = {"name": name, "namespace": self.name, **metadata}
        thing["spec"] = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **({} if kind == "DaemonSet" else {"replicas": 1}),
            **({"serviceName": name} if kind == "StatefulSet" else {}),
            **spec,
        }
        self.api.delete(self.path(kind, name))
        self.until(f"the end of {name}", lambda: not self.pods(name))
        self.api.post(self.path(kind), thing)
        if up:
            self.await_rolled_out(kind, name)
        return _objects.deployment(self.name, name, kind)

    def await_rolled_out(self, kind: str = "Deployment", name: str = "web") -> None:
        """Until every replica is of the present template and available."""
        self.until(f"{kind} {name}", lambda: counted(self.get(kind, name)).complete)

    def until(self, what: str, enough: Callable[[], bool], seconds: float = UP_SECONDS) -> None:
        """Waits for a condition; fails with the pods' states where it does not come."""
        deadline = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < deadline, f"{what}: {[pod['status'] for pod in self.pods()]}"
            time.sleep(0.1)


class Fix:
    """What is done about a workload, step by step, as :mod:`fixes.apply` does it."""

    def __init__(self, shop: Shop, client: ApiClient, *, folder: Path | None = None, change: str = CHANGE_ID) -> None:
        self.said: list[str] = []
        self.drafter = KubernetesDrafter(client, folder)
        self.writer = KubernetesWriter(client, QUICK)
        self.change = change
        self.steps: Sequence[Step] = ()
        self.points: list[RestorePoint] = []

    async def draft(self, deployment: Deployment, want: Intent) -> Sequence[Step]:
        """The steps."""
        self.steps = await self.drafter.draft(deployment, want)
        return self.steps

    async def apply(self, deployment: Deployment, want: Intent) -> list[RestorePoint]:
        """Drafts and performs."""
        await self.draft(deployment, want)
        return await self.perform()

    async def perform(self) -> list[RestorePoint]:
        """Performs what was drafted."""
        for step in self.steps:
            self.points.append(await self.writer.perform(step, self.change, self.said.append))
        return self.points

    async def undo(self) -> None:
        """Takes all back, from last to first, once nothing would be refused."""
        for point in reversed(self.points):
            await self.writer.check(point, self.change)
        for point in reversed(self.points):
            await self.writer.restore(point, self.change, self.said.append)


@contextmanager
def opened(kubeconfig: Path, name: str) -> Iterator[Shop]:
    """A namespace that is removed in the end."""
    with Api(kubeconfig) as api:
        namespaces.make(api, name)
        try:
            yield Shop(kubeconfig, api, name)
        finally:
            namespaces.remove(api, name)


@contextmanager
def of_tests(kubeconfig: Path, purpose: str) -> Iterator[Shop]:
    """A namespace of this run, on the tests' cluster."""
    with opened(kubeconfig, f"fastops-{purpose}-{os.getpid()}") as shop:
        yield shop


__all__ = ["ApiError", "Fix", "Shop", "of_tests", "opened"]
