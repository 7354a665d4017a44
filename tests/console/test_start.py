"""Starting is cheap: what a command does not need is not imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"textual", "docker", "psutil", "hyperscan", "httpx", "plotext", "rich.table", "requests", "yaml"}


def imported(*arguments: str) -> set[str]:
    """The modules that a run of fastops has imported when it ends."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr))\n"
        f"sys.argv = ['fastops', *{list(arguments)!r}]\n"
        "from console.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("scan", "--help")])
def test_help_and_version_load_neither_textual_nor_an_sdk(arguments: tuple[str, ...]) -> None:
    loaded = imported(*arguments) & (HEAVY - {"rich.table"} | {"sqlite3"})
    assert not loaded


def test_the_catalogue_needs_no_screen_and_no_engine() -> None:
    loaded = imported("signatures", "--format", "json")
    assert not loaded & HEAVY
