"""Follows a systemd unit's journal: ``journalctl --follow``, its lines turned into stamped ones."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from probes.targets.local.follow import LINE_BYTES
from probes.targets.local.origin import Origin

# `-o short-iso-precise`: 2026-11-22T09:21:50.123456+0000 host unit[123]: message
_ROW = re.compile(
    rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?)([+-]\d\d):?(\d\d) \S+ [^:\n]*?(?:\[\d+\])?: (.*)$", re.DOTALL
)


def available(of: Origin) -> bool:
    """Whether this process belongs to a unit whose journal can be asked for."""
    return of.unit is not None and shutil.which("journalctl") is not None


def command(of: Origin, since: datetime) -> tuple[str, ...]:
    """The command that follows a unit's journal from ``since`` on."""
    assert of.unit is not None
    user = ("--user",) if of.user_unit else ()
    begin = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    which = "--user-unit" if of.user_unit else "--unit"
    return (
        "journalctl",
        *user,
        "--follow",
        "--output=short-iso-precise",
        "--quiet",
        f"--since={begin}",
        which,
        of.unit,
    )


def row(line: bytes) -> bytes:
    """One line of journalctl as ``TIME MESSAGE``; what has no such form (a message's next line) passes as it is."""
    found = _ROW.match(line)
    if found is None:
        return line
    return b"%s%s:%s %s" % (found[1].replace(b",", b"."), found[2], found[3], found[4])


async def follow(of: Origin, since: datetime) -> AsyncGenerator[bytes, None]:
    """Stamped lines of a unit's journal until closed; ends when journalctl does."""
    process = await asyncio.create_subprocess_exec(
        *command(of, since),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE_BYTES * 4,
    )
    assert process.stdout is not None
    try:
        partial = b""
        while chunk := await process.stdout.read(1 << 18):
            text = partial + chunk
            end = text.rfind(b"\n") + 1
            partial = text[end:][-LINE_BYTES:]
            if end:
                yield b"".join(row(one) + b"\n" for one in text[: end - 1].split(b"\n"))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
