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


def service(soft: int, hard: int | None, kind: str = "container", most: int | None = None) -> Deployment:
    worker = Worker(7, ReplicaId("c1"), "worker", open_files_limit=soft, open_files_hard_limit=hard)
    one = replica(workers=(worker,), open_files_most=most)
    return deployment(kind=kind, replicas=(one,), capabilities={"nofile": None})


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


@pytest.mark.parametrize(
    ("soft", "hard", "most", "expected"),
    [(64, 64, 20_000, 20_000), (64, 64, MOST, 65_536), (1024, 4096, MOST, 65_536), (600_000, 600_000, 1 << 30, MOST)],
)
def test_the_hard_limit_of_a_container_rises_as_far_as_its_engine_may(
    soft: int, hard: int, most: int, expected: int
) -> None:
    one = service(soft, hard, most=most)
    assert refusal(RAISE, one, FOUND) is None
    settled = settle(RAISE.parameters(one, FOUND, None), {})
    assert settled == {"limit": expected}
    said = RAISE.cautions(one, FOUND, settled)
    assert said == (("The engine allows 20000, not the advised 65536.",) if most == 20_000 else ())


def test_a_limit_that_the_engine_may_not_raise_is_refused_with_what_would_help() -> None:
    said = str(refusal(RAISE, service(20_000, 20_000, most=20_000), FOUND))
    assert "the engine may give no more than 20000" in said
    assert "CAP_SYS_RESOURCE" in said
