"""What else a Service sends traffic to, before one of its ports is led elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes import text
from probes.target import Refused
from probes.targets.kubernetes import podstate
from probes.targets.kubernetes.dryrun import Objects
from probes.targets.kubernetes.kinds import KINDS
from probes.targets.kubernetes.rollout import selector

Json = dict[str, Any]


async def refuse_others(objects: Objects, service: Json, workload: Json) -> None:
    """Raises :class:`Refused` where the Service's selector chooses pods of other workloads, too."""
    namespace = str(service["metadata"]["namespace"])
    chosen: Mapping[str, str] = service["spec"].get("selector") or {}
    if not chosen:
        raise Refused(f"Service {text.clean(service['metadata']['name'], 200)} has no selector: its endpoints are set.")
    path = KINDS["Pod"].path(namespace)
    pods = await objects.items(path, {"labelSelector": ",".join(f"{k}={v}" for k, v in chosen.items())})
    own = await objects.items(path, {"labelSelector": selector(workload)})
    mine = {pod["metadata"]["uid"] for pod in own}
    other = next((p for p in pods if p["metadata"]["uid"] not in mine and not podstate.is_going(p)), None)
    if other is not None:
        name, pod = (text.clean(str(one["metadata"]["name"]), 200) for one in (service, other))
        raise Refused(f"Service {name} sends to {pod}, too, which is no pod of this workload: change it by hand.")
