"""What right a request needs, in the words of RBAC: read from its path, as the API server reads it."""

from __future__ import annotations

from collections.abc import Mapping

from probes.base import Frozen

_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Rule(Frozen, frozen=True):
    """One rule of a Role (where there is a namespace) or a ClusterRole."""

    verb: str
    group: str
    """``""`` is the core group."""
    resource: str
    """With its subresource: ``pods/exec``; empty for a path that is no resource."""
    namespace: str | None
    name: str | None = None
    url: str | None = None
    """For a path that is no resource (``nonResourceURLs``)."""

    def __str__(self) -> str:
        """One line of YAML, as it stands in a Role."""
        if self.url is not None:
            return f"{{nonResourceURLs: [{self.url}], verbs: [{self.verb}]}}"
        group = self.group or '""'
        return f"{{apiGroups: [{group}], resources: [{self.resource}], verbs: [{self.verb}]}}"

    @property
    def where(self) -> str:
        """Where it has to be granted."""
        return f"in the namespace {self.namespace}" if self.namespace else "in the whole cluster"


def rule(method: str, path: str, params: Mapping[str, object] | None = None) -> Rule:
    """The right that ``method`` on ``path`` needs.

    From ``RequestInfoFactory`` of k8s.io/apiserver: ``/api/VERSION/…`` and ``/apis/GROUP/VERSION/…``, then
    ``namespaces/NAME/`` where it is namespaced, then resource, name and subresource.
    """
    parts = [one for one in path.split("/") if one]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, parts = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, parts = parts[1], parts[3:]
    else:
        return Rule(method.lower(), "", "", None, url=path)
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in {"status", "finalize"}:
        namespace, parts = parts[1], parts[2:]
    resource, name = parts[0], parts[1] if len(parts) > 1 else None
    if len(parts) > 2:
        resource = f"{resource}/{parts[2]}"
    return Rule(_verb(method, name, params or {}), group, resource, namespace, name)


def _verb(method: str, name: str | None, params: Mapping[str, object]) -> str:
    if method in {"GET", "HEAD"}:
        if str(params.get("watch", "")).lower() in {"1", "true"}:
            return "watch"
        return "get" if name else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return _WRITES.get(method, method.lower())
