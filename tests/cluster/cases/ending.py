"""How a container ends: by a probe, by a person, by memory. Exit code 137 alone proves none of them."""

from __future__ import annotations

from tests.cluster.case import Delete, Ended, Happened, KubeCase, Pods, Replaced, Restarted
from tests.cluster.manifests import http, limits
from tests.lab.case import Load, Logged, gunicorn, ids, uvicorn

from .sound import SOUND

EAT = Load("/eat?mb=900", every_seconds=2, in_flight=1)
STALL = Load("/block?seconds=30", every_seconds=0.2, in_flight=4)
READY = Pods(ready=True)
KILLED = Happened("Killing", "failed liveness probe")

CASES = (
    KubeCase(
        "oom-in-pair",
        uvicorn("memory:app"),
        expect=ids("oom-killed"),
        allow=ids("memory-near-limit", "event-loop-blocked", "crash-loop", "probe-misconfigured", "probe-failing"),
        replicas=2,
        drive=(Pods(count=2, ready=True), EAT),
        until=(Ended(reason="OOMKilled", exit_code=137),),
        container={**SOUND, "resources": limits("600Mi")},
    ),
    # The probe asks for a path that is not there; the server ends as it is told to.
    KubeCase(
        "liveness-kill",
        gunicorn("healthy:app"),
        expect=ids("probe-misconfigured"),
        allow=ids("crash-loop"),
        look_alike_of="oom-killed",
        until=(KILLED, Restarted(1), Ended(exit_code=0)),
        container={**SOUND, "livenessProbe": http("/alive")},
    ),
    # The loop stands still: the server hears neither the probe nor the signal, and is killed after the grace period.
    KubeCase(
        "liveness-kill-stubborn",
        uvicorn("blocking:app"),
        expect=ids("event-loop-blocked"),
        allow=ids("crash-loop", "single-process", "probe-misconfigured", "probe-failing"),
        look_alike_of="oom-killed",
        drive=(READY, STALL, Logged("blocking for")),
        until=(KILLED, Ended(reason="Error", exit_code=137)),
        container={**SOUND, "livenessProbe": http()},
    ),
    KubeCase(
        "deleted",
        gunicorn("healthy:app"),
        look_alike_of="crash-loop",
        drive=(READY, Delete()),
        until=(Replaced(), Happened("Killing", "Stopping container")),
        container=SOUND,
    ),
    KubeCase(
        "deleted-stubborn",
        gunicorn("blocking:app", "--timeout", "120", "--graceful-timeout", "60", worker="asgi"),
        allow=ids("event-loop-blocked"),
        look_alike_of="oom-killed",
        drive=(READY, STALL, Logged("blocking for"), Delete()),
        until=(Replaced(),),
        container={"resources": limits("1Gi"), "readinessProbe": http()},
    ),
)
