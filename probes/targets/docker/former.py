"""How a container was run before it was replaced: told by the new container's label, and by the step."""

from __future__ import annotations

from typing import Any

import msgspec

from probes import text
from probes.base import Frozen
from probes.intent import Step
from probes.target import Refused
from probes.targets.docker.documents import FORMER_LABEL, name_of

Json = dict[str, Any]
Policy = dict[str, str | int]
NO_POLICY: Policy = {"Name": "no", "MaximumRetryCount": 0}


class Former(Frozen, frozen=True):
    """How a container was run before it was replaced."""

    policy: Policy
    running: bool


def run_as(inspect: Json) -> Former:
    """How a container is run now."""
    return Former(policy=policy(inspect), running=bool(inspect["State"].get("Running")))


def told_by_label(new: Json) -> Former:
    """What the container that was made in its place says of it; raises :class:`Refused`."""
    try:
        return msgspec.json.decode(new["Config"]["Labels"][FORMER_LABEL], type=Former)
    except (KeyError, TypeError, msgspec.DecodeError):
        raise Refused(f"The labels of {text.clean(name_of(new), 200)} were changed: fastops leaves it alone.") from None


def told_by_step(step: Step) -> Former:
    """What the step, and so the journal, says of it; raises :class:`Refused`."""
    try:
        return msgspec.convert(step.arguments["former"], type=Former)
    except (KeyError, msgspec.ValidationError):
        raise Refused("The journal does not say how the former container was run: it is left as it is.") from None


def policy(inspect: Json) -> Policy:
    """A container's restart policy."""
    return policy_of(inspect["HostConfig"].get("RestartPolicy"))


def policy_of(said: object) -> Policy:
    """A restart policy as the engine takes it; none at all is ``no``."""
    known = said if isinstance(said, dict) else {}
    return {"Name": str(known.get("Name") or "no"), "MaximumRetryCount": int(known.get("MaximumRetryCount") or 0)}


def is_up(inspect: Json) -> bool:
    """Whether it runs, or its policy is about to start it again."""
    return bool(inspect["State"].get("Running") or inspect["State"].get("Restarting"))


def was_started(inspect: Json) -> bool:
    """Whether it ever ran."""
    return not str(inspect["State"].get("StartedAt") or "0001-").startswith("0001-")
