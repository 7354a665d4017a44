"""Exit statuses, and how an exception becomes one sentence and a status."""

from __future__ import annotations

import io
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

FINE = 0
FINDINGS = 1
"""Findings at or above ``--fail-on``."""
USAGE = 2
PARTIAL = 3
"""Nothing bad was found, but 0 cannot be said: no target, or only a part of what was asked, could be read."""
REFUSED = 4
"""A fix or an undo was refused or failed; nothing is left half done."""
UNVERIFIED = 5
"""A fix was applied and could not be verified; so is one that is left half done: a part of it is in force, and the
sentence names the `fastops resume` that ends it."""
DEFECT = 70
"""A defect of fastops (sysexits' EX_SOFTWARE)."""
INTERRUPTED = 130
"""Ctrl-C: 128 + SIGINT."""


class Stop(Exception):
    """Ends the program with a sentence on standard error and a status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def explain(error: BaseException) -> int:
    """Prints one sentence for what ended the program, and returns its status."""
    import click

    from console.config import BadConfig
    from fixes.values import BadValue
    from probes.target import ReadOnly, Refused, Unreadable
    from probes.targets import UnknownTarget

    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else FINE
        case EOFError():  # Ctrl-D where something was asked; the cursor stands behind the question
            return _say("interrupted; nothing is left running", INTERRUPTED, before="\n")
        case KeyboardInterrupt():
            return _say("interrupted; nothing is left running", INTERRUPTED)
        case click.ClickException():
            return _misused(error)
        case Stop():
            return _say(str(error), error.status)
        case BadConfig() | UnknownTarget() | BadValue():
            return _say(str(error), USAGE)
        case Refused() | ReadOnly():
            return _say(str(error), REFUSED)
        case Unreadable():
            return _say(f"{error} ({error.failure.hint})" if error.failure.hint else str(error), PARTIAL)
        case BrokenPipeError():
            return FINDINGS  # nobody read to the end: it cannot be said to be fine
        case _:
            return _defect(error)


def _misused(error: click.ClickException) -> int:
    """Prints how the command is used, and what is wrong with what was written: that is quoted, so it is cleaned."""
    from probes import text

    told = io.StringIO()
    error.show(told)
    print(text.block(told.getvalue()), end="", file=sys.stderr)  # noqa: T201 -- the program's last words
    return USAGE


def _defect(error: BaseException) -> int:
    """Writes the traceback to a file and names it."""
    path = kept(error)
    where = f"its kind is {type(error).__name__}" if path is None else f"the details are in {path}"
    return _say(f"a defect of fastops ended it; {where}", DEFECT)


def kept(error: BaseException) -> Path | None:
    """Writes the traceback of a defect to a file and returns its path; ``None`` where that is not possible."""
    from console.config import state_folder

    path = state_folder() / "crash" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
    return path if _written(path, error) else None


def _written(path: Path, error: BaseException) -> bool:
    from probes import text

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(text.block("".join(traceback.format_exception(error))) + "\n")
    except OSError:
        return False
    return True


def _say(sentence: str, status: int, before: str = "") -> int:
    from probes import text

    print(f"{before}fastops: {text.line(sentence)}", file=sys.stderr)  # noqa: T201 -- the program's last words
    return status
