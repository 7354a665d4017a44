"""The cases of the Docker lab as cases of Kubernetes, and the reason why some have no counterpart."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.lab import case as lab
from tests.lab.cases import CASES as DOCKER

from .case import Ended, Fact, KubeCase, Pods, Restarted, Step
from .manifests import PROBED, limits

LEFT_OUT = {
    "killed-from-outside": "a pod that was stopped is gone; `deleted-stubborn` is its counterpart",
    "helper-killed": "a pod that was stopped is gone; `deleted` is its counterpart",
    "graceful-stop": "a pod that was stopped is gone; `deleted` is its counterpart",
    "graceful-stop-gunicorn-21": "a pod that was stopped is gone; `deleted` is its counterpart",
    "slow-shutdown": "a pod that was stopped is gone; `deleted-stubborn` is its counterpart",
    "oom-restarted": "each container of a Deployment is started again: `oom-lone` is this case",
    "loopback-host-network": "the free port that it takes is one of this machine, not of a node",
}

SCRATCH = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
ON_SCRATCH = {"volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]}


def translated(case: lab.Case) -> KubeCase:
    """The same service with the same failure as a Deployment."""
    command = case.command
    if case.nofile is not None:  # a container's limit cannot be set on Kubernetes; its shell can
        command = ("sh", "-c", f"ulimit -n {case.nofile}; exec {' '.join(command)}")
    container: dict[str, Any] = {}
    if case.memory is not None or case.cpus is not None:
        memory = None if case.memory is None else f"{case.memory[:-1]}{case.memory[-1].upper()}i"
        container["resources"] = limits(memory, None if case.cpus is None else str(case.cpus))
    if case.healthcheck is not None:
        container |= PROBED
    until = tuple(_fact(fact) for fact in case.until)
    dies = any(isinstance(fact, Ended | Restarted) for fact in until)
    # What ends on an engine is started again here, again and again.
    allow = case.allow | (lab.ids("crash-loop") - case.expect) if dies else case.allow
    made = KubeCase(
        case.name,
        command,
        expect=case.expect,
        allow=allow,
        look_alike_of=case.look_alike_of,
        listed=case.listed,
        image=case.image,
        up=None if case.up is None else _fact(case.up),
        drive=tuple(_step(step) for step in case.drive),
        until=until,
        observe_seconds=case.observe_seconds,
        replicas=case.replicas,
        port=case.publish[0] if case.publish else None,
        environment=case.environment,
        annotations={key.replace("fastops.enable", "fastops.io/enable"): value for key, value in case.labels.items()},
        container=container,
    )
    if case.name == "booted-later":  # its mark must outlive the container
        made = replace(made, pod=SCRATCH, container={**container, **ON_SCRATCH})
    return made


def _fact(fact: lab.Fact) -> Fact:
    if not isinstance(fact, lab.InState):
        return fact
    if fact.restarts is not None:
        return Restarted(fact.restarts, running=fact.status == "running")
    if fact.status == "running":
        return Pods(phase="Running")
    return Ended(reason="OOMKilled" if fact.oom_killed else None, exit_code=fact.exit_code)


def _step(step: lab.Step) -> Step:
    if isinstance(step, lab.Stop):
        raise TypeError("a stopped pod is gone: such a case stands in LEFT_OUT")
    return step if isinstance(step, lab.Load | lab.Hold | lab.Signal) else _fact(step)


def all_translated() -> dict[str, KubeCase]:
    """Every case of the Docker lab that has a counterpart, by name."""
    return {name: translated(case) for name, case in DOCKER.items() if name not in LEFT_OUT}
