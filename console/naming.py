"""Which deployment a person means: an id, a tail of it, or what kubectl's users type."""

from __future__ import annotations

from collections.abc import Iterable

from probes.model import Deployment

_SHORT = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "rs": "replicaset", "po": "pod"}
"""kubectl's short names of kinds."""


def meant(named: str, deployments: Iterable[Deployment]) -> list[Deployment]:
    """The deployments of that id; else those whose id ends so; else those that the parts of the name fit.

    Parts fit that stand in the id in that order, the last of both being the name: ``shop/checkout`` and
    ``deploy/checkout`` fit ``k8s/prod/shop/Deployment/checkout``.
    """
    every = list(deployments)
    return (
        [d for d in every if d.id == named]
        or [d for d in every if d.id.endswith(f"/{named}")]
        or [d for d in every if _fits(_parts(named), _parts(d.id))]
    )


def _parts(name: str) -> list[str]:
    *before, last = name.split("/")
    return [*(_SHORT.get(one.lower(), one.lower()) for one in before), last]


def _fits(wanted: list[str], there: list[str]) -> bool:
    if wanted[-1] != there[-1] or "" in wanted:
        return False
    rest = iter(there[:-1])
    return all(part in rest for part in wanted[:-1])
