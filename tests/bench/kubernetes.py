"""fastops on large clusters, beside kubectl: objects with written statuses in a real API server; nothing changes them.

    python -m tests.bench kubernetes [--pods 1850,10000] [--runs 3] [--idle 30]

etcd and kube-apiserver alone are started on free ports of loopback, filled, and gone at the end. There is no kubelet
and no metrics-server: whatever is measured beside the objects fails, which is part of what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.cluster import build
from tests.probes.kubernetes.apiserver import ApiServer, why_not

from . import measure, tables
from .filling import Writer, fill
from .measure import Figures, Run, Subject
from .relay import Relay
from .terminal import Terminal
from .usage import cpu_seconds, tree

FASTOPS = str(Path(sys.executable).parent / "fastops")
ROWS = (
    ("first rows, s", "first_paint_seconds", "{:.2f}"),
    ("full list, diagnosed, s", "ready_seconds", "{:.2f}"),
    ("CPU until then, s", "ready_cpu_seconds", "{:.2f}"),
    ("memory settled, MiB", "settled_mib", "{:.0f}"),
    ("idle CPU, % of a core", "idle_cpu_percent", "{:.2f}"),
    ("the API server's meanwhile, %", "engine_idle_cpu_percent", "{:.2f}"),
    ("key → screen p50, ms", "key_p50_ms", "{:.1f}"),
    ("key → screen p95, ms", "key_p95_ms", "{:.1f}"),
    ("key → screen p99, ms", "key_p99_ms", "{:.1f}"),
    ("keys without an answer", "keys_lost", "{:.0f}"),
)
_TUI_SECONDS = 20
"""How long the console is watched for the bytes that it receives."""


class Found(msgspec.Struct, frozen=True):
    """What a scan finds: what a full list on the screen must show."""

    deployments: int
    errors: int


class Sized(msgspec.Struct):
    """Everything measured of one size."""

    pods: int
    found: Found
    rest_percent: float
    console: list[Figures]
    scan: list[Run]
    kubectl: list[Run]
    received: dict[str, int]


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    options = _options(arguments)
    sizes = [int(one) for one in options.pods.split(",")]
    home = tempfile.mkdtemp(prefix="fastops-bench-")
    try:
        with ApiServer() as server, Terminal() as terminal:
            measured = [_measure(server, terminal, size, home, options) for size in sizes]
    finally:
        shutil.rmtree(home)
    for one in measured:
        _print(one, options.runs)
    if len(measured) > 1:
        _compare(measured[0], measured[-1])


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", default="1850,10000", help="sizes, rising")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=float, default=30, help="seconds of idling that are measured")
    parser.add_argument("--presses", type=int, default=100)
    options = parser.parse_args(arguments)
    if shutil.which("tmux") is None:
        sys.exit("tmux is missing: apt-get install tmux")
    if (why := why_not()) is not None:
        sys.exit(why)
    return options


def _measure(server: ApiServer, terminal: Terminal, pods: int, home: str, options: argparse.Namespace) -> Sized:
    began = time.perf_counter()
    fill(Writer(server.port, server.root), pods)
    print(f"{pods} pods written in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    config = server.kubeconfig()
    scan = [FASTOPS, "scan", "k8s", "--format", "json"]
    kubectl = [str(build.programs() / "kubectl"), "get", "pods", "-A"]
    os.environ |= {"KUBECONFIG": str(config), "FASTOPS_STATE": home, "XDG_CONFIG_HOME": home}
    sized = Sized(pods, _scan(scan), _rest(server.pids, options.idle), [], [], [], {})
    for _ in range(options.runs):
        sized.kubectl.append(measure.command(kubectl, 1))
        sized.scan.append(measure.command(scan, 1))
        subject = _console(config, home, sized.found)
        sized.console.append(
            measure.on_screen(subject, terminal, server.pids, settle=15, idle=options.idle, presses=options.presses)
        )
        terminal.send("q")
    for name, command, seconds in (
        ("kubectl get pods -A", kubectl, None),
        ("fastops scan", scan, None),
        (f"fastops tui, {_TUI_SECONDS} s", [FASTOPS, "tui", "k8s"], _TUI_SECONDS),
    ):
        with Relay(server.port) as relay:
            os.environ["KUBECONFIG"] = str(server.kubeconfig(name="relay", server=relay.url))
            if seconds is None:
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            else:
                terminal.start(_within(server.root / "relay.kubeconfig", home, command))
                time.sleep(seconds)
                terminal.send("q")
            sized.received[name] = relay.received
    return sized


def _scan(command: Sequence[str]) -> Found:
    """Once before anything is measured: it fills the server's cache, and tells what there is to be found."""
    printed = subprocess.run(command, capture_output=True, check=False).stdout
    report = json.loads(printed)
    every = [finding for one in report["deployments"] for finding in one["findings"]]
    return Found(len(report["deployments"]), sum(1 for one in every if one["severity"] == "error"))


def _console(config: Path, home: str, found: Found) -> Subject:
    command = _within(config, home, [FASTOPS, "tui", "k8s"])
    # The line at the top, where links and findings are counted; and a row, whose replicas are counted.
    return Subject(
        "fastops", command, rf"● {found.errors} .*\b{found.deployments} deployments", 1, first=r"\w-\d+ .* \d+/\d+ "
    )


def _within(config: Path, home: str, command: Sequence[str]) -> tuple[str, ...]:
    settings = {"KUBECONFIG": config, "FASTOPS_STATE": home, "XDG_CONFIG_HOME": home}
    return ("env", *(f"{name}={value}" for name, value in settings.items()), *command)


def _rest(pids: Sequence[int], seconds: float) -> float:
    """What the server needs while nobody asks it anything, in percent of a core."""
    pids = [one for pid in pids for one in tree(pid)]
    before = cpu_seconds(pids)
    time.sleep(min(seconds, 15))
    return 100 * (cpu_seconds(pids) - before) / min(seconds, 15)


def _print(one: Sized, runs: int) -> None:
    found = one.found
    print(f"\n{one.pods} pods, {found.deployments} FastAPI deployments, {found.errors} errors found;", end=" ")
    print(f"medians of {runs} runs; API server and etcd at rest {one.rest_percent:.1f} %\n")
    tables.show([("", "fastops tui"), *((t, tables.median(one.console, field, shape)) for t, field, shape in ROWS)])
    print()
    peer, own = _middle(one.kubectl), _middle(one.scan)
    tables.show([tables.COMMAND, tables.command("kubectl get pods -A", peer), tables.command("fastops scan", own)])
    full = float(tables.median(one.console, "ready_seconds", "{}"))
    print(f"\nof kubectl's wall time: scan {own.wall_seconds / peer.wall_seconds:.2f}, ", end="")
    print(f"full list on the screen {full / peer.wall_seconds:.2f}")
    print("received: " + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in one.received.items()))


def _compare(small: Sized, large: Sized) -> None:
    print(f"\n{large.pods / small.pods:.1f} times the pods cost", end=" ")
    full = [float(tables.median(one.console, "ready_seconds", "{}")) for one in (small, large)]
    cpu = [float(tables.median(one.console, "ready_cpu_seconds", "{}")) for one in (small, large)]
    scans = [_middle(one.scan).cpu_seconds for one in (small, large)]
    print(f"{full[1] / full[0]:.1f} times the time to the full list,", end=" ")
    print(f"{cpu[1] / cpu[0]:.1f} times its CPU, {scans[1] / scans[0]:.1f} times a scan's CPU")


def _middle(runs: Sequence[Run]) -> Run:
    walls = sorted(runs, key=lambda one: one.wall_seconds)
    return walls[len(walls) // 2]
