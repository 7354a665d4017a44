"""``fastops demo`` on a terminal: six sick services on the screen, and nothing left whatever ends it."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.demo.layout import PREFIX, REGISTRY, SERVICES
from tests.console._fastops import Fastops, until
from tests.console._left import left, until_nothing_is_left
from tests.console._terminal import Terminal

pytestmark = pytest.mark.slow
END_SECONDS = 60


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo makes its directory; its sockets need a short path."""
    made = Path(tempfile.mkdtemp(prefix="demo-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def directory_of(terminal: Terminal, place: Path) -> Path:
    """Waits until the services run and are on the screen."""
    names = [one.name for one in SERVICES]
    until("the services", lambda: bool(list(place.glob(f"{PREFIX}*/{REGISTRY}"))), END_SECONDS)
    until("the fleet on the screen", lambda: all(name in terminal.shown for name in names), END_SECONDS)
    (directory,) = place.glob(f"{PREFIX}*")
    assert len(left(directory)) > len(SERVICES)
    return directory


@pytest.mark.parametrize("end", ["q", "ctrl-c", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_outlives_the_demo_whatever_ends_it(end: str, place: Path, tmp_path: Path) -> None:
    fastops = Fastops(tmp_path)
    with Terminal(fastops.command("demo"), fastops.env | {"TMPDIR": str(place)}) as terminal:
        directory = directory_of(terminal, place)
        if end.startswith("SIG"):
            terminal.process.send_signal(signal.Signals[end])
        else:
            terminal.press({"q": "q", "ctrl-c": "\x03"}[end])
        terminal.process.wait(END_SECONDS)
        if end == "q":
            assert terminal.process.returncode == 0, terminal.shown[-2000:]
    until_nothing_is_left(directory)
    assert list(place.iterdir()) == []
