"""The one way to an engine or a service over HTTP: httpx over TCP, TLS or a Unix socket, and the gate below it."""

from __future__ import annotations

import re
import ssl

import httpx

from probes.base import Frozen
from probes.target import ReadOnly

# GETs that are no reads: the engine takes the connection over and the caller may type into it.
_TAKEOVER = re.compile(r"/(?:attach(?:/ws)?|session|grpc|exec/[^/]+/start|containers/[^/]+/(?:wait|resize))/?$")


class Endpoint(Frozen, frozen=True):
    """Where to send requests."""

    url: str
    """``unix:///path``, ``http://host:port`` or ``https://host:port``."""
    ca: str | None = None
    """A PEM file of the authorities that are trusted; the system's where it is ``None``."""
    cert: str | None = None
    key: str | None = None
    verify: bool = True
    """Check the server's certificate and its name."""

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket, where it is one."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None


class GatedTransport(httpx.AsyncBaseTransport):
    """Passes requests on; in read-only mode what is neither GET nor HEAD, or takes over, raises :class:`ReadOnly`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, read_only: bool) -> None:
        self._inner = inner
        self._read_only = read_only

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises :class:`ReadOnly` before a byte is sent."""
        if self._read_only and not harmless(request):
            raise ReadOnly(
                f"{request.method} {request.url.path} would change something, and this session is read-only."
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._inner.aclose()


def harmless(request: httpx.Request) -> bool:
    """Whether a request only reads."""
    return (
        request.method in {"GET", "HEAD"}
        and "upgrade" not in request.headers
        and not _TAKEOVER.search(request.url.path)
    )


def open_client(
    endpoint: Endpoint, *, read_only: bool, connect_seconds: float = 5.0, keep_connections: int = 16
) -> httpx.AsyncClient:
    """A client of one endpoint.

    Proxies and ``.netrc`` of the environment are not used: an engine is reached as its context says. Streams may be as
    many as there are containers, so connections are not limited; every request carries its own time-out.
    Raises ``OSError`` (``ssl.SSLError``) when a certificate cannot be loaded.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep_connections, keepalive_expiry=30.0)
    socket = endpoint.socket
    verify: ssl.SSLContext | bool = False
    if endpoint.url.startswith("https://"):
        verify = tls_context(endpoint)
    transport = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False, uds=socket, retries=0)
    base = "http://docker" if socket is not None else endpoint.url
    return httpx.AsyncClient(
        transport=GatedTransport(transport, read_only=read_only),
        base_url=base,
        headers={"accept-encoding": "identity"},  # the engine would compress archives, at its own cost
        timeout=httpx.Timeout(10.0, connect=connect_seconds),
        trust_env=False,
        follow_redirects=False,
    )


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS as the endpoint asks for it, 1.2 at least. Raises ``OSError`` when a file is missing or no certificate."""
    context = ssl.create_default_context(cafile=endpoint.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint.cert and endpoint.key:
        context.load_cert_chain(endpoint.cert, endpoint.key)
    return context
