"""Saves what a restart of a local service would destroy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import msgspec

from probes import text
from probes.model import StackSample
from probes.procfs import ProcFs
from probes.target import Access, Unreadable
from probes.targets.local.service import Service

DEADLINE_SECONDS = 9.0
WORKERS = 8
DESCRIPTORS = 2000


async def evidence(service: Service, procfs: ProcFs, access: Access) -> Mapping[str, bytes]:
    """File name → redacted content; what cannot be had within the time is left out."""
    kept = "\n".join(line.text for line in service.log.lines(0))
    found = {"log.txt": kept.encode()}
    workers = service.measured.workers if service.measured is not None else ()
    found["workers.json"] = msgspec.json.format(msgspec.json.encode(workers))
    found["descriptors.txt"] = await asyncio.to_thread(_descriptors, procfs, [one.pid for one in workers[:WORKERS]])
    stacks: list[StackSample] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for again in range(2):
                serving = [one for one in workers if one.role != "master"][:WORKERS]
                stacks += [await access.stacks(one.replica, one.pid) for one in serving]
                if not again:
                    await asyncio.sleep(1)  # two samples tell a wait from a moment
    except (TimeoutError, Unreadable):
        pass
    if stacks:
        found["stacks.json"] = msgspec.json.format(msgspec.json.encode(stacks))
    return found


def _descriptors(procfs: ProcFs, pids: list[int]) -> bytes:
    rows: list[str] = []
    for pid in pids:
        folder = f"{procfs.root}/{pid}/fd"
        try:
            names = os.listdir(folder)  # noqa: PTH208 - a folder of /proc
        except OSError:
            continue
        for name in names[:DESCRIPTORS]:
            try:
                rows.append(f"{pid} {name} {text.line(os.readlink(f'{folder}/{name}'), 500)}")  # noqa: PTH115
            except OSError:
                continue
    return "\n".join(rows).encode()
