"""Saves the evidence that a fix would destroy, before it does.

Logs, stacks, counters and the container's description are read by the target (already redacted, within 10 s) and
written below ``evidence/CHANGE``, beside the journal, readable by the user alone. What was saved is bounded in size,
and so is what is kept of former changes.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from probes.text import block

WITHIN_SECONDS = 10.0
MOST_BYTES = 16 << 20
"""Of one change; each file gets what the ones before it left."""
MOST_FOLDERS = 32


async def save(root: Path, change: str, read: Callable[[], Awaitable[Mapping[str, bytes]]]) -> Path | None:
    """Reads and writes the evidence of one change; ``None`` when there is none.

    Raises ``TimeoutError`` after 10 s, and whatever ``read`` or the disk raises: the caller decides whether a fix
    goes on without it.
    """
    async with asyncio.timeout(WITHIN_SECONDS):
        files = await read()
        if not files:
            return None
        return await asyncio.to_thread(_write, root, change, files)


def _write(root: Path, change: str, files: Mapping[str, bytes]) -> Path:
    folder = root / change
    for made in (root, folder):  # parents alone would get the account's usual mode
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = MOST_BYTES
    for name, content in files.items():
        # The end of a log is what led to the failure.
        text = block(content[-left:] if left > 0 else b"", lines=100_000).encode()
        left -= len(text)
        handle = os.open(folder / _safe(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
    _prune(root, keep=change)
    return folder


def _prune(root: Path, keep: str) -> None:
    """Removes the oldest folders beyond the bound; their names begin with the date."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.is_symlink() and p.name != keep)
    for old in folders[: max(0, len(folders) - (MOST_FOLDERS - 1))]:
        shutil.rmtree(old, ignore_errors=True)


def _safe(name: str) -> str:
    """A file name without anything that leaves the folder."""
    plain = re.sub(r"[^A-Za-z0-9._\-]+", "_", name).lstrip(".")
    return plain[:120] or "evidence"
