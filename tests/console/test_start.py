"""Starting is cheap: what a command does not need is not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from console.exits import PARTIAL

NOBODY = """\
apiVersion: v1
kind: Config
current-context: nobody
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""
HEAVY = {"textual", "docker", "psutil", "hyperscan", "httpx", "plotext", "rich.table", "requests", "yaml"}


def imported(*arguments: str, status: int = 0) -> set[str]:
    """The modules that a run of fastops has imported when it ends."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr))\n"
        f"sys.argv = ['fastops', *{list(arguments)!r}]\n"
        "from console.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("scan", "--help")])
def test_help_and_version_load_neither_textual_nor_an_sdk(arguments: tuple[str, ...]) -> None:
    loaded = imported(*arguments) & (HEAVY | {"sqlite3", "rich", "pydantic", "probes.target"})
    assert not loaded


def test_the_catalogue_needs_no_screen_and_no_engine() -> None:
    loaded = imported("signatures", "--format", "json")
    assert not loaded & HEAVY


def test_a_scan_loads_what_reads_and_nothing_that_writes_or_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    (tmp_path / "config").write_text(NOBODY)
    loaded = imported("scan", "k8s", status=PARTIAL)
    assert {"httpx", "probes.targets.kubernetes.target"} <= loaded
    assert not loaded & {"textual", "rich.syntax", "pygments", "probes.targets.kubernetes.draft", "wsproto"}


def test_the_collector_is_off_while_a_command_is_loaded_and_on_while_it_works() -> None:
    program = (
        "import gc, sys\n"
        "from console import heap\n"
        "begin = heap.begin\n"
        "heap.begin = lambda: (print(gc.isenabled()), begin(), print(gc.isenabled(), gc.get_freeze_count() > 0))\n"
        "sys.argv = ['fastops', 'diagnose', '-']\n"
        "from console.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input="ok\n", capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[:2] == ["False", "True True"], done.stderr
