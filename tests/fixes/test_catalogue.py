"""The catalogue: every signature is complete, and every pattern can be matched."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixes import catalogue
from fixes.model import SEVERITIES, Signature
from probes.loghits import Pattern
from probes.logs import Matcher

SIGNATURES = tuple(catalogue.signatures().values())
THIRTEEN = {
    "oom-killed",
    "worker-sigkill",
    "worker-timeout",
    "worker-boot-failed",
    "missing-env",
    "bind-loopback",
    "port-mismatch",
    "memory-limit-low",
    "memory-leak",
    "single-process",
    "event-loop-blocked",
    "fd-exhausted",
    "pool-exhausted",
}


def test_the_thirteen_are_known() -> None:
    assert set(catalogue.signatures()) >= THIRTEEN


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: s.id)
def test_a_signature_is_complete(signature: Signature) -> None:
    page = catalogue.documentation("signatures", signature.id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", signature.id)
    assert signature.severity in SEVERITIES
    assert signature.title
    assert signature.source
    assert signature.remedies
    assert set(signature.remedies) <= set(catalogue.remedies())
    assert set(signature.explains) <= set(catalogue.signatures()) - {signature.id}
    assert all(heading in page for heading in ("What it means.", "What proves it.", "What it is not.", "What to do."))
    assert len(signature.fires) >= 2
    assert len(signature.silent) >= 2
    names = [example.name for example in (*signature.fires, *signature.silent)]
    assert len(names) == len(set(names))


def test_patterns_of_one_key_are_the_same_everywhere() -> None:
    seen = {}
    for signature in SIGNATURES:
        for pattern in signature.patterns:
            assert seen.setdefault(pattern.key, pattern) == pattern


def test_all_patterns_make_one_matcher() -> None:
    matcher = Matcher(catalogue.patterns())
    matcher.prepare()
    assert matcher.scan(b"nothing to see\n") == []


def test_no_pattern_ends_in_an_open_repetition() -> None:
    """Each further byte would be one more report of the scanner."""
    for pattern in catalogue.patterns():
        assert not re.search(r"(?:\.|\[\^[^\]]*\])[*+]\)*$", pattern.regex), pattern.key


SOUGHT = tuple(one for one in catalogue.patterns() if one.sought)


@pytest.mark.parametrize("pattern", SOUGHT, ids=lambda one: one.key)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_sought_is_in_all_that_matches(pattern: Pattern, data: st.DataObject) -> None:
    expression = re.compile(pattern.regex.encode())
    line = data.draw(st.from_regex(expression)).split(b"\n")[0]
    assume(expression.search(line))
    assert any(re.search(one.encode(), line) for one in pattern.sought)
