"""Makes cases real: starts their containers, waits for their facts, drives load, and removes exactly its own.

Containers are named ``fastops-lab-<pid>-<number>-<case>`` and labelled ``fastops.lab=<pid>-<number of the lab>``.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import httpx

from . import images
from .case import Answers, Case, Fact, Hold, InState, Load, Logged, Signal, Stop
from .drive import Driver
from .images import LabError

__all__ = ["LABEL", "Lab", "LabError", "Running", "abandoned", "compose_labels", "remove"]

LABEL = "fastops.lab"
FACT_DEADLINE_SECONDS = 120
POLL_SECONDS = 0.15
LOG_TAIL_LINES = 3000  # a service without descriptors writes thousands of lines a second
SECOND_NANOS = 1_000_000_000
# The youngest child of the main process is a worker; uvicorn's first child is a helper of multiprocessing.
SIGNAL_WORKER = "set -- $(cat /proc/1/task/1/children); shift $(($# - 1)); kill -{name} $1"

_numbers = itertools.count(1)


def compose_labels(project: str, service: str, number: int, file: str | None = None) -> dict[str, str]:
    """The labels that Compose gives the container ``number`` of a service; ``file`` is the Compose file's path."""
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.version": "2.29.0",
    }
    if file is not None:
        labels["com.docker.compose.project.config_files"] = file
        labels["com.docker.compose.project.working_dir"] = os.path.dirname(file)
    return labels


