"""Talking to one Docker Engine: a negotiated version, typed answers, streams that end at once, failures as data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from probes import text
from probes.model import Failure, Frozen
from probes.target import Unreadable

if TYPE_CHECKING:
    import httpx

    from probes.transport import Endpoint

T = TypeVar("T")
OLDEST = (1, 41)
"""Engine 20.10: the oldest interface that has all that is read here."""
NEWEST = (1, 51)
"""The newest whose answers are known; a newer engine is asked in these terms."""
_ANSWER_LIMIT = 64 << 20
Params = Mapping[str, str | int]


class EngineError(Exception):
    """The engine refused or failed a write; ``status`` is ``None`` when no answer came."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Version(Frozen, frozen=True, rename="pascal"):
    """``GET /version``, what of it is used."""

    version: str = ""
    api_version: str = "0.0"
    min_api_version: str = msgspec.field(default="0.0", name="MinAPIVersion")


class _Message(Frozen, frozen=True):
    message: str = ""


class EngineClient:
    """One engine. Reads raise :class:`Unreadable`, writes :class:`EngineError`, both :class:`ReadOnly` at the gate."""

    def __init__(self, endpoint: Endpoint, *, read_only: bool) -> None:
        from probes.transport import open_client

        self.endpoint = endpoint
        self.read_only = read_only
        self.version: str | None = None
        self._prefix = ""
        try:
            self._http: httpx.AsyncClient = open_client(endpoint, read_only=read_only)
        except OSError as error:
            raise Unreadable(
                Failure(
                    "unreachable",
                    f"the TLS connection to {endpoint.url}",
                    f"a certificate cannot be loaded: {error}",
                    "check the files ca.pem, cert.pem and key.pem of the context or of DOCKER_CERT_PATH",
                )
            ) from None

    async def open(self, timeout_seconds: float = 5.0) -> Version:
        """Asks for the engine's version and settles the interface's. Raises :class:`Unreadable`."""
        found = await self.get("/version", Version, timeout_seconds=timeout_seconds)
        newest, oldest = _numbers(found.api_version), _numbers(found.min_api_version)
        if newest < OLDEST:
            raise Unreadable(
                Failure(
                    "too-old",
                    f"the engine {text.clean(found.version, 64)}",
                    f"its interface is {text.clean(found.api_version, 16)}, and fastops needs 1.41 (Docker Engine 20.10)",
                    "update the engine",
                )
            )
        spoken = max(min(newest, NEWEST), oldest)
        self._prefix = f"/v{spoken[0]}.{spoken[1]}"
        self.version = text.clean(found.version, 64)
        return found

    async def get(self, path: str, kind: type[T], *, params: Params | None = None, timeout_seconds: float = 10.0) -> T:
        """A GET, decoded into ``kind``. Raises :class:`Unreadable`."""
        body = await self.request("GET", path, params=params, timeout_seconds=timeout_seconds)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(
                Failure(
                    "unexpected-answer",
                    f"GET {path}",
                    f"the answer is not understood: {text.line(str(error), 200)}",
                    "",
                )
            ) from None

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
        """One request with its whole answer, at most 64 MiB; the path begins behind the version (``/containers/…``)."""
        body = content if json is None else msgspec.json.encode(json)
        kind = {"content-type": "application/json"} if json is not None else {}
        answer = b""
        try:
            async with asyncio.timeout(timeout_seconds):
                request = self._http.build_request(
                    method,
                    self._prefix + path,
                    params=dict(params or {}),
                    content=body,
                    headers={**kind, **(headers or {})},
                    timeout=None,
                )
                response = await self._http.send(request, stream=True)
                try:
                    answer = await _whole(response)
                finally:
                    await response.aclose()
        except Exception as error:  # translated, never swallowed
            self._raise(method, path, error)
        if response.status_code >= 400:
            self._refuse(method, path, response.status_code, _message(answer))
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Params | None = None, timeout_seconds: float = 10.0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A GET whose answer comes bit by bit, without an end to be expected; closed at once when the block is left.

        ``timeout_seconds`` is for the head of the answer. Raises :class:`Unreadable`, also from the iterator.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                request = self._http.build_request("GET", self._prefix + path, params=dict(params or {}), timeout=None)
                response = await self._http.send(request, stream=True)
        except Exception as error:
            self._raise("GET", path, error)
        try:
            if response.status_code >= 400:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        answer = await _whole(response)
                except Exception as error:
                    self._raise("GET", path, error)
                self._refuse("GET", path, response.status_code, _message(answer))
            yield self._chunks(path, response)
        finally:
            await response.aclose()

    async def _chunks(self, path: str, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except Exception as error:
            self._raise("GET", path, error)

    async def close(self) -> None:
        """Ends all connections."""
        await self._http.aclose()

    def _raise(self, method: str, path: str, error: Exception) -> Any:
        """Translates what httpx and the system say; anything else is a defect and passes."""
        import httpx

        if not isinstance(error, (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, TimeoutError)):
            raise error
        if method not in {"GET", "HEAD"}:
            raise EngineError(None, text.line(str(error) or type(error).__name__, 300)) from None
        raise Unreadable(_unreached(self.endpoint, f"{method} {path}", error)) from None

    def _refuse(self, method: str, path: str, status: int, message: str) -> None:
        if method not in {"GET", "HEAD"}:
            raise EngineError(status, message)
        code = {401: "forbidden", 403: "forbidden", 404: "not-found", 409: "conflict"}.get(status, "engine-error")
        raise Unreadable(Failure(code, f"{method} {path}", f"the engine says {status}: {message}", ""))


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


async def _whole(response: httpx.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > _ANSWER_LIMIT:
            raise OSError("the answer is larger than 64 MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _message(answer: bytes) -> str:
    """The engine's own words: ``{"message": …}``, or the text itself."""
    try:
        return text.line(msgspec.json.decode(answer, type=_Message).message, 600)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.line(answer[:600], 600)


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(chain) < 12:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return tuple(chain)


def _unreached(endpoint: Endpoint, what: str, error: Exception) -> Failure:
    """Why an engine could not be reached, as a sentence with what to do next."""
    import ssl

    chain = _causes(error)
    where = endpoint.socket or endpoint.url
    if any(isinstance(one, PermissionError) for one in chain):
        return Failure(
            "permission-denied",
            what,
            f"permission denied on {where}",
            "add your user to the group docker (sudo usermod -aG docker $USER, then log in again), or run fastops with sudo",
        )
    if any(isinstance(one, FileNotFoundError) for one in chain):
        return Failure(
            "unreachable",
            what,
            f"there is no socket at {where}",
            "start Docker (sudo systemctl start docker), or name another context: docker:CONTEXT",
        )
    if any(isinstance(one, ConnectionRefusedError) for one in chain):
        return Failure("unreachable", what, f"nothing answers at {where}", "start Docker (sudo systemctl start docker)")
    if any(isinstance(one, ssl.SSLError) for one in chain):
        said = next(one for one in chain if isinstance(one, ssl.SSLError))
        return Failure(
            "tls",
            what,
            f"TLS with {where} failed: {text.line(str(said), 200)}",
            "check the certificates of the context or of DOCKER_CERT_PATH",
        )
    if any(isinstance(one, TimeoutError) for one in chain) or "Timeout" in type(error).__name__:
        return Failure(
            "timeout",
            what,
            f"{where} did not answer in time",
            "the engine is overloaded or the way to it is cut; fastops tries again",
        )
    said_text = text.line(str(error) or type(error).__name__, 200)
    return Failure("unreachable", what, f"the connection to {where} failed: {said_text}", "fastops tries again")
