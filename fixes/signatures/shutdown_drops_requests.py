"""A stop ends requests by force.

What it means. A server that is told to stop lets running requests end, for so long as it may (``graceful_timeout``,
``--timeout-graceful-shutdown``), and the engine kills it after its own grace period (10 s on Docker). What runs
longer is cut off: each deploy loses some requests.

What proves it. uvicorn's ``Cancel N running task(s), timeout graceful shutdown exceeded``; gunicorn's ``Handling
signal: term`` after which it kills a worker, or ends (``Shutting down: Master``) although a worker has not said
``Finished server process``; or the engine's SIGKILL at the end of the grace period after its SIGTERM.

Pods that are told to go say the same; the kubelet's grace period is 30 s.

What it is not. A stop that ends in time (exit 0 or 143). A kill without a stop before (``docker kill``). The quick
stop of gunicorn (INT, QUIT), which is meant so.

What to do. A graceful time-out below the engine's grace period, and a grace period above the longest request.
"""

from __future__ import annotations

from msgspec.structs import replace

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording
from fixes.signatures._shared import At
from fixes.signatures.worker_died import FINISHED
from probes.loghits import LogHit
from probes.model import Event, Replica

CANCELLED = _wording.told(
    "shutdown/cancelled", r"Cancel (?P<tasks>\d+) running task\(s\), timeout graceful shutdown exceeded"
)
TERMINATED = _wording.told("shutdown/term", r"Handling signal: term")
MASTER_ENDS = _wording.told("shutdown/master", r"Shutting down: Master")
SERVING = _wording.told("shutdown/serving", r"Started server process \[(?P<pid>\d+)\]")
GONE = _wording.told("shutdown/gone", r"Worker exiting \(pid: (?P<pid>\d+)\)")
DEFAULT_GRACE_SECONDS = 10.0
_ALMOST = 0.9


def detect(view: View) -> Verdict:
    """Fires on stops that did not wait for the requests that ran."""
    if view.whole is not None:  # here what ends is what counts
        view = replace(view, deployment=view.whole)
    found = list(_shared.places(view, CANCELLED))
    found += [(hit, place) for hit, place in _shared.places(view, _wording.KILLED) if _while_ending(view, place)]
    found += _unfinished(view)
    told = [e for replica in view.deployment.replicas for e in _killed(view, replica)]
    if not found and not told:
        return _shared.unseen(view)
    tasks = [int(hit.fields["tasks"][:9]) for hit, _ in found if "tasks" in hit.fields]
    what = f"{max(tasks)} running requests" if tasks and max(tasks) > 1 else "requests that still ran"
    return _logged.fires(view, found, "warning", f"a stop ended {what} by force", more=told)


def _while_ending(view: View, place: At) -> bool:
    told = _shared.latest_line(view, place.replica, place.line, TERMINATED)
    begun = _shared.latest_line(view, place.replica, place.line, _wording.BEGUN)
    return told is not None and (begun is None or begun.line < told.line)


def _unfinished(view: View) -> list[tuple[LogHit, At]]:
    """Masters that ended while a uvicorn worker of theirs had not."""
    found = []
    for hit, place in _shared.places(view, MASTER_ENDS):
        told = _shared.latest_line(view, place.replica, place.line, TERMINATED)
        begun = _shared.latest_line(view, place.replica, place.line, _wording.BEGUN)
        if told is None or begun is None or begun.line > told.line:
            continue  # workers that began before the text does are not known
        served = _pids(view, place, begun.line, told.line, SERVING.key)
        ended = _pids(view, place, begun.line, place.line, FINISHED.key, GONE.key, *_LOST)
        if len(served - ended) > len(_replaced(view, place, begun.line, told.line)):
            found.append((hit, place))
    return found


def _replaced(view: View, place: At, start: int, end: int) -> set[str]:
    """Workers that began after another one served: each stands for one that had gone, some of them without a word."""
    serving = [
        mark.line
        for hit in view.deployment.hits
        if hit.key == SERVING.key and hit.replica == place.replica
        for mark in hit.marks
        if start < mark.line < end
    ]
    return _pids(view, place, min(serving, default=end), end, _wording.BOOTING.key)


_LOST = (_wording.KILLED.key, _wording.KILLED_BEFORE_21.key, _wording.TIMED_OUT.key, "server/exited")


def _pids(view: View, place: At, start: int, end: int, *keys: str) -> set[str]:
    return {
        hit.fields.get("pid", "")
        for hit in view.deployment.hits
        if hit.key in keys and hit.replica == place.replica and any(start < mark.line < end for mark in hit.marks)
    }


