"""What a Prometheus server is asked, and what its answers mean. Pure.

A few queries tell of all pods at once. The names are those of the kubelet's cAdvisor and of the usual ways to count the
requests of a FastAPI service (prometheus-fastapi-instrumentator, starlette_exporter, OpenTelemetry).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from probes.base import Frozen, ReplicaId
from probes.httpmetrics import HISTOGRAMS, LONGEST_SECONDS, MOST
from probes.httpmetrics import STATUS as _STATUS
from probes.traffic import quantile

Owner = TypeVar("Owner", bound=str)
WINDOW = "5m"
"""In which the two latest samples are looked for, and rates are taken; scrapes are hardly ever further apart."""
_MATCHER_LIMIT = 3000
"""Characters of a list of namespaces: beyond, all are asked for and the rest is left out here."""
_BY_CONTAINER = "namespace, pod, container"
CONTAINERS = "container_memory_working_set_bytes"
"""A server that has it has scraped kubelets."""


class Series(Frozen, frozen=True):
    """One series of an answer."""

    metric: Mapping[str, str] = {}
    value: tuple[float, str] = (0.0, "NaN")


class _Data(Frozen, frozen=True):
    result: tuple[Series, ...] = ()


class Reply(Frozen, frozen=True):
    """The answer to an instant query that gives a vector."""

    status: str = ""
    data: _Data | None = None
    error: str | None = None


class Buckets(NamedTuple):
    """A histogram's counters per second, by upper bound in seconds."""

    bounds: tuple[float, ...]
    rates: tuple[float, ...]

    def quantile(self, share: float) -> float | None:
        """As ``histogram_quantile``: linear within a bucket; ``None`` without requests or beyond the last bound."""
        return quantile(self.bounds, self.rates, share)


def matcher(namespaces: Collection[str]) -> str:
    """The labels of containers in these namespaces; of all where they are too many to name."""
    listed = "|".join(sorted(namespaces))
    if not namespaces or len(listed) > _MATCHER_LIMIT:
        return 'container!="",container!="POD"'
    return f'container!="",container!="POD",namespace=~"{listed}"'


def figures(namespaces: Collection[str]) -> dict[str, str]:
    """Name → query, each giving one value per container: the largest, where several scrape it or it was restarted."""
    of = matcher(namespaces)
    memory = f"{CONTAINERS}{{{of}}}"
    return {
        "at": f"max by ({_BY_CONTAINER}) (timestamp({memory}))",
        "working_set": f"max by ({_BY_CONTAINER}) ({memory})",
        "cores": f"max by ({_BY_CONTAINER}) (irate(container_cpu_usage_seconds_total{{{of}}}[{WINDOW}]))",
        "periods": f"max by ({_BY_CONTAINER}) (rate(container_cpu_cfs_periods_total{{{of}}}[{WINDOW}]))",
        "throttled": f"max by ({_BY_CONTAINER}) (rate(container_cpu_cfs_throttled_periods_total{{{of}}}[{WINDOW}]))",
        "waited": f"max by ({_BY_CONTAINER}) (irate(container_cpu_cfs_throttled_seconds_total{{{of}}}[{WINDOW}]))",
        "oom": f"max by ({_BY_CONTAINER}) (container_oom_events_total{{{of}}})",
    }


def offered(namespaces: Collection[str]) -> str:
    """What the server has of pods: how many figures of memory, and how many buckets of each histogram of requests."""
    names = "|".join((CONTAINERS, *(f"{name}_bucket" for name, _ in HISTOGRAMS)))
    listed = "|".join(sorted(namespaces))
    within = f',namespace=~"{listed}"' if namespaces and len(listed) <= _MATCHER_LIMIT else ""
    return f'count by (__name__) ({{__name__=~"{names}",pod!=""{within}}})'


def requests(name: str, namespaces: Collection[str]) -> dict[str, str]:
    """Name → query of a histogram: its buckets per pod, and its requests per pod by status."""
    listed = "|".join(sorted(namespaces))
    within = f',namespace=~"{listed}"' if namespaces and len(listed) <= _MATCHER_LIMIT else ""
    status = ", ".join(_STATUS)
    return {
        "buckets": f'sum by (namespace, pod, le) (rate({name}_bucket{{pod!=""{within}}}[{WINDOW}]))',
        "status": f'sum by (namespace, pod, {status}) (rate({name}_count{{pod!=""{within}}}[{WINDOW}]))',
    }


_REPLY = msgspec.json.Decoder(Reply)
"""Made here, as it is used by several threads at once: msgspec crashes where two get to know a type together."""


def vector(body: bytes) -> tuple[Series, ...]:
    """The series of an answer. Raises ``ValueError`` (``msgspec.DecodeError`` is one) for what is no such answer."""
    reply = _REPLY.decode(body)
    if reply.status != "success" or reply.data is None:
        raise ValueError(reply.error or "no answer of Prometheus")
    return reply.data.result


def by_container(series: Iterable[Series], wanted: Collection[ReplicaId]) -> dict[ReplicaId, float]:
    """The values of the wanted containers."""
    found: dict[ReplicaId, float] = {}
    for one in series:
        labels = one.metric
        replica = ReplicaId(f"{labels.get('namespace')}/{labels.get('pod')}/{labels.get('container')}")
        if replica in wanted and (value := _number(one.value[1])) is not None:
            found[replica] = value
    return found


def buckets(series: Iterable[Series], owner: Mapping[str, Owner], unit: float) -> dict[Owner, Buckets]:
    """The sums of the pods' histograms by owner; ``owner`` maps ``NAMESPACE/POD`` to whom it belongs."""
    sums: dict[Owner, dict[float, float]] = {}
    for one in series:
        whose = owner.get(f"{one.metric.get('namespace')}/{one.metric.get('pod')}")
        bound, rate = _bound(one.metric.get("le", ""), unit), _number(one.value[1])
        if whose is not None and bound is not None and rate is not None:
            mine = sums.setdefault(whose, {})
            mine[bound] = mine.get(bound, 0.0) + rate
    found = {}
    for whose, rates in sums.items():
        bounds = tuple(sorted(rates))
        found[whose] = Buckets(bounds, tuple(rates[bound] for bound in bounds))
    return found


def errors(series: Iterable[Series], owner: Mapping[str, Owner]) -> dict[Owner, tuple[float, float | None]]:
    """Requests per second and the share of 5xx by owner; the share is ``None`` where no status is counted."""
    sums: dict[Owner, list[float]] = {}
    for one in series:
        whose = owner.get(f"{one.metric.get('namespace')}/{one.metric.get('pod')}")
        rate = _number(one.value[1])
        if whose is None or rate is None:
            continue
        status = next((said for label in _STATUS if (said := one.metric.get(label))), "")
        mine = sums.setdefault(whose, [0.0, 0.0, 0.0])
        mine[0] += rate
        mine[1] += rate if status else 0.0
        mine[2] += rate if status.startswith("5") else 0.0
    return {
        whose: (total, failed / counted if counted > 0 else None) for whose, (total, counted, failed) in sums.items()
    }


def _number(text: str) -> float | None:
    """A figure: none of them is negative, and a float counts by ones up to the highest."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= MOST else None


def _bound(text: str, unit: float) -> float | None:
    """The upper bound of a bucket in seconds: a time that a request can take, or infinite."""
    try:
        bound = float(text) * unit
    except ValueError:
        return None
    return bound if 0 < bound <= LONGEST_SECONDS or bound == math.inf else None
