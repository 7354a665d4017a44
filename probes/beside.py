"""Work with helpers beside it, none of which may die unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def beside(work: Coroutine[Any, Any, None], *helpers: asyncio.Task[None]) -> None:
    """Waits for the work; raises what the work or, meanwhile, a helper raises. The helpers' end is the caller's."""
    task = asyncio.create_task(work)
    waiting: set[asyncio.Task[None]] = {task, *helpers}
    try:
        while not task.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
