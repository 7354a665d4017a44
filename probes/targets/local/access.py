"""Reading one local service: requests over loopback, files by its own view of them, stacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from probes import stack
from probes.base import Failure, ReplicaId
from probes.http import user_agent
from probes.model import Listener, StackSample
from probes.procfs import ProcFs
from probes.target import Answer, Unreadable
from probes.targets.local import logs
from probes.targets.local.follow import Follower

if TYPE_CHECKING:
    import httpx

BODY_BYTES = 1 << 20
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a listener says, not what is bound


class LocalAccess:
    """Implements :class:`probes.target.Access`."""

    def __init__(self, procfs: ProcFs, listeners: Callable[[ReplicaId], tuple[Listener, ...]]) -> None:
        """``listeners`` are the listening sockets of a replica, as they were read last."""
        self._procfs = procfs
        self._listeners = listeners
        self._client: httpx.AsyncClient | None = None

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        """GET ``path`` on the address on which the replica listens; errors are answers."""
        import httpx

        if self._client is None:
            # Each request opens a connection of its own: kept ones would ask the same worker again and again.
            self._client = httpx.AsyncClient(
                limits=httpx.Limits(max_keepalive_connections=0, max_connections=32),
                headers={"User-Agent": user_agent(), "Connection": "close"},
                trust_env=False,
                follow_redirects=False,
            )
        host = self._host(replica, port)
        shown = f"[{host}]" if ":" in host else host
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                request = self._client.stream("GET", f"http://{shown}:{port}{path}", timeout=timeout_seconds)
                async with request as response:
                    took = time.monotonic() - began
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) >= BODY_BYTES:
                            break
                    return Answer(status=response.status_code, body=bytes(body[:BODY_BYTES]), took_seconds=took)
        except (TimeoutError, httpx.TimeoutException):
            error = "timeout"
        except httpx.ConnectError as failed:
            error = "refused" if _refused(failed) else "unreachable"
        except (httpx.ReadError, httpx.WriteError, httpx.CloseError):
            error = "reset"
        except httpx.RemoteProtocolError as failed:
            error = "reset" if "disconnected" in str(failed) else "invalid"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            error = "invalid"
        return Answer(status=None, body=b"", took_seconds=time.monotonic() - began, error=error)

    async def read(self, replica: ReplicaId, path: str, limit: int = 1 << 20) -> bytes:
        """A file as the process sees it."""
        found = self._procfs.read_file(pid_of(replica), path, limit)
        if found is None:
            why = "it is not there, or this user may not read it"
            raise Unreadable(Failure(code="not-found", what=path, why=why, hint="Run fastops as the service's user."))
        return found

    async def logs(self, replica: ReplicaId, since: datetime) -> AsyncIterator[bytes]:
        """Stamped lines of the files that the process logs to, followed until closed."""
        del since  # a file's lines have no common clock: its latest part is read whatever its age
        pid = pid_of(replica)
        found, why = await asyncio.to_thread(logs.outputs, pid, (pid,))
        if not found:
            hint = "Let it log to a file, or run it under systemd."
            raise Unreadable(Failure(code="unread", what=f"the log of {replica}", why=why or "none found", hint=hint))
        followers = [Follower(path, opened_as) for path, opened_as in found.items()]
        try:
            while True:
                chunks = [one.read() for one in followers]
                for chunk in chunks:
                    if chunk:
                        yield chunk
                if not any(chunks):
                    await asyncio.sleep(logs.POLL_SECONDS)
        finally:
            for one in followers:
                one.close()

    def dial(self, replica: ReplicaId, host: str, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """The same address: a local process has this machine's network."""
        del replica
        return _same(host, port)

    async def environment(self, replica: ReplicaId) -> Mapping[str, str]:
        """As it was started with; secrets included."""
        found = self._procfs.environ(pid_of(replica))
        if found is None:
            why = "this user may not read it, or the process is gone"
            raise Unreadable(Failure("permission-denied", f"the environment of {replica}", why, "run fastops as root"))
        return found

    async def stacks(self, replica: ReplicaId, pid: int) -> StackSample:
        """The stack of a worker's event loop."""
        del replica
        return await stack.sample(pid)

    async def close(self) -> None:
        """Closes the HTTP client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _host(self, replica: ReplicaId, port: int) -> str:
        """Where to reach a port: its listener's address, loopback where that is any."""
        addresses = [one.address for one in self._listeners(replica) if one.port == port]
        best = next((one for one in addresses if one in ("127.0.0.1", "0.0.0.0")), None)  # noqa: S104
        found = best or (addresses[0] if addresses else "127.0.0.1")
        return _ANY.get(found, found)


def _refused(error: BaseException) -> bool:
    """Whether a failed connection was refused: the client's own words do not say, what caused them does."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return False
        if isinstance(seen, BaseExceptionGroup):
            return any(_refused(one) for one in seen.exceptions)
        if isinstance(seen, ConnectionRefusedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@asynccontextmanager
async def _same(host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    yield host, port


def pid_of(replica: ReplicaId) -> int:
    """The pid in ``PID:START``."""
    return int(replica.partition(":")[0])
