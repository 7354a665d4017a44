"""A container is in service when it does what the former one did, and no more is asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from probes.targets.docker.ready import Expected, NotReady, wait_ready


class Unhealthy:
    """Stands for the engine: one container that runs, and whose health check fails."""

    async def inspect(self, _container: str) -> dict[str, Any]:
        health = {"Status": "unhealthy", "Log": [{"Output": "curl: not found"}]}
        return {"State": {"Running": True, "Health": health}, "Config": {}, "HostConfig": {}}


async def waited(expected: Expected) -> None:
    await wait_ready(Unhealthy(), "c1", expected, print, ready_seconds=5.0, settle_seconds=0.0)  # type: ignore[arg-type]


async def test_a_health_check_that_failed_before_may_fail_again() -> None:
    await waited(Expected(healthy=False))


async def test_a_health_check_that_passed_before_has_to_pass_again() -> None:
    with pytest.raises(NotReady, match="its health check fails: curl: not found"):
        await waited(Expected(healthy=True))
