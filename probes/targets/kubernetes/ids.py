"""Identifiers of what runs in a cluster."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from probes.base import DeploymentId, NodeId, ReplicaId, TargetId

_PLAIN = re.compile(r"[A-Za-z0-9._@:-]*")


def part(name: str) -> str:
    """A part of an id: what is not a letter, digit or one of ``.-_@:`` is percent-encoded."""
    return name if _PLAIN.fullmatch(name) else quote(name, safe=".-_@:").replace("~", "%7E")


def deployment_id(target: TargetId, namespace: str, kind: str, name: str) -> DeploymentId:
    """``k8s/CONTEXT/NAMESPACE/KIND/NAME``."""
    return DeploymentId(f"{target}/{part(namespace)}/{part(kind)}/{part(name)}")


def replica_id(namespace: str, pod: str, container: str) -> ReplicaId:
    """``NAMESPACE/POD/CONTAINER``: names that Kubernetes allows hold no slash."""
    return ReplicaId(f"{namespace}/{pod}/{container}")


def replica_parts(replica: ReplicaId) -> tuple[str, str, str]:
    """Namespace, pod and container of a replica; the container is empty where the id names none."""
    namespace, _, rest = replica.partition("/")
    pod, _, container = rest.partition("/")
    return namespace, pod, container


def node_id(target: TargetId, name: str) -> NodeId:
    """``k8s/CONTEXT/node/NAME``."""
    return NodeId(f"{target}/node/{part(name)}")


def node_name(node: NodeId | None) -> str | None:
    """The name in a node's id."""
    return None if node is None else unquote(node.rpartition("/")[2])
