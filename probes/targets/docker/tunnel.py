"""An engine behind ssh: the remote socket, forwarded to one of ours by the system's own ssh."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from probes import text
from probes.base import Failure
from probes.target import Unreadable
from probes.transport import Endpoint

REMOTE_SOCKET = "/var/run/docker.sock"
OPEN_SECONDS = 20.0
_OPTIONS = (
    "BatchMode=yes",  # a question would wait for an answer that cannot come
    "ControlMaster=no",
    "ControlPath=none",  # a shared master would outlive us and die for others
    "ExitOnForwardFailure=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "StreamLocalBindUnlink=yes",
    "StreamLocalBindMask=0177",
    "PermitLocalCommand=no",
    "ForwardAgent=no",
    "ForwardX11=no",
)


class Tunnel:
    """One forwarded socket, in a directory that only we may enter."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: asyncio.subprocess.Process | None = None
        self._directory: str | None = None
        self._said = b""
        self._reader: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether ssh still runs."""
        return self._process is not None and self._process.returncode is None

    async def open(self, timeout_seconds: float = OPEN_SECONDS) -> Endpoint:
        """Starts ssh and waits until the socket is there. Raises :class:`Unreadable` with ssh's own words."""
        await self.close()
        where = text.line(self._url, 200)
        program = shutil.which("ssh")
        if program is None:
            raise Unreadable(Failure("unreachable", where, "there is no ssh program here", "install OpenSSH's client"))
        self._directory = tempfile.mkdtemp(prefix="fastops-ssh-")
        socket = Path(self._directory) / "engine.sock"
        try:
            self._process = await asyncio.create_subprocess_exec(
                program,
                *arguments(self._url, str(socket)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to answer
            )
            self._reader = asyncio.create_task(self._listen(self._process))
            async with asyncio.timeout(timeout_seconds):
                while not socket.exists() and self.alive:  # noqa: ASYNC110 - ssh tells nobody
                    await asyncio.sleep(0.02)
                if not self.alive:
                    await self._reader
        except TimeoutError:
            await self.close()
            raise Unreadable(
                Failure("timeout", where, "ssh made no connection in time", "try it by hand: ssh HOST")
            ) from None
        except BaseException:
            await self.close()
            raise
        if not self.alive:
            why = self._words()
            await self.close()
            raise Unreadable(
                Failure("unreachable", where, why, "try by hand: ssh -o BatchMode=yes HOST docker version")
            )
        return Endpoint(url=f"unix://{socket}")

    async def close(self) -> None:
        """Ends ssh and removes the socket."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(2):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keeps the latest of what ssh says, so that its pipe never fills."""
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._said = (self._said + chunk)[-4096:]
        await process.wait()

    def _words(self) -> str:
        lines = [one for one in self._said.decode("utf-8", "replace").splitlines() if one.strip()]
        return text.line(lines[-1], 300) if lines else "ssh ended without a word"


def arguments(url: str, socket: str) -> tuple[str, ...]:
    """What ssh is given for ``ssh://[user@]host[:port][/path/of/the.sock]``. Raises :class:`Unreadable`."""
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname or "", parts.port, unquote(parts.username or "")
    except ValueError:
        host, port, user = "", None, ""
    if not host or host.startswith("-") or user.startswith("-") or parts.password:
        raise Unreadable(
            Failure(
                "invalid",
                f"the engine at {text.line(url, 200)}",
                "that is no ssh://[user@]host[:port]",
                "keep passwords out of it",
            )
        )
    options = [word for option in _OPTIONS for word in ("-o", option)]
    remote = unquote(parts.path) if len(parts.path) > 1 else REMOTE_SOCKET
    return (
        "-N", "-T", "-a", "-x", *options, "-L", f"{socket}:{remote}",
        *(("-p", str(port)) if port else ()), *(("-l", user) if user else ()), "--", host,
    )  # fmt: skip
