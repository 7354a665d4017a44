"""Memory and CPU of a control group, versions 1, 2 and both at once.

Sources: the kernel's Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Callable
from pathlib import Path

from probes.base import Frozen
from probes.model import UNKNOWN_LIMIT, UNLIMITED, Cpu, Limit, Memory

Reader = Callable[[str], bytes | None]
_HUGE = 1 << 60
"""Version 1 has no word for unlimited: it says the largest page-aligned number (2^63 - 4096)."""
_ANCESTORS = 16


class Paths(Frozen, frozen=True):
    """Where the controllers of one process are; absolute directories, ``None`` where there is none."""

    memory: str | None = None
    cpu: str | None = None
    cpuacct: str | None = None
    memory_version: int = 2
    cpu_version: int = 2
    memory_top: str | None = None
    """The mount point above ``memory``: limits of groups between the two hold as well."""
    cpu_top: str | None = None


class Sample(Frozen, frozen=True):
    """The counters of one control group at one time."""

    at: float
    """Monotonic seconds."""
    memory: Memory = Memory()
    cpu_seconds: float | None = None
    cpu_limit: Limit = UNKNOWN_LIMIT
    """In cores."""
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None


class _Mount(Frozen, frozen=True):
    root: str
    point: str
    controllers: frozenset[str]
    """Empty for version 2."""
    version: int


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a hot path: no Path objects
            return file.read(1 << 16)
    except (OSError, ValueError):
        return None


def _number(text: bytes | None) -> int | None:
    text = (text or b"").strip()
    return int(text) if text.isdigit() and len(text) <= 20 else None


def _flat(text: bytes | None) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for line in (text or b"").split(b"\n"):
        name, _, value = line.partition(b" ")
        number = _number(value)
        if number is not None:
            found[name] = number
    return found


def parse_mounts(mountinfo: bytes) -> tuple[_Mount, ...]:
    """The control-group mounts in ``/proc/PID/mountinfo`` (proc_pid_mountinfo(5))."""
    found: list[_Mount] = []
    for line in mountinfo.decode("utf-8", "surrogateescape").split("\n"):
        head, dash, tail = line.partition(" - ")
        fields, kind = head.split(), tail.split()
        if not dash or len(fields) < 6 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), one) for one in fields[3:5])
        version = 2 if kind[0] == "cgroup2" else 1
        options = frozenset(kind[2].split(",")) if version == 1 else frozenset[str]()
        found.append(_Mount(root=root, point=point, controllers=options, version=version))
    return tuple(found)


def parse_membership(cgroup: bytes) -> dict[str, str]:
    """``/proc/PID/cgroup``: controller → path; the empty name is version 2's."""
    found: dict[str, str] = {}
    for line in cgroup.decode("utf-8", "surrogateescape").split("\n"):
        parts = line.split(":", 2)
        if len(parts) == 3:
            found.update((name, parts[2]) for name in parts[1].split(","))
    return found


def _directory(mount: _Mount, path: str) -> str | None:
    """Where ``path`` is visible below a mount; a path outside of the mount's root is not."""
    path = posixpath.normpath("/" + path.lstrip("/"))
    root = mount.root.rstrip("/")
    if path != root and not path.startswith(root + "/"):
        # In a container the mount shows the namespace's own group as its root while the membership is the host's.
        return None
    return posixpath.normpath(mount.point + "/" + path[len(root) :])


def paths(cgroup: bytes, mountinfo: bytes) -> Paths:
    """The controllers' directories from the two texts; one that is mounted for version 1 is read there."""
    membership = parse_membership(cgroup)
    mounts = parse_mounts(mountinfo)

    def find(controller: str) -> tuple[str | None, int, str | None]:
        for mount in mounts:
            if mount.version == 1 and controller in mount.controllers and controller in membership:
                return _directory(mount, membership[controller]), 1, mount.point
        for mount in mounts:
            if mount.version == 2 and "" in membership:
                return _directory(mount, membership[""]), 2, mount.point
        return None, 2, None

    memory, memory_version, memory_top = find("memory")
    cpu_dir, cpu_version, cpu_top = find("cpu")
    cpuacct = find("cpuacct")[0] if cpu_version == 1 else cpu_dir
    return Paths(
        memory=memory,
        cpu=cpu_dir,
        cpuacct=cpuacct,
        memory_version=memory_version,
        cpu_version=cpu_version,
        memory_top=memory_top,
        cpu_top=cpu_top,
    )


def locate(pid: int, proc: str = "/proc") -> Paths | None:
    """The control groups of a process as they are mounted here; ``None`` when it has vanished. They stay: keep them."""
    membership = _bytes(f"{proc}/{pid}/cgroup")
    mounts = Path(proc, "self/mountinfo")
    try:
        mountinfo = mounts.read_bytes()
    except OSError:
        return None
    return None if membership is None else paths(membership, mountinfo)


def _ancestors(directory: str, top: str | None) -> list[str]:
    found = [directory]
    while top is not None and len(found) < _ANCESTORS and len(found[-1]) > len(top):
        found.append(posixpath.dirname(found[-1]))
    return found


def _smallest(limits: list[Limit]) -> Limit:
    values = [limit.value for limit in limits if limit.value is not None]
    if values:
        return Limit(limited=True, value=min(values))
    return UNLIMITED if any(limit.limited is False for limit in limits) else UNKNOWN_LIMIT


