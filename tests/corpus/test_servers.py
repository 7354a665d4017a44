"""Recall and precision over the output of real servers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from fixes import catalogue
from fixes.examples import WINDOW, with_log
from fixes.model import Fires, View
from fixes.signatures import _cases
from probes.logs import Matcher

SAMPLES: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("servers.jsonl").read_text().splitlines()
]
JUDGED = (
    "bind-loopback",
    "event-loop-blocked",
    "fd-exhausted",
    "missing-env",
    "pool-exhausted",
    "worker-boot-failed",
    "worker-sigkill",
    "worker-timeout",
)
EFFECTS = {"worker-boot-failed"}
WANTED = 0.98


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """What is found in each sample, by its id."""
    matcher = Matcher(catalogue.patterns())
    return {sample["id"]: _signatures(sample["text"], matcher) for sample in SAMPLES}


def _signatures(text: str, matcher: Matcher) -> set[str]:
    deployment = with_log(_cases.deployment(), text.encode(), matcher, _cases.NOW)
    view = View(deployment=deployment, now=_cases.NOW, window=WINDOW, series=lambda _metric: {})
    reading = [s for s in catalogue.signatures().values() if s.patterns]
    return {signature.id for signature in reading if isinstance(signature.detect(view), Fires)}


def _weights() -> dict[str, float]:
    size = Counter(sample["group"] for sample in SAMPLES)
    return {sample["id"]: 1 / size[sample["group"]] for sample in SAMPLES}


@pytest.mark.parametrize("signature", JUDGED)
def test_each_signature_is_found_where_it_is(signature: str, found: dict[str, set[str]]) -> None:
    weights, hits, missed = _weights(), 0.0, []
    wanted = [s for s in SAMPLES if signature in s["signatures"]]
    for sample in wanted:
        others = set(sample["signatures"]) - {signature}
        unknown_cause = others - set(catalogue.signatures())
        effect = signature in EFFECTS and (found[sample["id"]] & others or unknown_cause)
        if signature in found[sample["id"]] or effect:
            hits += weights[sample["id"]]
        else:
            missed.append(sample["id"])
    assert wanted
    assert hits / sum(weights[s["id"]] for s in wanted) >= WANTED, missed


@pytest.mark.parametrize("signature", JUDGED)
def test_no_signature_is_found_where_it_is_not(signature: str, found: dict[str, set[str]]) -> None:
    weights, right, false = _weights(), 0.0, defaultdict[str, float](float)
    for sample in SAMPLES:
        if signature not in found[sample["id"]]:
            continue
        if signature in sample["signatures"]:
            right += weights[sample["id"]]
        elif signature not in sample["also_ok"]:
            false[sample["id"]] += weights[sample["id"]]
    assert right / (right + sum(false.values())) >= WANTED, dict(false)


def test_nothing_is_found_where_nothing_is_wrong(found: dict[str, set[str]]) -> None:
    quiet = [s for s in SAMPLES if not s["signatures"]]
    false = {s["id"]: found[s["id"]] - set(s["also_ok"]) for s in quiet if found[s["id"]] - set(s["also_ok"])}
    assert len(quiet) > 60
    assert false == {}
