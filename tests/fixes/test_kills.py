"""Every way in which a server or a worker is ended leads to its own finding and to no other, and effects name it.

Exit code 137 stands in most of them.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from fixes import catalogue
from fixes.examples import view_of, with_log
from fixes.model import Example, Fires, SignatureId
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.history import History, Metric, Point, SeriesKey
from probes.logs import Matcher
from probes.model import Deployment, Event, HealthCheck, HttpSample, Limit, Link, Memory, Snapshot, TargetState

_LIMITED = Memory(used_bytes=60 << 20, limit=Limit(limited=True, value=1e9), oom_kills=1)
_SERVED = {"server": "gunicorn", "server_version": "27.0.1"}
_SIGKILL = "[2026-11-22 09:53:23 +0000] [6567] [ERROR] Worker (pid:17) was sent SIGKILL! Perhaps out of memory?\n"
_TIMEOUT = "[2026-11-22 09:53:22 +0000] [6567] [CRITICAL] WORKER TIMEOUT (pid:17)\n"
_STOP = "[2026-11-22 09:53:00 +0000] [1] [INFO] Handling signal: term\n"
_MASTER_ENDS = "[2026-11-22 09:53:01 +0000] [1] [INFO] Shutting down: Master\n"
_CHECK = HealthCheck("healthy", test="CMD true")
_ANSWERS = tuple(HttpSample(_cases.ago(i), "/health", 0.01, 200) for i in (9, 6, 3))
_LIVENESS = "Container api failed liveness probe, will be restarted"


class Kill(NamedTuple):
    name: str
    deployment: Deployment
    found: dict[str, str | None]
    """The findings, each with its cause."""
    log: str = ""
    counter: bool = False
    """Whether the control group's ``oom_kill`` rose half a minute ago."""


def docker(**changes: object) -> Deployment:
    plain: dict[str, object] = {"memory": _LIMITED, "health": _CHECK}
    return _cases.deployment(_cases.replica(**(plain | changes)), **_SERVED)


def process(**changes: object) -> Deployment:
    plain: dict[str, object] = {"memory": Memory(), "listeners": ()}
    return _cases.deployment(_cases.replica(**(plain | changes)), kind="process", **_SERVED)


def pods(*pods: object, **changes: object) -> Deployment:
    return _cases.workload(*pods, **(_SERVED | changes))  # type: ignore[arg-type]


def restarted(reason: str, code: int, **changes: object) -> object:
    """A pod whose container was started again twenty seconds ago."""
    plain: dict[str, object] = {
        "restarts": 1,
        "started_at": _cases.ago(20),
        "last_end": _cases.ended(reason, code, 21, 5000),
        "health_probes": _ANSWERS,
    }
    return _cases.pod(**(plain | changes))


def stopped(kind: str, seconds_ago: float, signal: int | None = None) -> Event:
    return Event(_cases.ago(seconds_ago), kind, signal=signal)  # type: ignore[arg-type]


def event(text: str, seconds_ago: float = 30) -> str:
    return f"{_cases.ago(seconds_ago).strftime('%Y-%m-%dT%H:%M:%SZ')} Normal  Killing  kubelet  {text}\n"


DOWN = {"state": "exited", "ready": False, "finished_at": _cases.ago(30), "exit_code": 137}
WENT_WITH_IT = DOWN | {
    "exit_code": 0,
    "oom_killed": True,
    "events": (_cases.event("oom", 30), _cases.event("die", 30, 0)),
}
GOING = _cases.pod(ready=False, terminating=True)
WORKER = (_cases.worker(1, role="master"), _cases.worker(started_at=_cases.ago(28)))
OOM: dict[str, str | None] = {"oom-killed": None}
BOTH = {"oom-killed": None, "worker-sigkill": "oom-killed"}

