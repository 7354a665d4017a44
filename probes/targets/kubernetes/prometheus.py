"""Figures of all pods from one Prometheus server: the one that is configured, or one that the cluster runs.

A large fleet asks it a few questions instead of every node. It is asked by GET alone; the one in the cluster through
the API server's service proxy, so nothing has to be forwarded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from probes import text
from probes.base import DeploymentId, Failure, Frozen, ReplicaId
from probes.httpmetrics import HISTOGRAMS
from probes.model import Cpu, Latency, Memory
from probes.target import Unreadable
from probes.targets.kubernetes import promql
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.views import ServiceView
from probes.transport import Endpoint, open_client

SOURCE = "Prometheus"
QUERY_SECONDS = 15.0
ANSWER_LIMIT = 64 << 20
_HISTOGRAMS_SECONDS = 300.0
"""Between two looks which histograms of requests there are."""
_NO_HISTOGRAM_SECONDS = 20.0
"""Likewise, while there is none."""
_NOT_IT = (
    "alertmanager",
    "exporter",
    "operator",
    "pushgateway",
    "adapter",
    "kube-state",
    "operated",
    "node",
    "blackbox",
)
"""Words in the names of Services that stand beside a Prometheus server."""
_PORTS = (9090, 80)


class Figure(Frozen, frozen=True):
    """Of one container, at one time."""

    at: datetime
    memory: Memory
    cpu: Cpu


class Offer(NamedTuple):
    """What a server has of pods."""

    figures: bool
    """Memory and CPU of containers."""
    latency: bool
    """A histogram of requests."""


class Prometheus:
    """One server. :meth:`close` ends its connections."""

    def __init__(self, url: str | None, client: ApiClient | None = None, service: ServiceView | None = None) -> None:
        """``url`` of a server, or a Service behind ``client``. Raises :class:`Unreadable` for a URL that is none."""
        self._client = client
        self._path = ""
        self._histograms: tuple[tuple[str, float], ...] = ()
        self._histograms_until = 0.0
        self._http: httpx.AsyncClient | None = None
        if url is not None:
            self.where = text.line(url, 200)
            self._open(url)
        else:
            assert client is not None
            assert service is not None
            port = port_of(service)
            self.where = f"the Service {service.key}"
            self._path = f"/api/v1/namespaces/{service.namespace}/services/{service.name}:{port}/proxy"

    def _open(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            why = "it is no URL of the form http://host:port"
            raise Unreadable(
                Failure("invalid", f"Prometheus at {self.where}", why, "see prometheus in the configuration")
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        base = urlunsplit((parts.scheme, host if parts.port is None else f"{host}:{parts.port}", "", "", ""))
        self._path = parts.path.rstrip("/")
        try:
            self._http = open_client(Endpoint(base), read_only=True)
        except OSError as error:
            why = text.line(str(error), 200)
            raise Unreadable(
                Failure("tls", f"Prometheus at {self.where}", why, "see prometheus in the configuration")
            ) from None
        if parts.username is not None:
            self._http.auth = httpx.BasicAuth(parts.username, parts.password or "")

    async def close(self) -> None:
        """Ends all connections."""
        if self._http is not None:
            await self._http.aclose()

    async def figures(self, wanted: Collection[ReplicaId]) -> dict[ReplicaId, Figure]:
        """Memory, CPU and throttling of the wanted containers, as far as they are there. Raises :class:`Unreadable`."""
        queries = promql.figures({one.partition("/")[0] for one in wanted})
        told: dict[str, Mapping[ReplicaId, float]] = {}
        for name, query in queries.items():
            series = await self._vector(query)
            told[name] = await asyncio.to_thread(promql.by_container, series, wanted)
        return {replica: _figure(replica, told) for replica in told["working_set"]}

    async def latency(self, owner: Mapping[str, DeploymentId]) -> dict[DeploymentId, Latency]:
        """How long requests took, by deployment; empty where nobody counts them. Raises :class:`Unreadable`.

        ``owner`` maps ``NAMESPACE/POD`` to the deployment.
        """
        namespaces = {one.partition("/")[0] for one in owner}
        if time.monotonic() >= self._histograms_until:
            await self.offers(namespaces)
        found: dict[DeploymentId, Latency] = {}
        for name, unit in self._histograms:
            found = await self._counted_by(name, unit, owner) | found
        return found

    async def _counted_by(
        self, name: str, unit: float, owner: Mapping[str, DeploymentId]
    ) -> dict[DeploymentId, Latency]:
        """What one histogram tells: services of one cluster count by different ones."""
        queries = promql.requests(name, {one.partition("/")[0] for one in owner})
        buckets = promql.buckets(await self._vector(queries["buckets"]), owner, unit)
        counted = promql.errors(await self._vector(queries["status"]), owner)
        now = datetime.now(UTC)
        found: dict[DeploymentId, Latency] = {}
        for key in buckets.keys() | counted.keys():
            one = buckets.get(key, promql.Buckets((), ()))
            rate, failed = counted.get(key, (None, None))
            found[key] = Latency(
                at=now,
                p50_seconds=one.quantile(0.50),
                p95_seconds=one.quantile(0.95),
                p99_seconds=one.quantile(0.99),
                requests_per_second=rate if rate is not None else one.rates[-1] if one.rates else None,
                error_ratio=failed,
                source=f"{SOURCE}, {name} over {promql.WINDOW}",
            )
        return found

    async def offers(self, namespaces: Collection[str]) -> Offer:
        """What it has of the pods of these namespaces, by one question. Raises :class:`Unreadable`."""
        there = {one.metric.get("__name__", "") for one in await self._vector(promql.offered(namespaces))}
        self._histograms = tuple(one for one in HISTOGRAMS if f"{one[0]}_bucket" in there)
        seconds = _HISTOGRAMS_SECONDS if self._histograms else _NO_HISTOGRAM_SECONDS
        self._histograms_until = time.monotonic() + seconds
        return Offer(figures=promql.CONTAINERS in there, latency=bool(self._histograms))

    async def _vector(self, query: str) -> tuple[promql.Series, ...]:
        body = await self._ask(f"{self._path}/api/v1/query", {"query": query})
        try:
            return await asyncio.to_thread(promql.vector, body)
        except ValueError as error:
            why = f"the answer is not understood: {text.line(str(error), 200)}"
            raise Unreadable(Failure("unexpected-answer", self.where, why, "is it a Prometheus server?")) from None

    async def _ask(self, path: str, params: Mapping[str, str]) -> bytes:
        if self._http is None:
            assert self._client is not None
            return await self._client.get(path, params, timeout_seconds=QUERY_SECONDS, limit=ANSWER_LIMIT)
        try:
            async with asyncio.timeout(QUERY_SECONDS), self._http.stream("GET", path, params=dict(params)) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            why = f"it was not reached: {text.line(str(error) or type(error).__name__, 200)}"
            raise Unreadable(
                Failure("unreachable", f"Prometheus at {self.where}", why, "is it the right URL?")
            ) from None
        if len(body) > ANSWER_LIMIT:
            raise Unreadable(Failure("too-large", f"Prometheus at {self.where}", "it answers more than 64 MiB", ""))
        if response.status_code in {401, 403}:
            why = f"it answers {response.status_code}"
            raise Unreadable(
                Failure("forbidden", f"Prometheus at {self.where}", why, "put user:password@ into its URL")
            )
        return bytes(body)


def _figure(replica: ReplicaId, told: Mapping[str, Mapping[ReplicaId, float]]) -> Figure:
    at = told["at"].get(replica)
    oom, periods, throttled = (told[name].get(replica) for name in ("oom", "periods", "throttled"))
    ratio = min(1.0, throttled / periods) if periods and throttled is not None else None
    return Figure(
        at=datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC),
        memory=Memory(
            used_bytes=int(told["working_set"][replica]), oom_kills=None if oom is None else int(oom), source=SOURCE
        ),
        cpu=Cpu(
            used_cores=told["cores"].get(replica),
            throttled_ratio=ratio,
            throttled_time_ratio=told["waited"].get(replica),
        ),
    )


def candidates(services: Iterable[ServiceView]) -> list[ServiceView]:
    """The Services that may be a Prometheus server, the likeliest first."""
    found = [
        one
        for one in services
        if "prometheus" in one.name and not any(word in one.name for word in _NOT_IT) and port_of(one) is not None
    ]
    return sorted(found, key=lambda one: (not one.name.endswith(("prometheus", "prometheus-server")), one.key))


def port_of(service: ServiceView) -> int | None:
    """The port on which it would answer."""
    ports = [port for port, _ in service.ports]
    return next((port for port in _PORTS if port in ports), None)
