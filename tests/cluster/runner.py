"""Makes cases real on a cluster: applies their objects, waits for their facts, drives load, removes what it made."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import httpx

from tests.lab.case import Answers, Hold, Load, Logged, Signal
from tests.lab.drive import Driver
from tests.lab.images import LabError
from tests.lab.runner import LOG_TAIL_LINES, SIGNAL_WORKER

from . import forward, namespaces
from .api import Api, ApiError
from .case import Delete, Fact, KubeCase, Patch, Step
from .manifests import CONTAINER, manifests
from .sight import Sight, shows

FACT_DEADLINE_SECONDS = 150
POLL_SECONDS = 0.5
# Generated parts of names are made of these letters: no word is one of them.
GENERATED = "[bcdfghjklmnpqrstvwxz2456789]"

_numbers = itertools.count(1)


class RunningPods:
    """A case that was started in a namespace."""

    def __init__(self, case: KubeCase, namespace: str, api: Api, driver: Driver) -> None:
        self.case = case
        self.namespace = namespace
        self.first_pods: frozenset[str] = frozenset()
        self._api = api
        self._driver = driver
        self._loads: list[Future[None]] = []
        self._forwards: dict[str, forward.Forward] = {}
        self._routed: bool | None = None

    @property
    def path(self) -> str:
        """The workload's path in the API."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.case.kind.lower()}s/{self.case.name}"

    def deployment(self, context: str) -> str:
        """The id under which fastops lists it."""
        return f"k8s/{context}/{self.namespace}/{self.case.kind}/{self.case.name}"

    def workload(self) -> dict[str, Any]:
        """The live object."""
        return self._api.get(self.path)

    def pods(self) -> list[dict[str, Any]]:
        """Its live pods, the oldest first."""
        found = self._api.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=f"app={self.case.name}")
        return sorted(found, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def events(self) -> list[dict[str, Any]]:
        """The events of the workload, its ReplicaSets and its pods."""
        name = re.escape(self.case.name)
        mine = re.compile(rf"{name}(-{GENERATED}{{5,10}}|-\d+)?(-{GENERATED}{{5}})?")
        every = self._api.items(f"/api/v1/namespaces/{self.namespace}/events")
        return [event for event in every if mine.fullmatch(event["involvedObject"]["name"])]

    def log(self) -> str:
        """The last lines of its containers, also of those that ended before the present one."""
        texts = []
        for pod, previous in itertools.product(self.pods(), ("true", "false")):
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/log"
            try:
                texts.append(self._api.text(path, container=CONTAINER, tailLines=LOG_TAIL_LINES, previous=previous))
            except ApiError as error:
                if error.status not in (400, 404):  # no such container yet, any more, or ever
                    raise
        return "".join(texts)

    def endpoint(self) -> tuple[str, int]:
        """Where the oldest pod that is not on its way out can be reached from here. Raises ``LabError``."""
        assert self.case.port is not None
        for pod in self.pods():
            address, name = pod["status"].get("podIP"), pod["metadata"]["name"]
            if address is None or "deletionTimestamp" in pod["metadata"]:
                continue
            if self._routed is None:
                self._routed = forward.leads_to_pods(address, self.case.port)
            if self._routed:
                return str(address), self.case.port
            carrier = self._forwards.get(name)
            if carrier is None or not carrier.alive():
                carrier = forward.Forward(self._api, self.namespace, name, self.case.port)
                self._forwards[name] = carrier
            return "127.0.0.1", carrier.port
        raise LabError(f"{self.case.name}: no pod has an address yet")

    def ready(self) -> Self:
        """Wait until it is up, drive it, and wait for what that brings about. Raises ``LabError`` at the deadline."""
        if self.case.up is not None:
            self.wait(self.case.up)
        self.first_pods = frozenset(pod["metadata"]["uid"] for pod in self.pods())
        for step in self.case.drive:
            self.do(step)
        for fact in self.case.until:
            self.wait(fact)
        return self

    def do(self, step: Step) -> None:
        """Do one step of a drive; loads go on until the case is stopped."""
        if isinstance(step, Load | Hold):
            host, port = self.endpoint()
            self._loads.append(self._driver.begin(step, port, host))
        elif isinstance(step, Signal):
            command = f"kill -{step.name} 1" if step.to == "main" else SIGNAL_WORKER.format(name=step.name)
            for pod in self.pods():
                name = pod["metadata"]["name"]
                self._api.kubectl("exec", "-n", self.namespace, name, "-c", CONTAINER, "--", "sh", "-c", command)
        elif isinstance(step, Delete):
            grace = {} if step.grace_seconds is None else {"gracePeriodSeconds": step.grace_seconds}
            for pod in self.pods():
                self._api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}", **grace)
        elif isinstance(step, Patch):
            self._api.patch(self.path, step.body)
        else:
            self.wait(step)

    def wait(self, fact: Fact, seconds: float = FACT_DEADLINE_SECONDS) -> None:
        """Wait for a fact; raises ``LabError`` with what is to be seen instead when it does not come."""
        deadline = time.monotonic() + seconds
        while not self.shows(fact):
            if time.monotonic() > deadline:
                raise LabError(f"{self.case.name}: waited in vain for {fact}; {self._seen()}")
            time.sleep(POLL_SECONDS)

    def shows(self, fact: Fact) -> bool:
        """Whether the fact is there now."""
        if isinstance(fact, Logged):
            return self.log().count(fact.text) >= fact.times
        if isinstance(fact, Answers):
            return self._answers(fact.path)
        return shows(fact, Sight(self._api, self.workload(), self.pods(), self.events, self.first_pods))

    def _answers(self, path: str) -> bool:
        try:
            host, port = self.endpoint()
            httpx.get(f"http://{host}:{port}{path}", timeout=5, trust_env=False)
        except (httpx.HTTPError, LabError):
            return False
        return True

    def _seen(self) -> str:
        states = [
            {"phase": pod["status"].get("phase"), "reason": pod["status"].get("reason"), **status}
            for pod in self.pods()
            for status in pod["status"].get("containerStatuses", [{}])
        ]
        events = [f"{event['reason']}: {event.get('message', '')}" for event in self.events()]
        tail = " | ".join(self.log().splitlines()[-5:])
        return f"pods {json.dumps(states)}; events {events[-5:]}; log ends: {tail}"

    def quiet(self) -> None:
        """End the load and leave the pods as they are."""
        for load in self._loads:
            load.cancel()
        self._loads.clear()
        for carrier in self._forwards.values():
            carrier.close()
        self._forwards.clear()

    def stop(self) -> None:
        """End the load and remove the objects of the case."""
        self.quiet()
        for item in reversed(manifests(self.case, self.namespace)):
            kind, name = item["kind"], item["metadata"]["name"]
            self._api.kubectl("delete", kind, name, "-n", self.namespace, "--ignore-not-found", "--wait=false")


