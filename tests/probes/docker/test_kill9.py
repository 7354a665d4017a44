"""fastops is killed at every step of a recreate: the next command brings the service back, and nothing is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from probes.intent import Desired, RestorePoint, Step
from tests.probes.docker.workshop import Workshop, answers, free_port, published, workshop

__all__ = ["workshop"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.flaky(reruns=0)]  # it must hold each time
CHANGE = "20261122-killed"
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
MOST = 16
"""Writes of a recreate at the most; the loop ends where the process was not killed any more."""
LATE = 6
"""A write at which nearly everything is done."""


def blanked(step: Step) -> Step:
    """As the journal holds it: without texts."""
    return replace(step, before=replace(step.before, text=""), after=replace(step.after, text=""))


def killed_at(workshop: Workshop, act: str, what: Step | RestorePoint, folder: Path, when: str, number: int) -> bool:
    """Runs the act in a process that kills itself; whether it did."""
    file = folder / "act.json"
    file.write_bytes(msgspec.json.encode(what))
    command = [
        sys.executable,
        "-m",
        "tests.probes.docker.killed",
        workshop.address,
        act,
        CHANGE,
        str(file),
        when,
        str(number),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in {-9, 0}, done.stderr
    return done.returncode == -9


class Service:
    """A container with a published port, a restart policy and a second network's worth of settings."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.port = free_port()
        self.name = workshop.run("kill", HostConfig={**published(self.port), "RestartPolicy": ALWAYS})
        assert answers(self.port)
        self.first = workshop.inspect(self.name)
        (step,) = workshop.draft(workshop.deployment(self.name), Desired(open_files_limit=4096))
        self.step = blanked(step)

    def killed(self, act: str, folder: Path, when: str, number: int) -> bool:
        """Whether this act on the step was killed there; whatever is left, either container has one of its names."""
        killed = killed_at(self.workshop, act, self.step, folder, when, number)
        assert self.first["Id"] in {one["Id"] for one in self.workshop.sdk.containers(all=True)}
        return killed

    def is_finished(self) -> None:
        """The step can be finished, and then be taken back."""
        point = self.call("perform", self.step)
        self.is_new()
        self.call("restore", point)
        self.is_former()

    def is_former(self) -> None:
        """The former container is in service as it was, and nothing else is there."""
        self._serves({self.name: "running"}, self.first["Id"])

    def is_new(self) -> None:
        """The new container is in service, and the former one is kept, out of service."""
        there = self.workshop.inspect(self.name)
        assert there["Id"] != self.first["Id"]
        assert there["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Soft": 4096, "Hard": 4096}]
        self._serves({self.name: "running", f"{self.name}.fastops-{CHANGE}": "exited"}, there["Id"])
        assert self.workshop.inspect(self.first["Id"])["HostConfig"]["RestartPolicy"]["Name"] == "no"

    def _serves(self, there: dict[str, str], identity: str) -> None:
        assert answers(self.port)
        assert self.workshop.named(self.name) == there
        now = self.workshop.inspect(self.name)
        assert now["Id"] == identity
        assert now["HostConfig"]["RestartPolicy"] == ALWAYS

    def call(self, act: str, what: Any) -> Any:
        return self.workshop.write(lambda w: getattr(w, act)(what, CHANGE, self.workshop.said.append))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recreate_that_was_killed_anywhere_is_finished_or_taken_back(workshop: Workshop, tmp_path: Path, when: str):
    service = Service(workshop)
    for number in range(1, MOST):
        if not service.killed("perform", tmp_path, when, number):
            service.call("abandon", service.step)
            service.is_former()
            assert number > 6, "a recreate has more writes than that"
            return
        service.call("abandon", service.step)
        service.is_former()
        assert service.killed("perform", tmp_path, when, number)
        service.is_finished()
    pytest.fail("the recreate has more writes than are tested")


def test_taking_back_that_was_killed_anywhere_is_completed(workshop: Workshop, tmp_path: Path):
    service = Service(workshop)
    for number in range(1, MOST):
        point = service.call("perform", service.step)
        killed = killed_at(workshop, "restore", point, tmp_path, "after", number)
        service.call("restore", point)
        service.is_former()
        service.call("abandon", service.step)
        service.is_former()
        if not killed:
            assert number > 4
            return
    pytest.fail("the way back has more writes than are tested")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_abandonment_that_was_killed_anywhere_is_completed_or_the_step_finished(
    workshop: Workshop, tmp_path: Path, when: str
):
    service = Service(workshop)
    for number in range(1, MOST):
        for ending in ("abandon", "perform"):
            assert service.killed("perform", tmp_path, "after", LATE)
            killed = service.killed("abandon", tmp_path, when, number)
            if killed and ending == "perform":
                service.is_finished()
            else:
                service.call("abandon", service.step)
                service.is_former()
        if not killed:
            assert number > 4
            return
    pytest.fail("an abandonment has more writes than are tested")
