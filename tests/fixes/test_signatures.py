"""Every example of every signature: what must fire fires, what resembles it stays silent."""

from __future__ import annotations

from functools import cache

import pytest

from fixes import catalogue
from fixes.examples import view_of
from fixes.model import Example, Fires, Signature, Undecided
from probes.logs import Matcher


@cache
def matcher() -> Matcher:
    return Matcher(catalogue.patterns())


def examples(kind: str) -> list[pytest.param]:
    return [
        pytest.param(signature, example, id=f"{signature.id}: {example.name}")
        for signature in catalogue.signatures().values()
        for example in getattr(signature, kind)
    ]


@pytest.mark.parametrize(("signature", "example"), examples("fires"))
def test_fires(signature: Signature, example: Example) -> None:
    verdict = signature.detect(view_of(example, matcher()))
    assert isinstance(verdict, Fires), verdict
    assert verdict.title
    assert verdict.evidence
    assert verdict.count >= 1


@pytest.mark.parametrize(("signature", "example"), examples("silent"))
def test_stays_silent(signature: Signature, example: Example) -> None:
    verdict = signature.detect(view_of(example, matcher()))
    assert not isinstance(verdict, Fires), verdict.title
    assert isinstance(verdict, Undecided) is example.undecided, verdict
