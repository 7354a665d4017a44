"""Causes and effects: who explains whom, and in which order they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes import catalogue
from fixes.explain import explain, explained
from fixes.model import SEVERITIES, SILENT, Evidence, Finding, Signature, SignatureId
from probes.base import DeploymentId, ReplicaId

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEPLOYMENT = DeploymentId("docker/api")


def finding(signature: str, severity: str = "error", worker: int | None = None, age: float = 0) -> Finding:
    evidence = () if worker is None else (Evidence("log", "x", replica=ReplicaId("r"), worker=worker),)
    return Finding(
        f"{DEPLOYMENT}#{signature}",
        DEPLOYMENT,
        SignatureId(signature),
        severity,  # type: ignore[arg-type]
        signature,
        NOW - timedelta(seconds=age),
        1,
        evidence,
    )


def signatures(**explains: tuple[str, ...]) -> dict[SignatureId, Signature]:
    return {
        SignatureId(name): Signature(
            SignatureId(name), name, "error", lambda _view: SILENT, (), "", explains=tuple(map(SignatureId, effects))
        )
        for name, effects in explains.items()
    }


def names(found: tuple[Finding, ...]) -> list[str]:
    return [f.signature for f in found]


def causes(found: tuple[Finding, ...]) -> dict[str, str | None]:
    return {f.signature: f.explained_by.signature if f.explained_by else None for f in found}


def test_an_effect_names_its_cause_and_follows_it() -> None:
    found = explain(
        [finding("effect", "critical"), finding("cause", "error")], signatures(cause=("effect",), effect=())
    )
    assert causes(found) == {"cause": None, "effect": "cause"}
    assert names(found) == ["cause", "effect"]


def test_what_a_cause_of_this_deployment_explains_directly_is_told() -> None:
    found = explain(
        [finding("a"), finding("b"), finding("c"), finding("d")], signatures(a=("b",), b=("c",), c=(), d=())
    )
    assert names(explained(found, finding("a"))) == ["b"]
    elsewhere = replace(finding("a"), deployment=DeploymentId("docker/other"))
    assert explained(found, elsewhere) == ()


def test_the_worst_group_comes_first() -> None:
    known = signatures(cause=("effect",), effect=(), alone=(), mild=())
    found = explain(
        [finding("mild", "info"), finding("alone"), finding("effect", "critical"), finding("cause", "warning")], known
    )
    assert names(found) == ["cause", "effect", "alone", "mild"]


def test_of_several_causes_the_one_of_the_same_worker_counts() -> None:
    known = signatures(a=("effect",), b=("effect",), effect=())
    found = explain([finding("effect", worker=7), finding("a", "critical"), finding("b", worker=7)], known)
    assert causes(found)["effect"] == "b"


def test_of_several_causes_the_worst_counts() -> None:
    known = signatures(a=("effect",), b=("effect",), effect=())
    found = explain([finding("effect"), finding("a", "warning"), finding("b", "critical")], known)
    assert causes(found)["effect"] == "b"


def test_a_cause_that_is_not_found_explains_nothing() -> None:
    assert causes(explain([finding("effect")], signatures(cause=("effect",), effect=()))) == {"effect": None}


def test_the_catalogue_has_no_cycle() -> None:
    known = catalogue.signatures()

    def effects(signature: SignatureId, path: tuple[SignatureId, ...]) -> None:
        assert signature not in path, path
        for effect in known[signature].explains:
            assert effect in known
            effects(effect, (*path, signature))

    for signature in known:
        effects(signature, ())


def test_out_of_memory_explains_the_worker_that_it_ended() -> None:
    found = explain(
        [finding("worker-sigkill"), finding("oom-killed"), finding("memory-leak", "warning")], catalogue.signatures()
    )
    assert causes(found)["oom-killed"] == "memory-leak"
    assert causes(found)["worker-sigkill"] == "oom-killed"
    assert names(found) == ["memory-leak", "oom-killed", "worker-sigkill"]


NAMES = ("a", "b", "c", "d", "e")


@given(
    edges=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True)),
    present=st.sets(st.sampled_from(NAMES)),
    severities=st.lists(st.sampled_from(SEVERITIES), min_size=5, max_size=5),
)
def test_nothing_is_lost_and_nothing_explains_itself(
    edges: dict[str, list[str]], present: set[str], severities: list[str]
) -> None:
    known = signatures(**{name: tuple(edges.get(name, ())) for name in NAMES})
    given_findings = [finding(name, severities[NAMES.index(name)]) for name in sorted(present)]
    found = explain(given_findings, known)
    assert sorted(names(found)) == sorted(present)
    assert {replace(f, explained_by=None) for f in map(_hashable, found)} == set(map(_hashable, given_findings))
    cause = causes(found)
    order = names(found)
    for name in present:
        step, seen = cause[name], {name}
        while step is not None:
            assert step not in seen
            seen.add(step)
            assert order.index(step) < order.index(name)
            step = cause[step]


def _hashable(one: Finding) -> Finding:
    return replace(one, facts=(), explained_by=None)  # type: ignore[arg-type]
