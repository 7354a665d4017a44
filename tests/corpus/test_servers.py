"""Recall and precision of ``diagnose`` over the output of real servers."""

from __future__ import annotations

import pytest

from fixes import catalogue
from tests.corpus.score import EFFECTS, WANTED, WANTED_OF_EACH, Score, findings, samples, score

SAMPLES = samples()
LABELS = sorted({name for sample in SAMPLES for name in sample.signatures} & set(catalogue.signatures()))


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """What is found in each sample, by its id."""
    return findings(SAMPLES)


@pytest.fixture(scope="module")
def result(found: dict[str, set[str]]) -> Score:
    return score(SAMPLES, found, catalogue.signatures())


def test_what_is_wrong_is_found(result: Score) -> None:
    assert result.whole.recall >= WANTED, result.missed


def test_what_is_found_is_wrong(result: Score) -> None:
    assert result.whole.precision >= WANTED, result.false


@pytest.mark.parametrize("signature", LABELS)
def test_each_signature_holds_by_itself(signature: str, result: Score) -> None:
    rate = result.each[signature]
    assert rate.wanted > 0
    assert rate.recall >= WANTED_OF_EACH, [one for one in result.missed if one[1] == signature]
    assert rate.precision >= WANTED_OF_EACH, [one for one in result.false if one[1] == signature]


def test_nothing_is_found_where_nothing_is_wrong(found: dict[str, set[str]]) -> None:
    quiet = [sample for sample in SAMPLES if not sample.signatures]
    false = {one.id: found[one.id] - one.also_ok for one in quiet if found[one.id] - one.also_ok}
    assert len(quiet) > 60
    assert false == {}


def test_the_score_counts_runs_and_excuses_effects() -> None:
    three = [sample for sample in SAMPLES if "worker-timeout" in sample.signatures][:3]
    nothing = score(three, {one.id: set() for one in three}, {"worker-timeout"})
    assert nothing.whole.recall == 0.0
    assert nothing.whole.wanted <= len(three)
    invented = score(three, {one.id: {"worker-timeout", "nothing-such"} for one in three}, {"worker-timeout"})
    assert invented.each["worker-timeout"].recall == 1.0
    assert invented.each["nothing-such"].precision == 0.0
    effect = next(one for one in SAMPLES if one.signatures & EFFECTS and one.signatures - EFFECTS)
    nested = score([effect], {effect.id: set(effect.signatures - EFFECTS)}, effect.signatures)
    assert nested.missed == []
