"""The process that owns the demo's services: when it ends, or the one that started it ends, all of them end.

Started as ``python -m console.demo.supervisor DIRECTORY`` with a pipe as standard input that is never written to: its
end is the end of the parent, however that died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import sys
from pathlib import Path

import msgspec

from console.demo import children, load
from console.demo.layout import REGISTRY, SERVICES, SOCKET, Running, Service
from console.demo.owned import STARTED, end_with_parent
from probes.targets.local.supervised import LARGEST, Reply, Request

_FILES_WANTED = 1024


class Supervisor:
    """Starts, restarts and ends the services."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ended = asyncio.Event()
        self._services = {one.name: one for one in SERVICES}
        self._ports: dict[str, int] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._busy: dict[str, asyncio.Lock] = {one: asyncio.Lock() for one in self._services}

    async def start(self) -> None:
        """Lays out and starts every service; writes the registry."""
        for service, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True):
            service.lay_out(self._folder(service), port)
            self._ports[service.name] = port
            self._commands[service.name] = service.command(port)
            await self._spawn(service)
        self._register()

    async def load(self) -> None:
        """Sends the services their traffic until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, service in self._services.items():
                group.create_task(load.run(service.load, self._ports[name]))

    async def stop(self) -> None:
        """Ends every service."""
        await asyncio.gather(*(children.stop(one) for one in self._processes.values()))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on the control socket."""
        try:
            async with asyncio.timeout(20):
                request = msgspec.json.decode(await reader.readline(), type=Request)
                reply = await self._do(request)
        except (ValueError, OSError, TimeoutError) as error:
            reply = Reply(ok=False, why=f"{type(error).__name__}: {error}")
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(reply) + b"\n")
            await writer.drain()
        writer.close()

    async def _do(self, request: Request) -> Reply:
        service = self._services.get(request.service)
        if service is None:
            return Reply(ok=False, why=f"there is no service {request.service}")
        async with self._busy[service.name]:
            if request.act == "restart":
                await children.stop(self._processes[service.name])
                self._commands[service.name] = request.argv or self._commands[service.name]
                await self._spawn(service)
                self._register()
            process = self._processes[service.name]
            pid = process.pid if process.returncode is None else None
            return Reply(ok=True, argv=self._commands[service.name], pid=pid)

    async def _spawn(self, service: Service) -> None:
        folder = self._folder(service)
        env = children.environment(service.name, folder, self.directory / SOCKET)
        self._processes[service.name] = await children.spawn(self._commands[service.name], env, folder, service)

    def _folder(self, service: Service) -> Path:
        return self.directory / service.name

    def _register(self) -> None:
        running = [
            Running(name=one.name, illness=one.illness, port=self._ports[one.name], pid=self._processes[one.name].pid)
            for one in SERVICES
        ]
        partial = self.directory / f".{REGISTRY}"
        partial.write_bytes(msgspec.json.encode(running))
        partial.replace(self.directory / REGISTRY)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody has, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


async def supervise(directory: Path) -> None:
    """Runs the demo until the parent's pipe ends or a signal comes; leaves nothing behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES_WANTED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_WANTED if hard < 0 else min(_FILES_WANTED, hard), hard))
    supervisor = Supervisor(directory)
    watch = end_with_parent(supervisor.ended)
    server = await asyncio.start_unix_server(supervisor.answer, directory / SOCKET, limit=LARGEST)
    traffic: asyncio.Task[None] | None = None
    try:
        await supervisor.start()
        print(STARTED.decode(), end="", flush=True)
        traffic = asyncio.create_task(supervisor.load())
        await supervisor.ended.wait()
    finally:
        server.close()
        for task in (watch, traffic):
            if task is not None:
                task.cancel()
        await supervisor.stop()
        shutil.rmtree(directory, ignore_errors=True)


def main(directory: str) -> int:
    """The supervisor's process."""
    os.umask(0o077)
    asyncio.run(supervise(Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
