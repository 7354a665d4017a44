"""What a leak looks like, and what resembles it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fixes.model import Example
from fixes.signatures import _cases
from fixes.signatures._shared import MIB
from probes.history import Metric, Point
from probes.model import UNLIMITED, Limit, Memory


def _line(start: float, end: float, first: float, last: float, step: float = 10.0) -> tuple[Point, ...]:
    count = int((end - start) / step)
    return tuple(Point(start + i * step, first + (last - first) * i / count) for i in range(count + 1))


_LIMITED = Memory(used_bytes=300 << 20, limit=Limit(limited=True, value=float(512 << 20)))
_ONE = _cases.container(memory=_LIMITED, workers=(_cases.worker(),))
_FREE = _cases.container(memory=Memory(limit=UNLIMITED), workers=(_cases.worker(),))
_RECYCLED = _cases.container(
    settings={"max_requests": 100_000},
    memory=msgspec.structs.replace(_LIMITED, oom_kills=1),
    workers=(_cases.worker(started_at=_cases.ago(2600)),),
)
_LABEL = f"{_cases.REPLICA}/17"
_CURVE = tuple(Point(-2400.0 + 10 * i, (100 + 150 * (1 - 0.985**i)) * MIB) for i in range(240))
_SAW = tuple(Point(-2400.0 + 10 * i, (100 + (i % 60)) * MIB) for i in range(240))
_STEP = (*_line(-2400, -1210, 100 * MIB, 101 * MIB), *_line(-1200, 0, 200 * MIB, 201 * MIB))
_NOISE = tuple(Point(-2400.0 + 10 * i, (150 + (i * 7919 % 13)) * MIB) for i in range(240))


def _earlier(
    ended: Mapping[int, tuple[float, int]], *kills: tuple[float, int]
) -> dict[Metric, dict[str, tuple[Point, ...]]]:
    """A worker that grows now, and earlier ones: when they ended and at how many MiB."""
    memory = {_LABEL: _line(-2400, 0, 100 * MIB, 300 * MIB)}
    memory |= {
        f"{_cases.REPLICA}/{pid}": _line(at - 1000, at, 100 * MIB, peak * MIB) for pid, (at, peak) in ended.items()
    }
    return {"worker-anonymous": memory, "oom-kills": {_cases.REPLICA: _cases.points(*kills)}}


FIRES = (
    Example(
        "over half an hour",
        deployment=_ONE,
        series={"worker-anonymous": {_LABEL: _line(-2400, 0, 100 * MIB, 300 * MIB)}},
    ),
    Example(
        "over two minutes, the limit is near",
        deployment=_ONE,
        series={"worker-rss": {_LABEL: _line(-120, 0, 100 * MIB, 300 * MIB, 2)}},
    ),
    Example(
        "without a limit, over forty minutes",
        deployment=_FREE,
        series={"worker-anonymous": {_LABEL: _line(-2400, 0, 100 * MIB, 300 * MIB)}},
    ),
    Example(
        "max_requests is too high: the kernel killed the worker before",
        deployment=_RECYCLED,
        series=_earlier({16: (-2700, 500), 15: (-6100, 310)}, (-6000, 0), (-2710, 0), (-2690, 1), (0, 1)),
    ),
    Example(
        "max_requests is too high: nobody knows when the kernel killed",
        deployment=_RECYCLED,
        series=_earlier({16: (-2700, 500)}),
    ),
    Example(
        "an earlier worker ended long before it was so large",
        deployment=_RECYCLED,
        series=_earlier({16: (-2700, 150)}, (-6000, 0), (0, 0)),
    ),
    Example(
        "an earlier worker ended with its master",
        deployment=_RECYCLED,
        series=_earlier({16: (-7300, 400)}, (-7000, 0), (0, 0)),
    ),
)
STAYS_SILENT = (
    Example("it levels off", deployment=_ONE, series={"worker-anonymous": {_LABEL: _CURVE}}),
    Example("a saw-tooth", deployment=_ONE, series={"worker-anonymous": {_LABEL: _SAW}}),
    Example("noise", deployment=_ONE, series={"worker-anonymous": {_LABEL: _NOISE}}),
    Example("one step up", deployment=_ONE, series={"worker-anonymous": {_LABEL: _STEP}}),
    Example(
        "the first minute of a worker",
        deployment=_cases.container(memory=_LIMITED, workers=(_cases.worker(started_at=_cases.ago(70)),)),
        series={"worker-anonymous": {_LABEL: _line(-70, 0, 20 * MIB, 300 * MIB, 2)}},
        undecided=True,
    ),
    Example(
        "rising for ten minutes, no limit is near",
        deployment=_FREE,
        series={"worker-anonymous": {_LABEL: _line(-600, 0, 100 * MIB, 120 * MIB)}},
        undecided=True,
    ),
    Example(
        "workers that max_requests replaces in time",
        deployment=_cases.container(settings={"max_requests": 1000}, memory=_LIMITED, workers=(_cases.worker(),)),
        series={
            "worker-anonymous": {
                _LABEL: _line(-2400, 0, 100 * MIB, 180 * MIB),
                f"{_cases.REPLICA}/16": _line(-6000, -2410, 100 * MIB, 220 * MIB),
            }
        },
    ),
    Example(
        "workers that max_requests replaces in time, by their resident memory",
        deployment=_cases.container(settings={"max_requests": 1000}, memory=_LIMITED, workers=(_cases.worker(),)),
        series={
            "worker-rss": {
                _LABEL: _line(-2400, 0, 100 * MIB, 180 * MIB),
                f"{_cases.REPLICA}/16": _line(-6000, -2410, 100 * MIB, 175 * MIB),
            }
        },
    ),
    Example(
        "a pod grows, and its processes cannot be seen",
        deployment=_cases.workload(),
        series={"memory-used": {_cases.POD: _line(-2400, 0, 100 * MIB, 300 * MIB)}},
        undecided=True,
    ),
    Example("no worker is known"),
)
