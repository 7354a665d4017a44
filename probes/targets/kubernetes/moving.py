"""What a changed template refers to, and has to be made first: a Secret of variables, a ConfigMap of files. Pure."""

from __future__ import annotations

from typing import Any

from probes import text
from probes.intent import Desired, Intent, Step
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.kinds import KINDS, Subject, container_of
from probes.targets.kubernetes.offered import config_map
from probes.targets.kubernetes.remake import Remade
from probes.targets.kubernetes.steps import Making, making_step
from probes.targets.kubernetes.variables import key_of, literals
from probes.targets.kubernetes.wanted import secret_name

Json = dict[str, Any]
_STILL = (
    "Earlier revisions, and kubectl's last-applied-configuration, still hold the value in clear text: change the "
    "password itself afterwards."
)


def steps(made: Remade, want: Intent, subject: Subject, facts: Facts) -> list[Step]:
    """The steps that make what the workload then refers to."""
    found: list[Step] = []
    literal = literals(container_of(made.live, facts.container)) if isinstance(want, Desired) else {}
    variables = tuple(one for one in want.secret_variables if one in literal) if isinstance(want, Desired) else ()
    if variables:
        name = secret_name(made.live)
        making = Making(
            kind="Secret",
            namespace=subject.namespace,
            name=name,
            workload=subject.path,
            container=facts.container,
            variables=variables,
        )
        data = {key_of(variable): text.HIDDEN for variable in variables}
        shown = {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(subject, name), "data": data}
        found.append(making_step(making, KINDS["Secret"].path(subject.namespace, name), shown, (_STILL,)))
    if made.wanted.config_map is not None:
        name = str(made.wanted.config_name)
        making = Making("ConfigMap", subject.namespace, name, files=made.wanted.config_map)
        shown = config_map(subject.namespace, name, dict(made.wanted.config_map))
        found.append(making_step(making, KINDS["ConfigMap"].path(subject.namespace, name), shown))
    return found


def by_hand(made: Remade, want: Intent) -> tuple[str, ...]:
    """What has to be made by hand before an offered patch is applied."""
    if not isinstance(want, Desired) or not want.secret_variables:
        return ()
    name, namespace = secret_name(made.live), made.live["metadata"]["namespace"]
    keys = " ".join(f"--from-literal={key_of(one)}=…" for one in want.secret_variables)
    return (f"Make the Secret first: kubectl create secret generic {name} -n {namespace} {keys}", _STILL)


def _metadata(subject: Subject, name: str) -> Json:
    return {"name": name, "namespace": subject.namespace}
