"""Runs cases until each shows its facts, and removes them: that the lab on Kubernetes is what it says."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.lab.images import LabError

from . import namespaces
from .api import Api, ApiError
from .cases import CASES
from .place import ClusterError
from .reach import cluster
from .runner import KubeLab, fresh_name

AT_ONCE = 4


def listed() -> str:
    """A line for each case: its name, what must be found in it, and what it must not be taken for."""
    lines = [
        f"{case.name:28} {' '.join(sorted(case.expect)) or '-':40} {case.look_alike_of or ''}"
        for case in CASES.values()
    ]
    return "\n".join(lines)


def check(names: list[str]) -> int:
    """Bring each of these cases (all, when none is named) to its facts; the number of those that did not get there.

    Raises ``ClusterError`` when there is no cluster, or no such case.
    """
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise ClusterError(f"no such case: {', '.join(unknown)}; see `python -m tests.cluster list`")
    chosen = [CASES[name] for name in names or CASES]
    with Api(cluster()) as api:
        namespace = fresh_name()
        namespaces.make(api, namespace)
        try:
            with KubeLab(api, namespace) as lab, ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
                failures = [failure for failure in pool.map(lambda case: _one(lab, case.name), chosen) if failure]
        finally:
            namespaces.remove(api, namespace)
        namespaces.wait_gone(api, {namespace})
    print("\n".join(failures) or f"all {len(chosen)} show what they should", flush=True)
    return len(failures)


def _one(lab: KubeLab, name: str) -> str | None:
    began = time.monotonic()
    running = None
    try:
        running = lab.start(CASES[name])
        running.ready()
    except (LabError, ApiError) as error:
        return f"{name}: {error}"
    finally:
        if running is not None:
            running.stop()
    print(f"{name}: ok after {time.monotonic() - began:.1f} s", flush=True)
    return None
