"""Every case of the lab: sick ones, their look-alikes, healthy services, and what is not FastAPI."""

from __future__ import annotations

from . import database, healthy, memory, network, starting, strangers, workers

CASES = {
    case.name: case
    for module in (memory, workers, starting, network, database, healthy, strangers)
    for case in module.CASES
}


def sick() -> tuple[str, ...]:
    """Names of the cases in which something must be found."""
    return tuple(name for name, case in CASES.items() if case.expect)


def look_alikes() -> tuple[str, ...]:
    """Names of the cases that resemble a sick one."""
    return tuple(name for name, case in CASES.items() if case.look_alike_of)


def answering(signature: str) -> tuple[str, ...]:
    """Names of the cases in which ``signature`` must be found."""
    return tuple(name for name, case in CASES.items() if signature in case.expect)
