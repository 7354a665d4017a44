"""A worker died by SIGKILL while its master lives, and it was not the master that killed it.

What it means. Somebody ended a worker at once, with all requests that it was serving: the kernel for want of memory
(the usual case, and the reason why gunicorn adds "Perhaps out of memory?"), a person, or a supervisor. The master
starts a new one, so the service seems to run.

What proves it. gunicorn 21 and later: ``Worker (pid:N) was sent SIGKILL!``; gunicorn 20: ``Worker with pid N was
terminated due to signal 9``. uvicorn says ``Child process [N] died`` with neither code nor signal: it counts only
where the control group's counter of kernel kills rose within 30 s of it.

What it is not. The same words in another message, as an application logs what people write to it. gunicorn's own kill
after ``WORKER TIMEOUT (pid:N)`` (``worker-timeout``: its ``asgi`` worker always ends with this line). The end of a slow
shutdown: after ``Handling signal: term`` the master kills who did not stop in ``graceful_timeout``. uvicorn's own kill
of a child that missed its ping for 5 s.

What to do. Find who killed: where the kernel did, ``oom-killed`` stands beside this finding and explains it.
"""

from __future__ import annotations

from fixes.model import Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases, _shared, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit
from probes.model import Memory


def detect(view: View) -> Verdict:
    """Fires on workers that SIGKILL ended and no master sent it."""
    found = [(hit, place) for hit, place in _kills(view) if not _by_master(view, hit, place)]
    rises = _shared.oom_rises(view)
    died = [
        (hit, place)
        for hit, place in _shared.places(view, _wording.CHILD_DIED)
        if hit.replica in rises and not _stopping(view, place)
    ]
    found += [(hit, place) for hit, place in died if rises[hit.replica].near(place.at)]
    if not found and any(place.at is None for _, place in died):
        return Undecided("when uvicorn's child died: its log has no times")
    if not found:
        return _shared.unseen(view)
    pids = list(dict.fromkeys(hit.fields.get("pid", "") for hit, _ in found))
    first, last = _shared.span([place for _, place in found])
    seen = _shared.seen(view, len(found))
    who = f"worker {pids[0]}" if len(pids) == 1 else f"{len(pids)} workers, {pids[-1]} the last,"
    verb = "was" if len(pids) == 1 else "were"
    hits = list({(hit.key, hit.replica, hit.fields.get("pid")): hit for hit, _ in found}.values())
    evidence = [_shared.evidence_of(hit) for hit in hits[-5:]]
    evidence += [
        Evidence(
            "cgroup",
            f"oom_kill of the control group rose by {rise.by}",
            at=rise.at,
            replica=replica,
            value=float(rise.seen),
        )
        for replica, rise in rises.items()
    ]
    return Fires(
        severity="error",
        title=f"{who} {verb} ended by SIGKILL from outside the master{seen}",
        evidence=tuple(evidence),
        count=len(found),
        first_at=first,
        last_at=last,
        facts={"pid": int(pids[-1]) if pids[-1].isdecimal() else 0},
    )


def _kills(view: View) -> list[tuple[LogHit, At]]:
    return list(_shared.places(view, _wording.KILLED, _wording.KILLED_BEFORE_21))


def _by_master(view: View, hit: LogHit, place: At) -> bool:
    """Whether the master itself sent the signal: after a time-out of this worker, or while it ends."""
    pid = hit.fields.get("pid")
    # Numbers come again when a container starts anew: an earlier process's time-out excuses nothing.
    born = max(
        (
            mark.line
            for other in view.deployment.hits
            if other.key == _wording.BOOTING.key and other.replica == place.replica and other.fields.get("pid") == pid
            for mark in other.marks
            if mark.line < place.line
        ),
        default=0,
    )
    timed_out = any(
        born < mark.line < place.line
        for other in view.deployment.hits
        if other.key == _wording.TIMED_OUT.key and other.replica == place.replica and other.fields.get("pid") == pid
        for mark in other.marks
    )
    return timed_out or _stopping(view, place)


def _stopping(view: View, place: At) -> bool:
    """Whether the master had been told to end, and no new one had begun since."""
    told = _shared.latest_line(view, place.replica, place.line, _wording.STOPPING)
    if told is None:
        return False
    begun = _shared.latest_line(view, place.replica, place.line, _wording.BEGUN)
    return begun is None or begun.line < told.line


_KILL = "[2026-11-22 09:53:23 +0000] [6567] [ERROR] Worker (pid:6569) was sent SIGKILL! Perhaps out of memory?\n"
_DIED = "2026-11-22T11:59:30.000000000Z INFO:     Child process [31] died\n"