def _killed(view: View, replica: Replica) -> list[Evidence]:
    """The engine's SIGKILL at the end of the grace period."""
    grace = (
        DEFAULT_GRACE_SECONDS if replica.stop_signal_timeout_seconds is None else replica.stop_signal_timeout_seconds
    )
    found: list[Evidence] = []
    asked: Event | None = None
    for event in replica.events:
        if event.kind == "start":
            asked = None
        elif event.kind == "kill" and event.signal == 15:
            asked = event
        elif event.kind == "kill" and event.signal == 9 and asked is not None and event.at >= view.start:
            waited = (event.at - asked.at).total_seconds()
            if waited >= _ALMOST * grace > 0:
                text = f"SIGKILL {waited:.0f} s after SIGTERM, at the end of the grace period"
                found.append(Evidence("event", text, at=event.at, replica=replica.id, value=waited, unit="seconds"))
            asked = None
    return found


def _event(kind: str, seconds_ago: float, signal: int | None = None) -> Event:
    return Event(at=_cases.ago(seconds_ago), kind=kind, signal=signal)  # type: ignore[arg-type]


_BEGIN = (
    "[2026-11-22 09:00:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:8000 (1)\n"
    "[2026-11-22 09:00:01 +0000] [7] [INFO] Started server process [7]\n"
    "[2026-11-22 09:00:01 +0000] [8] [INFO] Started server process [8]\n"
    "[2026-11-22 09:01:00 +0000] [1] [INFO] Handling signal: term\n"
    "[2026-11-22 09:01:01 +0000] [8] [INFO] Finished server process [8]\n"
)
_END = "[2026-11-22 09:01:30 +0000] [1] [INFO] Shutting down: Master\n"

SIGNATURE = Signature(
    id=SignatureId("shutdown-drops-requests"),
    title="A stop drops requests",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("apply-gunicorn-config"), RemedyId("advise")),
    source="uvicorn/server.py shutdown (0.22 to 0.54); gunicorn/arbiter.py stop; Docker Engine API (stop, kill events)",
    patterns=(
        CANCELLED,
        TERMINATED,
        MASTER_ENDS,
        SERVING,
        GONE,
        FINISHED,
        _wording.KILLED,
        _wording.KILLED_BEFORE_21,
        _wording.TIMED_OUT,
        _wording.BEGUN,
        _wording.BOOTING,
    ),
    fires=(
        Example("uvicorn", "ERROR:    Cancel 3 running task(s), timeout graceful shutdown exceeded\n"),
        Example("a worker that had not finished", _BEGIN + _END),
        Example(
            "a worker that the master killed",
            _BEGIN
            + "[2026-11-22 09:01:30 +0000] [1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n",
        ),
        Example(
            "a pod that is told to go",
            "ERROR:    Cancel 3 running task(s), timeout graceful shutdown exceeded\n",
            deployment=_cases.workload(_cases.pod(ready=False, terminating=True), _cases.pod(id="b")),
        ),
        Example(
            "the engine's kill",
            deployment=_cases.container(
                state="exited",
                exit_code=137,
                events=(_event("kill", 60, 15), _event("kill", 50, 9), _cases.event("die", 49, 137)),
            ),
        ),
    ),
    silent=(
        Example(
            "a worker that had died before, which gunicorn 20 says nothing of",
            _BEGIN.replace(
                "[2026-11-22 09:01:00",
                "[2026-11-22 09:00:30 +0000] [9] [INFO] Booting worker with pid: 9\n"
                "[2026-11-22 09:00:31 +0000] [9] [INFO] Started server process [9]\n"
                "[2026-11-22 09:01:00",
            )
            + "[2026-11-22 09:01:02 +0000] [9] [INFO] Finished server process [9]\n"
            + _END,
        ),
        Example("all finished", _BEGIN + "[2026-11-22 09:01:02 +0000] [7] [INFO] Finished server process [7]\n" + _END),
        Example(
            "a worker that had been killed before",
            _BEGIN.replace(
                "[2026-11-22 09:01:00 +0000] [1] [INFO] Handling",
                "[2026-11-22 09:00:30 +0000] [1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n"
                "[2026-11-22 09:01:00 +0000] [1] [INFO] Handling",
            )
            + _END,
        ),
        Example(
            "workers without such a line",
            "[2026-11-22 09:00:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:8000 (1)\n"
            "[2026-11-22 09:01:00 +0000] [1] [INFO] Handling signal: term\n" + _END,
        ),
        Example(
            "a pod that ended in time, though by a kill of the kubelet",
            _BEGIN + "[2026-11-22 09:01:02 +0000] [7] [INFO] Finished server process [7]\n" + _END,
            deployment=_cases.workload(_cases.pod(restarts=1, last_end=_cases.ended("Completed", 0))),
        ),
        Example("a quick stop", _BEGIN.replace("signal: term", "signal: quit") + _END),
        Example(
            "a kill at once",
            "INFO:     Shutting down\n",
            deployment=_cases.container(
                state="exited", exit_code=137, events=(_event("kill", 60, 15), _event("kill", 60, 9))
            ),
        ),
        Example(
            "it ended in time",
            "INFO:     Shutting down\n",
            deployment=_cases.container(
                state="exited", exit_code=0, events=(_event("kill", 60, 15), _cases.event("die", 57, 0))
            ),
        ),
    ),
)
