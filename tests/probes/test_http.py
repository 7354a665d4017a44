from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import http
from probes.base import Failure, ReplicaId
from probes.model import StackSample
from probes.target import Answer, Unreadable

REPLICA = ReplicaId("r")
DOCUMENT = b'{"openapi": "3.1.0", "info": {}, "paths": {}}'


class Recorded:
    """An access that answers from a table and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Answer | Unreadable]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        self.asked.append(path)
        found = self.answers.get(path, Answer(status=404, body=b"", took_seconds=0.001))
        if isinstance(found, Unreadable):
            raise found
        return found

    async def read(self, replica: ReplicaId, path: str, limit: int = 1 << 20) -> bytes:
        raise AssertionError("a request reads no files")

    def logs(self, replica: ReplicaId, since: datetime) -> AsyncIterator[bytes]:
        raise AssertionError("a request reads no logs")

    def dial(self, replica: ReplicaId, host: str, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        raise AssertionError("a request dials nothing")

    async def stacks(self, replica: ReplicaId, pid: int) -> StackSample:
        raise AssertionError("a request reads no stacks")


def answer(status: int | None, body: bytes = b"", error: str | None = None) -> Answer:
    return Answer(status=status, body=body, took_seconds=0.25, error=error)


async def test_the_loop_is_asked_for_a_path_that_no_route_answers() -> None:
    access = Recorded({})
    sample = await http.loop_probe(access, REPLICA, 8000)
    assert (access.asked, sample.status, sample.path) == ([http.LOOP_PATH], 404, http.LOOP_PATH)
    assert sample.at.tzinfo is UTC


async def test_a_loop_that_does_not_answer_is_data() -> None:
    sample = await http.loop_probe(Recorded({http.LOOP_PATH: answer(None, error="timeout")}), REPLICA, 8000)
    assert (sample.status, sample.error, sample.took_seconds) == (None, "timeout", 0.25)
    unreadable = Unreadable(Failure(code="not-found", what="the replica", why="it vanished", hint="none"))
    assert (await http.loop_probe(Recorded({http.LOOP_PATH: unreadable}), REPLICA, 8000)).error == "not-found"


async def test_the_first_health_path_that_is_well_is_taken() -> None:
    access = Recorded({"/health": answer(500), "/readyz": answer(204), "/ping": answer(200)})
    sample = await http.health_probe(access, REPLICA, 8000)
    assert sample is not None
    assert (sample.path, sample.status) == ("/readyz", 204)
    assert access.asked[-1] == "/readyz"


async def test_a_sick_health_path_counts_where_none_is_well() -> None:
    sample = await http.health_probe(Recorded({"/healthz": answer(503)}), REPLICA, 8000)
    assert sample is not None
    assert (sample.path, sample.status) == ("/healthz", 503)


async def test_a_service_without_a_health_path_has_none() -> None:
    access = Recorded({})
    assert await http.health_probe(access, REPLICA, 8000) is None
    assert access.asked == list(http.HEALTH_PATHS)


async def test_a_service_that_does_not_answer_is_asked_once() -> None:
    access = Recorded(dict.fromkeys(http.HEALTH_PATHS, answer(None, error="timeout")))
    assert await http.health_probe(access, REPLICA, 8000) is None
    assert len(access.asked) == 1
    known = await http.health_probe(access, REPLICA, 8000, paths=["/health"])
    assert known is not None
    assert known.error == "timeout"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (answer(200, DOCUMENT), DOCUMENT),
        (answer(404, DOCUMENT), None),
        (answer(200, b"<html>"), None),
        (answer(200, b'{"swagger": "2.0", "info": {}, "paths": {}}'), None),
        (answer(None, error="refused"), None),
    ],
)
async def test_only_an_openapi_document_is_one(found: Answer, expected: bytes | None) -> None:
    assert await http.openapi(Recorded({"/openapi.json": found}), REPLICA, 8000) == expected


def test_the_user_agent_names_fastops_and_its_version() -> None:
    name, _, version = http.user_agent().partition("/")
    assert name == "fastops"
    assert version


@given(st.binary(max_size=200))
def test_any_body_is_survived(body: bytes) -> None:
    assert http.is_openapi(body) in (True, False)
