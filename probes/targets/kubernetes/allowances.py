"""What a namespace and its nodes allow: the nodes' sizes, LimitRanges, ResourceQuotas. Pure.

A server's dry run of a workload does not meet these: they hold for pods, which a controller makes later. A dry run of
a pod's resize does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from probes import text
from probes.target import Refused
from probes.targets.kubernetes import quantities, resources
from probes.targets.kubernetes.kinds import template_of

Json = dict[str, Any]
RESOURCES = ("memory", "cpu")
_MIB = 1 << 20
_EVERYBODY = frozenset({"NotBestEffort", "NotTerminating"})
"""Scopes of quotas that a service's pods are in; what else a quota may be limited to is not looked at."""


def refuse_beyond_nodes(thing: Json, container: Json, nodes: Sequence[Json]) -> None:
    """Raises :class:`Refused` where no node can give what a container shall be allowed, or what its pod reserves."""
    spec = template_of(thing)["spec"]
    for what in RESOURCES:
        most = max((_allocatable(node, what) for node in nodes), default=0.0)
        limit = resources.limit(container, what)
        reserved = sum(resources.request(one, what) or 0.0 for one in spec["containers"])
        if most and limit is not None and limit > most:
            raise Refused(f"No node can give {said(what, limit)}: the largest has {said(what, most)} for pods.")
        if most and reserved > most:
            raise Refused(f"Its pods would reserve {said(what, reserved)}; the largest node has {said(what, most)}.")


def refuse_beyond_ranges(container: Json, ranges: Sequence[Json]) -> None:
    """Raises :class:`Refused` where a LimitRange of the namespace allows a container less (or more) than this one."""
    for name, item in _of_containers(ranges):
        for what in RESOURCES:
            limit, reserved = resources.limit(container, what), resources.request(container, what)
            most, least = _amount(item, "max", what), _amount(item, "min", what)
            ratio = _amount(item, "maxLimitRequestRatio", what)
            if most is not None and limit is not None and limit > most:
                raise Refused(f"The LimitRange {name} allows a container {said(what, most)} at most.")
            if least is not None and reserved is not None and reserved < least:
                raise Refused(f"The LimitRange {name} asks for {said(what, least)} at least.")
            if ratio is not None and limit is not None and reserved and limit > ratio * reserved:
                raise Refused(
                    f"The LimitRange {name} allows a limit of {ratio:g} times what is reserved: with "
                    f"{said(what, reserved)} reserved that is {said(what, ratio * reserved)} at most."
                )


def range_notes(thing: Json, ranges: Sequence[Json], pods: Sequence[Json]) -> tuple[str, ...]:
    """What LimitRanges give new pods that their description leaves out, where running ``pods`` were not given it.

    A LimitRange holds for pods that are made after it, so that a rollout may bring a limit that nobody wrote.
    """
    notes = []
    for name, item in _of_containers(ranges):
        given = [
            f"{words} of {plain(what, amount)} for {text.clean(str(container['name']), 100)}"
            for container in template_of(thing)["spec"]["containers"]
            for field, which, ask in (
                ("default", "limit", resources.limit),
                ("defaultRequest", "request", resources.request),
            )
            for what in RESOURCES
            if ask(container, what) is None
            and (amount := _amount(item, field, what)) is not None
            and not _has_already(pods, container["name"], what, ask)
            and (words := f"a {'CPU' if what == 'cpu' else what} {which}")
        ]
        if given:
            notes.append(f"The LimitRange {name} gives new pods what their description leaves out: {', '.join(given)}.")
    return tuple(notes)


def refuse_beyond_quotas(live: Json, thing: Json, pods: Sequence[Json], quotas: Sequence[Json]) -> None:
    """Raises :class:`Refused` where all pods of the new template do not fit into a quota in place of the former.

    ``pods`` are those that it has, where they may be read: what a LimitRange gave them is counted, and given back, too.
    """
    wanted = _replicas(thing)
    status = live.get("status") or {}
    there = int(status.get("replicas") or status.get("currentNumberScheduled") or 0)
    for name, key, used, hard in _counted(quotas):
        before, after = max(takes(one, key) for one in (live, *pods)), takes(thing, key)
        if after > before and used + wanted * after - there * before > hard:
            raise Refused(
                f"The ResourceQuota {name} allows {said(key, hard)} of {text.clean(key, 60)}, of which "
                f"{said(key, used)} are used: {_pods(wanted)} of the new template would take "
                f"{said(key, wanted * after)} in place of {said(key, there * before)}."
            )


