"""What gunicorn's control socket tells: the configuration in force, and when its workers last gave a sign of life.

gunicorn ≥ 25.1 listens on a Unix socket of its user's (``$XDG_RUNTIME_DIR/gunicorn.ctl``, ``~/.gunicorn/gunicorn.ctl``,
or what ``--control-socket`` names) that can also stop it and change its workers. Nothing in here can ask for that:
there are two requests, they are constants, and what is sent is one of them. A frame is a length of 4 bytes (big-endian)
and JSON (``gunicorn/ctl/protocol.py``).

The socket is found among those that the master itself holds, so neither its user nor its environment is guessed, and
nothing is sent before the kernel has said that the master answers: whatever stands at that path in a container, another
service is never spoken to. Nothing raises; blocking, :mod:`probes.controls` calls it aside.
"""

from __future__ import annotations

import re
import shlex
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from probes import rooted, text
from probes.base import Frozen, Value
from probes.model import Heartbeat, Setting, StackSample, Worker
from probes.procfs import ProcFs
from probes.server_settings import Known, address

SOURCE = "gunicorn's control socket"
SECONDS = 2.0
"""For all that is asked of one master: it answers within milliseconds, from a thread that no request holds up."""
LARGEST = 64 << 10
"""Of one answer, in bytes: the configuration of gunicorn 27 has 600, a worker 90."""
_USUAL = ".ctl"
_OPTION = "--control-socket"
_MOST = 256
_TABLE = 4 << 20  # of net/unix: 40,000 sockets
_ACCEPTS = 0x10000  # __SO_ACCEPTCON, include/linux/net.h
Shown = Literal["config", "workers"]
T = TypeVar("T")
_REQUESTS: Mapping[Shown, bytes] = {
    "config": b'{"id": 1, "command": "show", "args": ["config"]}',
    "workers": b'{"id": 2, "command": "show", "args": ["workers"]}',
}
_NAMES: Mapping[str, str] = {
    "bind": "bind",
    "workers": "workers",
    "worker_class": "worker_class",
    "threads": "threads",
    "timeout": "timeout",
    "graceful_timeout": "graceful_timeout",
    "keepalive": "keepalive",
    "max_requests": "max_requests",
    "max_requests_jitter": "max_requests_jitter",
    "preload_app": "preload",
    "reload": "reload",
}
"""gunicorn's names → fastops' own; of what else it tells nothing is kept."""
_CLASS = re.compile(r"<class '([\w.]+)'>")
_OWN_CLASSES: Mapping[str, str] = {
    "gunicorn.workers.sync.SyncWorker": "sync",
    "gunicorn.workers.gthread.ThreadWorker": "gthread",
    "gunicorn.workers.ggevent.GeventWorker": "gevent",
    "gunicorn.workers.gtornado.TornadoWorker": "tornado",
    "gunicorn.workers.gasgi.ASGIWorker": "asgi",
}


class Control(Frozen, frozen=True):
    """What one master told."""

    at: datetime
    settings: Mapping[str, Setting]
    """Those in force, by the names of :mod:`probes.servers`."""
    heartbeats: tuple[Heartbeat, ...] = ()
    """Of workers whose event loop gives them (ASGI)."""
    stacks: tuple[StackSample, ...] = ()
    """Of the workers whose sign of life is late."""


class _Beat(msgspec.Struct):
    pid: int
    last_heartbeat: float | None = None


class _Beats(msgspec.Struct):
    workers: list[_Beat]


class _Answer(msgspec.Struct):
    id: int
    status: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Nothing(Exception):
    """It did not answer, or not as gunicorn does."""


def ask(procfs: ProcFs, workers: Sequence[Worker]) -> Control | None:
    """What the master (the first with that role) says of itself and of these workers; ``None`` where it does not."""
    master = next((one for one in workers if one.role == "master"), None)
    serving = [one for one in workers if one.role == "worker"]
    if master is None or not serving:
        return None
    path = find(procfs, master.pid, [one.pid for one in serving])
    if path is None:
        return None
    try:
        with rooted.opened(f"{procfs.root}/{master.pid}/root", path) as found:
            return _ask(f"/proc/self/fd/{found}", master, serving)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError, _Nothing):
        return None


def find(procfs: ProcFs, master: int, workers: Sequence[int]) -> str | None:
    """The path at which the master listens for commands, as it sees it; ``None`` where there is none, or it is unclear.

    Workers inherit the sockets for requests, never this one: gunicorn closes it while it forks. A hook of the service
    may listen in the master too: a path counts that the command names, or that ends as gunicorn's own does.
    """
    held = procfs.sockets(master)
    shared = [procfs.sockets(pid) for pid in workers]
    if not held or None in shared:
        return None
    own = held.difference(*(one for one in shared if one is not None))
    paths = {path for inode, path in _listening(procfs, master) if inode in own}
    told = _named(procfs, master)
    found = [path for path in paths if told and path.endswith("/" + told.lstrip("./"))]
    found = found or [path for path in paths if path.endswith(_USUAL)]
    return found[0] if len(found) == 1 else None


def _named(procfs: ProcFs, master: int) -> str | None:
    """What the command line, else the environment, names; it may be relative."""
    try:
        words = shlex.split((procfs.environ(master) or {}).get("GUNICORN_CMD_ARGS", ""))
    except ValueError:
        words = []
    words += procfs.argv(master) or ()
    for index in range(len(words) - 1, -1, -1):
        option, equals, value = words[index].partition("=")
        if option == _OPTION:
            return value if equals else next(iter(words[index + 1 : index + 2]), None)
    return None


