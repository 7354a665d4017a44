"""``fastops tui``: the console."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console import config as configuration
from console.exits import FINE, USAGE, Stop

if TYPE_CHECKING:
    from console.session import Session


def run(
    targets: Sequence[str],
    *,
    read_only: bool | None,
    interval: str | None,
    unknown: bool,
    namespace: str | None,
    databases: Sequence[str] = (),
    sources: Sequence[str] = (),
    telemetry: str | None = None,
) -> int:
    """Opens the console on the named targets, or on all that is here."""
    require_terminal()
    from console.session import Session
    from console.wanted_databases import wanted

    config = configuration.load().listening(telemetry)
    if interval is not None:
        config = msgspec.structs.replace(config, interval=interval)
    named = configuration.namespace(namespace)
    session = Session(
        targets,
        config,
        read_only=read_only,
        unknown=unknown,
        execute=True,
        namespace=named,
        databases=wanted(databases, sources),
    )
    return show(session, config)


def replay(file: str) -> int:
    """Opens the console on a recording."""
    from console.recording.form import Unusable
    from console.recording.session import ReplaySession

    config = configuration.load()
    try:
        session = ReplaySession(Path(file))
    except Unusable as error:
        raise Stop(str(error), USAGE) from None
    try:
        require_terminal()
        from console import heap
        from console.recording.app import ReplayApp

        heap.begin()
        app = ReplayApp(session, keymap=config.keys)
        app.run()
    finally:
        session.close()
    return app.return_code or FINE


def show(session: Session, config: configuration.Config, *, passing: bool = False) -> int:
    """Runs the console over a session that was not started yet: the App starts it once it has painted.

    What it changes is ``passing`` where all of it ends with the console.
    """
    from console import heap
    from console.app import FastopsApp
    from console.commands._session import leave

    heap.spare(session)
    app = FastopsApp(session, keymap=config.keys)
    try:
        app.run()
    finally:
        leave(session, passing=passing)
    return app.return_code or FINE


def require_terminal() -> None:
    """Raises :class:`Stop` where there is no terminal to draw on."""
    import sys

    # The console is drawn on standard error, too: where that is a file the screen would stay blank.
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise Stop("the console needs a terminal; `fastops scan` and `fastops watch` do without one", USAGE)
