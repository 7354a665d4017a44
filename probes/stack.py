"""The stack of a worker's event loop, sampled from outside by py-spy without stopping the process.

``py-spy dump --nonblocking`` reads the interpreter's memory (process_vm_readv) and needs the right to ptrace: the same
user with ``kernel.yama.ptrace_scope`` 0, or root. The process runs no code for it and is never paused, so a sample may
be torn now and then: such a one is taken again, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from probes.base import Failure, Frozen
from probes.model import Frame, StackSample
from probes.target import Unreadable
from probes.text import clean, line

DEADLINE_SECONDS = 3.0
FRAMES = 32
"""Frames kept of one stack, the innermost first."""
_LARGEST = 4 << 20

# A loop waits in its selector. uvloop and Rust runtimes wait outside Python, so there the function that runs the loop
# is innermost; with the thread off the CPU that is waiting, too.
_SELECTORS = frozenset({"select", "poll", "epoll", "control"})
_RUNNERS = frozenset({"run", "run_forever", "run_until_complete", "asyncio_run", "run_once", "_run_once"})
_RUNNER_FILES = re.compile(
    r"(?:^|/)(?:asyncio|uvloop|uvicorn|uvicorn_worker|gunicorn|hypercorn|granian|anyio|rloop|winloop)/"
)


class _Frame(Frozen, frozen=True):
    name: str
    filename: str
    line: int


class _Thread(Frozen, frozen=True):
    frames: tuple[_Frame, ...]
    thread_name: str | None = None
    active: bool = False
    thread_id: int = 0
    os_thread_id: int | None = None


def program() -> str | None:
    """The py-spy that belongs to this interpreter, else the one on ``PATH``; ``None`` when there is none."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


async def sample(pid: int, deadline_seconds: float = DEADLINE_SECONDS) -> StackSample:
    """The stack of the thread that runs the event loop of process ``pid`` (as this machine numbers it).

    Raises :class:`Unreadable`: ``not-installed``, ``permission-denied``, ``not-found``, ``timeout`` or ``unreadable``.
    """
    found = program()
    if found is None:
        raise Unreadable(_failure(pid, "not-installed", "py-spy is not installed", "Install py-spy beside fastops."))
    try:
        async with asyncio.timeout(deadline_seconds):
            code, output, errors = await _dump(found, pid)
            if code != 0 and _explain(pid, errors).code == "unreadable":
                code, output, errors = await _dump(found, pid)
    except TimeoutError:
        why = f"py-spy gave no answer within {deadline_seconds:g} s"
        raise Unreadable(_failure(pid, "timeout", why, "Try again; a machine under load needs longer.")) from None
    except OSError as error:
        hint = "Reinstall py-spy for this machine."
        raise Unreadable(_failure(pid, "not-installed", line(str(error), 200), hint)) from None
    if code != 0:
        raise Unreadable(_explain(pid, errors))
    return parse(output, pid, datetime.now(UTC), Path("/proc"))


def parse(output: bytes, pid: int, at: datetime, proc: Path | None = None) -> StackSample:
    """The stack of the loop's thread in what ``py-spy dump --json`` printed; raises :class:`Unreadable`.

    ``proc`` is where the kernel of the process tells what its threads do, where that is known.
    """
    try:
        threads = msgspec.json.decode(output, type=tuple[_Thread, ...])
    except msgspec.DecodeError as error:
        raise Unreadable(
            _failure(pid, "unreadable", f"py-spy's answer was not understood: {error}", "Update py-spy.")
        ) from None
    thread = _loop_thread(threads)
    if thread is None:
        raise Unreadable(_failure(pid, "unreadable", "no Python thread was seen", "The process may just be starting."))
    frames = tuple(
        Frame(file=clean(one.filename, 512), line=one.line, function=clean(one.name, 256))
        for one in thread.frames[:FRAMES]
    )
    return StackSample(at=at, pid=pid, frames=frames, idle=_is_idle(thread, pid, proc))


def _loop_thread(threads: Sequence[_Thread]) -> _Thread | None:
    """The thread that runs an event loop; where several do, or none is seen to, the main one."""
    filled = [one for one in threads if one.frames]
    looping = [one for one in filled if any(_runs_loop(frame) for frame in one.frames)]
    for among in (looping, filled):
        main = [one for one in among if one.thread_name == "MainThread"]
        if main or among:
            return (main or among)[0]
    return None


def _runs_loop(frame: _Frame) -> bool:
    return _last(frame) in _RUNNERS and bool(_RUNNER_FILES.search(frame.filename))


def _is_idle(thread: _Thread, pid: int, proc: Path | None) -> bool:
    innermost = thread.frames[0]
    if innermost.filename.endswith("selectors.py"):
        return _last(innermost) in _SELECTORS
    return _runs_loop(innermost) and (not thread.active or _sleeps(thread, pid, proc))


def _sleeps(thread: _Thread, pid: int, proc: Path | None) -> bool:
    """Whether the kernel has the thread off the CPU, waiting.

    py-spy takes a thread of another pid namespace (a container's) for active always: it asks for the number that the
    thread has in there. ``NSpid`` (proc_pid_status(5)) ends with that one.
    """
    if proc is None or thread.os_thread_id is None:
        return False
    for task in proc.joinpath(str(pid), "task").glob("*/status"):
        try:
            fields = dict(row.partition(":")[::2] for row in task.read_text("utf-8", "replace").splitlines())
        except OSError:  # the thread has ended
            continue
        if fields.get("NSpid", "").split()[-1:] == [str(thread.os_thread_id)]:
            return fields.get("State", "").strip()[:1] in {"S", "D", "I"}
    return False


def _last(frame: _Frame) -> str:
    """The function's own name: newer interpreters qualify it (``Runner.run``)."""
    return frame.name.rpartition(".")[2]


async def _dump(found: str, pid: int) -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        *(found, "dump", "--nonblocking", "--json", "--pid", str(pid)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "RUST_BACKTRACE": "0", "NO_COLOR": "1"},
        limit=_LARGEST,
    )
    try:
        output, errors = await process.communicate()
        return process.returncode or 0, output[:_LARGEST], errors[:8192].decode("utf-8", "replace")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _explain(pid: int, errors: str) -> Failure:
    """What py-spy's own words mean, with the way out."""
    lowered = errors.lower()
    if not _exists(pid):
        return _failure(pid, "not-found", "the process has ended", "Look at what runs now.")
    if "permission denied" in lowered or "operation not permitted" in lowered or "os error 1)" in lowered:
        return _failure(
            pid, "permission-denied", "the kernel does not let this user read its memory", _permission_hint()
        )
    first = next((one for one in errors.splitlines() if one.strip()), "py-spy failed without a word")
    hint = "py-spy reads CPython 3.7 and newer; try again, or run: " + f"py-spy dump --pid {pid}"
    return _failure(pid, "unreadable", line(first.removeprefix("Error: "), 200), hint)


def _permission_hint() -> str:
    if sys.platform == "darwin":
        return "On macOS stacks are read by root only: run fastops with sudo."
    try:
        scope = int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text(encoding="ascii"))
    except (OSError, ValueError):
        scope = 0
    if scope >= 1 and os.geteuid() != 0:
        return "Run fastops with sudo, or allow it to this user: sysctl kernel.yama.ptrace_scope=0."
    if os.geteuid() != 0:
        return "Run fastops as the service's own user or as root."
    return "This machine denies ptrace even to root here: give fastops the capability SYS_PTRACE."


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _failure(pid: int, code: str, why: str, hint: str) -> Failure:
    return Failure(code=code, what=f"the stack of process {pid}", why=why, hint=hint)