def _listening(procfs: ProcFs, pid: int) -> list[tuple[int, str]]:
    """The listening Unix sockets of a network namespace, with their inodes and absolute paths (``net/unix``)."""
    try:
        with open(f"{procfs.root}/{pid}/net/unix", "rb") as file:  # noqa: PTH123 - below a root that is a text
            rows = file.read(_TABLE).split(b"\n")[1:]
    except OSError:
        return []
    found = []
    for row in rows:
        fields = row.split(None, 7)
        if len(fields) == 8 and fields[7].startswith(b"/") and fields[6].isdigit() and len(fields[6]) < 20:
            try:
                if int(fields[3], 16) & _ACCEPTS:
                    found.append((int(fields[6]), fields[7].decode("utf-8", "surrogateescape")))
            except ValueError:
                continue
    return found


def _ask(place: str, master: Worker, serving: Sequence[Worker]) -> Control:
    deadline = time.monotonic() + SECONDS
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(place)
        if peer(connection) != master.pid:
            raise _Nothing
        config = _decoded(show(connection, "config", deadline), dict[str, msgspec.Raw])
        beats = _decoded(show(connection, "workers", deadline), _Beats)
    known = Known()
    for name, ours in _NAMES.items():
        value = _value(config.get(name))
        if value is not None:
            known.put(ours, _class_name(value) if name == "worker_class" else value, SOURCE)
    settings = known.finish("/").settings
    return Control(at=datetime.now(UTC), settings=settings, heartbeats=_heartbeats(settings, beats, serving))


def peer(connection: socket.socket) -> int:
    """The process that listens at the other end, as the kernel tells it (``SO_PEERCRED``, unix(7))."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[0])


def show(connection: socket.socket, what: Shown, deadline: float) -> bytes:
    """Sends the one request or the other and returns what is answered; ``deadline`` is monotonic seconds.

    Raises :class:`OSError` where it does not come in time, and what :func:`ask` understands where it is too long.
    """
    request = _REQUESTS[what]
    connection.sendall(struct.pack(">I", len(request)) + request)
    (length,) = struct.unpack(">I", _received(connection, 4, deadline))
    if length > LARGEST:
        raise _Nothing
    return _received(connection, length, deadline)


def _received(connection: socket.socket, length: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while length > 0:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(length)
        if not part:
            raise _Nothing
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _decoded(body: bytes, kind: type[T]) -> T:
    answer = msgspec.json.decode(body, type=_Answer)
    if answer.status != "ok":
        raise _Nothing
    return msgspec.json.decode(answer.data, type=kind)


def _value(told: msgspec.Raw | None) -> Value | list[str] | None:
    """A plain value, its text cleaned and redacted; ``None`` for whatever else it is."""
    if told is None:
        return None
    try:
        found = msgspec.json.decode(told, type=bool | int | float | str | list[str])
    except msgspec.MsgspecError:
        return None
    if isinstance(found, list):
        return [text.line(one, 300) for one in found[:_MOST]]
    return text.line(found, 300) if isinstance(found, str) else found


def _class_name(value: Value | list[str]) -> Value | None:
    """``<class 'uvicorn_worker._workers.UvicornWorker'>`` as it is configured."""
    found = _CLASS.fullmatch(str(value))
    return None if found is None else _OWN_CLASSES.get(found[1], found[1])


def _heartbeats(settings: Mapping[str, Setting], beats: _Beats, serving: Sequence[Worker]) -> tuple[Heartbeat, ...]:
    """Of workers whose loop gives them: gunicorn wants one each half of its time-out (``arbiter.py``, spawn_worker)."""
    kind, timeout = settings.get("worker_class"), settings.get("timeout")
    if kind is None or timeout is None or not isinstance(timeout.value, int | float):
        return ()
    if kind.value != "asgi" and "uvicorn" not in str(kind.value).lower():
        return ()
    pids = {one.inner_pid or one.pid: one.pid for one in serving}
    now = datetime.now(UTC)
    return tuple(
        Heartbeat(at=now, pid=pids[one.pid], silent_seconds=one.last_heartbeat, every_seconds=timeout.value / 2)
        for one in beats.workers[:_MOST]
        # Below zero: its file has the clock's time until the first sign of life.
        if one.pid in pids and one.last_heartbeat is not None and one.last_heartbeat >= 0
    )


def effective(settings: Mapping[str, Setting], told: Control | None) -> Mapping[str, Setting]:
    """The settings as they are in force.

    Where the socket tells what was read from a place (the command line, a file) that place stays named: a change has
    to be made there. What differs from it, or was unknown, names the socket.
    """
    if told is None:
        return settings
    merged = dict(settings)
    for name, setting in told.settings.items():
        known = settings.get(name)
        if known is None or not _same(name, known.value, setting.value):
            merged[name] = setting
    return merged


def _same(name: str, known: Value, told: Value) -> bool:
    if name == "bind":
        return [address(one) or one for one in str(known).split(",")] == [
            address(one) or one for one in str(told).split(",")
        ]
    if name == "worker_class":  # a package may take the class from a module of its own
        one, other = str(known).split("."), str(told).split(".")
        return one == other or (len(one) > 1 and (one[0], one[-1]) == (other[0], other[-1]))
    return known == told
