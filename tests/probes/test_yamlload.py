"""YAML that would crash the parser."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from probes import yamlload
from probes.pasteddocs import documents


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "? " * 100_000, "a: {" * 50_000])
def test_what_nests_too_deep_is_refused_before_it_crashes_the_process(text):
    with pytest.raises(ValueError, match="nests deeper"):
        yamlload.load(text)
    assert documents(f"apiVersion: v1\nkind: {text}".encode()) == ()


def test_aliases_that_stand_for_too_much_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ValueError, match="aliases"):
        yamlload.load("\n".join(lines))


def test_ordinary_anchors_are_read():
    assert yamlload.load("a: &x {k: [1, 2]}\nb: *x\nc:\n  <<: *x\n  d: 3") == {
        "a": {"k": [1, 2]},
        "b": {"k": [1, 2]},
        "c": {"k": [1, 2], "d": 3},
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda x: st.lists(x, max_size=4)))
def test_what_is_written_is_read(value):
    assert yamlload.load(yaml.safe_dump(value)) == value
