"""Asking the supervisor that started a process to restart it.

A supervisor tells its processes where it listens, in two variables of their environment; whoever may read that
environment and connect to the socket may ask. One JSON object per connection and direction, each ended by a newline.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from probes.base import Frozen
from probes.target import Refused
from probes.text import line

SOCKET_VARIABLE = "FASTOPS_SUPERVISOR"
"""Absolute path of the supervisor's Unix socket."""
SERVICE_VARIABLE = "FASTOPS_SERVICE"
"""The service's name in its supervisor's words."""
LARGEST = 1 << 20
DEADLINE_SECONDS = 30.0


class Request(Frozen, frozen=True):
    """What is asked."""

    act: Literal["describe", "restart"]
    service: str
    argv: tuple[str, ...] = ()
    """``restart``: the new command; empty for the present one."""


class Reply(Frozen, frozen=True):
    """What is answered."""

    ok: bool
    why: str | None = None
    argv: tuple[str, ...] = ()
    pid: int | None = None
    """Of the service's first process; ``None`` while it does not run."""


class Supervised(Frozen, frozen=True):
    """A process that a supervisor started."""

    socket: str
    service: str


def supervised(environment: Mapping[str, str] | None) -> Supervised | None:
    """Who supervises the process with this environment; ``None`` where nobody does, or the socket is gone."""
    path = (environment or {}).get(SOCKET_VARIABLE, "")
    service = (environment or {}).get(SERVICE_VARIABLE, "")
    if not path.startswith("/") or not service:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - called for each process of a sweep
    except OSError:
        return None
    # Another user's socket would be handed commands under our eyes: only our own, or root asking for anybody.
    if not stat.S_ISSOCK(found.st_mode) or (os.geteuid() != 0 and found.st_uid != os.geteuid()):
        return None
    return Supervised(socket=path, service=service)


async def ask(whom: Supervised, act: Literal["describe", "restart"], argv: tuple[str, ...] = ()) -> Reply:
    """The supervisor's answer; raises :class:`Refused` where it says no or says nothing."""
    request = Request(act=act, service=whom.service, argv=argv)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(Path(whom.socket)), limit=LARGEST)
            try:
                writer.write(msgspec.json.encode(request) + b"\n")
                await writer.drain()
                reply = msgspec.json.decode(await reader.readline(), type=Reply)
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        raise Refused(
            f"the supervisor of {whom.service} did not answer: {line(str(error), 200) or 'time-out'}"
        ) from None
    if not reply.ok:
        raise Refused(f"the supervisor of {whom.service} refused: {line(reply.why or 'no reason given', 200)}")
    return reply
