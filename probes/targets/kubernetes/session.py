"""The connections to one API server: made with the credentials that are valid now, and anew when those change."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from probes import text
from probes.base import Failure
from probes.http import user_agent
from probes.target import Unreadable
from probes.targets.kubernetes import answers, failures
from probes.targets.kubernetes.credentials import Credential, Credentials
from probes.targets.kubernetes.names import Name
from probes.targets.kubernetes.place import Place
from probes.targets.kubernetes.proxy import proxy
from probes.targets.kubernetes.tls import tls_context
from probes.transport import GatedTransport, harmless_in_cluster, refuse_writes

CONNECT_SECONDS = 5.0
_KEPT_CONNECTIONS = 16
# A peer that is gone without a word (sleep, a VPN that dropped) is noticed within a minute.
_KEEPALIVE = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    )
    if hasattr(socket, name)
)


class Session:
    """Opens requests; everything passes the read-only gate of ``probes/transport.py``."""

    def __init__(self, place: Place, *, read_only: bool, reread: Callable[[], Place] | None) -> None:
        self._place = place
        self._read_only = read_only
        self._credentials = Credentials(place, reread=reread)
        self._http: httpx.AsyncClient | None = None
        self._retired: httpx.AsyncClient | None = None
        self._name = Name("localhost")
        self._pair: tuple[bytes | None, bytes | None] = (None, None)

    async def open(
        self,
        method: str,
        path: str,
        params: httpx.QueryParams,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> httpx.Response:
        """The head of the answer, within ``timeout_seconds`` from when the credentials are there; close it.

        A 401 is answered with new credentials, once. Raises what httpx raises, ``TimeoutError``, ``ReadOnly`` and
        :class:`Unreadable` (credentials, certificates).
        """
        if self._read_only and (method != "GET" or headers):
            # The gate refuses it, too; here no plugin is run and no connection made for what will not be sent.
            refuse_writes(
                httpx.Request(method, self._place.cluster.server + path, headers=headers), harmless_in_cluster
            )
        credential = await self._credentials.current()
        response = await self._send(credential, method, path, params, content, headers, timeout_seconds)
        if response.status_code != 401:
            return response
        try:
            async with asyncio.timeout(timeout_seconds):
                body = await answers.first(response, answers.BODY_LIMIT)
        finally:
            await response.aclose()
        # A service behind a proxy path may say 401 on its own account.
        ours = "/proxy" not in path or failures.status(body).own
        if not ours or not await self._credentials.renew(credential):
            return httpx.Response(401, content=body, request=response.request)
        credential = await self._credentials.current()
        return await self._send(credential, method, path, params, content, headers, timeout_seconds)

    async def close(self) -> None:
        """Ends the plugin and all connections."""
        await self._credentials.close()
        clients, self._http, self._retired = (self._http, self._retired), None, None
        for client in clients:
            if client is not None:
                await client.aclose()

    async def _send(
        self,
        credential: Credential,
        method: str,
        path: str,
        params: httpx.QueryParams,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        timeout_seconds: float,
    ) -> httpx.Response:
        client = await self._client(credential)
        connecting = _Connecting()
        request = client.build_request(
            method,
            path,
            params=params or None,  # empty ones would take the path's own query away
            content=content,
            headers=[*(headers or {}).items(), *credential.headers],
            timeout=httpx.Timeout(None, connect=min(CONNECT_SECONDS, 0.8 * timeout_seconds)),
            extensions={"trace": connecting.trace},
        )
        async with asyncio.timeout(timeout_seconds):
            await self._name.known()
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError):
                self._name.doubt()
                raise
            except asyncio.CancelledError:
                await connecting.abandon()
                raise

    async def _client(self, credential: Credential) -> httpx.AsyncClient:
        pair = (credential.certificate, credential.key)
        if self._http is not None and pair == self._pair:
            return self._http
        made = self._make(credential)
        # Streams that began with the former certificate go on; those of the one before it had their time.
        last, self._retired = self._retired, self._http
        self._http, self._pair = made, pair
        if last is not None:
            await last.aclose()
        return made

    def _make(self, credential: Credential) -> httpx.AsyncClient:
        cluster = self._place.cluster
        try:
            secure = cluster.server.startswith("https://")
            verify = tls_context(cluster, credential.certificate, credential.key) if secure else False
        except (OSError, ValueError) as error:
            raise failures.certificates(cluster.server, error) from None
        try:
            through = proxy(cluster.server, cluster.proxy, os.environ)
            self._name = Name(urlsplit(through or cluster.server).hostname or "")
            transport = httpx.AsyncHTTPTransport(
                verify=verify,
                limits=httpx.Limits(
                    max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS, keepalive_expiry=30.0
                ),
                trust_env=False,
                proxy=through,
                retries=0,
                socket_options=_KEEPALIVE,
            )
        except (ValueError, ImportError) as error:
            why = f"it cannot be used: {text.line(str(error), 200)}"
            hint = "see proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY"
            raise Unreadable(Failure("invalid", f"the proxy to {text.line(cluster.server, 200)}", why, hint)) from None
        return httpx.AsyncClient(
            transport=GatedTransport(transport, read_only=self._read_only, reads=harmless_in_cluster),
            base_url=cluster.server,
            headers={
                "accept": "application/json, */*",
                # Measured on loopback, 5,000 pods: as quick as identity, a tenth of the bytes, two thirds of our own
                # CPU (fewer TLS records) and a tenth more of the server's.
                "accept-encoding": "gzip" if cluster.compress else "identity",
                "user-agent": user_agent(),
            },
            trust_env=False,
            follow_redirects=False,
        )


class _Connecting:
    """The connection that one request makes: httpcore 1.0 leaves its socket open when a handshake is cancelled."""

    def __init__(self) -> None:
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore (its extension ``trace``) before and after each step of a request."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None

    async def abandon(self) -> None:
        """Closes what nobody else will."""
        if self._stream is not None:
            await self._stream.aclose()
