"""Reading from one Kubernetes API server: with deadlines and bounds, watches that end at once, typed failures."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn

import httpx

from probes.slices import sliced
from probes.target import Answer, Unreadable
from probes.targets.kubernetes import answers, failures
from probes.targets.kubernetes.answers import Params
from probes.targets.kubernetes.failures import Gone, Status
from probes.targets.kubernetes.session import Session

ANSWER_LIMIT = 64 << 20
EVENT_LIMIT = 16 << 20
"""Of one watch event: etcd keeps no object above 1.5 MiB, and JSON is larger than what it keeps."""
WATCH_SECONDS = 290
"""How long one watch is asked for: less than the 5 minutes after which proxies cut what is long."""
SILENCE_SECONDS = 150.0
"""A watch that is silent for longer is begun anew: bookmarks come about once a minute."""
PATIENCE = 3
"""Reads that the server is too busy for are sent again this often, where the deadline allows."""
ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, TimeoutError)
_PLAIN = {"accept-encoding": "identity"}
"""For services behind a proxy path, which are not to work harder for us."""


class Reads:
    """What is read, over a session; see :class:`probes.targets.kubernetes.client.ApiClient` for what is raised."""

    def __init__(self, where: str, session: Session) -> None:
        self.where = where
        """The server, as messages name it."""
        self._session = session

    async def get(
        self, path: str, params: Params | None = None, *, timeout_seconds: float = 10.0, limit: int = ANSWER_LIMIT
    ) -> bytes:
        """The whole answer to a GET, at most ``limit`` bytes. Raises :class:`Unreadable`, and :class:`Gone` for 410."""
        return await self._read(path, params, timeout_seconds, limit)

    async def pages(
        self, path: str, params: Params | None = None, *, size: int = 500, timeout_seconds: float = 30.0
    ) -> AsyncGenerator[bytes, None]:
        """The pages of a list (JSON, as the server sent them), at most ``size`` objects each.

        The next page is asked for as soon as the head of this one has come: the server works on it meanwhile.
        ``timeout_seconds`` is for one page. Raises :class:`Unreadable`, and :class:`Gone` when the server has dropped
        the list between two pages.
        """
        asked = {"limit": size, **(params or {})}
        # The first page was for one version; the others are of the same, which the token holds.
        rest = {k: v for k, v in asked.items() if k not in {"resourceVersion", "resourceVersionMatch"}}
        page = _Page(self, path, asked, timeout_seconds)
        after: _Page | None = None
        try:
            while True:
                token = await page.following()
                after = _Page(self, path, {**rest, "continue": token}, timeout_seconds) if token else None
                yield await page.body
                if after is None:
                    return
                page, after = after, None
        finally:
            await page.drop()
            if after is not None:
                await after.drop()

    async def watch(
        self, path: str, params: Params | None = None, *, silence_seconds: float = SILENCE_SECONDS
    ) -> AsyncGenerator[bytes, None]:
        """The events of a watch, one JSON object (``{"type": …, "object": …}``) each, bookmarks among them.

        ``params`` hold ``resourceVersion``; begin the next watch at that of the last event. Ends normally when the
        server's time is over (:data:`WATCH_SECONDS`) or it was silent for too long. Raises :class:`Gone` for 410, as
        an answer or as an event, and :class:`Unreadable` (``unreachable`` where the stream was cut).
        """
        asked = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS - random.randrange(60),  # noqa: S311 - so that not all end at once
            **(params or {}),
        }
        async with aclosing(self._lines(path, asked, silence_seconds)) as lines:
            async for line in lines:
                if (error := answers.error_event(path, line)) is not None:
                    self._refuse(path, asked, *error)
                yield line

    async def stream(
        self, path: str, params: Params | None = None, *, timeout_seconds: float = 10.0
    ) -> AsyncGenerator[bytes, None]:
        """The chunks of an answer (logs) as they come; ``timeout_seconds`` is for its head. Close it to end it.

        Ends normally where the answer ends. Raises :class:`Unreadable`.
        """
        async with self._opened(path, params, timeout_seconds) as response:
            try:
                async for chunk in sliced(response.aiter_bytes()):
                    yield chunk
            except ERRORS as error:
                raise failures.unreached(self.where, f"GET {path}", error) from None

    async def answer(self, path: str, params: Params | None = None, *, timeout_seconds: float = 5.0) -> Answer:
        """A GET through a proxy path (``…/pods/NAME:PORT/proxy/PATH``): whatever the service answers is data.

        Where the API server could not reach it, :attr:`Answer.error` says how. Raises :class:`Unreadable` only where
        the API server itself refuses (401, 403, 404 of the pod) or cannot be reached.
        """
        begun = time.monotonic()
        try:
            async with self._opened(path, params, timeout_seconds, raw=True) as response:
                took = time.monotonic() - begun
                async with asyncio.timeout(max(0.0, timeout_seconds - took)):
                    body = await answers.first(response, answers.BODY_LIMIT)
                code = response.status_code
                said = failures.status(body) if code >= 400 else Status()
        except TimeoutError:
            return Answer(status=None, body=b"", took_seconds=time.monotonic() - begun, error="timeout")
        except ERRORS as error:
            raise failures.unreached(self.where, f"GET {path}", error) from None
        if not said.own or code not in {401, 403, 404, 429, 500, 502, 503, 504}:
            return Answer(status=code, body=body, took_seconds=took)
        if code in {401, 403, 404, 429}:
            raise failures.refused("GET", path, params, code, said)
        return Answer(status=None, body=b"", took_seconds=took, error=answers.unreached(said.message))

    async def _read(
        self,
        path: str,
        params: Params | None,
        timeout_seconds: float,
        limit: int,
        begun: Callable[[bytes], object] | None = None,
    ) -> bytes:
        deadline = time.monotonic() + timeout_seconds
        for attempt in range(PATIENCE + 1):
            try:
                response = await self._session.open("GET", path, answers.query(params), timeout_seconds=timeout_seconds)
                try:
                    async with asyncio.timeout(timeout_seconds):
                        body = await answers.whole(response, limit, begun if response.is_success else None)
                finally:
                    await response.aclose()
            except ERRORS as error:
                raise failures.unreached(self.where, f"GET {path}", error) from None
            if response.is_success:
                return body
            said = failures.status(body, response.headers)
            wait = said.retry_after_seconds
            last = response.status_code != 429 or attempt == PATIENCE
            if last or wait is None or time.monotonic() + wait >= deadline:
                self._refuse(path, params, response.status_code, said)
            await asyncio.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - not all at the same moment
        raise AssertionError  # the last attempt returns or raises

    @asynccontextmanager
    async def _opened(
        self, path: str, params: Params | None, timeout_seconds: float, *, raw: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """The head of an answer; with ``raw`` whatever its status. What the block raises is passed on."""
        try:
            response = await self._session.open(
                "GET", path, answers.query(params), headers=_PLAIN if raw else None, timeout_seconds=timeout_seconds
            )
        except ERRORS as error:
            if raw and isinstance(error, TimeoutError):
                raise
            raise failures.unreached(self.where, f"GET {path}", error) from None
        try:
            if not response.is_success and not raw:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        body = await answers.first(response, answers.BODY_LIMIT)
                except ERRORS as error:
                    raise failures.unreached(self.where, f"GET {path}", error) from None
                self._refuse(path, params, response.status_code, failures.status(body, response.headers))
            yield response
        finally:
            await response.aclose()

    async def _lines(self, path: str, params: Params, silence_seconds: float) -> AsyncGenerator[bytes, None]:
        """The lines of a watch; the end of it is the end of the lines, whether the server says so or falls silent."""
        rest = b""
        async with self._opened(path, params, 30.0) as response:
            chunks = aiter(response.aiter_bytes())
            while True:
                try:
                    async with asyncio.timeout(silence_seconds):
                        chunk = await anext(chunks)
                except (StopAsyncIteration, TimeoutError):
                    return
                except ERRORS as error:
                    raise failures.unreached(self.where, f"the watch of {path}", error) from None
                *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                if len(rest) > EVENT_LIMIT:
                    raise Unreadable(answers.too_large(f"the watch of {path}", EVENT_LIMIT))
                for line in filter(None, lines):
                    yield line

    def _refuse(self, path: str, params: Params | None, code: int, said: Status) -> NoReturn:
        if code == 410:
            raise Gone(said.message)
        raise failures.refused("GET", path, params, code, said)


class _Page:
    """One page of a list on its way."""

    def __init__(self, reads: Reads, path: str, params: Params, timeout_seconds: float) -> None:
        self._path = path
        self._head: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.body = asyncio.create_task(reads._read(path, params, timeout_seconds, ANSWER_LIMIT, self._begun))

    async def following(self) -> str | None:
        """The token of the page after it, as soon as that is known; ``None`` after the last. Raises as for reads."""
        told: tuple[asyncio.Future[Any], ...] = (self._head, self.body)
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        token = self._head.result() if self._head.done() else None
        return answers.following(self._path, await self.body) if token is None else token or None

    async def drop(self) -> None:
        """Nobody wants it any more."""
        self.body.cancel()
        await asyncio.gather(self.body, return_exceptions=True)

    def _begun(self, begun: bytes) -> None:
        if not self._head.done():
            self._head.set_result(answers.following_head(begun))
