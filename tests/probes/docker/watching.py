"""A target that runs in a test, and waiting for what it publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from probes.model import Deployment, TargetState
from probes.target import Options
from probes.targets.docker.target import DockerTarget


class Watched:
    def __init__(self, target: DockerTarget) -> None:
        self.target = target
        self.states: list[TargetState] = []
        self._news = asyncio.Event()

    def publish(self, state: TargetState) -> None:
        self.states.append(state)
        self._news.set()

    async def until(self, condition: Callable[[TargetState], bool], seconds: float = 30.0) -> TargetState:
        """The first state, from the latest on, for which the condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not (self.states and condition(self.states[-1])):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never came; the latest is {self.states[-1:]}") from None
        return self.states[-1]

    async def deployment(self, name: str, condition: Callable[[Deployment], bool] = lambda _: True) -> Deployment:
        """The deployment of this id, once the condition holds for it."""
        state = await self.until(lambda s: any(d.id == name and condition(d) for d in s.deployments.values()))
        return next(d for d in state.deployments.values() if d.id == name)


@asynccontextmanager
async def watched(spec: str, options: Options | None = None) -> AsyncIterator[Watched]:
    target = DockerTarget(spec, options)
    watching = Watched(target)
    task = asyncio.create_task(target.run(watching.publish))
    try:
        yield watching
    finally:
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
        await target.close()
        assert isinstance(ended[0], asyncio.CancelledError), ended
