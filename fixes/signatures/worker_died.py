"""A worker died and was replaced, and nothing tells why.

What it means. The requests that the worker was serving are lost; a new one takes its place, so the service seems to
run. uvicorn says ``Child process [N] died`` with neither exit code nor signal: a crash in an extension module, an
``os._exit``, a kill from outside, or uvicorn's own kill of a worker that missed its ping for 5 s.

What proves it. uvicorn's line; granian's ``Unexpected exit from worker-N``; gunicorn's word of a signal that crashes
send (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE) or of an exit code that no start has.

What it is not. A worker that ended by itself: it reached ``limit_max_requests``, or its line ``Finished server process
[N]`` stands before. A reload, or a stop of the whole server. A kill for memory (``oom-killed``, ``worker-sigkill``), or
by gunicorn after ``WORKER TIMEOUT``. A worker that never started (``worker-boot-failed``, ``missing-env``) explains the
deaths that follow.

What to do. Look at what it said last. ``python -X faulthandler`` prints the stack of a crash; ``dmesg`` names a
segmentation fault.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording
from fixes.signatures._shared import At, Rise
from probes.loghits import LogHit
from probes.model import Memory

FINISHED = _wording.told("server/finished", r"Finished server process \[(?P<pid>\d+)\]")
RECYCLED = _wording.told("server/recycled", r"Maximum request limit of \d+ exceeded|Autorestarting worker after")
ENDING = _wording.told("server/ending", r"Received SIG(?:TERM|INT|QUIT|BREAK), exiting|Stopping parent process")
GRANIAN = _wording.complaint("boot/granian-exit", r"Unexpected exit from worker-\d+", 20)
CRASHED = _wording.complaint(
    "server/crashed", r"Worker \(pid:(?P<pid>\d+)\) was sent (?P<signal>SIG(?:SEGV|ABRT|BUS|ILL|FPE|SYS|TRAP))!"
)
CRASHED_BEFORE_21 = _wording.complaint(
    "server/crashed-20",
    r"Worker with pid (?P<pid>\d+) was terminated due to signal (?P<signal>[45678]|11|31)(?:[^0-9]|$)",
)
EXITED = _wording.complaint(
    "server/exited", r"Worker \(pid:(?P<pid>\d+)\) exited with code (?P<code>[125-9]|[1-9]\d+)(?:[^0-9]|$)"
)
_RAISED = re.compile(r"^\s+File \"|(?:^|[\s|])(?:[A-Za-z_]\w*\.)*[A-Za-z]\w*(?:[Ee]rror|Exception)(?:: |\s*$)")
"""The end of a traceback: it failed by itself, and said why."""
_NEAR = 40
"""Lines between a worker's end at its limit and the word of its death, with others' lines in between."""


def detect(view: View) -> Verdict:
    """Fires on deaths that neither memory, nor a limit of requests, nor a stop explains."""
    found = [
        (hit, place)
        for hit, place in _shared.places(view, _wording.CHILD_DIED, GRANIAN, CRASHED, CRASHED_BEFORE_21, EXITED)
        if not _explained(view, hit, place)
    ]
    rises = _shared.oom_rises(view) if found else {}
    found = [(hit, place) for hit, place in found if not _of_memory(rises.get(place.replica), place)]
    if not found:
        return _shared.unseen(view)
    hit = found[-1][0]
    signal, code, pid = (hit.fields.get(name) for name in ("signal", "code", "pid"))
    how = f" by {signal}" if signal and signal[0] == "S" else f" by signal {signal}" if signal else ""
    how = f" with exit code {code}" if code else how
    who = f"worker {pid}" if pid else "a worker"
    return _logged.fires(
        view,
        found,
        "error",
        f"{who} died{how} and nothing tells why",
        facts={"pid": int(pid)} if pid and len(pid) < 12 else {},
    )


def _of_memory(rise: Rise | None, place: At) -> bool:
    """Whether the kernel killed for memory about then; where the line has no time, whether it did at all."""
    return rise is not None and (place.at is None or rise.near(place.at))


def _explained(view: View, hit: LogHit, place: At) -> bool:
    if hit.key == GRANIAN.key:
        return any(_RAISED.search(line) for line in hit.before[-4:])
    pid = hit.fields.get("pid")
    ended = [
        other
        for other in view.deployment.hits
        if other.key in (FINISHED.key, _wording.TIMED_OUT.key)
        and other.replica == place.replica
        and other.fields.get("pid") == pid
        and any(mark.line < place.line for mark in other.marks)
    ]
    if ended:
        return True
    recycled = _shared.latest_line(view, place.replica, place.line, RECYCLED)
    if hit.key == _wording.CHILD_DIED.key and recycled is not None and _logged.near(recycled, place, _NEAR):
        return True
    told = _shared.latest_line(view, place.replica, place.line, ENDING, _wording.STOPPING)
    begun = _shared.latest_line(view, place.replica, place.line, _wording.BEGUN)
    return told is not None and (begun is None or begun.line < told.line)


_DIED = "INFO:     Waiting for child process [31]\nINFO:     Child process [31] died\n"

SIGNATURE = Signature(
    id=SignatureId("worker-died"),
    title="Worker died for an unknown reason",
    severity="error",
    detect=detect,
    remedies=(RemedyId("profile"), RemedyId("restart")),
    source="uvicorn/supervisors/multiprocess.py keep_subprocess_alive (0.30 on); gunicorn/arbiter.py reap_workers; "
    "granian/server/common.py",
    patterns=(
        _wording.CHILD_DIED,
        GRANIAN,
        CRASHED,
        CRASHED_BEFORE_21,
        EXITED,
        FINISHED,
        RECYCLED,
        ENDING,
        _wording.STOPPING,
        _wording.BEGUN,
        _wording.TIMED_OUT,
    ),
    explains=(SignatureId("connections-dropped"),),
    fires=(
        Example("uvicorn", _DIED + "INFO:     Started server process [32]\nINFO:     Received SIGTERM, exiting.\n"),
        Example(
            "uvicorn in JSON", '{"level": "INFO", "name": "uvicorn.error", "message": "Child process [31] died"}\n'
        ),
        Example("granian", "[ERROR] Unexpected exit from worker-1\n[INFO] Respawning worker-1\n"),
        Example(
            "a crash under gunicorn", "[2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:7) was sent SIGSEGV!\n"
        ),
        Example("a crash under gunicorn 20", "[WARNING] Worker with pid 6533 was terminated due to signal 11\n"),
        Example("an exit code", "[2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:3018) exited with code 1.\n"),
        Example("another worker reached its limit long before", "INFO: Finished server process [30]\n" + _DIED),
    ),
    silent=(
        Example(
            "it reached its limit of requests",
            "WARNING:  Maximum request limit of 10 exceeded. Terminating process.\nINFO:     Shutting down\n"
            "INFO:     Finished server process [31]\n" + _DIED,
        ),
        Example("the server stops", "INFO:     Received SIGTERM, exiting.\n" + _DIED),
        Example(
            "killed for memory",
            _DIED,
            deployment=_cases.container(memory=Memory(oom_kills=1)),
            series={"oom-kills": {_cases.REPLICA: _cases.points((-120, 0), (-60, 1))}},
        ),
        Example(
            "gunicorn's time-out",
            "[2026-11-22 09:22:40 +0000] [3016] [CRITICAL] WORKER TIMEOUT (pid:3018)\n"
            "[2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:3018) was sent SIGABRT!\n",
        ),
        Example(
            "an application that logs what a ticket says",
            'INFO:app:support ticket says "Child process [31] died"\n'
            "INFO:app:user said: [2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:7) was sent SIGSEGV!\n",
        ),
        Example("a start that failed", "[2026-11-22 09:22:41 +0000] [3] [ERROR] Worker (pid:7) exited with code 3.\n"),
        Example(
            "a normal stop of gunicorn 21", "[2026-11-22 09:22:41 +0000] [3] [ERROR] Worker (pid:7) was sent SIGTERM!\n"
        ),
        Example("another's kill", "[2026-11-22 09:22:41 +0000] [3] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps\n"),
        Example(
            "granian's start failed",
            "socket.gaierror: [Errno -2] Name or service not known\n[ERROR] Unexpected exit from worker-1\n",
        ),
    ),
)
