"""Performs or takes back a step and kills itself, as ``kill -9`` would, around its n-th write to the engine.

Arguments: engine, what to do (``perform``, ``abandon`` or ``restore``), the change's id, the file with the step or the
point, ``before``, ``during`` (half a second after it was sent) or ``after``, n. It ends with -9, or with 0 where there
were fewer writes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from probes.intent import RestorePoint, Step
from probes.targets.docker.client import EngineClient
from probes.targets.docker.write import DockerWriter
from probes.transport import Endpoint


class Mortal(EngineClient):
    """A client that ends its process at a write of one's choice."""

    when, number = "", 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:  # type: ignore[override]
        if method == "GET":
            return await super().request(method, path, **options)
        self.number -= 1
        if self.number == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.number == 0 and self.when == "during":
            asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGKILL)
        answer = await super().request(method, path, **options)
        if self.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


async def main(address: str, act: str, change: str, file: str, when: str, number: str) -> None:
    client = Mortal(Endpoint(address), read_only=False)
    client.when, client.number = when, int(number)
    await client.open()
    writer = DockerWriter(client, ready_seconds=60.0, settle_seconds=0.5)
    data = Path(file).read_bytes()
    if act == "restore":
        await writer.restore(msgspec.json.decode(data, type=RestorePoint), change, print)
    else:
        await getattr(writer, act)(msgspec.json.decode(data, type=Step), change, print)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
