"""The limit of open files rises as far as there is room, and where there is none that is said."""

from __future__ import annotations

import pytest

from fixes.catalogue import remedies
from fixes.model import RemedyId
from fixes.plan import refusal
from fixes.values import settle
from probes.base import ReplicaId
from probes.model import Deployment, Worker
from tests.fixes.fake import deployment, finding, replica

RAISE = remedies()[RemedyId("raise-nofile")]
FOUND = finding("fd-exhausted")
MOST = 1 << 20


def service(soft: int, hard: int | None, kind: str = "container") -> Deployment:
    worker = Worker(7, ReplicaId("c1"), "worker", open_files_limit=soft, open_files_hard_limit=hard)
    return deployment(kind=kind, replicas=(replica(workers=(worker,)),), capabilities={"nofile": None})


@pytest.mark.parametrize(
    ("soft", "hard", "kind", "expected"),
    [
        (1024, 4096, "container", 4096),
        (1024, 1024, "container", 65_536),
        (600_000, 600_000, "container", MOST),
        (600_000, 1 << 30, "container", MOST),
        (600_000, None, "process", MOST),
        (600_000, 1 << 30, "process", 1_200_000),
        (1 << 21, 1 << 30, "process", 1 << 22),
    ],
)
def test_the_default_is_within_what_may_be_asked_for(soft: int, hard: int | None, kind: str, expected: int) -> None:
    one = service(soft, hard, kind)
    assert refusal(RAISE, one, FOUND) is None
    assert settle(RAISE.parameters(one, FOUND, None), {}) == {"limit": expected}


@pytest.mark.parametrize(("soft", "hard", "kind"), [(MOST, MOST, "container"), (1 << 21, 1 << 30, "container")])
def test_what_is_as_high_as_it_can_be_made_is_not_raised(soft: int, hard: int, kind: str) -> None:
    assert "1048576" in str(refusal(RAISE, service(soft, hard, kind), FOUND))
    assert "leak" in str(refusal(RAISE, service(soft, hard, kind), FOUND))
