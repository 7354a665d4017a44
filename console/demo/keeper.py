"""The process that owns the demo's containers: it starts them, sends them their load, and removes them at the end.

Started as ``python -m console.demo.keeper DIRECTORY IMAGE OWNER``; ends with its parent (:mod:`console.demo.owned`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from console.demo import containers, load
from console.demo.layout import SERVICES, DemoError
from console.demo.owned import STARTED, end_with_parent


async def keep(directory: Path, image: str, owner: str) -> None:
    """Runs the containers until the parent ends."""
    ended = asyncio.Event()
    watch = end_with_parent(ended)
    traffic: list[asyncio.Task[None]] = []
    try:
        ports = await asyncio.to_thread(_start, directory, image, owner)
        print(STARTED.decode(), end="", flush=True)
        traffic = [asyncio.create_task(load.run(one.load, ports[one.name])) for one in SERVICES]
        await ended.wait()
    finally:
        for task in (watch, *traffic):
            task.cancel()
        await asyncio.to_thread(containers.clear, owner, directory)


def _start(directory: Path, image: str, owner: str) -> dict[str, int]:
    """Starts the containers; the ports on this machine by service."""
    ports: dict[str, int] = {}
    with containers.engine() as client:
        for name, container in containers.create(client, image, directory, owner):
            container.reload()
            published = container.ports.get(f"{containers.PORT}/tcp") or []
            if not published:
                raise DemoError(f"the container of {name} ended right after its start: look at the image")
            ports[name] = int(published[0]["HostPort"])
    return ports


def main(directory: str, image: str, owner: str) -> int:
    """The keeper's process."""
    try:
        asyncio.run(keep(Path(directory), image, owner))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
