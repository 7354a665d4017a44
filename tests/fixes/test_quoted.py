"""An application that logs what people write to it says nothing of itself by that."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fixes import catalogue
from fixes.diagnose import diagnose, matcher
from probes.pasted import Paste

SHAPES: dict[str, Callable[[str], str]] = {
    "a ticket in quotation marks": lambda said: f'INFO:app:support ticket says "{said.replace(chr(34), chr(39))}"',
    "a chat": lambda said: f"INFO:chat:user said: {said}",
    "a chat in JSON": lambda said: json.dumps({"level": "info", "logger": "chat", "message": f"user said: {said}"}),
    "a field in JSON": lambda said: json.dumps({"level": "info", "message": "asked", "query": said}),
    "a prompt that is refused": lambda said: f'WARNING:chat:blocked the prompt "{said.replace(chr(34), chr(39))}"',
    "a text that is refused": lambda said: f"2026-11-22 09:00:00,123 ERROR app.model: no label for the text {said!r}",
    "a refused prompt in JSON": lambda said: json.dumps({"level": "warning", "event": f"flagged the prompt {said!r}"}),
    "a query": lambda said: f'INFO:     10.0.0.1:5 - "GET /?q={said.replace(" ", "+").replace(chr(34), "%22")}" 200 OK',
}
SLOW = {"slow-requests", "timeout-too-short"}
"""What tells of slow requests are lines of information, and everybody writes their own: nothing sets them apart."""


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_that_a_signature_fires_on_counts_where_it_is_quoted(shape: str) -> None:
    patterns = matcher()
    wrong: set[tuple[str, str]] = set()
    lines = {
        line for one in catalogue.signatures().values() for example in one.fires for line in example.log.splitlines()
    }
    for line in sorted(lines):
        paste = Paste(patterns)
        paste.feed(SHAPES[shape](line).encode() + b"\n")
        wrong |= {(one.finding.signature, line) for one in diagnose(paste.end()).found}
    assert {found for found in wrong if found[0] not in SLOW} == set()
    assert len(lines) > 200
