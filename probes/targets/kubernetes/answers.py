"""What an API server's answers are made of: bodies within bounds, pages, the events of a watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx
import msgspec

from probes import text
from probes.base import Failure, Frozen
from probes.target import Unreadable
from probes.targets.kubernetes.failures import Status

Params = Mapping[str, object]
"""Query parameters; a sequence is repeated (``command=a&command=b``), ``None`` is left out."""
BODY_LIMIT = 1 << 20
"""Of what a service behind the proxy answers, as :class:`probes.target.Answer` says, and of errors."""
_HEAD_BYTES = 8192
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")


class Version(Frozen, frozen=True):
    """``GET /version``, what of it is used."""

    version: str = msgspec.field(default="", name="gitVersion")


class _Meta(Frozen, frozen=True):
    next: str | None = msgspec.field(default=None, name="continue")


class _List(Frozen, frozen=True):
    metadata: _Meta = _Meta()


class _Event(Frozen, frozen=True):
    kind: str = msgspec.field(default="", name="type")


class _Error(Frozen, frozen=True):
    code: int = 0
    reason: str | None = None
    message: str | None = None


class _ErrorEvent(Frozen, frozen=True):
    object: _Error = _Error()


def following(path: str, body: bytes) -> str | None:
    """The token of the page after this one; ``None`` after the last. Raises :class:`Unreadable`."""
    found = following_head(body)
    return (found if found is not None else decoded(path, body, _List).metadata.next) or None


def following_head(begun: bytes) -> str | None:
    """Likewise from the first bytes of a page, as far as they tell: the API server writes a list's metadata first.

    Empty where they say that it is the last page; ``None`` where they do not say.
    """
    head, items, _ = begun[:_HEAD_BYTES].partition(b',"items":[')
    if not items or b'"metadata":{' not in head:
        return None
    try:
        return msgspec.json.decode(head + b"}", type=_List).metadata.next or ""
    except _UNREADABLE:
        return None


def error_event(path: str, line: bytes) -> tuple[int, Status] | None:
    """Code and words of an ``ERROR`` among the events of a watch. Raises :class:`Unreadable` where it is no event."""
    # The server writes the type first; anything else is looked at whole.
    if line.startswith(b'{"type":"') and not line.startswith(b'{"type":"ERROR"'):
        return None
    if decoded(path, line, _Event).kind != "ERROR":
        return None
    found = decoded(path, line, _ErrorEvent).object
    return found.code, Status(text.clean(found.reason or "", 80), text.line(found.message or "", 600), own=True)


def decoded(path: str, body: bytes, kind: type[T]) -> T:
    """JSON of a known shape. Raises :class:`Unreadable` (``unexpected-answer``)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE as error:
        why = f"the answer is not understood: {text.line(str(error), 200)}"
        hint = "is this a Kubernetes API server, or a proxy that wants a login?"
        raise Unreadable(Failure("unexpected-answer", f"GET {text.clean(path, 300)}", why, hint)) from None


def query(params: Params | None) -> httpx.QueryParams:
    """Parameters as they go into the URL."""
    return httpx.QueryParams(
        [
            (name, str(one))
            for name, value in (params or {}).items()
            if value is not None
            for one in (value if isinstance(value, (list, tuple)) else (value,))
        ]
    )


def unreached(message: str) -> str:
    """How the API server's proxy failed: Go's words for it."""
    for said, error in (
        ("connection refused", "refused"),
        ("connection reset", "reset"),
        ("EOF", "reset"),
        ("deadline exceeded", "timeout"),
        ("timeout", "timeout"),
        ("malformed HTTP", "invalid"),
    ):
        if said in message:
            return error
    return "unreachable"


def too_large(what: str, limit: int) -> Failure:
    """An answer above its bound (bytes)."""
    size = f"{limit >> 20} MiB" if limit >> 20 else f"{limit} bytes"
    return Failure("too-large", text.clean(what, 300), f"the answer is larger than {size}", "ask for less at once")


async def whole(response: httpx.Response, limit: int, begun: Callable[[bytes], object] | None = None) -> bytes:
    """The body; ``begun`` is called with its first bytes. Raises :class:`Unreadable` above the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        if begun is not None and not chunks:
            begun(chunk)
        size += len(chunk)
        if size > limit:
            raise Unreadable(too_large(f"{response.request.method} {response.request.url.path}", limit))
        chunks.append(chunk)
    return b"".join(chunks)


async def first(response: httpx.Response, limit: int) -> bytes:
    """The first ``limit`` bytes of the body."""
    kept = bytearray()
    async for chunk in response.aiter_bytes():
        kept += chunk[: limit - len(kept)]
        if len(kept) >= limit:
            break
    return bytes(kept)
