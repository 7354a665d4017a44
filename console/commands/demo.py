"""``fastops demo``: sick services and the console on them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from console import config as configuration
from console.commands.tui import require_terminal, show
from console.exits import USAGE, Stop
from probes.target import Options, Target


def run(*, docker: bool, image: str | None, read_only: bool) -> int:
    """Starts the services, opens the console, and ends them with it, however it ends."""
    require_terminal()
    from console import demo

    def open_console(make: Callable[[Options], Target], directory: Path) -> int:
        from console.session import Session

        os.environ["FASTOPS_STATE"] = str(directory / "state")
        config = configuration.load()
        session = Session((), config, read_only=read_only or None, makers=(make,))
        return show(session, config, passing=True)

    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        return demo.run(docker, image, open_console)
    except demo.DemoError as error:
        raise Stop(str(error), USAGE) from None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Ends as Ctrl-C does, so that what was started is stopped."""
    raise KeyboardInterrupt
