"""What was begun is taken back truly: also during a stop, after somebody tidied up, and without losing a file."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from probes.intent import Desired, Step
from probes.target import Refused
from probes.targets.docker.client import EngineClient
from probes.targets.docker.write import DockerWriter
from tests.probes.docker.test_kill9 import CHANGE, blanked, killed_at
from tests.probes.docker.workshop import Workshop, workshop

__all__ = ["workshop"]
pytestmark = pytest.mark.flaky(reruns=0)  # what is lost once is lost
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
SLEEPER = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
SLOW = ["sh", "-c", "trap : TERM; while :; do sleep 0.2; done"]
GRACE_SECONDS = 4


def planned(workshop: Workshop, kind: str, command: list[str], **options: Any) -> tuple[str, Step]:
    options = {"HostConfig": {"RestartPolicy": ALWAYS}, **options}
    name = workshop.run(kind, command=command, **options)
    (step,) = workshop.draft(workshop.deployment(name, ports=()), Desired(open_files_limit=4096))
    return name, blanked(step)


def call(workshop: Workshop, act: str, what: Any) -> Any:
    return workshop.write(lambda w: getattr(w, act)(what, CHANGE, workshop.said.append))


def stays_up(workshop: Workshop, name: str, seconds: float) -> bool:
    """Whether it runs now and all the while."""
    deadline = time.monotonic() + seconds
    while workshop.inspect(name)["State"]["Running"]:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


# During a stop


def is_as_before(workshop: Workshop, name: str, before: dict[str, Any]) -> None:
    # An engine that was told to stop goes on with it for the whole grace period.
    assert stays_up(workshop, name, GRACE_SECONDS + 2)
    now = workshop.inspect(name)
    assert now["Id"] == before["Id"]
    assert now["HostConfig"]["RestartPolicy"] == ALWAYS
    assert workshop.named(name) == {name: "running"}


def test_a_recreate_that_was_killed_during_the_stop_is_taken_back_to_a_running_service(
    workshop: Workshop, tmp_path: Path
):
    name, step = planned(workshop, "slow", SLOW, StopTimeout=GRACE_SECONDS)
    before = workshop.inspect(name)
    assert killed_at(workshop, "perform", step, tmp_path, "during", 2), "the second write is the stop"
    assert workshop.inspect(name)["State"]["Running"], "the stop is under way"
    call(workshop, "abandon", step)
    is_as_before(workshop, name, before)
    started = workshop.inspect(name)["State"]["StartedAt"]
    call(workshop, "abandon", step)
    assert workshop.inspect(name)["State"]["StartedAt"] == started, "nothing is left to be taken back"


def test_a_recreate_that_was_cancelled_during_the_stop_is_taken_back_to_a_running_service(workshop: Workshop):
    name, step = planned(workshop, "cancel", SLOW, StopTimeout=GRACE_SECONDS)
    before = workshop.inspect(name)

    async def cancelled(client: EngineClient) -> None:
        stopping = asyncio.Event()
        request = client.request

        async def watched(method: str, path: str, **options: Any) -> bytes:
            if path.endswith("/stop"):
                asyncio.get_running_loop().call_later(0.5, stopping.set)
            return await request(method, path, **options)

        client.request = watched  # type: ignore[method-assign]
        writer = DockerWriter(client, 60.0, settle_seconds=0.5)
        task = asyncio.create_task(writer.perform(step, CHANGE, workshop.said.append))
        await asyncio.wait_for(stopping.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await writer.abandon(step, CHANGE, workshop.said.append)

    workshop.call(cancelled)
    is_as_before(workshop, name, before)


# After somebody removed what fastops had made


@pytest.mark.parametrize("writes", [2, 3, 4], ids=["stopped", "without its policy", "set aside"])
def test_a_former_container_is_put_back_though_somebody_removed_the_new_one(
    workshop: Workshop, tmp_path: Path, writes: int
):
    name, step = planned(workshop, "tidied", SLEEPER)
    before = workshop.inspect(name)
    assert killed_at(workshop, "perform", step, tmp_path, "after", writes)
    workshop.sdk.remove_container(f"{name}.fastops-{CHANGE}-new")
    if writes == 2:
        # Just as if somebody had stopped it: fastops left no trace, so it tells and lets people decide.
        with pytest.raises(Refused, match=f"docker start {name}"):
            call(workshop, "abandon", step)
        workshop.sdk.start(name)
    call(workshop, "abandon", step)
    now = workshop.inspect(name)
    assert (now["Id"], now["State"]["Running"]) == (before["Id"], True)
    assert now["HostConfig"]["RestartPolicy"] == ALWAYS
    assert workshop.named(name) == {name: "running"}


def test_nothing_is_done_where_nothing_was_begun(workshop: Workshop):
    name, step = planned(workshop, "nothing", SLEEPER)
    before = workshop.inspect(name)
    call(workshop, "abandon", step)
    now = workshop.inspect(name)
    assert now["State"]["StartedAt"] == before["State"]["StartedAt"]
    workshop.sdk.remove_container(name, force=True)
    call(workshop, "abandon", step)
    assert workshop.named(name) == {}


# Files inside the containers


def write_inside(workshop: Workshop, name: str) -> None:
    made = workshop.sdk.exec_create(name, ["sh", "-c", "mkdir -p /srv; echo two days > /srv/orders.db"], user="0")
    workshop.sdk.exec_start(made["Id"])


def has_orders(workshop: Workshop, name: str) -> bool:
    return any(one["Path"] == "/srv/orders.db" for one in workshop.sdk.diff(name) or [])


def test_an_undo_keeps_the_files_that_were_written_since_and_says_where(workshop: Workshop):
    name, step = planned(workshop, "orders", SLEEPER)
    first = workshop.inspect(name)["Id"]
    undone = f"{name}.fastops-{CHANGE}-undone"
    point = call(workshop, "perform", step)
    write_inside(workshop, name)
    for _ in range(2):
        call(workshop, "restore", point)
        assert workshop.inspect(name)["Id"] == first
        assert workshop.named(name) == {name: "running", undone: "exited"}
    assert has_orders(workshop, undone)
    assert workshop.inspect(undone)["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert any("/srv/orders.db" in said and undone in said for said in workshop.said)
    assert "-undone" in " ".join(step.arguments["undo_notes"])
    call(workshop, "abandon", step)
    again = call(workshop, "perform", step)
    write_inside(workshop, name)
    call(workshop, "restore", again)
    assert set(workshop.named(name).values()) == {"running", "exited"}
    assert len(workshop.named(name)) == 3, "both of them hold files that nothing else has"


def test_an_interrupted_fix_that_is_taken_back_keeps_the_files_too(workshop: Workshop):
    name, step = planned(workshop, "half", SLEEPER)
    call(workshop, "perform", step)
    write_inside(workshop, name)
    call(workshop, "abandon", step)
    assert has_orders(workshop, f"{name}.fastops-{CHANGE}-undone")


def test_an_undo_that_was_killed_anywhere_loses_no_file(workshop: Workshop, tmp_path: Path):
    name, step = planned(workshop, "killed", SLEEPER)
    undone = f"{name}.fastops-{CHANGE}-undone"
    point = call(workshop, "perform", step)
    write_inside(workshop, name)
    for number in range(1, 12):
        killed = killed_at(workshop, "restore", point, tmp_path, "before", number)
        if not killed:
            assert number == 2, "all but the first write was done by the restore below"
            return
        call(workshop, "restore", point)
        assert has_orders(workshop, undone)
        assert workshop.named(name) == {name: "running", undone: "exited"}
    pytest.fail("a restore that was done writes again and again")


def test_a_kept_container_with_files_of_its_own_is_not_discarded(workshop: Workshop):
    name = workshop.run("typed", command=SLEEPER)
    write_inside(workshop, name)
    (step,) = workshop.draft(workshop.deployment(name, ports=()), Desired(open_files_limit=4096))
    assert "/srv/orders.db" in step.arguments["confirm"]
    point = call(workshop, "perform", step)
    with pytest.raises(Refused, match=f"/srv/orders.db.*docker rm {name}.fastops-{CHANGE}"):
        workshop.write(lambda w: w.discard(point))
    assert has_orders(workshop, f"{name}.fastops-{CHANGE}")