def quota_notes(thing: Json, more_pods: int, quotas: Sequence[Json]) -> tuple[str, ...]:
    """The ResourceQuotas that ``more_pods`` more pods of this template do not fit into, one sentence each."""
    notes = []
    for name, key, used, hard in _counted(quotas):
        each = takes(thing, key)
        if each and hard - used < each * more_pods:
            take = "takes" if more_pods == 1 else "take"
            notes.append(
                f"The ResourceQuota {name} leaves {said(key, max(0.0, hard - used))} of {text.clean(key, 60)} "
                f"({said(key, used)} of {said(key, hard)} used); {more_pods} more pod{'s' if more_pods != 1 else ''} "
                f"of it {take} {said(key, each * more_pods)}."
            )
    return tuple(notes)


def takes(thing: Json, key: str) -> float:
    """What one pod of a workload counts for under a key of a quota, in bytes, cores or pods; 0 where it does not."""
    if key in {"pods", "count/pods"}:
        return 1.0
    which, _, what = key.rpartition(".")
    if what not in RESOURCES or which not in {"", "requests", "limits"}:
        return 0.0
    ask = resources.limit if which == "limits" else resources.request
    return sum(ask(one, what) or 0.0 for one in template_of(thing)["spec"]["containers"])


def said(what: str, amount: float) -> str:
    """An amount of memory (in whole MiB), CPU or pods for people."""
    return f"{plain(what, amount)} CPU" if what.endswith("cpu") else plain(what, amount)


def plain(what: str, amount: float) -> str:
    """The amount alone, as it stands in a manifest."""
    if what.endswith("memory"):
        size = int(amount)
        return quantities.memory(size if size < _MIB else size // _MIB * _MIB)
    return quantities.cpu(amount) if what.endswith("cpu") else f"{amount:g}"


def _of_containers(ranges: Sequence[Json]) -> list[tuple[str, Json]]:
    return [
        (text.clean(str(one["metadata"]["name"]), 100), item)
        for one in ranges
        for item in one["spec"].get("limits") or []
        if item.get("type") == "Container"
    ]


def _counted(quotas: Sequence[Json]) -> list[tuple[str, str, float, float]]:
    """Of each key of each quota: the quota's name, the key, what is used and what is allowed."""
    found = []
    for one in quotas:
        spec, status = one.get("spec") or {}, one.get("status") or {}
        if spec.get("scopeSelector") or not _EVERYBODY.issuperset(spec.get("scopes") or []):
            continue
        name = text.clean(str(one["metadata"]["name"]), 100)
        for key, hard in (status.get("hard") or {}).items():
            used = quantities.quantity((status.get("used") or {}).get(key)) or 0.0
            found.append((name, str(key), used, quantities.quantity(hard) or 0.0))
    return found


def _replicas(thing: Json) -> int:
    if thing["kind"] == "DaemonSet":
        return int((thing.get("status") or {}).get("desiredNumberScheduled") or 0)
    return int(thing["spec"].get("replicas", 1))


def _pods(number: int) -> str:
    return f"{number} pod{'s' if number != 1 else ''}"


def _amount(item: Json, field: str, what: str) -> float | None:
    return quantities.quantity((item.get(field) or {}).get(what))


def _has_already(pods: Sequence[Json], container: str, what: str, ask: Callable[[Json, str], float | None]) -> bool:
    """Whether every running pod has such an amount, so that a new one brings nothing new."""
    found = [one for pod in pods for one in pod["spec"]["containers"] if one["name"] == container]
    return bool(found) and all(ask(one, what) is not None for one in found)


def _allocatable(node: Json, what: str) -> float:
    return quantities.quantity(((node.get("status") or {}).get("allocatable") or {}).get(what)) or 0.0
