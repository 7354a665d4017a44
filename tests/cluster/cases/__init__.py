"""Every case of the lab on Kubernetes: those of the Docker lab that have a counterpart, and Kubernetes' own."""

from __future__ import annotations

import re

from tests.cluster.case import KubeCase
from tests.cluster.translate import all_translated
from tests.lab.case import advised_by, ids

from . import ending, owned, probes, resources, sound, starting, unusual

OWN_MODULES = (starting, probes, ending, resources, owned, sound, unusual)
OWN = {case.name: case for module in OWN_MODULES for case in module.CASES}
CASES = {**all_translated(), **OWN}


def sick() -> tuple[str, ...]:
    """Names of the cases in which something must be found."""
    return tuple(name for name, case in CASES.items() if case.expect)


def look_alikes() -> tuple[str, ...]:
    """Names of the cases that resemble a sick one."""
    return tuple(name for name, case in CASES.items() if case.look_alike_of)


def answering(signature: str) -> tuple[str, ...]:
    """Names of the cases in which ``signature`` must be found."""
    return tuple(name for name, case in CASES.items() if signature in case.expect)


def advised(case: KubeCase) -> frozenset[str]:
    """What the manifest of a case itself calls for, beside the failure that it is about: no limit, no probe."""
    files = re.search(r"ulimit -n (\d+)", " ".join(case.command))
    wanted = {
        "memory-unlimited": "memory" not in case.container.get("resources", {}).get("limits", {}),
        "probe-missing": not {"readinessProbe", "livenessProbe"} <= set(case.container),
        "fd-limit-low": files is not None and int(files[1]) <= 1024,
    }
    return advised_by(case.command) | ids(*(name for name, wants in wanted.items() if wants))
