"""Makes the server in a container listen on all interfaces.

What it does: sets the server's host to ``0.0.0.0`` (``::`` where it listens on ``::1`` alone); the port stays.

When it is right: inside a container loopback is the container's own, so a server on 127.0.0.1 cannot be reached
through a published port, nor from another container.

When it is not: a local process, where loopback is a choice that protects; a host written into the program
(``uvicorn.run(host=…)``), which neither option nor environment variable changes: see ``advise``.

Risk: the container is made anew with another command; on Kubernetes its pods are, with a variable where the image has
the command. Afterwards everybody who reaches the container's network reaches the service: that is what publishing a
port asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment

ALL = "0.0.0.0"  # noqa: S104 - listening on all interfaces is what this remedy is for
ALL_SIX = "::"


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    if not _facts.in_container(deployment):
        return "On loopback a local process is reachable from this machine alone, as it should be."
    if finding.facts.get("in_code") is True:
        return "The host stands in the program (uvicorn.run): no option changes it; `advise` shows the line to write."
    return None


def _intend(deployment: Deployment, _finding: Finding, _values: Mapping[str, Value]) -> Intent:
    addresses = {x.address for r in deployment.running for x in r.listeners or ()}
    only_six = bool(addresses) and all(":" in address for address in addresses)
    return Desired(bind_host=ALL_SIX if only_six else ALL)


REMEDY = Remedy(
    id=RemedyId("bind-all-interfaces"),
    title="Listen on all interfaces",
    capability="bind",
    why_not=_why_not,
    intend=_intend,
)
