"""An object as a wish wants it. Pure: the one computation that the diff and the act share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from probes import text
from probes.base import Frozen
from probes.intent import Desired, Intent, Restart, Rollback, Scale
from probes.target import Refused
from probes.targets.kubernetes import variables
from probes.targets.kubernetes.commanding import FILE, mount, recommand
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.kinds import container_of, template_of
from probes.targets.kubernetes.probing import set_probe
from probes.targets.kubernetes.resources import set_cpu, set_memory

Json = dict[str, Any]
RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""What ``kubectl rollout restart`` writes."""


class Wanted(Frozen, frozen=True):
    """What an object shall be."""

    thing: Json
    notes: tuple[str, ...] = ()
    config_map: Mapping[str, str] | None = None
    """Files of the ConfigMap that it mounts."""
    config_name: str | None = None


def wanted(thing: Json, want: Intent, facts: Facts, template: Json | None = None, at: str = "") -> Wanted:
    """``thing`` (a workload, a Service, a Pod) with all that is wanted; raises :class:`Refused`.

    ``template`` is that of the revision to go back to; ``at`` the time of a restart (RFC 3339).
    """
    made = deepcopy(thing)
    if isinstance(want, Scale):
        made["spec"]["replicas"] = want.replicas
        return Wanted(made)
    if isinstance(want, Restart):
        metadata = template_of(made).setdefault("metadata", {})
        metadata.setdefault("annotations", {})[RESTARTED] = at
        return Wanted(made)
    if isinstance(want, Rollback):
        if template is None:
            raise Refused(f"Revision {want.revision} is not kept any more.")
        made["spec"]["template"] = deepcopy(template)
        return Wanted(made)
    if thing["kind"] == "Service":
        return Wanted(_aligned(made, want))
    return _desired(made, want, facts)


def secret_name(thing: Json) -> str:
    """The Secret that variables of this workload move into."""
    return f"{thing['metadata']['name'][:240]}-fastops"


def _desired(made: Json, want: Desired, facts: Facts) -> Wanted:
    template, container = template_of(made), container_of(made, facts.container)
    if want.memory_limit_bytes is not None:
        set_memory(template["spec"], container, want.memory_limit_bytes, facts.used_bytes)
    if want.cpu_limit_cores is not None:
        set_cpu(template["spec"], container, want.cpu_limit_cores)
    for probe in want.probes:
        set_probe(container, probe)
    for name, value in want.environment.items():
        variables.set_literal(container, name, value)
    for name, reference in want.environment_from.items():
        variables.set_reference(container, name, reference)
    for name, mode in want.database_tls.items():
        variables.set_database_tls(container, name, mode)
    if want.database_ca is not None:
        _refuse_unmounted(container, want.database_ca)
    for name in want.secret_variables:
        variables.move(container, name, secret_name(made))
    if not (want.gunicorn or want.bind_host or want.server or want.production):
        return Wanted(made)
    said = recommand(container, want, facts)
    if said.config is None:
        return Wanted(made, said.notes)
    # The name changes with the content, as kustomize does it: pods of another revision keep reading theirs.
    digest = hashlib.sha256(said.config.encode()).hexdigest()[:8]
    name = f"{made['metadata']['name'][:230]}-fastops-{digest}"
    mount(template["spec"], container, name)
    return Wanted(made, said.notes, {FILE: said.config}, name)


def _refuse_unmounted(container: Json, path: str) -> None:
    mounts = [str(one["mountPath"]).rstrip("/") for one in container.get("volumeMounts") or []]
    if not any(path == mount or path.startswith(f"{mount}/") for mount in mounts):
        raise Refused(f"No mount of the container holds {text.clean(path, 200)}: mount the file first.")


def _aligned(made: Json, want: Desired) -> Json:
    name = made["metadata"]["name"]
    for one, target in want.target_ports.items():
        service, _, port = one.rpartition(":")
        if service != name:
            continue
        found = next((p for p in made["spec"].get("ports") or [] if str(p["port"]) == port), None)
        if found is None:
            raise Refused(f"Service {text.clean(name, 100)} has no port {text.clean(port, 10)} any more.")
        found["targetPort"] = target
    return made
