"""OTLP metrics as an exporter sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those of FastAPI and of OpenTelemetry's names for HTTP."""
DELTA, CUMULATIVE = 1, 2
NAME = "http.server.request.duration"


def message(instance: str | None = "one", **more: str) -> ExportMetricsServiceRequest:
    """A message of one process, without any histogram yet."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add().resource
    for key, value in {
        "service.name": "shop",
        **({"service.instance.id": instance} if instance else {}),
        **more,
    }.items():
        attribute = resource.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    return made


def explicit(
    made: ExportMetricsServiceRequest,
    counts: Sequence[int],
    *,
    started: float,
    at: float,
    temporality: int = CUMULATIVE,
    bounds: Sequence[float] = BOUNDS,
    name: str = NAME,
    unit: str = "s",
    **attributes: str | int,
) -> ExportMetricsServiceRequest:
    """Adds a point of a histogram with explicit bounds; names of attributes have ``_`` for ``.``."""
    metric = made.resource_metrics[0].scope_metrics.add().metrics.add()
    metric.name, metric.unit = name, unit
    metric.histogram.aggregation_temporality = temporality
    point = metric.histogram.data_points.add()
    point.explicit_bounds.extend(bounds)
    point.bucket_counts.extend(counts)
    _fill(point, sum(counts), started, at, attributes)
    return made


def exponential(
    made: ExportMetricsServiceRequest,
    buckets: Mapping[int, int],
    *,
    scale: int,
    started: float,
    at: float,
    zero: int = 0,
    temporality: int = CUMULATIVE,
    **attributes: str | int,
) -> ExportMetricsServiceRequest:
    """Adds a point of an exponential histogram."""
    metric = made.resource_metrics[0].scope_metrics.add().metrics.add()
    metric.name, metric.unit = NAME, "s"
    metric.exponential_histogram.aggregation_temporality = temporality
    point = metric.exponential_histogram.data_points.add()
    point.scale, point.zero_count = scale, zero
    low, high = min(buckets), max(buckets)
    point.positive.offset = low
    point.positive.bucket_counts.extend(buckets.get(index, 0) for index in range(low, high + 1))
    _fill(point, zero + sum(buckets.values()), started, at, attributes)
    return made


def _fill(point: object, count: int, started: float, at: float, attributes: Mapping[str, str | int]) -> None:
    point.count = count
    point.start_time_unix_nano = round(started * 1e9)
    point.time_unix_nano = round(at * 1e9)
    for key, value in {"http_route": "/items", "http_response_status_code": 200, **attributes}.items():
        told = point.attributes.add()
        told.key = {"http_response_status_code": "http.response.status_code"}.get(key, key.replace("_", "."))
        if isinstance(value, int):
            told.value.int_value = value
        else:
            told.value.string_value = value
