"""Log files: followed as they grow, through rotation and truncation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from probes.targets.local.follow import LINE_BYTES, PAST_BYTES, Follower, stamped
from probes.targets.local.logs import outputs

STAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", re.MULTILINE)


def bare(chunk: bytes) -> bytes:
    return STAMP.sub(b"", chunk)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_the_past_comes_as_it_is_and_what_follows_with_the_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"old\n")
    follower = Follower(str(path))
    assert follower.read() == b"old\n"
    append(path, b"new\nhalf")
    chunk = follower.read()
    assert STAMP.match(chunk)
    assert bare(chunk) == b"new\n"
    assert follower.read() == b""
    append(path, b" line\n")
    assert bare(follower.read()) == b"half line\n"
    follower.close()


def test_of_a_long_past_the_latest_part_is_read_from_a_lines_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(300_000)))
    follower = Follower(str(path))
    chunk = follower.read()
    assert PAST_BYTES - 100 < len(chunk) <= PAST_BYTES
    assert re.match(rb"line \d+\n", chunk)
    assert chunk.endswith(b"line 299999\n")
    follower.close()


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    follower = Follower(str(path))
    follower.read()
    append(path, b"two\n")
    path.rename(tmp_path / "a.log.1")
    path.write_bytes(b"three\n")
    assert bare(follower.read()) == b"two\n"
    assert follower.read() == b""
    assert bare(follower.read()) == b"three\n"
    follower.close()


def test_a_truncated_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"long enough\n")
    follower = Follower(str(path))
    follower.read()
    os.truncate(path, 0)
    append(path, b"new\n")
    assert bare(follower.read()) == b"new\n"
    follower.close()


def test_a_file_that_vanishes_and_comes_back_is_followed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    follower = Follower(str(path))
    assert follower.read() == b""
    assert follower.error
    path.write_bytes(b"here\n")
    assert bare(follower.read()) == b"here\n"
    assert follower.error is None
    follower.close()


def test_a_line_without_an_end_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"")
    follower = Follower(str(path))
    append(path, b"x" * (LINE_BYTES * 2))
    assert len(bare(follower.read())) == LINE_BYTES * 2 + 1
    follower.close()


def test_stamps_are_put_before_each_line() -> None:
    at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert stamped(b"", at) == b""
    assert stamped(b"a\n\nb\n", at) == b"".join(
        b"2026-11-22T09:00:00.000000Z " + one for one in (b"a\n", b"\n", b"b\n")
    )


def test_a_line_is_never_dated_after_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"")
    follower = Follower(str(path))
    follower.read()
    append(path, b"here\n")
    written = datetime.now(UTC)
    stamp = follower.read().split()[0].decode()
    assert datetime.fromisoformat(stamp) <= written
    follower.close()


def test_files_behind_output_and_log_descriptors_are_found(tmp_path: Path) -> None:
    code = (
        "import sys; a = open('own.log', 'a'); b = open('data.txt', 'a'); c = open('read.log');"
        "print('ready', flush=True); sys.stdin.read()"
    )
    (tmp_path / "read.log").write_text("")
    with (tmp_path / "out.txt").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=out, stderr=out
        )
    assert process.stdin is not None
    try:
        while not (tmp_path / "out.txt").read_text():
            assert process.poll() is None
        found, why = outputs(process.pid, [process.pid])
    finally:
        process.stdin.close()
        process.wait()
    assert set(found) == {str(tmp_path / "out.txt"), str(tmp_path / "own.log")}
    assert why is None


def test_a_pipe_is_unread_and_said_so() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        found, why = outputs(process.pid, [process.pid])
    finally:
        process.communicate(b"\n")
    assert found == {}
    assert why is not None
    assert "pipe" in why
