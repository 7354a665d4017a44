"""Blocking reads beside the event loop: one at a time, and one that hangs takes nothing else with it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from probes.aside import Aside


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_it_gives_back_what_the_work_returns_and_raises_what_it_raises() -> None:
    aside = Aside("test")
    assert await aside.call(lambda: 3, within_seconds=30) == 3
    with pytest.raises(KeyError):
        await aside.call(lambda: {}["x"], within_seconds=30)


async def test_nothing_new_begins_while_one_hangs_and_all_goes_on_when_it_is_over(gate: threading.Event) -> None:
    aside, begun = Aside("test"), []

    def hang() -> None:
        begun.append(1)
        gate.wait(60)

    for _ in range(6):
        with pytest.raises(TimeoutError):
            await aside.call(hang, within_seconds=0.05)
    assert len(begun) == 1
    gate.set()
    assert await aside.call(lambda: "again", within_seconds=30) == "again"


async def test_work_whose_caller_was_cancelled_is_waited_for(gate: threading.Event) -> None:
    aside, begun = Aside("test"), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(60)

    first = asyncio.create_task(aside.call(slow, within_seconds=60))
    await begun.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(aside.call(lambda: 2, within_seconds=60))
    await asyncio.sleep(0)
    gate.set()
    assert await second == 2


async def test_a_process_ends_while_its_read_hangs() -> None:
    code = (
        "import asyncio, threading\nfrom probes.aside import Aside\n"
        "async def main():\n"
        "    try:\n        await Aside('x').call(threading.Event().wait, within_seconds=0.05)\n"
        "    except TimeoutError:\n        print('gave up')\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert out.decode().strip() == "gave up"