class Running:
    """A case that was started: one container, or the replicas of a Compose service."""

    def __init__(self, case: Case, containers: list[Any], driver: Driver, project: str | None) -> None:
        self.case = case
        self.containers = containers
        self.project = project
        self._driver = driver
        self._loads: list[Future[None]] = []

    @property
    def container(self) -> Any:
        """The first container, as the docker SDK sees it."""
        return self.containers[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The containers' names."""
        return tuple(str(container.name) for container in self.containers)

    @property
    def deployment(self) -> str:
        """The id under which fastops lists it."""
        return f"docker/{self.project}/{self.case.name}" if self.project else f"docker/{self.names[0]}"

    def inspect(self) -> dict[str, Any]:
        """The first container's state as the engine reports it now."""
        self.container.reload()
        return dict(self.container.attrs)

    def log(self) -> str:
        """The last lines of the first container's log."""
        return bytes(self.container.logs(tail=LOG_TAIL_LINES)).decode(errors="replace")

    def port(self, inside: int | None = None) -> int:
        """The port of this machine on which a published port of the first container answers."""
        wanted = f"{inside or self.case.publish[0]}/tcp"
        bound = self.inspect()["NetworkSettings"]["Ports"].get(wanted)
        if not bound:
            raise LabError(f"{self.names[0]} publishes no {wanted} now")
        return int(bound[0]["HostPort"])

    def ready(self) -> Self:
        """Wait until it is up, drive it, and wait for what that brings about. Raises ``LabError`` at the deadline."""
        if self.case.up is not None:
            self.wait(self.case.up)
        for step in self.case.drive:
            self.do(step)
        for fact in self.case.until:
            self.wait(fact)
        return self

    def do(self, step: Load | Hold | Signal | Stop | Fact) -> None:
        """Do one step of a drive to every replica; loads go on until the case is stopped."""
        for container in self.containers:
            if isinstance(step, Signal) and step.to == "main":
                container.kill(signal=step.name)
            elif isinstance(step, Signal):
                container.exec_run(["sh", "-c", SIGNAL_WORKER.format(name=step.name)])
            elif isinstance(step, Stop):
                container.stop(timeout=step.grace_seconds)
        if isinstance(step, Load | Hold):
            self._loads.append(self._driver.begin(step, self.port()))
        elif isinstance(step, Logged | InState | Answers):
            self.wait(step)

    def wait(self, fact: Fact) -> None:
        """Wait for a fact; raises ``LabError`` with the end of the log when it does not come."""
        deadline = time.monotonic() + FACT_DEADLINE_SECONDS
        while not self.shows(fact):
            if time.monotonic() > deadline:
                tail = " | ".join(self.log().splitlines()[-5:])
                state = self.inspect()["State"]
                raise LabError(f"{self.case.name}: waited in vain for {fact}; state {state}; log ends: {tail}")
            time.sleep(POLL_SECONDS)

    def shows(self, fact: Fact) -> bool:
        """Whether the fact is there now."""
        if isinstance(fact, Logged):
            return self.log().count(fact.text) >= fact.times
        if isinstance(fact, Answers):
            return self._answers(fact.path)
        attributes = self.inspect()
        state = attributes["State"]
        return (
            fact.status in (None, state["Status"])
            and fact.oom_killed in (None, state["OOMKilled"])
            and fact.exit_code in (None, state["ExitCode"])
            and (fact.restarts is None or attributes["RestartCount"] >= fact.restarts)
        )

    def _answers(self, path: str) -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{self.port()}{path}", timeout=5, trust_env=False)
        except (httpx.HTTPError, LabError):
            return False
        return True

    def quiet(self) -> None:
        """End the load and leave the containers as they are."""
        for load in self._loads:
            load.cancel()
        self._loads.clear()

    def stop(self) -> None:
        """End the load and remove the containers."""
        from docker.errors import NotFound

        self.quiet()
        for container in self.containers:
            try:
                container.remove(force=True, v=True)
            except NotFound:
                continue  # a fix under test may have replaced it; Lab.close removes what carries the label


class Lab:
    """Starts cases on the engine of ``client`` and removes all of its containers when it is closed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._driver = Driver()
        self.run = f"{os.getpid()}-{next(_numbers)}"
        self.running: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, case: Case, *, labels: Mapping[str, str] | None = None, **options: Any) -> Running:
        """Create and start the case's containers and return at once.

        ``labels`` and ``options`` (of ``docker.containers.run``) are added to what the case says.
        """
        image = images.ensure(self._client, case.image)
        number = next(_numbers)
        project = f"lab{os.getpid()}x{number}" if case.compose else None
        running = Running(case, [], self._driver, project)
        self.running.append(running)
        for replica in range(1, case.replicas + 1):
            name = f"fastops-lab-{os.getpid()}-{number}-{case.name}" + (f"-{replica}" if case.replicas > 1 else "")
            extra = compose_labels(project, case.name, replica) if project else {}
            settings = _options(case) | options
            settings["labels"] = {LABEL: self.run, **case.labels, **extra, **(labels or {})}
            running.containers.append(
                self._client.containers.run(image, _command(case), name=name, detach=True, **settings)
            )
        return running

    def bring(self, cases: Iterable[Case], at_once: int = 4) -> dict[str, Running]:
        """Start cases and wait until each shows its facts, some at a time; by the cases' names."""
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            ready = list(pool.map(lambda case: self.start(case).ready(), cases))
        return {running.case.name: running for running in ready}

    def close(self) -> None:
        """Remove every container that carries this lab's label, also those that a fix made out of them."""
        for running in self.running:
            running.quiet()
        self._driver.close()
        remove(self._client, {self.run})


def _command(case: Case) -> list[str]:
    if "{port}" not in " ".join(case.command):
        return list(case.command)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = str(probe.getsockname()[1])
    return [part.replace("{port}", free) for part in case.command]


def _options(case: Case) -> dict[str, Any]:
    from docker.types import LogConfig, Ulimit

    options: dict[str, Any] = {
        "environment": dict(case.environment),
        "restart_policy": {"Name": case.restart},
        "log_config": LogConfig(type="json-file", config={"max-size": "20m", "max-file": "2"}),
    }
    if case.network == "host":
        options["network_mode"] = "host"
    else:
        options["ports"] = {f"{port}/tcp": ("127.0.0.1", None) for port in case.publish}
    if case.memory is not None:
        options["mem_limit"] = options["memswap_limit"] = case.memory
    if case.cpus is not None:
        options["nano_cpus"] = int(case.cpus * SECOND_NANOS)
    if case.nofile is not None:
        options["ulimits"] = [Ulimit(name="nofile", soft=case.nofile, hard=case.nofile)]
    if case.healthcheck is not None:
        test = ["CMD-SHELL", case.healthcheck]
        options["healthcheck"] = {"test": test, "interval": SECOND_NANOS, "timeout": 3 * SECOND_NANOS, "retries": 3}
    return options


def remove(client: Any, runs: set[str]) -> list[str]:
    """Remove the containers of these labs and return their names."""
    from docker.errors import NotFound

    gone = []
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        if container.labels.get(LABEL) in runs:
            try:
                container.remove(force=True, v=True)
            except NotFound:
                continue
            gone.append(str(container.name))
    return gone


def abandoned(client: Any) -> set[str]:
    """The labs whose process is gone: what a killed run has left."""
    every = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    runs = {container.labels[LABEL] for container in every}
    return {run for run in runs if not os.path.exists(f"/proc/{run.partition('-')[0]}")}