KILLS = (
    Kill("Docker: the kernel ends the container", docker(oom_killed=True, **DOWN), OOM, counter=True),
    Kill("Docker: the kernel ends hypercorn's worker, which ends in order then", docker(**WENT_WITH_IT), OOM),
    Kill("Docker: the kernel ends a worker", docker(workers=WORKER), BOTH, _SIGKILL, counter=True),
    Kill("Docker: gunicorn's time-out", docker(), {"worker-timeout": None}, _TIMEOUT),
    Kill("Docker: gunicorn's time-out of an asgi worker", docker(), {"worker-timeout": None}, _TIMEOUT + _SIGKILL),
    Kill("Docker: somebody kills a worker", docker(), {"worker-sigkill": None}, _SIGKILL),
    Kill("Docker: docker stop, in time", docker(**(DOWN | {"exit_code": 0})), {}, _STOP + _MASTER_ENDS),
    Kill(
        "Docker: docker stop, past the grace period",
        docker(events=(stopped("kill", 60, 15), stopped("kill", 50, 9), stopped("die", 50)), **DOWN),
        {"shutdown-drops-requests": None},
    ),
    Kill("Docker: docker kill", docker(events=(stopped("kill", 30, 9), stopped("die", 30)), **DOWN), {}),
    Kill("Docker: it crashes once", docker(**(DOWN | {"exit_code": 139})), {}),
    Kill("Docker: a worker crashes", docker(), {"worker-died": None}, _SIGKILL.partition("SIGKILL")[0] + "SIGSEGV!\n"),
    Kill("process: the kernel ends a worker", process(workers=WORKER), BOTH, _SIGKILL, counter=True),
    Kill("process: gunicorn's time-out", process(), {"worker-timeout": None}, _TIMEOUT + _SIGKILL),
    Kill("process: somebody kills a worker", process(), {"worker-sigkill": None}, _SIGKILL),
    Kill("process: systemctl stop", process(**(DOWN | {"exit_code": 0})), {}, _STOP + _MASTER_ENDS),
    Kill("pod: the kernel ends the container", pods(restarted("OOMKilled", 137)), OOM),
    Kill(
        "pod: the kernel ends the container again and again",
        pods(_cases.waiting("CrashLoopBackOff", 20, restarts=4, last_end=_cases.ended("OOMKilled", 137, 21))),
        {"oom-killed": None, "crash-loop": "oom-killed"},
    ),
    Kill("pod: the kernel ends a worker", pods(_cases.pod(workers=WORKER, memory=_LIMITED)), BOTH, _SIGKILL, True),
    Kill("pod: gunicorn's time-out", pods(), {"worker-timeout": None}, _TIMEOUT + _SIGKILL),
    Kill("pod: somebody kills a worker", pods(), {"worker-sigkill": None}, _SIGKILL),
    Kill("pod: somebody kills the server", pods(restarted("Error", 137)), {}),
    Kill(
        "pod: its liveness probe ends it, and it ends in order",
        pods(restarted("Completed", 0)),
        {"probe-misconfigured": None},
        event(_LIVENESS),
    ),
    Kill(
        "pod: its liveness probe ends it, and it does not listen",
        pods(restarted("Error", 137)),
        {"probe-misconfigured": None},
        event(_LIVENESS),
    ),
    Kill(
        "pod: its liveness probe ends it again and again",
        pods(_cases.waiting("CrashLoopBackOff", 20, restarts=4, last_end=_cases.ended("Error", 137, 21))),
        {"probe-misconfigured": None, "crash-loop": "probe-misconfigured"},
        event(_LIVENESS, 50),
    ),
    Kill(
        "pod: its liveness probe ends it because the service says no",
        pods(restarted("Completed", 0)),
        {"probe-failing": None},
        event("Liveness probe failed: HTTP probe failed with statuscode: 503", 31) + event(_LIVENESS),
    ),
    Kill(
        "pod: it is evicted for its storage",
        pods(_cases.pod(error="Evicted: Pod ephemeral local storage usage exceeds the total limit of 1Gi.", **DOWN)),
        {"disk-full": None},
    ),
    Kill(
        "pod: it is evicted for the node's memory",
        pods(_cases.pod(error="Evicted: The node was low on resource: memory.", **DOWN), _cases.pod(id="b")),
        {},
    ),
    Kill("pod: kubectl delete, in time", pods(GOING, _cases.pod(id="b")), {}, _STOP + _MASTER_ENDS),
    Kill(
        "pod: kubectl delete, past the graceful time-out",
        pods(GOING, _cases.pod(id="b")),
        {"shutdown-drops-requests": None},
        _STOP + _SIGKILL.replace("09:53:23", "09:53:30"),
    ),
    Kill("pod: it crashes once", pods(restarted("Error", 139)), {}),
    Kill(
        "pod: it crashes again and again",
        pods(_cases.waiting("CrashLoopBackOff", 20, restarts=4, last_end=_cases.ended("Error", 139, 21))),
        {"crash-loop": None},
    ),
)


