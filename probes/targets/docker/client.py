"""Talking to one Docker Engine: a negotiated version, typed answers, streams that end at once, failures as data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar

import httpx
import msgspec

from probes import text
from probes.base import Failure, Frozen
from probes.slices import sliced
from probes.target import Unreadable
from probes.targets.docker import failures
from probes.transport import Endpoint, open_client

T = TypeVar("T")
Params = Mapping[str, str | int]
OLDEST = (1, 41)
"""Engine 20.10: the oldest interface that has all that is read here."""
NEWEST = (1, 51)
"""The newest whose answers are known; a newer engine is asked in these terms."""
ANSWER_LIMIT = 64 << 20
_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, TimeoutError)
_READS = frozenset({"GET", "HEAD"})


class EngineError(Exception):
    """The engine refused or failed a write; ``status`` is ``None`` when no answer came: then it may have been done."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Version(Frozen, frozen=True):
    """``GET /version``, what of it is used."""

    version: str = msgspec.field(default="", name="Version")
    api_version: str = msgspec.field(default="0.0", name="ApiVersion")
    min_api_version: str = msgspec.field(default="0.0", name="MinAPIVersion")


class EngineClient:
    """One engine. Reads raise :class:`Unreadable`, writes :class:`EngineError`, both ``ReadOnly`` at the gate below."""

    def __init__(
        self,
        endpoint: Endpoint | None,
        *,
        read_only: bool,
        opener: Callable[[], Awaitable[Endpoint]] | None = None,
        where: str | None = None,
    ) -> None:
        """``opener`` makes the way to the engine where there is none yet (a tunnel); it is called for each opening.

        ``where`` is what people call the place then: the end of a tunnel on this side tells them nothing.
        """
        self.endpoint = endpoint
        self.read_only = read_only
        self.version: str | None = None
        self.api_version: str | None = None
        self._opener = opener
        self._where = where
        self._prefix = ""
        self._http: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    @property
    def where(self) -> str:
        """For people: the socket's path or the URL."""
        if self._where is not None:
            return self._where
        return "the engine" if self.endpoint is None else self.endpoint.socket or self.endpoint.url

    async def open(self, timeout_seconds: float = 5.0) -> Version:
        """Makes the way, asks for the engine's version and settles the interface's. Raises :class:`Unreadable`.

        The first request does it too; calling it again makes a new beginning after a connection was lost.
        """
        if self._opener is not None:
            await self.close()
            self.endpoint = await self._opener()
        self._prefix = ""
        found = await self.get("/version", Version, timeout_seconds=timeout_seconds)
        newest, oldest = _numbers(found.api_version), _numbers(found.min_api_version)
        if newest < OLDEST:
            speaks = f"it speaks {text.clean(found.api_version, 16)}, and fastops needs 1.41 (Docker Engine 20.10)"
            raise Unreadable(Failure("too-old", f"the engine at {self.where}", speaks, "update the engine"))
        major, minor = max(min(newest, NEWEST), oldest)
        self.api_version = f"{major}.{minor}"
        self._prefix = f"/v{self.api_version}"
        self.version = text.clean(found.version, 64)
        return found

    async def get(self, path: str, kind: type[T], *, params: Params | None = None, timeout_seconds: float = 10.0) -> T:
        """A GET, decoded into ``kind``. Raises :class:`Unreadable`."""
        body = await self.request("GET", path, params=params, timeout_seconds=timeout_seconds)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = f"the answer is not understood: {text.line(str(error), 200)}"
            raise Unreadable(Failure("unexpected-answer", f"GET {path}", why, "is this a Docker Engine?")) from None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
    ) -> bytes:
        """One request with its whole answer, at most 64 MiB; ``path`` begins behind the version (``/containers/…``)."""
        await self._ready(path)
        kind = {} if json is None else {"content-type": "application/json"}
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._send(
                    method,
                    path,
                    params,
                    content if json is None else msgspec.json.encode(json),
                    {**kind, **(headers or {})},
                )
                try:
                    answer = await _whole(response)
                finally:
                    await response.aclose()
        except _ERRORS as error:
            self._fail(method, path, error)
        if response.status_code >= 400:
            self._refuse(method, path, response.status_code, answer)
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Params | None = None, timeout_seconds: float = 10.0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A GET whose answer comes bit by bit, without an end to be expected; closed at once when the block is left.

        ``timeout_seconds`` is for the head of the answer. Raises :class:`Unreadable`, also from the iterator.
        """
        await self._ready(path)
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._send("GET", path, params, None, {})
        except _ERRORS as error:
            self._fail("GET", path, error)
        try:
            if response.status_code >= 400:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        answer = await _whole(response)
                except _ERRORS as error:
                    self._fail("GET", path, error)
                self._refuse("GET", path, response.status_code, answer)
            yield self._chunks(path, response)
        finally:
            await response.aclose()

    async def _chunks(self, path: str, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in sliced(response.aiter_raw()):
                yield chunk
        except _ERRORS as error:
            self._fail("GET", path, error)

    async def _send(
        self, method: str, path: str, params: Params | None, content: bytes | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        client = self._client()
        request = client.build_request(
            method, self._prefix + path, params=dict(params or {}), content=content, headers=dict(headers), timeout=None
        )
        return await client.send(request, stream=True)

    async def _ready(self, path: str) -> None:
        if self.api_version is None and path != "/version":
            async with self._opening:
                if self.api_version is None:
                    await self.open()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            assert self.endpoint is not None
            try:
                self._http = open_client(self.endpoint, read_only=self.read_only)
            except OSError as error:
                raise Unreadable(failures.certificates(self.where, error)) from None
        return self._http

    async def close(self) -> None:
        """Ends all connections; the next request begins anew."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    def _fail(self, method: str, path: str, error: Exception) -> NoReturn:
        if method not in _READS:
            raise EngineError(None, text.line(str(error) or type(error).__name__, 300)) from None
        raise Unreadable(failures.unreached(self.where, f"{method} {path}", error)) from None

    def _refuse(self, method: str, path: str, status: int, answer: bytes) -> NoReturn:
        if method not in _READS:
            raise EngineError(status, failures.message(answer))
        raise Unreadable(failures.refused(f"{method} {path}", status, failures.message(answer)))


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


async def _whole(response: httpx.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise OSError("the answer is larger than 64 MiB")
        chunks.append(chunk)
    return b"".join(chunks)
