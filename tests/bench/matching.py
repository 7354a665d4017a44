"""The log matcher beside ripgrep: all patterns of the catalogue over the same generated log, one thread each, in turn.

    python -m tests.bench matching [--megabytes 120] [--runs 5]

ripgrep counts matching lines (``rg --count --file``); the matcher finds the same lines, and ``the whole reading`` is
what ``fastops diagnose`` does with a log: lines numbered, the latest kept, matches grouped. Compiling is left out of
the matcher's figures and stated beside them; ripgrep's is in its own, some milliseconds.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fixes import catalogue
from probes.base import ReplicaId
from probes.logs import LogStream, Matcher

from . import chatter, measure, tables
from .measure import Run

_BLOCK_BYTES = 128 << 10
_GROUP = re.compile(r"\(\?P<\w+>")
_ESCAPED = re.compile(r"\\([\"'` /<>%&@!,;:=~])")


def main(arguments: Sequence[str]) -> None:
    """Measures and prints; exits where the two do not find the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    if shutil.which("rg") is None:
        sys.exit("ripgrep is missing: apt-get install ripgrep")
    matcher = Matcher(catalogue.patterns())
    began = time.process_time()
    matcher.prepare()
    compiled = time.process_time() - began
    with tempfile.TemporaryDirectory(prefix="fastops-bench-") as folder:
        log, patterns = Path(folder, "service.log"), Path(folder, "patterns")
        lines = chatter.write(log, options.megabytes * 1_000_000)
        patterns.write_text("".join(f"{_for_ripgrep(one.regex)}\n" for one in matcher.patterns))
        data = log.read_bytes()
        ripgrep = ["rg", "--no-config", "--threads=1", "--no-unicode", "--count", f"--file={patterns}", str(log)]
        ways: dict[str, Callable[[], Run]] = {
            "ripgrep": lambda: measure.command(ripgrep, 1),
            "the matcher": lambda: _timed(lambda: _matching_lines(matcher, data)),
            "the whole reading": lambda: _timed(lambda: _read(matcher, data)),
        }
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(options.runs):
            for name, way in ways.items():
                runs[name].append(way())
        theirs = int(subprocess.run(ripgrep, capture_output=True, text=True, check=True).stdout or 0)
        ours = _matching_lines(matcher, data)
    print(
        f"\n{len(data) / 1e6:.0f} MB, {lines} lines, {len(matcher.patterns)} patterns (compiled in {compiled:.2f} s);"
    )
    print(f"matching lines: ripgrep {theirs}, fastops {ours}; medians of {options.runs} runs, one thread each\n")
    size = len(data) / 1e6
    spent = {name: statistics.median(one.cpu_seconds for one in some) for name, some in runs.items()}
    rows = [("", "wall, s", "CPU, s", "MB per CPU second", "of ripgrep's")]
    for name, some in runs.items():
        wall = statistics.median(one.wall_seconds for one in some)
        share = spent["ripgrep"] / spent[name]
        rows.append((name, f"{wall:.2f}", f"{spent[name]:.2f}", f"{size / spent[name]:.0f}", f"{share:.2f}"))
    tables.show(rows)
    if ours != theirs:
        sys.exit("the two do not find the same lines: the figures do not compare")


def _for_ripgrep(regex: str) -> str:
    """The same language in ripgrep's dialect: group names may stand once there, and only what must be is escaped."""
    return _ESCAPED.sub(r"\1", _GROUP.sub("(?:", regex))


def _matching_lines(matcher: Matcher, data: bytes) -> int:
    """How many lines match: candidates of the one pass, each confirmed on its line, as a log's reading does it."""
    count = 0
    start = 0
    while start < len(data):
        end = len(data) if start + _BLOCK_BYTES >= len(data) else data.rfind(b"\n", start, start + _BLOCK_BYTES) + 1
        block = data[start:end]
        line_end = -1
        line, matched = b"", False
        for to, index in matcher.scan(block):
            if to > line_end + 1:
                first = block.rfind(b"\n", 0, to - 1) + 1
                line_end = block.find(b"\n", first)
                line, matched = block[first:line_end], False
            if not matched and matcher.expressions[index].search(line):
                matched = True
                count += 1
        start = end
    return count


def _read(matcher: Matcher, data: bytes) -> None:
    stream = LogStream(matcher, ReplicaId("bench"))
    for start in range(0, len(data), 2 * _BLOCK_BYTES):
        stream.feed(data[start : start + 2 * _BLOCK_BYTES])
    stream.end()


def _timed(work: Callable[[], object]) -> Run:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Run(time.perf_counter() - wall, time.process_time() - cpu, 0.0)
