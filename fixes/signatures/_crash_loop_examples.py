"""What is started again and again, and what resembles it."""

from __future__ import annotations

from fixes.model import Example
from fixes.signatures import _cases
from probes.model import Event


def _loop(times: int, *, asked: bool = False, every: float = 60) -> tuple[Event, ...]:
    events: list[Event] = []
    for index in range(times, 0, -1):
        if asked:
            events.append(_cases.event("kill", every * index + 2))
        events.append(_cases.event("die", every * index + 1, 3))
        events.append(_cases.event("start", every * index))
    return tuple(events)


def _short(*starts: float) -> tuple[Event, ...]:
    return tuple(one for at in starts for one in (_cases.event("die", at + 1, 3), _cases.event("start", at)))


_HELD = "containers with unready status: [agent]"
_AGENT = "Warning  BackOff  kubelet  Back-off restarting failed container agent in pod api-7d4b9c-x2x1z_shop(1)\n"

FIRES = (
    Example("three starts in three minutes", deployment=_cases.container(events=_loop(3), exit_code=3)),
    Example(
        "five restarts of a young container",
        deployment=_cases.container(state="restarting", restarts=5, created_at=_cases.ago(120), exit_code=1),
    ),
    Example(
        "a container that runs for half a minute after three failed starts",
        deployment=_cases.container(events=_short(70, 55, 30), restarts=3, started_at=_cases.ago(30)),
    ),
    Example(
        "runs of a minute each, and more than that since the last start",
        deployment=_cases.container(events=_short(216, 153, 90), restarts=3, started_at=_cases.ago(90)),
    ),
    Example(
        "a process of a systemd unit",
        deployment=_cases.deployment(_cases.replica(events=_loop(3)), kind="process", origin="api.service"),
    ),
    Example("kubectl get pods", "api-7d4b9c-x2x1z   0/1     CrashLoopBackOff   6 (2m ago)   9m\n"),
    Example(
        "an event", "Warning  BackOff  2m (x9 over 9m)  kubelet  Back-off restarting failed container api in pod\n"
    ),
    Example("kubectl describe", "      Reason:       CrashLoopBackOff\n"),
    Example(
        "a pod that waits to be started again",
        deployment=_cases.workload(
            _cases.waiting(
                "CrashLoopBackOff",
                40,
                "back-off 40s restarting failed container=api pod=api-7d4b9c-x2x1z_shop(1)",
                restarts=3,
                last_end=_cases.ended("Error", 3, 41, 2),
            )
        ),
    ),
    Example(
        "a young pod that runs for the fifth time",
        deployment=_cases.workload(
            _cases.pod(
                restarts=4,
                created_at=_cases.ago(400),
                started_at=_cases.ago(5),
                last_end=_cases.ended("Error", 1, 50, 20),
            )
        ),
    ),
    Example(
        "likewise, beside a container whose image cannot be pulled",
        deployment=_cases.workload(
            _cases.pod(
                ready=False,
                beside=("agent",),
                waiting=_cases.of_another("ImagePullBackOff"),
                restarts=4,
                created_at=_cases.ago(400),
                started_at=_cases.ago(5),
                last_end=_cases.ended("Error", 1, 50, 20),
            )
        ),
    ),
    Example(
        "a container beside the one that serves",
        deployment=_cases.workload(
            _cases.pod(ready=False, beside=("agent",), held_by=_HELD, waiting=_cases.of_another("CrashLoopBackOff"))
        ),
    ),
)
STAYS_SILENT = (
    Example(
        "a container that has come through",
        "INFO: up\n",
        deployment=_cases.container(
            events=_short(240, 225, 200), restarts=3, created_at=_cases.ago(250), started_at=_cases.ago(200)
        ),
    ),
    Example(
        "likewise, and the engine has forgotten its events",
        "INFO: up\n",
        deployment=_cases.container(
            restarts=3, created_at=_cases.ago(300), finished_at=_cases.ago(240), started_at=_cases.ago(239)
        ),
    ),
    Example("one restart", "INFO: up\n", deployment=_cases.container(events=_loop(1), restarts=1)),
    Example("by a person", "INFO: up\n", deployment=_cases.container(events=_loop(5, asked=True))),
    Example(
        "a developer's server",
        "INFO: up\n",
        deployment=_cases.deployment(_cases.replica(events=_loop(5), restarts=5), kind="process"),
    ),
    Example("seldom", "INFO: up\n", deployment=_cases.container(events=_loop(3, every=290))),
    Example("long ago", "INFO: up\n", deployment=_cases.container(restarts=7)),
    Example(
        "a pod that was restarted once, after a deploy",
        "Warning  BackOff  kubelet  Back-off restarting failed container api in pod api-7d4b9c-x2x1z\n",
        deployment=_cases.workload(
            _cases.pod(
                restarts=1,
                created_at=_cases.ago(90),
                started_at=_cases.ago(60),
                last_end=_cases.ended("Error", 1, 70, 10),
            )
        ),
    ),
    Example(
        "a container beside it that runs for a moment, or for good",
        f"{_cases.ago(20):%Y-%m-%dT%H:%M:%SZ} {_AGENT}",
        deployment=_cases.workload(_cases.pod(beside=("agent",))),
        undecided=True,
    ),
    Example(
        "an older pod that runs again, and nobody knows for how long",
        deployment=_cases.workload(
            _cases.pod(restarts=9, started_at=_cases.ago(20), last_end=_cases.ended("Error", 1, 320, 30))
        ),
        undecided=True,
    ),
    Example(
        "a pod that has come through",
        "Warning  BackOff  kubelet  Back-off restarting failed container api in pod api-7d4b9c-x2x1z\n",
        deployment=_cases.workload(
            _cases.pod(restarts=9, started_at=_cases.ago(300), last_end=_cases.ended("Error", 1, 400, 30))
        ),
    ),
    Example(
        "a pod of a former revision",
        deployment=_cases.workload(_cases.pod(), _cases.waiting("CrashLoopBackOff", id="b", revision="5f6d7e")),
    ),
    Example(
        "a pod that is told to go",
        deployment=_cases.workload(_cases.pod(), _cases.waiting("CrashLoopBackOff", id="b", terminating=True)),
    ),
    Example("a test's name", "test_oom.py::test_classify_exit_code[1-CrashLoopBackOff] PASSED          [ 42%]\n"),
)
