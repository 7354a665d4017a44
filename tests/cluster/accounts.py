"""Accounts with exactly the rights that a test gives them, on any cluster: ServiceAccount, token, kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .api import Api

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def make(api: Api, namespace: str, name: str, rules: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Make an account that may do what ``rules`` (of a Role) say in its namespace; the kubeconfig that uses it.

    It lies in ``folder``; its context is called ``name`` and has the namespace as its default.
    """
    api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    roles = f"{RBAC}/namespaces/{namespace}"
    api.post(f"{roles}/roles", {"metadata": {"name": name}, "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    api.post(f"{roles}/rolebindings", {"metadata": {"name": name}, "subjects": [subject], "roleRef": role})
    return kubeconfig(api, name, token(api, namespace, name), folder, namespace)


def token(api: Api, namespace: str, name: str, seconds: int = 3600) -> str:
    """A token of the account; the API server gives none that expires within ten minutes."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
    return str(api.post(path, asked)["status"]["token"])


def kubeconfig(api: Api, name: str, bearer: str, folder: Path, namespace: str) -> Path:
    """A kubeconfig with one context ``name`` on the cluster of ``api``."""
    view = api.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output", "json")
    cluster = json.loads(view)["clusters"][0]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": name, "user": {"token": bearer}}],
        "contexts": [{"name": name, "context": {"cluster": cluster["name"], "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    path = folder / f"{name}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path
