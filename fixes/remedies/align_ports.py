"""Leads a Service's port to the port on which the service listens.

What it does: changes ``targetPort`` of the Services of this deployment that lead elsewhere. The pods are not touched:
traffic flows as soon as the endpoints are written anew, within a second or two.

When it is right: the server listens, on all interfaces, on another port than the one to which its Service sends.

When it is not: a server on loopback (``bind-all-interfaces``). On Docker a published port belongs to the container's
creation: see ``advise`` for the line to write.

Risk: none to requests that were answered, since none were. Refused where the Service's selector chooses pods of other
workloads too, which may listen on the old port.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.orchestrator import ServicePort
from probes.target import Refused


def _listening(deployment: Deployment, finding: Finding) -> tuple[int, ...]:
    """The ports on which the server is reached, the likeliest first."""
    said = _facts.whole(finding.facts.get("listening")) or _facts.whole(finding.facts.get("port"))
    seen = sorted({x.port for r in deployment.running for x in r.listeners or () if not x.address.startswith("127.")})
    known = (said, _facts.port(deployment), *seen)
    return tuple(dict.fromkeys(one for one in known if one))


def _astray(deployment: Deployment, listening: tuple[int, ...]) -> tuple[ServicePort, ...]:
    around = deployment.orchestrated
    if around is None or not listening:
        return ()
    return tuple(one for one in around.services if one.target_port not in listening)


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    listening = _listening(deployment, finding)
    if not listening:
        return "On which port it listens is not known."
    if not _astray(deployment, listening):
        return "Every port of its Services leads to a port on which it listens."
    return None


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    listening = _listening(deployment, finding)
    names = ",".join(f"{one.service}:{one.port}" for one in _astray(deployment, listening))
    return (
        Parameter("port", "Port of the server", listening[0] if listening else 8000, minimum=1, maximum=65_535),
        Parameter("services", "Service ports that lead there", names),
    )


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    port = int(values["port"])
    names = [one.strip() for one in str(values["services"]).split(",") if one.strip()]
    if not names or not all(":" in one for one in names):
        raise Refused("Name the Services' ports as SERVICE:PORT, separated by commas.")
    return Desired(target_ports=dict.fromkeys(names, port))


REMEDY = Remedy(
    id=RemedyId("align-ports"),
    title="Lead the Service to the server's port",
    capability="ports",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
)
