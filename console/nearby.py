"""What whoever adds to what targets say has to know of them: that they were read, and whether they are here."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from probes.base import TargetId
from probes.board import Board
from probes.model import TargetState
from probes.target import Target, Unreadable

FIRST_SECONDS = 20.0
"""How long the targets' first answers are waited for: as long as a scan waits for them."""
_STEP_SECONDS = 0.25


async def targets_read(board: Board, targets: Collection[TargetId]) -> None:
    """Waits until all were read, or cannot be, :data:`FIRST_SECONDS` at most."""
    for _ in range(int(FIRST_SECONDS / _STEP_SECONDS)):
        states = board.snapshot().targets
        if len(states) == len(targets) and all(
            s.complete or s.link.state in {"down", "forbidden", "expired"} for s in states.values()
        ):
            return
        await asyncio.sleep(_STEP_SECONDS)


async def is_here(target: Target, state: TargetState) -> bool:
    """Whether the addresses of a target's replicas are this machine's: elsewhere they mean nothing here."""
    for deployment in state.deployments.values():
        for replica in deployment.running[:1]:
            try:
                async with target.access.dial(replica.id, "localhost", 1):
                    return True
            except Unreadable:
                return False
    return False
