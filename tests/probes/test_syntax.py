"""Source is read by several threads at once, and whatever it is, one kind of failure comes out."""

from __future__ import annotations

import ast
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import syntax


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_any_text_is_a_tree_or_no_python(source: str | bytes) -> None:
    with contextlib.suppress(syntax.NotPython):
        assert isinstance(syntax.tree(source), ast.Module)


@pytest.mark.parametrize("source", ["(" * 5000, "x\0y", "def", b"\xff\xfe", "-" * 200_000 + "1"])
def test_what_cannot_be_read_is_said_so(source: str | bytes) -> None:
    with pytest.raises(syntax.NotPython):
        syntax.tree(source)


def test_many_threads_read_at_once() -> None:
    source = "\n".join(f"def f{n}(a, b=[{', '.join(map(str, range(40)))}]):\n    return a + b[{n}]" for n in range(60))
    with ThreadPoolExecutor(8) as pool:
        sizes = {len(one.body) for one in pool.map(syntax.tree, [source] * 40)}
    assert sizes == {60}
