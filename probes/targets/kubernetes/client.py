"""Talking to one Kubernetes API server: reads, writes, and commands in containers, with typed failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from probes import text
from probes.targets.kubernetes import answers, failures
from probes.targets.kubernetes.answers import Params
from probes.targets.kubernetes.failures import ApiError, Forbidden, Gone, Status
from probes.targets.kubernetes.kinds import KINDS
from probes.targets.kubernetes.place import Place
from probes.targets.kubernetes.reads import ANSWER_LIMIT, ERRORS, Reads
from probes.targets.kubernetes.session import Session

__all__ = ["ApiClient", "ApiError", "Forbidden", "Gone", "Params"]


class ApiClient(Reads):
    """One API server. All methods may be called at once, and cancelled at any moment.

    Reads raise :class:`Unreadable`, whose failure's code is ``expired`` (401, and new credentials did not help),
    ``forbidden`` (:class:`Forbidden` has the rule that would allow it), ``not-found``, ``invalid``, ``too-busy``,
    ``timeout``, ``unreachable``, ``tls``, ``too-large``, ``server-error``, ``unexpected-answer``, or one of
    :meth:`Credentials.current`. Writes raise :class:`ApiError`. Whatever is no read raises
    :class:`probes.target.ReadOnly` in read-only mode, before a byte is sent.
    A 401 makes it renew its credentials, once for each request. The time that a credentials plugin takes does not
    count against a request's own deadline; it has one of its own.
    """

    def __init__(self, place: Place, *, read_only: bool, reread: Callable[[], Place] | None = None) -> None:
        """``reread`` resolves the place anew (``lambda: resolve(spec)``): then a login by hand is noticed."""
        self.place = place
        self.read_only = read_only
        super().__init__(place.endpoint, Session(place, read_only=read_only, reread=reread))

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        params: Params | None = None,
        timeout_seconds: float = 30.0,
    ) -> bytes:
        """A write, with the server's whole answer. Raises :class:`ApiError` and ``ReadOnly``.

        :class:`Unreadable` is raised where nothing was sent: no connection, no credentials.
        """
        headers = {"content-type": content_type} if body is not None else {}
        try:
            response = await self._session.open(
                method, path, answers.query(params), content=body, headers=headers, timeout_seconds=timeout_seconds
            )
            try:
                async with asyncio.timeout(timeout_seconds):
                    answer = await answers.whole(response, ANSWER_LIMIT)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise failures.unreached(self.where, f"{method} {path}", error) from None
        except ERRORS as error:
            failure = failures.unreached(self.where, f"{method} {path}", error).failure
            raise ApiError(None, Status(message=f"{failure.why}; it may have been done")) from None
        if not response.is_success:
            said = failures.status(answer, response.headers)
            if response.status_code == 401:
                raise failures.refused(method, path, params, 401, said)
            needed = failures.missing(method, path, params, said) if response.status_code == 403 else None
            raise ApiError(response.status_code, said, needed)
        return answer

    async def execute(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: tuple[str, ...] | list[str],
        *,
        stdin: bytes = b"",
        timeout_seconds: float = 10.0,
        limit: int = 1 << 20,
    ) -> bytes:
        """Runs a command in a container and returns its standard output, at most ``limit`` bytes.

        ``ReadOnly`` in read-only mode, before a byte is sent. Raises :class:`Unreadable`: ``no-command`` where the
        container has no such program, ``command-failed`` with the last line of its standard error where it ended with
        another code than 0, and as for reads.
        """
        from probes.targets.kubernetes import websocket  # loaded when it is used: a start needs none

        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        params = websocket.query(container, argv, stdin=bool(stdin))
        what = f"a command in the container {text.clean(f'{container} of {namespace}/{pod}', 250)}"
        try:
            response = await self._session.open(
                "GET", path, answers.query(params), headers=websocket.handshake(), timeout_seconds=timeout_seconds
            )
            try:
                async with asyncio.timeout(timeout_seconds):
                    if response.status_code != 101:
                        answer = await answers.whole(response, answers.BODY_LIMIT)
                        said = failures.status(answer, response.headers)
                        raise failures.refused("GET", path, params, response.status_code, said)
                    return await websocket.converse(response, what, argv[0], stdin, limit)
            finally:
                await response.aclose()
        except ERRORS as error:
            raise failures.unreached(self.where, what, error) from None

    async def forward(self, namespace: str, pod: str, port: int, *, timeout_seconds: float = 10.0) -> httpx.Response:
        """A WebSocket to a port of a pod, for :class:`.forwarding.Forward`; close it.

        ``ReadOnly`` in read-only mode, before a byte is sent. Raises :class:`Unreadable` as for reads.
        """
        from probes.targets.kubernetes import websocket

        # The pod's name may be an EndpointSlice's word for it, which the API server does not check.
        path = f"{KINDS['Pod'].path(namespace, pod)}/portforward"
        params = {"ports": port}
        headers = {**websocket.handshake(), "sec-websocket-protocol": websocket.V4}
        what = f"port {port} of the pod {text.clean(f'{namespace}/{pod}', 250)}"
        try:
            response = await self._session.open(
                "GET", path, answers.query(params), headers=headers, timeout_seconds=timeout_seconds
            )
            if response.status_code == 101:
                return response
            try:
                async with asyncio.timeout(timeout_seconds):
                    answer = await answers.whole(response, answers.BODY_LIMIT)
            finally:
                await response.aclose()
        except ERRORS as error:
            raise failures.unreached(self.where, what, error) from None
        said = failures.status(answer, response.headers)
        raise failures.refused("GET", path, params, response.status_code, said)

    async def version(self, *, timeout_seconds: float = 5.0) -> str:
        """The server's version, such as ``v1.34.2``. Raises :class:`Unreadable`."""
        body = await self.get("/version", timeout_seconds=timeout_seconds, limit=answers.BODY_LIMIT)
        return text.clean(answers.decoded("/version", body, answers.Version).version, 64)

    async def close(self) -> None:
        """Ends all connections and the credentials plugin; the next request begins anew."""
        await self._session.close()
