"""On which ports a replica may answer, the likeliest first. Pure."""

from __future__ import annotations

from probes.model import Deployment, Replica

_MOST = 4
_DEFAULT = 8000


def likely_ports(deployment: Deployment, replica: Replica) -> tuple[int, ...]:
    """Where it listens and says that it does; then what its description, its checks and its Services name."""
    said = deployment.setting("port")
    said_ports = [said] if isinstance(said, int) and not isinstance(said, bool) else []
    heard = [one.port for one in replica.listeners or ()]
    checked = [probe.port for probe in replica.probes or () if probe.handler == "http" and probe.port is not None]
    services = deployment.orchestrated.services if deployment.orchestrated is not None else ()
    led = [one.target_port for one in services if one.target_port is not None]
    both = [port for port in said_ports if port in heard]
    if replica.listeners is not None and heard:
        likely = [*both, *(port for port in (*checked, *replica.declared_ports) if port in heard), *heard]
    else:
        likely = [*said_ports, *checked, *replica.declared_ports, *led, _DEFAULT]
    return tuple(dict.fromkeys(likely))[:_MOST]
