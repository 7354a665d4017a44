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
from typing import Literal, NamedTuple

from probes.model import Latency
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
SOURCE = "its own /metrics"
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

Whose = Literal["users", "others", "unrouted"]
"""Whose requests a sample counts: those of users; those to paths that checks and fastops ask for; those that no route
took, or whose route is not told."""


class Key(NamedTuple):
    """What is counted together: samples that differ in nothing that matters are one."""

    family: str
    kind: Literal["bucket", "count", "quantile"]
    whose: Whose
    status: Literal["", "5xx", "other"]
    """Empty where none is told."""
    bound: float
    """Upper bound of a bucket in seconds, or the share of a percentile; 0 of a count."""


class Scrape(NamedTuple):
    """The counters of one answer."""

    process: tuple[float, ...]
    """What tells one process' counters from another's: its start, and when it began to count. Empty where neither is
    told, as where all processes share their counters."""
    samples: Mapping[Key, float]
    """At most :data:`KEYS`. Of a percentile seconds, or :data:`SEVERAL`."""


KEYS = 1_000
"""Different sums that are kept of one answer; an honest service has some 150."""
SEVERAL = -1.0
"""In place of a percentile that several series tell: it cannot be put together."""


def _wanted() -> re.Pattern[bytes]:
    families = [name for name, _ in HISTOGRAMS] + [FINE]
    ends = rb"(?:_bucket|_count|_created)?"
    names = b"|".join(one.encode() for one in sorted(families, key=len, reverse=True))
    totals = b"|".join(one.encode() for one in COUNTERS)
    created = b"|".join(one.removesuffix("_total").encode() + b"_created" for one in COUNTERS)
    return re.compile(
        rb"^(?:(?:" + names + rb")" + ends + rb"|" + totals + rb"|" + created + rb"|process_start_time_seconds)[{ ]"
    )


_LINE = _wanted()
_UNITS = {FINE: 1.0, **dict(HISTOGRAMS)}
_COUNTS = {**{f"{name}_count": name for name in _UNITS}, **{name: name for name in COUNTERS}}
_BUCKETS = {f"{name}_bucket": name for name in _UNITS}


def parse(body: bytes, ignored: Collection[str] = frozenset()) -> Scrape | None:
    """The counters of requests in a document; ``None`` where it has none, or is none. Raises nothing.

    ``ignored`` are the paths that others than users ask for. Takes a tenth of a second for 200 KiB: more than a few KiB
    belong into a thread.
    """
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
        elif (found := _key(name, labels, ignored)) is not None:
            _add(samples, found, value)
    if not samples:
        return None
    return Scrape((*started[:1], *([min(created)] if created else [])), samples)


def _key(name: str, labels: Mapping[str, str], ignored: Collection[str]) -> Key | None:
    """What a sample is counted as; ``None`` where it counts nothing, or up to a time that no request can take."""
    route, status = _label(labels, ROUTE), _label(labels, STATUS)
    whose: Whose = "unrouted" if route in UNROUTED else "others" if route in ignored else "users"
    answer: Literal["", "5xx", "other"] = "5xx" if status.startswith("5") else "other" if status else ""
    if name in _COUNTS:
        return Key(_COUNTS[name], "count", whose, answer, 0.0)
    try:
        if name in _BUCKETS:
            bound = float(labels.get("le", "")) * _UNITS[_BUCKETS[name]]
            if 0 < bound <= LONGEST_SECONDS or bound == math.inf:
                return Key(_BUCKETS[name], "bucket", whose, answer, bound)
        elif name in _UNITS and float(labels.get("quantile", "")) in SHARES:
            return Key(name, "quantile", whose, answer, float(labels["quantile"]))
    except ValueError:
        pass
    return None


def _label(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[one] for one in names if labels.get(one)), "")


def _add(samples: dict[Key, float], key: Key, value: float) -> None:
    known = samples.get(key)
    if known is None and len(samples) >= KEYS:
        return
    if key.kind != "quantile":
        samples[key] = value + (known or 0.0)
    elif value * _UNITS[key.family] <= LONGEST_SECONDS:
        samples[key] = value * _UNITS[key.family] if known is None else SEVERAL


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
        if key.kind == "quantile":
            found[key] = value
            continue
        more = value - before.samples.get(key, 0.0)
        if more < 0:
            return None
        found[key] = more
    if any(key not in after.samples and key.kind != "quantile" for key in before.samples):
        return None
    return found


def traffic(counted: Mapping[Key, float], seconds: float, at: datetime) -> Traffic | None:
    """The requests of users among what was counted in ``seconds``.

    A counter without a route holds them all; of the fine histogram those are taken away that the other one counts for
    what is left out, the quickest within each of its buckets first.
    """
    if seconds <= 0:
        return None
    families: dict[str, dict[Key, float]] = {}
    for key, value in counted.items():
        families.setdefault(key.family, {})[key] = value
    for name, _ in HISTOGRAMS:
        mine = families.get(name)
        if not mine:
            continue
        kept = _users(mine)
        buckets, source = _buckets(kept), name
        fine = _buckets(families.get(FINE, {}))
        if fine and name == HISTOGRAMS[0][0]:
            buckets = _without(fine, _buckets({key: value for key, value in mine.items() if key not in kept}))
            source = FINE
        requests = sum(value for key, value in kept.items() if key.kind == "count")
        return Traffic(
            at=at,
            source=f"{SOURCE}, {source}",
            per_second=requests / seconds,
            errors_per_second=_errors(families, kept, seconds),
            buckets={bound: max(0.0, count) / seconds for bound, count in buckets.items()},
            quantiles=_quantiles(kept),
        )
    return None


def tells(told: Latency) -> bool:
    """Whether it is a service's own Prometheus text that tells this: the best source, before all others."""
    return told.source.startswith(SOURCE)


def _users(counted: Mapping[Key, float]) -> dict[Key, float]:
    """What counts the requests of users: all of it where no route is told."""
    routed = any(key.whose != "unrouted" for key in counted)
    return {key: value for key, value in counted.items() if not routed or key.whose == "users"}


def _errors(families: Mapping[str, Mapping[Key, float]], kept: Mapping[Key, float], seconds: float) -> float | None:
    """Answers of 5xx per second: by the histogram's own status, else by the counter beside it."""
    told = {key: value for key, value in kept.items() if key.kind == "count"}
    if not any(key.status for key in told):
        told = _users({key: value for name in COUNTERS for key, value in families.get(name, {}).items()})
    if not any(key.status for key in told):
        return None
    return sum(value for key, value in told.items() if key.status == "5xx") / seconds


def _buckets(counted: Mapping[Key, float]) -> dict[float, float]:
    """Upper bound in seconds → count in that bucket alone, all series together."""
    cumulative: dict[float, float] = {}
    for key, value in counted.items():
        if key.kind == "bucket":
            cumulative[key.bound] = cumulative.get(key.bound, 0.0) + value
    found, before = {}, 0.0
    for bound in sorted(cumulative):
        found[bound] = max(0.0, cumulative[bound] - before)
        before = max(before, cumulative[bound])
    return found


def _quantiles(counted: Mapping[Key, float]) -> dict[float, float]:
    """A summary's own percentiles, where it is one series: those of several cannot be put together."""
    told = [(key.bound, value) for key, value in counted.items() if key.kind == "quantile"]
    found = dict(told)
    return found if len(found) == len(told) and SEVERAL not in found.values() else {}


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
