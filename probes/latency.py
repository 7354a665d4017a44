"""Which source tells how a deployment's requests fare: the best one that has anything to say, named. Pure.

Its own Prometheus text; an access log with durations; an access log without, for the rate and the errors, beside the
percentiles of what fastops itself asked. What only fastops asked is none of it: see :func:`own_probes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from probes import accessformat
from probes.accesslog import AccessLog
from probes.base import ReplicaId
from probes.http import OWN_PATHS
from probes.model import HttpSample, Latency, Replica, Setting
from probes.scrapes import Scrapes
from probes.traffic import SHARES, Traffic, nearest_rank, together

_SHARED = frozenset({"PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"})


def latency(
    replicas: Sequence[Replica],
    settings: Mapping[str, Setting],
    server: str | None,
    scrapes: Mapping[ReplicaId, Scrapes],
    logs: Callable[[ReplicaId], Sequence[AccessLog]],
    monotonic: float,
    now: float,
    otherwise: Latency | None = None,
) -> Latency | None:
    """What is known of the requests of these replicas' users; ``None`` where nothing tells of them.

    ``monotonic`` is the clock of the scrapes, ``now`` (seconds since the epoch) that of the logs' stamps. ``otherwise``
    is what somebody else tells, which is better than a log without durations.
    """
    running = [one for one in replicas if one.state == "running"]
    if not running:
        return otherwise
    ignored = not_users(running)
    told: list[Traffic] = []
    for one in running:
        mine = scrapes.get(one.id)
        if mine is not None:
            shared = not _SHARED.isdisjoint(one.environment.keys() | one.environment_from.keys())
            count = _workers(one, settings)
            found = mine.traffic(monotonic, workers=count, shared=shared)
            told += [] if found is None else [found]
    if not told:
        told = _logged(running, settings, server, logs, now, ignored)
        if otherwise is not None and not any(one.buckets for one in told):
            return otherwise
    best = together(told, len(running))
    if best is None or _has_percentiles(told):
        return best
    return _with_probes(best, running)


def own_probes(replicas: Sequence[Replica]) -> tuple[tuple[float, ...], str] | None:
    """The percentiles (seconds) of fastops' own requests to a path that no route answers, and what they are."""
    samples: list[HttpSample] = [s for r in replicas for s in r.loop_probes]
    took = sorted(s.took_seconds for s in samples if s.error in {None, "timeout"})
    if not took:
        return None
    return (
        tuple(nearest_rank(took, share) for share in SHARES),
        f"fastops' own requests to a path without a route ({len(took)} of them)",
    )


def _logged(
    running: Sequence[Replica],
    settings: Mapping[str, Setting],
    server: str | None,
    logs: Callable[[ReplicaId], Sequence[AccessLog]],
    now: float,
    ignored: frozenset[str],
) -> list[Traffic]:
    form = accessformat.of(server, settings)
    paths = frozenset(path.encode() for path in ignored)
    told = []
    for one in running:
        found: list[Traffic] = []
        for log in logs(one.id):
            log.expect(form)
            log.ignored = paths
            traffic = log.traffic(now)
            found += [] if traffic is None else [traffic]
        if found:  # of several files the one with durations; the same request may stand in more than one
            told.append(max(found, key=lambda traffic: (bool(traffic.buckets), traffic.per_second)))
    timed = [one for one in told if one.buckets]
    return timed or told


def _workers(replica: Replica, settings: Mapping[str, Setting]) -> int | None:
    serving = sum(1 for one in replica.workers if one.role != "master")
    if serving:
        return serving
    said = settings.get("workers")
    return said.value if said is not None and type(said.value) is int and said.value > 0 else None


def not_users(running: Sequence[Replica]) -> frozenset[str]:
    """The paths that fastops asks for itself, and an orchestrator's checks do."""
    checked = (probe.path for one in running for probe in one.probes or () if probe.path)
    return frozenset((*OWN_PATHS, *checked))


def _has_percentiles(told: Sequence[Traffic]) -> bool:
    return any(one.quantiles or any(rate > 0 for rate in one.buckets.values()) for one in told)


def _with_probes(best: Latency, running: Sequence[Replica]) -> Latency:
    own = own_probes(running)
    if own is None:
        return best
    (p50, p95, p99), what = own
    source = f"{best.source}; percentiles: {what}"
    return replace(best, p50_seconds=p50, p95_seconds=p95, p99_seconds=p99, source=source, probed=True)
