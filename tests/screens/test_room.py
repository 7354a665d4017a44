"""The findings get what the fleet's rows leave of the screen."""

from __future__ import annotations

import pytest

from screens.room import Room, divide


@pytest.mark.parametrize(
    ("size", "rows", "expected"),
    [
        ((80, 24), 50, Room(beside=False, lines=3, snug=False)),
        ((80, 24), 7, Room(beside=False, lines=14, snug=True)),
        ((120, 35), 50, Room(beside=False, lines=11, snug=False)),
        ((120, 35), 7, Room(beside=False, lines=25, snug=True)),
        ((200, 50), 50, Room(beside=True, lines=11, snug=False)),
        ((200, 50), 7, Room(beside=False, lines=40, snug=True)),
    ],
)
def test_what_the_rows_leave_is_the_findings(size: tuple[int, int], rows: int, expected: Room) -> None:
    assert divide(*size, rows) == expected


def test_two_lines_tell_the_worst_finding_and_more_tell_all_of_them() -> None:
    assert not divide(80, 24, 50).full
    assert divide(80, 24, 7).full
    assert not divide(200, 50, 50).full, "the column beside the table is another one"