@pytest.mark.parametrize("kill", KILLS, ids=[kill.name for kill in KILLS])
def test_each_kill_leads_to_its_own_finding_and_to_no_other(kill: Kill) -> None:
    deployment = with_log(kill.deployment, kill.log.encode(), Matcher(catalogue.patterns()), _cases.NOW)
    history = History()
    if kill.counter:
        for at, value in ((-36.0, 0.0), (-29.0, 1.0)):
            replica = deployment.replicas[0].id
            metric: Metric = "oom-kills"
            point = Point(_cases.NOW.timestamp() + at, value)
            history.add(SeriesKey(deployment.id, metric, replica), point.at, point.value)
    state = TargetState(
        deployment.target, Link("live", _cases.NOW), _cases.NOW, deployments={deployment.id: deployment}
    )
    report = Tracker().advance(Snapshot(_cases.NOW, {state.target: state}), history, _cases.NOW)
    causes = {
        str(one.signature): None if one.explained_by is None else str(one.explained_by.signature)
        for one in report.of(deployment.id)
        if one.severity != "info"
    }
    assert report.failures == ()
    assert causes == kill.found


@pytest.mark.parametrize(
    ("happens", "severity"),
    [
        (docker(**WENT_WITH_IT), "critical"),
        (docker(**(WENT_WITH_IT | {"state": "running"})), "error"),
        (pods(restarted("OOMKilled", 137)), "error"),
        (pods(_cases.pod(state="exited", last_end=_cases.ended("OOMKilled", 137))), "critical"),
    ],
)
def test_one_kill_for_memory_is_critical_where_nothing_runs_since(happens: Deployment, severity: str) -> None:
    verdict = catalogue.signatures()[SignatureId("oom-killed")].detect(
        view_of(Example("", deployment=happens), Matcher(()))
    )
    assert isinstance(verdict, Fires)
    assert verdict.severity == severity


def test_what_the_engine_tells_of_one_kill_several_times_is_one_kill() -> None:
    again = [60.9, 60.5, 60.1, 40.5, 40.2]
    happens = _cases.container(
        events=(
            *(_cases.event("oom", at) for at in again), _cases.event("die", 60, 137), _cases.event("start", 58),
            _cases.event("die", 40, 137), _cases.event("start", 38),
        )
    )  # fmt: skip
    verdict = catalogue.signatures()[SignatureId("oom-killed")].detect(
        view_of(Example("", deployment=happens), Matcher(()))
    )
    assert isinstance(verdict, Fires)
    assert verdict.count == 2


def test_a_kill_is_of_the_run_that_it_ended_although_the_next_one_began_in_the_same_second() -> None:
    again = _cases.pod(ready=False, started_at=_cases.ago(30), last_end=_cases.ended("Completed", 0, 30, 120))
    up = f"{_cases.ago(149):%Y-%m-%dT%H:%M:%SZ} INFO:     Application startup complete.\n"
    up += event("Startup probe failed: dial tcp 10.0.0.1:8000: connect: connection refused", 31)
    signature = catalogue.signatures()[SignatureId("probe-misconfigured")]
    happens = Example("", up + event("Container api failed startup probe, will be restarted"), pods(again))
    verdict = signature.detect(view_of(happens, Matcher(catalogue.patterns())))
    assert isinstance(verdict, Fires)
    assert verdict.facts["reason"] == "kills"
