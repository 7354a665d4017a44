"""Looks an API server's name up where it can delay nobody.

asyncio looks names up in the few threads that decode pages and read files for all targets; a resolver that does not
answer (a VPN that dropped) would hold them all for half a minute, for other contexts and for the program's end, too.
So the first lookup, and each after a connection failed, happens in one thread of its own; httpx's is quick after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from probes import addresses


class Name:
    """One host's name. However many requests wait for it, it is asked for once at a time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._known = _needs_no_lookup(host)
        self._asking: asyncio.Future[None] | None = None

    async def known(self) -> None:
        """Returns when the name has an address; raises ``OSError`` where it has none. The caller sets the deadline."""
        if self._known:
            return
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.create_future()
            self._asking.add_done_callback(_seen)
            # A daemon: the end of the program does not wait for it.
            threading.Thread(target=_ask, args=(self._host, loop, self._asking), name="name", daemon=True).start()
        await asyncio.shield(self._asking)
        self._known = True

    def doubt(self) -> None:
        """No connection was made: the name is looked up here again."""
        self._known = _needs_no_lookup(self._host)


def _ask(host: str, loop: asyncio.AbstractEventLoop, told: asyncio.Future[None]) -> None:
    error: Exception | None = None
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failed:
        error = failed if isinstance(failed, OSError) else socket.gaierror(socket.EAI_NONAME, "that is no name")
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(_tell, told, error)


def _tell(told: asyncio.Future[None], error: Exception | None) -> None:
    if told.done():
        return
    if error is None:
        told.set_result(None)
    else:
        told.set_exception(error)


def _seen(told: asyncio.Future[None]) -> None:
    """Where nobody waits any more, nobody is to be told."""
    if not told.cancelled():
        told.exception()


def _needs_no_lookup(host: str) -> bool:
    return host == "localhost" or addresses.parsed(host) is not None
