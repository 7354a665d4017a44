"""The texts of ``/proc``, parsed: pure functions over bytes that never raise; ``None`` is what is not there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from probes.base import Frozen
from probes.model import UNKNOWN_LIMIT, UNLIMITED, Limit, Listener
from probes.text import clean

TICKS_PER_SECOND: int = os.sysconf("SC_CLK_TCK")
_LISTEN, _ESTABLISHED = b"0A", b"01"  # include/net/tcp_states.h


class Stat(Frozen, frozen=True):
    """``/proc/PID/stat``: proc_pid_stat(5)."""

    pid: int
    ppid: int
    command: str
    state: str
    """One letter: R, S, D, T, Z, …"""
    cpu_seconds: float
    """User and system time of the process alone, without its children."""
    threads: int
    start_ticks: int
    """Clock ticks since boot: with the pid, the identity of a process."""


class Status(Frozen, frozen=True):
    """``/proc/PID/status``: proc_pid_status(5). Sizes in bytes."""

    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    anonymous_bytes: int | None = None
    inner_pid: int | None = None
    """The pid in its innermost PID namespace (the last number of ``NSpid``)."""
    uid: int | None = None
    """The real user id, as the reader's user namespace numbers it."""
    capabilities: int | None = None
    """The effective ones (``CapEff``), a bit for each."""


class Limits(Frozen, frozen=True):
    """``/proc/PID/limits``. ``None``: unlimited or unknown."""

    open_files: int | None = None
    open_files_hard: int | None = None
    memory: Limit = UNKNOWN_LIMIT
    """The smaller of RLIMIT_DATA and RLIMIT_AS, in bytes."""


def number(text: bytes | None) -> int | None:
    """A decimal number, or ``None``; numbers beyond 64 bits are no numbers of a kernel."""
    if text is None:
        return None
    text = text.strip()
    return int(text) if text.isdigit() and len(text) <= 20 else None


def stat(text: bytes) -> Stat | None:
    """Parses ``/proc/PID/stat``; the command may hold spaces and parentheses, so the last ``)`` ends it."""
    head, found, tail = text.rpartition(b")")
    pid_text, _, command = head.partition(b"(")
    fields = tail.split()
    pid = number(pid_text)
    if not found or pid is None or len(fields) < 20:
        return None
    values = [number(fields[index]) for index in (1, 11, 12, 17, 19)]
    ppid, user, system, threads, start = values
    if ppid is None or user is None or system is None or threads is None or start is None:
        return None
    return Stat(
        pid=pid,
        ppid=ppid,
        command=clean(command, 64),
        state=clean(fields[0], 1),
        cpu_seconds=(user + system) / TICKS_PER_SECOND,
        threads=threads,
        start_ticks=start,
    )


def _fields(text: bytes) -> dict[bytes, bytes]:
    return {name.strip(): value for name, found, value in (line.partition(b":") for line in text.split(b"\n")) if found}


def _kilobytes(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    value = fields.get(name)
    kilobytes = None if value is None else number(value.replace(b"kB", b""))
    return None if kilobytes is None else kilobytes * 1024


def queued_seconds(text: bytes) -> float | None:
    """The second figure of ``/proc/PID/schedstat``, nanoseconds; source: the kernel's scheduler/sched-stats.rst."""
    figures = text.split()
    return int(figures[1]) / 1e9 if len(figures) >= 2 and figures[1].isdigit() and len(figures[1]) < 20 else None


def _hexadecimal(text: bytes | None) -> int | None:
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None


def status(text: bytes) -> Status:
    """Parses ``/proc/PID/status``."""
    fields = _fields(text)
    return Status(
        rss_bytes=_kilobytes(fields, b"VmRSS"),
        peak_rss_bytes=_kilobytes(fields, b"VmHWM"),
        anonymous_bytes=_kilobytes(fields, b"RssAnon"),
        inner_pid=number((fields.get(b"NSpid", b"").split() or [b""])[-1]),
        uid=number((fields.get(b"Uid", b"").split() or [b""])[0]),
        capabilities=_hexadecimal(fields.get(b"CapEff")),
    )


def proportional(text: bytes) -> tuple[int | None, int | None]:
    """PSS and anonymous PSS in bytes, from ``smaps_rollup`` (Pss_Anon: Linux 5.9 and newer)."""
    fields = _fields(text)
    return _kilobytes(fields, b"Pss"), _kilobytes(fields, b"Pss_Anon")


def limits(text: bytes) -> Limits:
    """Parses ``/proc/PID/limits``: fixed columns, the name is 26 wide and may hold spaces."""
    rows = {line[:26].strip(): line[26:].split() for line in text.split(b"\n")}
    files = rows.get(b"Max open files", [])
    memory = [rows[name][0] for name in (b"Max data size", b"Max address space") if rows.get(name)]
    finite = [value for value in map(number, memory) if value is not None]
    if finite:
        limit = Limit(limited=True, value=float(min(finite)))
    else:
        limit = UNLIMITED if memory and all(one == b"unlimited" for one in memory) else UNKNOWN_LIMIT
    return Limits(
        open_files=number(files[0]) if files else None,
        open_files_hard=number(files[1]) if len(files) > 1 else None,
        memory=limit,
    )


def arguments(text: bytes) -> tuple[str, ...]:
    """Parses ``cmdline``. A process title (one text padded with NULs or spaces) is one argument."""
    text = text.rstrip(b"\0 ")
    return tuple(one.decode("utf-8", "surrogateescape") for one in text.split(b"\0")) if text else ()


def environment(text: bytes) -> dict[str, str]:
    """Parses ``environ``."""
    pairs = (one.decode("utf-8", "surrogateescape").partition("=") for one in text.split(b"\0"))
    return {name: value for name, found, value in pairs if found and name}


def address(text: bytes) -> tuple[str, int] | None:
    """``0100007F:1F40`` → ``127.0.0.1``, 8000: words of 32 bits in the host's byte order (little-endian here)."""
    host, _, port = text.partition(b":")
    if len(host) not in (8, 32) or len(port) != 4:
        return None
    try:
        raw = bytes.fromhex(host.decode("ascii"))
        port_number = int(port, 16)
    except ValueError:
        return None
    packed = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(packed) == 16 and packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), port_number


def listeners(*tables: bytes, inodes: frozenset[int] | None = None) -> tuple[Listener, ...]:
    """Listening sockets of ``net/tcp`` and ``net/tcp6`` with the connections established to their ports.

    With ``inodes`` only sockets that are among them: the process's own in a namespace that it shares.
    """
    listening: dict[tuple[str, int], None] = {}
    established: dict[bytes, int] = {}
    for table in tables:
        for line in table.split(b"\n")[1:]:
            fields = line.split(None, 10)
            if len(fields) < 10:
                continue
            if fields[3] == _ESTABLISHED:
                port = fields[1][-4:]
                established[port] = established.get(port, 0) + 1
            elif fields[3] == _LISTEN and (inodes is None or number(fields[9]) in inodes):
                found = address(fields[1])
                if found is not None:
                    listening[found] = None
    return tuple(
        Listener(address=host, port=port, established=established.get(b"%04X" % port, 0))
        for host, port in sorted(listening)
    )


def boot_time(text: bytes) -> int | None:
    """Seconds since the epoch at which the machine started: ``btime`` of ``/proc/stat``."""
    for line in text.split(b"\n"):
        if line.startswith(b"btime "):
            return number(line[6:])
    return None
