"""What a service's own Prometheus text says of its requests. Pure.

Understood are the names of prometheus-fastapi-instrumentator, starlette_exporter and OpenTelemetry. The text is read by
prometheus_client's parser; only the lines of the families that matter are given to it.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from probes import text
from probes.traffic import SHARES, Traffic

HISTOGRAMS = (
    ("http_request_duration_seconds", 1.0),
    ("http_server_request_duration_seconds", 1.0),
    ("starlette_request_duration_seconds", 1.0),
    ("http_requests_duration_seconds", 1.0),
    ("request_duration_seconds", 1.0),
    ("http_server_duration_milliseconds", 0.001),
)
"""Names of what counts how long requests take, and their unit in seconds."""
STATUS = ("status", "status_code", "http_status_code", "http_response_status_code", "code")
FINE = "http_request_duration_highr_seconds"
"""prometheus-fastapi-instrumentator's second histogram: many buckets, no labels."""
COUNTERS = ("http_requests_total", "starlette_requests_total")
ROUTE = ("handler", "http_route", "path", "path_template", "route", "endpoint", "http_target")
UNROUTED = frozenset({"none", "", "__unknown__"})
"""What the libraries write for a request that no route took."""
LINES = 8_000
"""So many lines of one document are read."""
LINE_BYTES = 8 * 1024
MOST = 2.0**53
"""No honest counter is higher: up to here a float counts by ones."""
LONGEST_SECONDS = 1e6
"""No honest request takes longer, and no bucket ends beyond it but the last, whose bound is infinite."""
_START = "process_start_time_seconds"

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and its labels in order."""


class Scrape(NamedTuple):
    """The counters of one answer."""

    process: tuple[float, ...]
    """What tells one process' counters from another's: its start, and when it began to count. Empty where neither is
    told, as where all processes share their counters."""
    samples: Mapping[Key, float]


def _wanted() -> re.Pattern[bytes]:
    families = [name for name, _ in HISTOGRAMS] + [FINE]
    ends = rb"(?:_bucket|_count|_sum|_created)?"
    names = b"|".join(one.encode() for one in sorted(families, key=len, reverse=True))
    totals = b"|".join(one.encode() for one in COUNTERS)
    created = b"|".join(one.removesuffix("_total").encode() + b"_created" for one in COUNTERS)
    return re.compile(
        rb"^(?:(?:" + names + rb")" + ends + rb"|" + totals + rb"|" + created + rb"|process_start_time_seconds)[{ ]"
    )


_LINE = _wanted()
_UNITS = dict(HISTOGRAMS)


def parse(body: bytes) -> Scrape | None:
    """The counters of requests in a document; ``None`` where it has none, or is none. Raises nothing."""
    lines = []
    for line in body.split(b"\n")[:-1]:  # what stands behind the last newline was cut off
        if len(line) <= LINE_BYTES and _LINE.match(line):
            lines.append(line)
            if len(lines) >= LINES:
                break
    samples: dict[Key, float] = {}
    started: list[float] = []
    created: list[float] = []
    for name, labels, value in _points(lines):
        if not 0 <= value <= MOST:  # nor is NaN
            continue
        if name == _START:
            started.append(value)
        elif name.endswith("_created"):
            created.append(value)
        elif _sound(name, labels, value):
            samples[name, tuple(sorted(labels.items()))] = value
    if not samples:
        return None
    return Scrape((*started[:1], *([min(created)] if created else [])), samples)


def _sound(name: str, labels: Mapping[str, str], value: float) -> bool:
    """Whether a sample's bound, or a percentile itself, is a time that a request can take."""
    unit = _UNITS.get(_family(name), 1.0)
    if name.endswith("_bucket"):
        try:
            bound = float(labels.get("le", "")) * unit
        except ValueError:
            return False
        return 0 < bound <= LONGEST_SECONDS or bound == math.inf
    return "quantile" not in labels or value * unit <= LONGEST_SECONDS