def _memory_limit(text: bytes | None) -> Limit:
    if text is not None and text.strip() == b"max":
        return UNLIMITED
    number = _number(text)
    if number is None:
        return UNKNOWN_LIMIT
    return UNLIMITED if number >= _HUGE else Limit(limited=True, value=float(number))


def _memory(where: Paths, text_of: Reader) -> Memory:
    directory = where.memory
    if directory is None:
        return Memory()
    if where.memory_version == 1:
        usage = _number(text_of(f"{directory}/memory.usage_in_bytes"))
        stat = _flat(text_of(f"{directory}/memory.stat"))
        inactive = stat.get(b"total_inactive_file", stat.get(b"inactive_file"))
        limits = [_memory_limit(text_of(f"{directory}/memory.limit_in_bytes"))]
        if b"hierarchical_memory_limit" in stat:
            limits.append(_memory_limit(b"%d" % stat[b"hierarchical_memory_limit"]))
        peak = _number(text_of(f"{directory}/memory.max_usage_in_bytes"))
        oom_kills = _flat(text_of(f"{directory}/memory.oom_control")).get(b"oom_kill")
    else:
        usage = _number(text_of(f"{directory}/memory.current"))
        inactive = _flat(text_of(f"{directory}/memory.stat")).get(b"inactive_file")
        limits = [_memory_limit(text_of(f"{one}/memory.max")) for one in _ancestors(directory, where.memory_top)]
        peak = _number(text_of(f"{directory}/memory.peak"))
        oom_kills = _flat(text_of(f"{directory}/memory.events")).get(b"oom_kill")
    return Memory(
        used_bytes=None if usage is None else max(0, usage - (inactive or 0)),
        limit=_smallest(limits),
        peak_bytes=peak,
        oom_kills=oom_kills,
        source=f"cgroup v{where.memory_version}",
    )


def _quota(quota: bytes | None, period: bytes | None) -> Limit:
    if quota is None:
        return UNKNOWN_LIMIT
    if quota.strip() in (b"max", b"-1"):
        return UNLIMITED
    allowed, length = _number(quota), _number(period)
    return Limit(limited=True, value=allowed / length) if allowed and length else UNKNOWN_LIMIT


def _cpu_limit(directory: str, version: int, text_of: Reader) -> Limit:
    if version == 1:
        return _quota(text_of(f"{directory}/cpu.cfs_quota_us"), text_of(f"{directory}/cpu.cfs_period_us"))
    quota, _, period = (text_of(f"{directory}/cpu.max") or b"").strip().partition(b" ")
    return _quota(quota or None, period)


def read(where: Paths, text_of: Reader = _bytes) -> Sample | None:
    """The counters now; ``None`` when the groups are gone. What cannot be read is unknown.

    ``text_of`` gives a file's content by its path: of this machine, or what was read of them elsewhere.
    """
    memory = _memory(where, text_of)
    at = time.monotonic()
    if where.cpu is None:
        return None if memory.used_bytes is None else Sample(at=at, memory=memory)
    stat_text = text_of(f"{where.cpu}/cpu.stat")
    stat = _flat(stat_text)
    if where.cpu_version == 1:
        used = _number(text_of(f"{where.cpuacct}/cpuacct.usage")) if where.cpuacct else None
        throttled = stat.get(b"throttled_time")
        per_second = 1e9
    else:
        used, throttled, per_second = stat.get(b"usage_usec"), stat.get(b"throttled_usec"), 1e6
    if memory.used_bytes is None and stat_text is None and used is None:
        return None
    return Sample(
        at=at,
        memory=memory,
        cpu_seconds=None if used is None else used / per_second,
        cpu_limit=_smallest(
            [_cpu_limit(one, where.cpu_version, text_of) for one in _ancestors(where.cpu, where.cpu_top)]
        ),
        periods=stat.get(b"nr_periods"),
        throttled_periods=stat.get(b"nr_throttled"),
        throttled_seconds=None if throttled is None else throttled / per_second,
    )


def _gain(now: float | None, before: float | None) -> float | None:
    """Growth of a counter; ``None`` when it is unknown or began anew."""
    return None if now is None or before is None or now < before else now - before


def cpu(now: Sample, before: Sample | None) -> Cpu:
    """CPU of a replica from two samples; rates are unknown without an earlier one."""
    result = Cpu(limit=now.cpu_limit, periods=now.periods, throttled_periods=now.throttled_periods)
    if before is None or now.at <= before.at:
        return result
    seconds = now.at - before.at
    used = _gain(now.cpu_seconds, before.cpu_seconds)
    periods = _gain(now.periods, before.periods)
    throttled = _gain(now.throttled_periods, before.throttled_periods)
    waited = _gain(now.throttled_seconds, before.throttled_seconds)
    ratio = None if periods is None or throttled is None else min(1.0, throttled / periods) if periods else 0.0
    return Cpu(
        used_cores=None if used is None else used / seconds,
        limit=now.cpu_limit,
        periods=now.periods,
        throttled_periods=now.throttled_periods,
        throttled_ratio=ratio,
        throttled_time_ratio=None if waited is None else waited / seconds,
    )