SIGNATURE = Signature(
    id=SignatureId("worker-sigkill"),
    title="Worker killed by SIGKILL",
    severity="error",
    detect=detect,
    remedies=(RemedyId("set-memory-limit"), RemedyId("set-workers"), RemedyId("enable-worker-recycling")),
    source="gunicorn/arbiter.py reap_workers (20.0 to 27.0); uvicorn/supervisors/multiprocess.py (0.30 to 0.54)",
    patterns=(
        _wording.KILLED,
        _wording.KILLED_BEFORE_21,
        _wording.CHILD_DIED,
        _wording.TIMED_OUT,
        _wording.STOPPING,
        _wording.BEGUN,
        _wording.BOOTING,
    ),
    fires=(
        Example("gunicorn 21 to 27", _KILL),
        Example(
            "gunicorn 20",
            "[2026-11-22 09:53:00 +0000] [6531] [WARNING] Worker with pid 6533 was terminated due to signal 9\n",
        ),
        Example(
            "nor is one of the same number before the container started anew",
            "[2026-11-22 09:40:20 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:6569)\n"
            "[2026-11-22 09:41:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:8000 (1)\n"
            "[2026-11-22 09:41:00 +0000] [6569] [INFO] Booting worker with pid: 6569\n" + _KILL,
        ),
        Example(
            "another worker's time-out is no excuse",
            "[2026-11-22 09:53:20 +0000] [6567] [CRITICAL] WORKER TIMEOUT (pid:6570)\n" + _KILL,
        ),
        Example(
            "after a restart that followed a stop",
            "[2026-11-22 09:50:00 +0000] [6] [INFO] Handling signal: term\n"
            "[2026-11-22 09:51:00 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000 (7)\n" + _KILL,
        ),
        Example(
            "a stop that is only spoken of is no excuse",
            'INFO:app:support ticket says "Handling signal: term"\n' + _KILL,
        ),
        Example("with a prefix", "09:46:36 api.1  | " + _KILL),
        Example(
            "uvicorn's child, and the kernel's counter rose",
            _DIED,
            deployment=_cases.container(memory=Memory(oom_kills=1)),
            series={"oom-kills": {_cases.REPLICA: _cases.points((-36, 0), (-34, 1))}},
        ),
        Example(
            "uvicorn's child, before the first look at a container that started in the window",
            _DIED,
            deployment=_cases.container(memory=Memory(oom_kills=1), started_at=_cases.ago(600)),
        ),
        Example(
            "with names of processes and threads",
            "2026-11-22 09:22:36,123 MainProcess MainThread ERROR gunicorn.error: "
            "Worker (pid:42) was sent SIGKILL! Perhaps out of memory?\n",
        ),
    ),
    silent=(
        Example(
            "a slow shutdown, while which a worker still began",
            "[2026-11-22 14:50:37 +0000] [1] [INFO] Handling signal: term\n"
            "[2026-11-22 14:50:37 +0000] [8] [INFO] ASGI server listening on http://0.0.0.0:8000\n"
            "[2026-11-22 14:50:38 +0000] [1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n",
        ),
        Example(
            "gunicorn's own kill after a time-out",
            "[2026-11-22 09:22:40 +0000] [3016] [CRITICAL] WORKER TIMEOUT (pid:3018)\n"
            "[2026-11-22 09:22:41 +0000] [3016] [ERROR] Worker (pid:3018) was sent SIGKILL! Perhaps out of memory?\n",
        ),
        Example(
            "a slow shutdown",
            "[2026-11-22 09:22:40 +0000] [3016] [INFO] Handling signal: term\n"
            "[2026-11-22 09:23:10 +0000] [3016] [ERROR] Worker (pid:3018) was sent SIGKILL! Perhaps out of memory?\n",
        ),
        Example("uvicorn's child died of something else", _DIED),
        Example(
            "uvicorn's child missed its ping, ten minutes after the kernel killed a helper",
            _DIED,
            deployment=_cases.container(memory=Memory(oom_kills=1)),
            series={"oom-kills": {_cases.REPLICA: _cases.points((-610, 0), (-600, 1))}},
        ),
        Example(
            "uvicorn's child died at a time that nobody knows",
            "INFO:     Child process [31] died\n",
            deployment=_cases.container(memory=Memory(oom_kills=1)),
            series={"oom-kills": {_cases.REPLICA: _cases.points((-610, 0), (-600, 1))}},
            undecided=True,
        ),
        Example(
            "an application that logs what a ticket says",
            'INFO:app:support ticket says "[ERROR] Worker (pid:42) was sent SIGKILL! Perhaps out of memory?"\n'
            f"INFO:app:{_KILL}"
            '{"level": "info", "message": "Worker (pid:42) was sent SIGKILL! Perhaps out of memory?"}\n'
            "users report that Worker with pid 6533 was terminated due to signal 9\n",
        ),
        Example("signal 9 of another number", "Worker with pid 8 was terminated due to signal 90\n"),
    ),
)
