"""Where Services lead, beside where the server of a pod listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fixes.model import Evidence, Severity, Undecided
from fixes.signatures.bind_loopback import RESOLVER, is_loopback
from probes.base import Value
from probes.model import Deployment, Replica
from probes.orchestrator import ServicePort


class Astray(NamedTuple):
    """A port that leads to no listener of the server."""

    severity: Severity
    title: str
    evidence: tuple[Evidence, ...]
    facts: dict[str, Value]


def judge(deployment: Deployment, replica: Replica, own: Sequence[int], told: Evidence) -> Astray | Undecided | None:
    """What is wrong with the ports around one running pod; ``own`` are its server's, as ``told`` says."""
    services = deployment.orchestrated.services if deployment.orchestrated is not None else ()
    if any(one.target_port in own for one in services):
        services = ()
    dead = [one for one in services if not _is_served(replica, one)]
    if any(one.target_port for one in dead) and replica.listeners is None and replica.beside != ():
        return Undecided("the listening sockets of its pods: another container may serve the Service's port")
    if dead and own and len(dead) == len(services):
        return _dead(replica, dead[0], own[0], told)
    if own and replica.declared_ports and not set(own) & set(replica.declared_ports):
        declared = ", ".join(map(str, replica.declared_ports))
        return Astray(
            "info",
            f"containerPort says {declared}, but the server listens on {own[0]}",
            (Evidence("inspect", f"containerPort: {declared}", replica=replica.id), told),
            {"published": replica.declared_ports[0], "listening": own[0], "declared": True},
        )
    return None


def _dead(replica: Replica, one: ServicePort, own: int, told: Evidence) -> Astray:
    target = one.target_port if one.target_port is not None else f"named {one.target_name}, which no container has"
    text = f"port {one.port} of the Service {one.service} leads to port {target}"
    facts: dict[str, Value] = {"service": one.service, "service_port": one.port, "listening": own}
    if one.target_port is not None:
        facts["published"] = one.target_port
    title = f"the Service {one.service} leads to port {target}, but the server listens on {own}"
    return Astray("critical", title, (Evidence("inspect", text, replica=replica.id), told), facts)


def _is_served(replica: Replica, one: ServicePort) -> bool:
    """Whether something in the pod listens on the port that a Service leads to, as far as its sockets are known."""
    if one.target_port is None or replica.listeners is None:
        return False
    return any(x.port == one.target_port and not is_loopback(x.address) for x in replica.listeners)


def outside(replica: Replica) -> set[int]:
    """The ports on which something in the replica is reached from outside."""
    return {x.port for x in replica.listeners or () if x.address != RESOLVER and not is_loopback(x.address)}
