"""``fastops history``: the journal."""

from __future__ import annotations

import msgspec

from console import output
from console.commands._session import warn_interrupted
from console.exits import FINE
from console.repairs import journal


def run(*, as_json: bool) -> int:
    """Prints the journal, newest first."""
    book = journal()
    warn_interrupted(book.pending())
    entries = book.entries()
    if as_json:
        changes = [{name: getattr(e, name) for name in SHOWN} for e in entries]
        output.write(msgspec.json.format(msgspec.json.encode({"schema": 1, "changes": changes}), indent=2).decode())
    else:
        output.print_entries(entries)
    return FINE


SHOWN = ("id", "at", "deployment", "signature", "remedy", "title", "state", "diff", "verified", "why", "evidence", "by")
"""The fields of an entry that scripts see: not the steps, whose arguments are the writer's own."""
