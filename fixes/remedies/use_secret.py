"""Moves secrets out of a pod's description into a Secret.

What it does: makes a Secret ``NAME-fastops`` (or adds to it), moves the literal values of the variables there, and
lets the variables refer to it. The values go from the API server to the API server: they are neither shown nor
journalled. The undo reads them back from the Secret.

When it is right: a password, key or token stands as a literal value in a Deployment, where everybody reads it who may
read the namespace's workloads.

What stays: former revisions (ReplicaSets), ``last-applied-configuration`` and whatever keeps the manifest still have
the value. Change the password itself afterwards, in the Secret and where it is checked.

Risk: the pods are replaced, one after the other. A value that is made of other variables (``$(NAME)``) is refused: a
Secret's value is taken as it is.

Guard: an object of Helm, Argo CD or Flux is not patched; the patch is written into a file, and the command that makes
the Secret is shown with the value left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.target import Refused
from probes.text import HIDDEN


def _names(deployment: Deployment, finding: Finding) -> list[str]:
    """The variables with a literal secret: as the finding names them, as far as they are literal."""
    hidden = {name: None for r in deployment.replicas for name, value in r.environment.items() if HIDDEN in value}
    said = [name.strip() for name in str(finding.facts.get("names", "")).split(",")]
    told = [name for name in said if name in hidden]
    return told or sorted(hidden)


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    if not _names(deployment, finding):
        return "None of its variables has a secret as a literal value."
    return None


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    return (Parameter("variables", "Variables", ",".join(_names(deployment, finding))),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    names = tuple(dict.fromkeys(one.strip() for one in str(values["variables"]).split(",") if one.strip()))
    if not names:
        raise Refused("Name the variables whose values should move, separated by commas.")
    return Desired(secret_variables=names)


REMEDY = Remedy(
    id=RemedyId("use-secret"),
    title="Move the values into a Secret",
    capability="secret",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
)
