"""The log marks lines of trouble, and no server's start or stop."""

from __future__ import annotations

import pytest

from fixes import catalogue
from probes.base import ReplicaId
from probes.logs import LogStream, Matcher
from screens.marks import telling

UVICORN = """\
INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)
INFO:     Started parent process [7]
INFO:     Started server process [9]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     172.18.0.1:51234 - "GET /orders HTTP/1.1" 200 OK
INFO:     Shutting down
INFO:     Finished server process [9]
"""
GUNICORN = """\
[2026-11-22 09:00:00 +0000] [7] [INFO] Starting gunicorn 23.0.0
[2026-11-22 09:00:00 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000 (7)
[2026-11-22 09:00:00 +0000] [9] [INFO] Booting worker with pid: 9
[2026-11-22 09:00:01 +0000] [9] [INFO] Started server process [9]
[2026-11-22 09:00:01 +0000] [9] [INFO] Application startup complete.
[2026-11-22 09:30:00 +0000] [7] [INFO] Handling signal: term
[2026-11-22 09:30:01 +0000] [9] [INFO] Worker exiting (pid: 9)
[2026-11-22 09:30:01 +0000] [7] [INFO] Shutting down: Master
"""


def marked(log: str) -> list[str]:
    stream = LogStream(Matcher(catalogue.patterns()), ReplicaId("r"), "docker logs")
    stream.feed(log.encode())
    stream.end()
    return [line.text for line in stream.lines() if telling(line)]


@pytest.mark.parametrize("log", [UVICORN, GUNICORN])
def test_a_server_that_starts_serves_and_stops_as_it_should_is_not_marked(log: str) -> None:
    assert marked(log) == []


def test_a_worker_that_is_killed_is_marked() -> None:
    said = "[2026-11-22 09:30:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)"
    assert marked(f"{GUNICORN}{said}\n") == [said]
