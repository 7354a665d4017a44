"""One program in a terminal: first paint, full list, memory, idle CPU, key to screen. One command: wall, CPU, peak."""

from __future__ import annotations

import math
import os
import random
import re
import statistics
import subprocess
import time
from collections.abc import Sequence

import msgspec

from .terminal import Terminal
from .usage import cpu_seconds, resident_mib, tree


class Subject(msgspec.Struct, frozen=True):
    """What is measured."""

    name: str
    command: tuple[str, ...]
    ready: str
    """A regular expression that a line of the plain screen matches when its row is complete."""
    rows: int
    """So many such lines, and the full list is there."""
    first: str = r"\S"
    """A regular expression that the plain screen holds when it has painted: by default anything at all."""
    keys: tuple[str, ...] = ("Down", "Up")
    first_keys: tuple[str, ...] = ()
    """Pressed once before the measurement, for example to focus a list."""


class Figures(msgspec.Struct, frozen=True):
    """What was measured of a program on a screen."""

    first_paint_seconds: float
    ready_seconds: float
    ready_cpu_seconds: float
    """CPU that it took until then."""
    settled_mib: float
    idle_cpu_percent: float
    """Of one core, the program's own."""
    engine_idle_cpu_percent: float
    key_p50_ms: float
    key_p95_ms: float
    key_p99_ms: float
    keys_lost: int


def on_screen(
    subject: Subject, terminal: Terminal, engine: Sequence[int], *, settle: float, idle: float, presses: int
) -> Figures:
    """Measures a program from its start; raises ``TimeoutError`` when its list never comes."""
    terminal.start(["sleep", "86400"])
    time.sleep(0.5)
    began = time.perf_counter()
    pid = terminal.start(subject.command)
    first, ready = _appears(terminal, subject, began)
    spent = cpu_seconds(tree(pid))
    for key in subject.first_keys:
        terminal.send(key)
        time.sleep(0.3)
    time.sleep(settle)
    settled = resident_mib(tree(pid))
    before = cpu_seconds(tree(pid)), cpu_seconds(engine)
    time.sleep(idle)
    after = cpu_seconds(tree(pid)), cpu_seconds(engine)
    took, lost = _press(terminal, subject.keys, presses)
    return Figures(
        first_paint_seconds=first,
        ready_seconds=ready,
        ready_cpu_seconds=spent,
        settled_mib=settled,
        idle_cpu_percent=100 * (after[0] - before[0]) / idle,
        engine_idle_cpu_percent=100 * (after[1] - before[1]) / idle,
        key_p50_ms=_quantile(took, 0.5),
        key_p95_ms=_quantile(took, 0.95),
        key_p99_ms=_quantile(took, 0.99),
        keys_lost=lost,
    )


class Run(msgspec.Struct, frozen=True):
    """What was measured of a plain command: medians."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


def command(arguments: Sequence[str], runs: int) -> Run:
    """Runs a command several times with its output thrown away."""
    walls, cpus, peaks = [], [], []
    for _ in range(runs):
        began = time.perf_counter()
        child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
        walls.append(time.perf_counter() - began)
        cpus.append(used.ru_utime + used.ru_stime)
        peaks.append(used.ru_maxrss / 1024)
    return Run(statistics.median(walls), statistics.median(cpus), statistics.median(peaks))


def _appears(terminal: Terminal, subject: Subject, began: float, limit: float = 120) -> tuple[float, float]:
    first: float | None = None
    text, row, painted = "", re.compile(subject.ready), re.compile(subject.first)
    while time.perf_counter() - began < limit:
        text = terminal.screen(colours=False)
        now = time.perf_counter() - began
        if first is None and painted.search(text):
            first = now
        if first is not None and sum(1 for line in text.splitlines() if row.search(line)) >= subject.rows:
            return first, now
        time.sleep(0.005)
    raise TimeoutError(f"the list never came; the screen was:\n{text}")


def _press(terminal: Terminal, keys: Sequence[str], presses: int, limit: float = 5.0) -> tuple[list[float], int]:
    """Times presses, ten of each key in turn; returns the latencies in ms and how many showed nothing."""
    rng = random.Random(7)
    took: list[float] = []
    lost = 0
    for number in range(presses):
        time.sleep(rng.uniform(0.02, 0.08))  # no rhythm that a frame timer could match
        before = terminal.quiet()
        began = time.perf_counter()
        terminal.send(keys[number // 10 % len(keys)])
        while terminal.screen() == before and time.perf_counter() - began < limit:
            time.sleep(0.0005)
        seconds = time.perf_counter() - began
        if seconds < limit:
            took.append(1000 * seconds)
        else:
            lost += 1
    return took, lost


def _quantile(values: list[float], share: float) -> float:
    """Nearest rank; ``nan`` without values."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan
