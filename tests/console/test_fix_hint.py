"""A finding that only time shows: who asks for its fix at once is told how to get there."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from console.commands import fix
from console.exits import USAGE, Stop
from fixes.model import SignatureId
from tests.screens.reports import AUTH, report


def test_what_is_not_found_yet_names_the_option_that_gives_it_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = report()
    replaced: dict[str, Any] = {
        "settle": lambda *_: seen,
        "find": lambda *_: AUTH,
        "unread": lambda *_: (),
        "unreached": lambda *_: None,
    }
    for name, stands_in in replaced.items():
        monkeypatch.setattr(fix, name, stands_in)
    with pytest.raises(Stop, match=r"does not have log-unbounded: .*nothing to fix so far, .*--observe") as stopped:
        fix._await_finding(Mock(), Mock(), SignatureId("log-unbounded"), 0)
    assert stopped.value.status == USAGE
