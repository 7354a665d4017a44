"""``watch``: a line for each finding that opens or closes, on a real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from console import contract
from tests.console._fastops import Fastops, until
from tests.lab.cases import CASES
from tests.lab.runner import Lab


@pytest.mark.slow
def test_it_tells_when_a_finding_opens_and_when_it_closes(lab: Lab, engine: str, tmp_path: Path) -> None:
    fastops = Fastops(tmp_path, engine)
    with fastops.begin("watch", "docker", "--format", "jsonl") as lines, fastops.begin("watch", "docker") as text:

        def events() -> list[Any]:
            return [json.loads(line) for line in lines.out.splitlines()]

        def in_text() -> list[str]:
            mine = [x for x in text.out.splitlines() if running.deployment in x and "memory-limit-low" in x]
            return [word for line in mine for word in line.split() if word in {"opened", "closed"}]

        def told(event: str) -> list[Any]:
            mine = [e for e in events() if e["event"] == event and e["deployment"] == running.deployment]
            return [e for e in mine if e["finding"]["signature"] == "memory-limit-low"]

        until("the target", lambda: any(e["event"] == "target" and e["target"]["state"] == "live" for e in events()))
        running = lab.start(CASES["limit-256m"]).ready()
        until("opened", lambda: bool(told("opened")))
        until("opened in words", lambda: "opened" in in_text())
        running.stop()
        until("closed", lambda: bool(told("closed")))
        until("closed in words", lambda: "closed" in in_text())
        lines.interrupt()
        text.interrupt()
        done, in_words = lines.wait(20), text.wait(20)
    assert done.status == in_words.status == 130, done.said
    schema = msgspec.json.schema(contract.WatchOut)
    for event in events():
        jsonschema.validate(event, schema)
    assert [(e["event"], e["finding"]["signature"]) for e in (*told("opened"), *told("closed"))] == [
        ("opened", "memory-limit-low"),
        ("closed", "memory-limit-low"),
    ]
    assert in_text() == ["opened", "closed"]
