"""A Kubernetes target that runs in a test, and a wire to its API server that can be cut, stopped and mended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from probes.target import Options
from probes.targets.kubernetes.target import KubernetesTarget
from tests.probes.docker.watching import Watched


@asynccontextmanager
async def watched(options: Options | None = None, spec: str = "k8s") -> AsyncIterator[Watched]:
    """A target that runs until the block is left; the kubeconfig is the environment's."""
    target = KubernetesTarget(spec, options)
    watching = Watched(target)
    task = asyncio.create_task(target.run(watching.publish))
    try:
        yield watching
    finally:
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
        await target.close()
        assert isinstance(ended[0], asyncio.CancelledError), ended


class Relay:
    """Passes connections on to an API server, while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.far = host, port
        self.port = 0
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """As if the server had been stopped: what is open ends, and nobody listens."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Ends what is open, without a word."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.far)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            for one in (writer, far_writer):
                if one is not None:
                    one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def relayed(kubeconfig: Path, folder: Path) -> AsyncIterator[tuple[Relay, Path]]:
    """A relay before the present context's API server, and a kubeconfig that goes through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    current = next(one for one in config["contexts"] if one["name"] == config["current-context"])
    cluster = next(one for one in config["clusters"] if one["name"] == current["context"]["cluster"])["cluster"]
    parts = urlsplit(cluster["server"])
    assert parts.hostname is not None
    relay = Relay(parts.hostname, parts.port or 443)
    await relay.open()
    cluster.update({"server": f"https://127.0.0.1:{relay.port}", "tls-server-name": parts.hostname})
    path = folder / "relayed.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    try:
        yield relay, path
    finally:
        await relay.close()
