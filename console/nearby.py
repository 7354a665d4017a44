"""Whether an engine runs its replicas on this machine: their addresses mean nothing here otherwise."""

from __future__ import annotations

from probes.model import TargetState
from probes.target import Target, Unreadable


async def is_here(target: Target, state: TargetState) -> bool:
    """Whether the addresses of a target's replicas are this machine's."""
    for deployment in state.deployments.values():
        for replica in deployment.running[:1]:
            try:
                async with target.access.dial(replica.id, "localhost", 1):
                    return True
            except Unreadable:
                return False
    return False
