"""The documents of a local service: its gunicorn configuration, its limits, its command."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from probes import workers
from probes.intent import Document, DocumentKind
from probes.model import WorkerRole
from probes.procfs import ProcFs, Tree
from probes.target import Refused
from probes.targets.local.find import Master
from probes.text import clean

LARGEST = 256_000


def sha256(text: str) -> str:
    """The version of a document."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def document(identity: str, kind: DocumentKind, title: str, text: str, version: str | None = None) -> Document:
    """A document with its version."""
    return Document(id=identity, kind=kind, title=clean(title), text=text, version=version or sha256(text))


def read_file(path: Path) -> str | None:
    """A configuration file's text, ``None`` when there is none; raises :class:`Refused` where it cannot be read."""
    try:
        if path.is_symlink():
            path = path.resolve()
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    try:
        if len(data) > LARGEST:
            raise Refused(f"{path} is larger than a configuration file: {len(data)} bytes")
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8 text, so an edit could not keep its other bytes") from None


def command_text(argv: Sequence[str]) -> str:
    """A command as a document: one argument a line, quoted as a shell would read it."""
    return "".join(f"{shlex.quote(one)}\n" for one in argv)


def command_of(text: str) -> tuple[str, ...]:
    """The command in a document."""
    return tuple(shlex.split(text))


def limits_text(values: Sequence[tuple[WorkerRole, int, int]]) -> str:
    """Limits of open files as a document: one line for all processes of a role that agree."""
    rows = {f"{role}: soft {soft}, hard {hard}\n" for role, soft, hard in values}
    return "open files (RLIMIT_NOFILE)\n" + "".join(sorted(rows))


def processes(procfs: ProcFs, tree: Tree, master: Master) -> tuple[tuple[int, int, WorkerRole], ...]:
    """Pid, start and role of the master and its workers, as they are now; empty when the master has ended."""
    stat = tree.stats.get(master.pid)
    if stat is None or stat.start_ticks != master.start_ticks:
        return ()
    server = master.command.server if master.command is not None else None
    found = workers.roles(procfs, tree, master.pid, server)
    return tuple((pid, tree.stats[pid].start_ticks, role) for pid, role in found if pid in tree.stats)


def open_file_limits(found: Sequence[tuple[int, int, WorkerRole]]) -> list[tuple[WorkerRole, int, int]]:
    """Role, soft and hard limit of each process; raises :class:`Refused` where they may not be read."""
    values: list[tuple[WorkerRole, int, int]] = []
    for pid, _, role in found:
        try:
            values.append((role, *prlimit(pid)))
        except ProcessLookupError:
            continue
        except OSError as error:
            raise Refused(f"the limits of process {pid} cannot be read: {error.strerror}") from None
    return values


def prlimit(pid: int, limits: tuple[int, int] | None = None) -> tuple[int, int]:
    """Gets, or sets and gives back the former, limits of open files (prlimit(2))."""
    if sys.platform != "linux":
        raise OSError(0, "only Linux sets limits of running processes")
    import resource

    if limits is None:
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
