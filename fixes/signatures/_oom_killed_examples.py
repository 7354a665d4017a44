"""What the kernel's kills look like, and what resembles them."""

from __future__ import annotations

from fixes.model import Example
from fixes.signatures import _cases
from probes.history import Metric, Point
from probes.model import UNLIMITED, Limit, Memory

_LIMIT = Memory(used_bytes=60 << 20, limit=Limit(limited=True, value=float(64 << 20)), oom_kills=1)
_RISE: dict[Metric, dict[str, tuple[Point, ...]]] = {"oom-kills": {_cases.REPLICA: _cases.points((-240, 0), (-120, 1))}}

FIRES = (
    Example(
        "the container ended by it",
        deployment=_cases.container(
            state="exited", oom_killed=True, exit_code=137, finished_at=_cases.ago(60), memory=_LIMIT
        ),
    ),
    Example(
        "an event with a death beside it",
        deployment=_cases.container(
            events=(_cases.event("oom", 100), _cases.event("die", 99, 137), _cases.event("start", 98))
        ),
    ),
    Example(
        "an event, and the server ends in order with its worker",
        deployment=_cases.container(
            state="exited",
            oom_killed=True,
            exit_code=0,
            finished_at=_cases.ago(60),
            events=(_cases.event("oom", 60.4), _cases.event("die", 60, 0)),
            memory=_LIMIT,
        ),
    ),
    Example(
        "likewise in a container that started again",
        deployment=_cases.container(
            events=(_cases.event("oom", 60.4), _cases.event("die", 60, 0), _cases.event("start", 59)),
            memory=_LIMIT,
        ),
    ),
    Example(
        "the counter rose and gunicorn lost a worker",
        "[2026-11-22 09:53:23 +0000] [6567] [ERROR] Worker (pid:6569) was sent SIGKILL! Perhaps out of memory?\n",
        deployment=_cases.container(memory=_LIMIT),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-36, 0), (-34, 1))}},
    ),
    Example(
        "the counter rose and a worker is younger than that",
        deployment=_cases.container(memory=_LIMIT, workers=(_cases.worker(started_at=_cases.ago(119)),)),
        series=_RISE,
    ),
    Example(
        "a helper was killed after the worker",
        deployment=_cases.container(memory=_LIMIT, workers=(_cases.worker(started_at=_cases.ago(598)),)),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-602, 0), (-600, 1), (-62, 1), (-60, 2))}},
    ),
    Example(
        "before the first look at a container that started in the window",
        deployment=_cases.container(
            memory=_LIMIT,
            started_at=_cases.ago(600),
            workers=(_cases.worker(started_at=_cases.ago(240)), _cases.worker(18, started_at=_cases.ago(595))),
        ),
    ),
    Example(
        "before the first look, which was four minutes later",
        deployment=_cases.container(
            memory=_LIMIT, started_at=_cases.ago(600), workers=(_cases.worker(started_at=_cases.ago(240)),)
        ),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-10, 1), (0, 1))}},
    ),
    Example(
        "in a container that started again, whose counter shows as many as before",
        deployment=_cases.container(
            memory=_LIMIT, started_at=_cases.ago(600), workers=(_cases.worker(started_at=_cases.ago(240)),)
        ),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-700, 1), (-10, 1), (0, 1))}},
    ),
    Example(
        "a pod that runs again",
        deployment=_cases.workload(
            _cases.pod(restarts=1, started_at=_cases.ago(58), last_end=_cases.ended("OOMKilled", 137, 60, 5000))
        ),
    ),
    Example(
        "a pod that waits to be started again",
        deployment=_cases.workload(
            _cases.waiting("CrashLoopBackOff", 20, restarts=4, last_end=_cases.ended("OOMKilled", 137, 21, 30))
        ),
    ),
)
STAYS_SILENT = (
    Example(
        "exit code 137 alone",
        deployment=_cases.container(
            state="exited",
            oom_killed=False,
            exit_code=137,
            finished_at=_cases.ago(60),
            events=(_cases.event("kill", 60), _cases.event("die", 60, 137)),
        ),
    ),
    Example(
        "a pod that the kubelet ended after its liveness probe",
        "Normal  Killing  kubelet  Container api failed liveness probe, will be restarted\n",
        deployment=_cases.workload(
            _cases.pod(restarts=1, started_at=_cases.ago(20), last_end=_cases.ended("Error", 137, 21))
        ),
    ),
    Example(
        "a pod's process that somebody killed",
        deployment=_cases.workload(
            _cases.pod(restarts=1, started_at=_cases.ago(20), last_end=_cases.ended("Error", 137, 21))
        ),
    ),
    Example(
        "a pod that was evicted",
        "Warning  Evicted  kubelet  The node was low on resource: memory. Threshold quantity: 100Mi\n",
        deployment=_cases.workload(
            _cases.pod(
                state="exited",
                ready=False,
                exit_code=137,
                finished_at=_cases.ago(20),
                last_end=_cases.ended("Error", 137, 20),
                error="Evicted: The node was low on resource: memory.",
            ),
            _cases.pod(id="b"),
        ),
    ),
    Example(
        "a pod that ended in order, a helper of which had once been killed for memory",
        deployment=_cases.workload(_cases.pod(restarts=1, last_end=_cases.ended("OOMKilled", 0, 60, 7000))),
    ),
    Example(
        "a pod that was killed for memory long ago",
        deployment=_cases.workload(_cases.pod(restarts=1, last_end=_cases.ended("OOMKilled", 137, 7200))),
    ),
    Example(
        "a helper was killed at the start, and the container stopped in order later",
        deployment=_cases.container(
            state="exited",
            oom_killed=True,
            exit_code=0,
            finished_at=_cases.ago(60),
            events=(_cases.event("kill", 61), _cases.event("stop", 60), _cases.event("die", 60, 0)),
            memory=_LIMIT,
        ),
    ),
    Example(
        "a helper was killed, and somebody stopped the container three seconds later",
        deployment=_cases.container(
            state="exited",
            oom_killed=True,
            exit_code=0,
            finished_at=_cases.ago(60),
            events=(_cases.event("oom", 63), _cases.event("kill", 61), _cases.event("die", 60, 0)),
            memory=_LIMIT,
        ),
    ),
    Example(
        "a helper was killed, and the container ended in order by itself a minute later",
        deployment=_cases.container(
            state="exited",
            oom_killed=True,
            exit_code=0,
            finished_at=_cases.ago(60),
            events=(_cases.event("oom", 120), _cases.event("die", 60, 0)),
            memory=_LIMIT,
        ),
    ),
    Example(
        "a helper was killed long before, and the container did not stop in its grace period",
        deployment=_cases.container(
            state="exited",
            oom_killed=True,
            exit_code=137,
            finished_at=_cases.ago(60),
            events=(_cases.event("kill", 70), _cases.event("kill", 60), _cases.event("die", 60, 137)),
        ),
    ),
    Example(
        "a death that is older than the window",
        deployment=_cases.container(oom_killed=True, exit_code=137, finished_at=_cases.ago(3600), memory=_LIMIT),
    ),
    Example(
        "a helper was killed, server and workers are older",
        deployment=_cases.container(memory=_LIMIT, workers=(_cases.worker(), _cases.worker(18))),
        series=_RISE,
    ),
    Example(
        "a helper was killed, a worker was replaced eight minutes later",
        deployment=_cases.container(memory=_LIMIT, workers=(_cases.worker(started_at=_cases.ago(120)),)),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-610, 0), (-600, 1))}},
    ),
    Example(
        "a helper was killed, a worker timed out eight minutes later",
        "[2026-11-22 09:53:23 +0000] [6567] [CRITICAL] WORKER TIMEOUT (pid:6569)\n",
        deployment=_cases.container(memory=_LIMIT, workers=(_cases.worker(started_at=_cases.ago(29)),)),
        series={"oom-kills": {_cases.REPLICA: _cases.points((-610, 0), (-600, 1))}},
    ),
    Example(
        "an event of a helper, and the end of the container eight minutes later",
        deployment=_cases.container(events=(_cases.event("oom", 600), _cases.event("die", 120, 0))),
    ),
    Example(
        "an event without a death",
        deployment=_cases.container(events=(_cases.event("oom", 100),), memory=Memory(limit=UNLIMITED)),
    ),
    Example(
        "the counter rose and nothing is known of the processes",
        deployment=_cases.container(memory=_LIMIT),
        series=_RISE,
        undecided=True,
    ),
)
