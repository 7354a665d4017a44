"""One GET to a service on a connection of its own, as cheap as it can be: each is asked again and again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time

import h11

from probes.target import Answer

BODY_LIMIT = 1 << 20
_HEAD_LIMIT = 64 << 10


async def get(host: str, port: int, path: str, timeout_seconds: float, agent: str) -> Answer:
    """GET ``http://host:port/path``; errors are answers. ``took_seconds`` ends with the head, or the failure."""
    begun = time.monotonic()
    exchange = _Exchange(host, port, path, agent)
    error: str | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            await exchange.run()
    except TimeoutError:
        error = "timeout"
    except ConnectionRefusedError:
        error = "refused"
    except (ConnectionResetError, BrokenPipeError):
        error = "reset"
    except OSError as failed:
        error = "timeout" if failed.errno == errno.ETIMEDOUT else "unreachable"
    except (h11.ProtocolError, ValueError):
        error = "invalid"
    finally:
        exchange.close()
    answered = exchange.status is not None and exchange.answered_at is not None
    took = (exchange.answered_at or time.monotonic()) - begun
    return Answer(
        status=exchange.status,
        body=bytes(exchange.body),
        took_seconds=took,
        error=None if answered else error or "reset",
    )


class _Exchange:
    def __init__(self, host: str, port: int, path: str, agent: str) -> None:
        self._host, self._port, self._path, self._agent = host, port, path, agent
        self._writer: asyncio.StreamWriter | None = None
        self.status: int | None = None
        self.answered_at: float | None = None
        self.body = bytearray()

    async def run(self) -> None:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
        reader, self._writer = await asyncio.open_connection(self._host, self._port)
        host = f"[{self._host}]" if ":" in self._host else self._host
        headers = [
            ("host", f"{host}:{self._port}"),
            ("user-agent", self._agent),
            ("accept", "*/*"),
            ("connection", "close"),
        ]
        request = h11.Request(method="GET", target=self._path, headers=headers)
        self._writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await self._writer.drain()
        while len(self.body) < BODY_LIMIT:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(1 << 16)
                if not data and self.status is None:
                    raise ConnectionResetError
                connection.receive_data(data)
            elif isinstance(event, h11.Response):
                self.status, self.answered_at = event.status_code, time.monotonic()
            elif isinstance(event, h11.Data):
                self.body += event.data[: BODY_LIMIT - len(self.body)]
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) or event is h11.PAUSED:
                return

    def close(self) -> None:
        """At once: nothing more is to be said."""
        if self._writer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.transport.abort()
