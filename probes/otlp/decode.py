"""Reads what a service sends as OTLP metrics: its histograms of how long HTTP requests took. Pure, raises one thing.

The messages are read by opentelemetry-proto and protobuf's own JSON reader. Whatever is no histogram of requests is
passed over, and of what is sent no more is looked at than an honest service has.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from probes.httpmetrics import LONGEST_SECONDS, MOST, ROUTE, STATUS
from probes.otlp.histogram import COARSEST, FINEST, NOTHING, Distribution, Explicit, Exponential
from probes.text import clean

METRICS = {"http.server.request.duration": ("s", 1.0), "http.server.duration": ("ms", 0.001)}
"""Name → unit, and that in seconds: today's name, and the one before OpenTelemetry's stable names for HTTP."""
RESOURCES = 32
"""So many are read of one body; a service sends one, a collector several."""
POINTS = 2_000
"""Of one body: routes × methods × answers of a large service."""
BUCKETS = 400
"""Of one histogram; OpenTelemetry's exponential ones have 160 at most."""
ATTRIBUTES = 64
NAME_CHARACTERS = 300
_DELTA, _CUMULATIVE = 1, 2


class Undecodable(Exception):
    """The body is no OTLP metrics."""


class Point(NamedTuple):
    """How often requests of one kind took how long, from one time to another."""

    kind: bytes
    """What tells it from the other points of its resource: a digest of the metric's name and all its attributes."""
    route: str
    status: str
    """Each empty where none is told."""
    started_at: float
    at: float
    """Seconds since the epoch by the sender's clock."""
    delta: bool
    """It counts what came since the last one; else all since ``started_at``."""
    requests: float
    distribution: Distribution
    """Bounds in seconds; empty where none that can be used are told."""


class Export(NamedTuple):
    """What one process sent, or said of one."""

    resource: Mapping[str, str]
    points: tuple[Point, ...]


def decode(body: bytes, *, as_json: bool = False) -> tuple[Export, ...]:
    """The histograms of requests in a body; raises :class:`Undecodable`.

    Takes milliseconds for what a service sends and up to a second for the worst of 1 MiB: it belongs into a thread.
    """
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    try:
        if as_json:
            message = ExportMetricsServiceRequest()
            json_format.Parse(body, message, ignore_unknown_fields=True, max_recursion_depth=20)
        else:
            message = ExportMetricsServiceRequest.FromString(body)
    except Exception as error:  # noqa: BLE001 - a parser of another project, over bytes of anybody
        raise Undecodable(type(error).__name__) from None
    left = POINTS
    found: list[Export] = []
    for told in message.resource_metrics[:RESOURCES]:
        points = tuple(_points(told, left))
        left -= len(points)
        if points:
            found.append(Export(_attributes(told.resource.attributes), points))
    return tuple(found)


def _points(told: Any, left: int) -> Iterable[Point]:
    for scope in told.scope_metrics[:ATTRIBUTES]:
        for metric in scope.metrics[:ATTRIBUTES]:
            known = METRICS.get(metric.name)
            which = metric.WhichOneof("data")
            if (
                known is None
                or metric.unit not in {"", known[0]}
                or which not in {"histogram", "exponential_histogram"}
            ):
                continue
            data = getattr(metric, which)
            if data.aggregation_temporality not in {_DELTA, _CUMULATIVE}:
                continue
            delta = data.aggregation_temporality == _DELTA
            for point in data.data_points:
                if left <= 0:
                    return
                left -= 1
                made = _point(metric.name, known[1], point, delta=delta, explicit=which == "histogram")
                if made is not None:
                    yield made


def _point(name: str, unit: float, point: Any, *, delta: bool, explicit: bool) -> Point | None:
    if not 0 <= point.count <= MOST or point.time_unix_nano <= 0:
        return None
    attributes = _attributes(point.attributes)
    return Point(
        kind=_digest(name, attributes),
        route=_first(attributes, ROUTE),
        status=_first(attributes, STATUS),
        started_at=point.start_time_unix_nano / 1e9,
        at=point.time_unix_nano / 1e9,
        delta=delta,
        requests=float(point.count),
        distribution=_explicit(point, unit) if explicit else _exponential(point, unit),
    )


def _digest(name: str, attributes: Mapping[str, str]) -> bytes:
    told = repr((name, sorted(attributes.items())))
    return hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=16).digest()


def _explicit(point: Any, unit: float) -> Explicit:
    bounds = [bound * unit for bound in point.explicit_bounds[: BUCKETS + 1]]
    counts = point.bucket_counts[: BUCKETS + 2]
    ascending = all(low < high for low, high in pairwise(bounds))
    sound = ascending and all(0 <= bound <= LONGEST_SECONDS for bound in bounds)
    if not sound or len(counts) != len(bounds) + 1 or len(bounds) > BUCKETS or max(counts) > MOST:
        return NOTHING
    return Explicit.of((*bounds, math.inf), tuple(counts))


def _exponential(point: Any, unit: float) -> Exponential:
    """Negative durations are none; a unit that is not the second shifts the indices, which whole ones cannot tell."""
    offset, counts = point.positive.offset, point.positive.bucket_counts[: BUCKETS + 1]
    shift = point.scale - FINEST
    bounded = COARSEST <= point.scale <= 20 and len(counts) <= BUCKETS and unit == 1.0
    if not bounded or max(counts, default=0) > MOST or point.zero_count > MOST:
        return Exponential(FINEST, 0.0, {})
    made = Exponential(point.scale, float(point.zero_count), {offset + i: float(n) for i, n in enumerate(counts) if n})
    made = made.at(FINEST) if shift > 0 else made
    highest = math.log2(LONGEST_SECONDS) * 2.0**made.scale
    if any(not -highest <= index <= highest for index in made.counts):
        return Exponential(FINEST, 0.0, {})
    return made


def _attributes(told: Sequence[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in told[:ATTRIBUTES]:
        which = one.value.WhichOneof("value")
        if which in {"string_value", "int_value", "bool_value", "double_value"}:
            found[clean(one.key, NAME_CHARACTERS)] = clean(str(getattr(one.value, which)), NAME_CHARACTERS)
    return found


def _first(attributes: Mapping[str, str], names: Iterable[str]) -> str:
    dotted = {name.replace(".", "_"): value for name, value in attributes.items()}
    return next((dotted[name] for name in names if dotted.get(name)), "")
