"""``fastops``: runs the command line and turns every end into one sentence and one exit status."""

from __future__ import annotations

import gc
import os
import sys

from console import exits


def main() -> None:
    """The entry point; never returns."""
    gc.disable()  # until `heap.begin`
    # httpx brings a command line of its own, with what it needs. Nobody calls it here, and it took 50 ms of each start.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        from console.cli import run

        code = run(sys.argv[1:])
    except BaseException as error:  # noqa: BLE001 -- the last resort: people see a sentence, never a traceback
        code = exits.explain(error)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `fastops scan | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stderr.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
