"""The one way to an engine or a service over HTTP: httpx over TCP, TLS or a Unix socket, and the gate below it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable

import httpx

from probes.base import Frozen
from probes.target import ReadOnly

# GETs that are no reads: the engine takes the connection over and the caller may type into it.
_TAKEOVER = re.compile(r"/(?:attach(?:/ws)?|session|grpc|exec/[^/]+/start|containers/[^/]+/(?:wait|resize))/?$")
# The same of a Kubernetes API server: what it opens to a container, whatever stands before or behind it.
_POD_TAKEOVER = re.compile(r"/pods/+[^/]+/+(?:exec|attach|portforward)(?:/|$)")
# Through a node's proxy stands the whole kubelet, whose GETs can run commands: only what is known to read passes.
_NODE_PROXY = re.compile(r"/nodes/+[^/]+/+proxy(?P<rest>/.*)?$")
_KUBELET_READS = re.compile(r"/(?:stats/summary|metrics(?:/(?:cadvisor|resource|probes))?|configz|healthz|pods)/?")


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

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        read_only: bool,
        reads: Callable[[httpx.Request], bool] | None = None,
    ) -> None:
        """``reads`` tells whether a request only reads; :func:`harmless` where none is given."""
        self._inner = inner
        self._read_only = read_only
        self._reads = reads or harmless

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises :class:`ReadOnly` before a byte is sent."""
        if self._read_only:
            refuse_writes(request, self._reads)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._inner.aclose()


def refuse_writes(request: httpx.Request, reads: Callable[[httpx.Request], bool]) -> None:
    """Raises :class:`ReadOnly` for what does not only read."""
    if not reads(request):
        raise ReadOnly(f"{request.method} {request.url.path} would change something, and this session is read-only.")


def harmless(request: httpx.Request) -> bool:
    """Whether a request to a Docker Engine only reads."""
    return _plain(request) and not _TAKEOVER.search(request.url.path)


def harmless_in_cluster(request: httpx.Request) -> bool:
    """Whether a request to a Kubernetes API server only reads.

    GETs of ``exec``, ``attach`` and ``portforward`` are takeovers, with or without an upgrade; of a node's proxy only
    the kubelet's statistics, metrics, health and configuration pass. A pod's or a service's proxy passes GETs.
    """
    path = request.url.path  # percent-decoded, as the server will read it
    if not _plain(request) or _POD_TAKEOVER.search(path) or "/../" in f"{path}/":
        return False
    node = _NODE_PROXY.search(path)
    return node is None or _KUBELET_READS.fullmatch(node["rest"] or "") is not None


def _plain(request: httpx.Request) -> bool:
    return request.method in {"GET", "HEAD"} and "upgrade" not in request.headers


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