class KubeLab:
    """Starts cases in a namespace, and those that need one of their own in that."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.running: list[RunningPods] = []
        self._apart: list[str] = []
        self._driver = Driver()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, case: KubeCase) -> RunningPods:
        """Apply the objects of the case and return at once. Raises ``LabError``."""
        namespace = self.namespace
        if case.apart:
            namespace = f"{self.namespace}-{next(_numbers)}"
            namespaces.make(self.api, namespace)
            self._apart.append(namespace)
        running = RunningPods(case, namespace, self.api, self._driver)
        self.running.append(running)
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests(case, namespace)}
        try:
            self.api.kubectl("apply", "--filename", "-", given=json.dumps(listed))
        except ApiError as error:
            raise LabError(f"{case.name}: {error}") from error
        return running

    def bring(self, cases: Iterable[KubeCase], at_once: int = 4) -> dict[str, RunningPods]:
        """Start cases and wait until each shows its facts, some at a time; by the cases' names."""
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            ready = list(pool.map(lambda case: self.start(case).ready(), cases))
        return {running.case.name: running for running in ready}

    def close(self) -> None:
        """End every load and remove the namespaces that were made here; the given one is its maker's to remove."""
        for running in self.running:
            running.quiet()
        self._driver.close()
        for namespace in self._apart:
            namespaces.remove(self.api, namespace)


def fresh_name() -> str:
    """A name for a namespace that nobody else has: ``fastops-<pid>-<number>``."""
    return f"fastops-{os.getpid()}-{next(_numbers)}"
