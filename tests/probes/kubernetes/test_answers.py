"""The pages of a list: the token of the next one, wherever the server writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.target import Unreadable
from probes.targets.kubernetes.answers import following

META = st.fixed_dictionaries(
    {},
    optional={
        "resourceVersion": st.text(),
        "continue": st.none() | st.text(max_size=20_000) | st.just(',"items":['),
        "remainingItemCount": st.integers(),
    },
)
ITEMS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.just(',"items":['), max_size=2))


@given(META, ITEMS, st.permutations(["kind", "metadata", "items"]), st.booleans())
def test_the_token_is_found_whatever_stands_around_it(
    metadata: dict[str, Any], items: list[Any], order: list[str], spaced: bool
) -> None:
    parts = {"kind": "List", "metadata": metadata, "items": items}
    body = json.dumps({name: parts[name] for name in order}, separators=None if spaced else (",", ":")).encode()
    assert following("/api/v1/pods", body) == (metadata.get("continue") or None)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"metadata":{', b'{"metadata":1,"items":[]}', b"[" * 5000])
def test_what_is_no_list_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(Unreadable, match="not understood"):
        following("/api/v1/pods", body)
