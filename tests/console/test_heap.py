"""When the collector is told to leave out what stays."""

from __future__ import annotations

import gc
from collections.abc import Callable

from msgspec.structs import replace

from console import heap
from fixes.model import Report
from tests.screens.reports import CHECKOUT, DOCKER, report, state


class Session:
    """Hands on what it is given."""

    def subscribe(self, listener: Callable[[Report], None]) -> Callable[[], None]:
        self.tell = listener
        return lambda: None


def test_what_lives_once_everything_was_read_is_left_out_and_that_happens_once() -> None:
    session = Session()
    heap.spare(session)
    whole = report(state(DOCKER, (CHECKOUT,)))
    partly = report(replace(state(DOCKER, (CHECKOUT,)), complete=False))
    before = gc.get_freeze_count()
    try:
        session.tell(partly)
        assert gc.get_freeze_count() == before
        session.tell(replace(whole, snapshot=replace(whole.snapshot, targets={})))
        assert gc.get_freeze_count() == before, "nothing was read yet"
        session.tell(whole)
        frozen = gc.get_freeze_count()
        assert frozen > before
        more = [[number] for number in range(100)]
        session.tell(whole)
        assert gc.get_freeze_count() == frozen, f"nor are {len(more)} new ones"
    finally:
        gc.unfreeze()
