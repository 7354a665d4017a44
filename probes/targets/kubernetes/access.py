"""Reading one replica of a cluster: its ports, its files, its log, its stacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import msgspec

from probes import addresses, stack, text, wire
from probes.base import Failure, ReplicaId
from probes.http import LOOP_PATH, user_agent
from probes.model import Replica, StackSample
from probes.target import Answer, Reached, Unreadable
from probes.targets.kubernetes import logs, podenvironment
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.reaching import Reaching

CONNECT_SECONDS = 0.5
_OUTSIDE_TRIES = 3
_OUTSIDE_SECONDS = 600.0
"""After so many addresses that could not be reached, no other is tried for so long."""
_SLOW_SECONDS = 0.5
_DEFAULT_PORT = 8000
_OWN_SECONDS = 3.0
_STACK_BYTES = 4 << 20
_READ = "import sys;sys.stdout.buffer.write(open(sys.argv[1],'rb').read(int(sys.argv[2])))"


class ClusterAccess:
    """Implements :class:`probes.target.Access` over an API server, and pods' addresses where they are routed to."""

    def __init__(
        self, client: ApiClient, replicas: Callable[[ReplicaId], Replica | None], *, execute: bool, read_only: bool
    ) -> None:
        """``execute``: programs may be run in containers; never in read-only mode."""
        self._client = client
        self._replicas = replicas
        self._agent = user_agent()
        self._execute = execute and not read_only
        self._read_only = read_only
        self._direct: dict[ReplicaId, tuple[str, bool]] = {}
        """Replica → its address, and whether that leads to it from here."""
        self._outside = 0
        self._outside_until = 0.0
        self._reaching = Reaching(client, self._is_reached, read_only=read_only)

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        """GET on the pod's address where that is known to lead to the pod, else through the API server."""
        known = self._known(replica)
        address = known.addresses.get("pod")
        if address and await self._leads_there(replica, address, port):
            return await wire.get(address, port, path, timeout_seconds, self._agent)
        return await self._through(replica, port, path, timeout_seconds)

    async def read(self, replica: ReplicaId, path: str, limit: int = 1 << 20) -> bytes:
        """A file of a running container, by a program that is run inside."""
        namespace, pod, container = self._allowed(replica, f"{text.clean(path, 200)} of the pod")
        ways = (("head", "-c", str(limit), "--", path), ("python3", "-I", "-S", "-c", _READ, path, str(limit)))
        for last, argv in zip((False, True), ways, strict=True):
            try:
                return await self._client.execute(namespace, pod, container, argv, limit=limit + 1)
            except Unreadable as unreadable:
                if last or unreadable.failure.code != "no-command":
                    raise
        raise AssertionError  # the last way returns or raises

    async def logs(self, replica: ReplicaId, since: datetime) -> AsyncIterator[bytes]:
        """Lines with the kubelet's time stamps, the latest of the past first, then as they come."""
        self._known(replica)
        reading = logs.read(self._client, replica, logs.Lines(), since=since, tail=logs.PAST_LINES, follow=True)
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                yield chunk

    @asynccontextmanager
    async def dial(self, replica: ReplicaId, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """The same address, from a machine in the cluster's network; names are known by its DNS alone."""
        known = self._known(replica)
        address = known.addresses.get("pod")
        inside = address is not None and self._direct.get(replica) == (address, True)
        if host in {"localhost", "127.0.0.1", "::1"} and inside and address is not None:
            host = address
        if not inside or addresses.parsed(host) is None:
            why = "it is known to the cluster alone" if inside else "the cluster's network is not reached from here"
            hint = "run fastops in the cluster, or where its network is"
            raise Unreadable(Failure("unreachable", f"{text.clean(host, 200)}:{port}", why, hint))
        yield host, port

    async def environment(self, replica: ReplicaId) -> Mapping[str, str]:
        """By its description, and what that takes from ConfigMaps and Secrets; :class:`probes.target.Variables`."""
        self._known(replica)
        return await podenvironment.read(self._client, replica)

    async def reach(self, replica: ReplicaId, host: str, port: int) -> Reached:
        """By the cluster's own names; through a port-forward where no address leads there, never in read-only mode."""
        return await self._reaching.reach(replica, self._known(replica), host, port)

    async def close(self) -> None:
        """Ends the port-forwards."""
        await self._reaching.close()

    async def stacks(self, replica: ReplicaId, pid: int) -> StackSample:
        """A stack by the py-spy of the container's own image; the process is never stopped."""
        what = f"the stack of process {pid}"
        namespace, pod, container = self._allowed(replica, what)
        argv = ("py-spy", "dump", "--nonblocking", "--json", "--pid", str(pid))
        try:
            output = await self._client.execute(
                namespace, pod, container, argv, timeout_seconds=stack.DEADLINE_SECONDS + 2.0, limit=_STACK_BYTES
            )
        except Unreadable as unreadable:
            code, why = unreadable.failure.code, unreadable.failure.why
            if code == "no-command":
                hint = "put py-spy into the image; nothing is ever copied into a container"
                raise Unreadable(Failure("not-installed", what, "the container has no py-spy", hint)) from None
            if code == "command-failed" and ("ermission" in why or "not permitted" in why):
                hint = "the container needs the capability SYS_PTRACE, or the same user and kernel.yama.ptrace_scope 0"
                raise Unreadable(Failure("permission-denied", what, why, hint)) from None
            raise
        return stack.parse(output, pid, datetime.now(UTC))

    def reaches(self, replica: ReplicaId) -> bool:
        """Whether its address is known to lead to it: then no kubelet is needed to ask it."""
        known = self._direct.get(replica)
        return known is not None and known[1]

    def forget(self, replica: ReplicaId) -> None:
        """Drops what was found out about a replica's address."""
        self._direct.pop(replica, None)

    async def _is_reached(self, replica: ReplicaId) -> bool:
        known = self._known(replica)
        address = known.addresses.get("pod")
        if not address:
            return False
        port = next(iter((*(one.port for one in known.listeners or ()), *known.declared_ports)), _DEFAULT_PORT)
        return await self._leads_there(replica, address, port)

    def _known(self, replica: ReplicaId) -> Replica:
        found = self._replicas(replica)
        if found is None:
            raise Unreadable(
                Failure("not-found", f"pod {text.clean(replica_parts(replica)[1], 100)}", "it is gone", "")
            )
        return found

    def _allowed(self, replica: ReplicaId, what: str) -> tuple[str, str, str]:
        """The parts of a replica's id, where a program may be run in it."""
        self._known(replica)
        if self._read_only:
            why = "that takes a program inside the container, and this session is read-only"
            raise Unreadable(Failure("read-only", what, why, "start fastops without --read-only"))
        if not self._execute:
            why = "that takes a program inside the container, which was not allowed"
            raise Unreadable(Failure("not-allowed", what, why, "allow it with --exec"))
        return replica_parts(replica)

    async def _leads_there(self, replica: ReplicaId, address: str, port: int) -> bool:
        """Whether the address leads to this pod: decided once for each.

        Addresses of pods are private: at the same one another machine may answer here. It is trusted when both ways
        give the same answer to a path that nobody knows.
        """
        known = self._direct.get(replica)
        if known is not None and known[0] == address:
            return known[1]
        now = time.monotonic()
        if now < self._outside_until:
            return False
        if not await _connects(address, port):
            self._outside += 1
            if self._outside >= _OUTSIDE_TRIES:
                self._outside, self._outside_until = 0, now + _OUTSIDE_SECONDS
            self._direct[replica] = (address, False)
            return False
        try:
            through = await self._through(replica, port, LOOP_PATH, 2.0)
        except Unreadable as unreadable:
            if unreadable.failure.code != "forbidden":
                return False
            # Nothing to compare with: without the proxy's right the address is all there is.
            through = None
        direct = await wire.get(address, port, LOOP_PATH, 2.0, self._agent)
        if direct.error is not None and through is not None and through.error != direct.error:
            return False  # it may be slow, or just starting: not decided yet
        same = through is None or (through.status, through.body, through.error) == (
            direct.status, direct.body, direct.error
        )  # fmt: skip
        if direct.status is not None or not same:
            self._direct[replica] = (address, same)
            self._outside = 0
        return same

    async def _through(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float) -> Answer:
        """GET through the API server; what that itself takes is taken off a slow answer."""
        namespace, pod, _ = replica_parts(replica)
        target = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
        try:
            answer = await self._client.answer(target, timeout_seconds=timeout_seconds)
            if answer.error != "timeout" and (answer.status is None or answer.took_seconds < _SLOW_SECONDS):
                return answer
            # Slow: the service, or the API server itself? What that takes is not the service's doing.
            begun = time.monotonic()
            await self._client.version(timeout_seconds=_OWN_SECONDS)
        except Unreadable as unreadable:
            raise Unreadable(_of_server(unreadable.failure)) from None
        own = time.monotonic() - begun
        if answer.error == "timeout" and own > answer.took_seconds / 2:
            why = f"the API server itself took {own:.1f} s for less"
            raise Unreadable(Failure("api-timeout", f"GET {text.clean(path, 200)} of the pod", why, ""))
        return msgspec.structs.replace(answer, took_seconds=max(0.0, answer.took_seconds - own))


def _of_server(failure: Failure) -> Failure:
    """A failure of the API server, which must not be taken for the service's own."""
    code = failure.code if failure.code in {"forbidden", "not-found"} else f"api-{failure.code}"
    return msgspec.structs.replace(failure, code=code)


async def _connects(address: str, port: int) -> bool:
    """Whether something at the address answers, be it by refusing."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True
