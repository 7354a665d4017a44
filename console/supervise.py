"""Keeps targets running: what one raises is a defect of fastops, told as a link that is down, and it is tried again."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from console import exits
from probes.base import Failure
from probes.board import Board
from probes.model import Link, TargetState
from probes.target import Target

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Between two tries; a run that lasted longer than this counts as well, and the next pause is the first again."""


class Defects:
    """Writes what was raised to files: one for each new defect of a part, not one for each time."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Failure]] = {}

    def note(self, part: str, error: Exception) -> Failure:
        """The defect as data; ``part`` is what failed, one of a few."""
        kind = f"{type(error).__name__}: {error}"
        last = self._last.get(part)
        if last is not None and last[0] == kind:
            return last[1]
        path = exits.kept(error)
        failure = Failure(
            code="defect",
            what=part,
            why=f"a defect of fastops stopped it ({type(error).__name__})",
            hint="It goes on by itself." if path is None else f"It goes on by itself; the details are in {path}.",
        )
        self._last[part] = (kind, failure)
        return failure


async def supervise(target: Target, board: Board, defects: Defects) -> None:
    """Runs a target until cancelled; after a defect again, with growing pauses."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        try:
            await target.run(board.publish)
            error: Exception = RuntimeError("the target's run ended by itself")
        except Exception as raised:  # noqa: BLE001 -- whatever it was, the other targets go on and so does this one
            error = raised
        failure = defects.note(f"reading {target.id}", error)
        if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        board.publish(_down(target, board, failure, pause))
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


def _down(target: Target, board: Board, failure: Failure, pause: float) -> TargetState:
    """What was known of the target, with a link that is down."""
    now = datetime.now(UTC)
    known = board.snapshot().targets.get(target.id)
    since = known.link.since if known is not None and known.link.state == "down" else now
    link = Link(state="down", since=since, why=failure.why, hint=failure.hint, retry_at=now + timedelta(seconds=pause))
    if known is None:
        return TargetState(target=target.id, link=link, as_of=now)
    return replace(known, link=link, changed=frozenset(), complete=False)