def _points(lines: list[bytes]) -> list[tuple[str, dict[str, str], float]]:
    said = [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
    try:
        return _parsed("\n".join(said) + "\n")
    except Exception:  # noqa: BLE001 - the parser of another project, over bytes of anybody
        found = []
        for line in said:  # what is wrong with one must not hide the others
            with contextlib.suppress(Exception):
                found += _parsed(line + "\n")
        return found


def _parsed(document: str) -> list[tuple[str, dict[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(document)
    return [(one.name, one.labels, float(one.value)) for family in families for one in family.samples]


def increase(before: Scrape, after: Scrape) -> dict[Key, float] | None:
    """How much was counted between two answers of the same counters; ``None`` where one of them went back.

    What was not there before began at nothing.
    """
    found: dict[Key, float] = {}
    for key, value in after.samples.items():
        if _is_quantile(key):
            found[key] = value
            continue
        more = value - before.samples.get(key, 0.0)
        if more < 0 and not key[0].endswith("_sum"):
            return None
        found[key] = more
    if any(key not in after.samples for key in before.samples):
        return None
    return found


def traffic(counted: Mapping[Key, float], seconds: float, at: datetime, ignored: Collection[str]) -> Traffic | None:
    """The requests among what was counted in ``seconds``, those to ``ignored`` paths and to no route left out.

    A counter without a route holds them all; of the fine histogram those are taken away that the other one counts for
    what is left out, the quickest within each of its buckets first.
    """
    if seconds <= 0:
        return None
    for name, unit in HISTOGRAMS:
        mine = [(key, dict(key[1]), value) for key, value in counted.items() if _family(key[0]) == name]
        if not mine:
            continue
        routed = any(_route(labels) not in UNROUTED for _, labels, _ in mine)
        kept = [one for one in mine if not routed or _counts(one[1], ignored)]
        buckets, quantiles = _buckets(kept, unit), _quantiles(kept, unit)
        source = name
        fine = _buckets([(key, dict(key[1]), v) for key, v in counted.items() if _family(key[0]) == FINE], 1.0)
        if fine and unit == 1.0 and name == HISTOGRAMS[0][0]:
            buckets = _without(fine, _buckets([one for one in mine if one not in kept], unit))
            source = FINE
        requests = sum(value for key, _, value in kept if key[0] == f"{name}_count")
        return Traffic(
            at=at,
            source=f"its own /metrics, {text.clean(source, 80)}",
            per_second=requests / seconds,
            errors_per_second=_errors(counted, kept, name, ignored, seconds),
            buckets={bound: max(0.0, count) / seconds for bound, count in buckets.items()},
            quantiles=quantiles,
        )
    return None


def _family(name: str) -> str:
    for end in ("_bucket", "_count", "_sum"):
        name = name.removesuffix(end)
    return name


def _is_quantile(key: Key) -> bool:
    return any(label == "quantile" for label, _ in key[1])


def _route(labels: Mapping[str, str]) -> str:
    return next((labels[one] for one in ROUTE if one in labels), "")


def _counts(labels: Mapping[str, str], ignored: Collection[str]) -> bool:
    route = _route(labels)
    return route not in UNROUTED and route not in ignored


def _status(labels: Mapping[str, str]) -> str:
    return next((labels[one] for one in STATUS if labels.get(one)), "")


def _errors(
    counted: Mapping[Key, float],
    kept: Iterable[tuple[Key, Mapping[str, str], float]],
    name: str,
    ignored: Collection[str],
    seconds: float,
) -> float | None:
    """Answers of 5xx per second: by the histogram's own status, else by the counter beside it."""
    told = [(_status(labels), value) for key, labels, value in kept if key[0] == f"{name}_count"]
    if not any(status for status, _ in told):
        beside = [(dict(key[1]), value) for key, value in counted.items() if key[0] in COUNTERS]
        routed = any(_route(labels) not in UNROUTED for labels, _ in beside)
        told = [(_status(labels), value) for labels, value in beside if not routed or _counts(labels, ignored)]
    if not any(status for status, _ in told):
        return None
    return sum(value for status, value in told if status.startswith("5")) / seconds


def _buckets(series: Iterable[tuple[Key, Mapping[str, str], float]], unit: float) -> dict[float, float]:
    """Upper bound in seconds → count in that bucket alone, all series together."""
    cumulative: dict[float, float] = {}
    for key, labels, value in series:
        if not key[0].endswith("_bucket"):
            continue
        bound = float(labels["le"]) * unit
        cumulative[bound] = cumulative.get(bound, 0.0) + value
    found, before = {}, 0.0
    for bound in sorted(cumulative):
        found[bound] = max(0.0, cumulative[bound] - before)
        before = max(before, cumulative[bound])
    return found


def _quantiles(series: Iterable[tuple[Key, Mapping[str, str], float]], unit: float) -> dict[float, float]:
    """A summary's own percentiles, where it is one series: those of several cannot be put together."""
    found: dict[float, float] = {}
    for _, labels, value in series:
        try:
            share = float(labels.get("quantile", ""))
        except ValueError:
            continue
        if share in found:
            return {}
        if math.isfinite(value) and share in SHARES:
            found[share] = value * unit
    return found


def _without(fine: Mapping[float, float], left_out: Mapping[float, float]) -> dict[float, float]:
    """A fine histogram less what a coarse one counts, taken from the lowest fine buckets of each coarse one."""
    rest = dict(fine)
    low = 0.0
    for high in sorted(left_out):
        take = left_out[high]
        for bound in sorted(rest):
            if low < bound <= high:
                taken = min(take, rest[bound])
                rest[bound] -= taken
                take -= taken
        low = high
    return rest
