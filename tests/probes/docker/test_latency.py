"""What a container's own output tells of its requests."""

from __future__ import annotations

import asyncio
import time

import httpx

from probes.model import Deployment
from probes.target import Options
from tests.probes.docker.conftest import UVICORN
from tests.probes.docker.watching import watched

RATE = 20


async def answering(address: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(30):
        while True:
            try:
                await client.get(f"http://{address}:8000/health", timeout=5)
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.05)


async def test_the_access_log_of_a_container_tells_its_rate(start):
    container = start(*UVICORN)
    address = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    sent = 0

    async def load() -> None:
        nonlocal sent
        began = time.monotonic()
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(max(0.0, began + sent / RATE - time.monotonic()))
                sent += 1
                group.create_task(client.get(f"http://{address}:8000/nothing/{sent}"))

    def told(one: Deployment) -> bool:
        if one.latency is None or one.latency.requests_per_second is None:
            return False
        rate = one.latency.requests_per_second
        return abs(rate - RATE) <= 0.1 * RATE and one.latency.probed

    name = f"docker/{container.name}"
    await answering(address)
    task = asyncio.create_task(load())
    try:
        async with watched("docker", Options(interval_seconds=0.5)) as seen:
            # What is told is the mean of a minute, in which the container started.
            state = await seen.until(lambda s: any(d.id == name and told(d) for d in s.deployments.values()), 90.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found = next(d for d in state.deployments.values() if d.id == name)
    assert found.latency is not None
    assert found.latency.source.startswith("access log (no durations) over 1m")
    assert "fastops' own requests" in found.latency.source
    assert found.latency.probed
    assert found.latency.error_ratio == 0.0
