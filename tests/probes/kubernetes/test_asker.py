"""When a replica's health path is worth asking for again."""

from __future__ import annotations

from typing import Any

import pytest

from fixes.signatures import _cases
from probes.base import ReplicaId
from probes.model import Deployment
from probes.schedule import Job
from probes.target import Answer
from probes.targets.kubernetes.asker import HEALTH_AGAIN_SECONDS, UNREACHED_SECONDS, Asker
from probes.targets.kubernetes.readings import Readings

SERVICE = _cases.deployment()
REPLICA = SERVICE.replicas[0].id
NOBODY = Answer(None, b"", 0.01, "unreachable")
SLOW = Answer(None, b"", 5.0, "timeout")
MISSING = Answer(404, b"", 0.01)
WELL = Answer(200, b"ok", 0.01)


class Access:
    """Answers each path as it is told to."""

    def __init__(self, answers: dict[str, Answer], rest: Answer) -> None:
        self.answers, self.rest = answers, rest
        self.asked: list[str] = []

    async def get(self, _: ReplicaId, __: int, path: str, ___: float = 5.0) -> Answer:
        self.asked.append(path)
        return self.answers.get(path, self.rest)


def asker(access: Access) -> tuple[Asker, Job, Job]:
    deployments: dict[Any, Deployment] = {SERVICE.id: SERVICE}
    made = Asker(access, Readings({}, lambda _: None), lambda: deployments, stacks=False)  # type: ignore[arg-type]
    return made, Job("loop", SERVICE.id, REPLICA), Job("health", SERVICE.id, REPLICA)


@pytest.mark.parametrize(
    ("health", "loop", "rests"),
    [
        (NOBODY, NOBODY, UNREACHED_SECONDS),  # no connection is made: the next request would fare no better
        (SLOW, SLOW, 0.0),  # its loop may be held
        (MISSING, MISSING, HEALTH_AGAIN_SECONDS),  # it answers, and has none of the paths
        (WELL, MISSING, 0.0),
    ],
)
async def test_a_health_path_is_asked_for_again_when_it_may_tell_more(
    health: Answer, loop: Answer, rests: float
) -> None:
    made, ask_loop, ask_health = asker(Access({"/.fastops/loop": loop}, health))
    await made.loop(ask_loop)
    assert await made.health(ask_health) == rests


async def test_what_answered_and_is_gone_is_asked_again_soon_while_its_loop_was_heard() -> None:
    access = Access({"/.fastops/loop": MISSING, "/health": WELL}, MISSING)
    made, ask_loop, ask_health = asker(access)
    await made.loop(ask_loop)
    assert await made.health(ask_health) == 0.0
    access.answers["/health"] = NOBODY
    access.asked.clear()
    assert await made.health(ask_health) == 0.0
    assert access.asked == ["/health"], "the path that answered is remembered"
    access.answers["/.fastops/loop"] = NOBODY
    await made.loop(ask_loop)
    assert await made.health(ask_health) == UNREACHED_SECONDS
