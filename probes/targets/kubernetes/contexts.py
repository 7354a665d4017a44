"""Which cluster is meant: ``k8s``, ``k8s:CONTEXT``, ``k8s:CONTEXT/NAMESPACE``; or, inside a pod, the pod's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from probes import text
from probes.base import Failure, TargetId
from probes.target import Unreadable
from probes.targets.kubernetes import entries
from probes.targets.kubernetes.kubeconfig import Kubeconfig, load
from probes.targets.kubernetes.place import IN_CLUSTER, Cluster, Place, User

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, authority and namespace."""
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as the API server asks for


def list_contexts(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The names of the contexts that exist, the current one first. One that is broken hides no other."""
    environment = os.environ if environment is None else environment
    config = load(environment)
    names = sorted(config.contexts)
    if _inside(environment) and IN_CLUSTER not in config.contexts:
        names.append(IN_CLUSTER)
    current = _current(config, environment)
    return tuple(sorted(names, key=lambda one: one != current))


def current_context(environment: Mapping[str, str] | None = None) -> str | None:
    """``current-context`` of the first file that names one; ``in-cluster`` in a pod without a kubeconfig; or none."""
    environment = os.environ if environment is None else environment
    return _current(load(environment), environment) or None


def resolve(spec: str = "k8s", namespace: str | None = None, environment: Mapping[str, str] | None = None) -> Place:
    """The context that a target's name means; ``namespace`` where the name holds none.

    A name is looked for whole among the contexts first: they may contain ``/`` and ``:``. Raises :class:`Unreadable`
    (``not-found``, ``invalid``). Nothing is contacted and no program is run.
    """
    environment = os.environ if environment is None else environment
    config = load(environment)
    wanted = spec.removeprefix("k8s").removeprefix(":")
    name, part = _split(wanted, config, environment)
    asked = _namespace(part or namespace)
    if name == IN_CLUSTER and name not in config.contexts and _inside(environment):
        return _in_cluster(asked, environment)
    if name not in config.contexts:
        raise Unreadable(_unknown(name, config, environment))
    found = entries.place(_target(name), name, config, asked)
    _namespace(found.own_namespace)
    return found


def _namespace(name: str | None) -> str | None:
    """It becomes a part of paths: nothing else may pass."""
    if not name:
        return None
    if not _LABEL.fullmatch(name):
        why = "a namespace is of lower-case letters, digits and dashes, 63 at most"
        raise Unreadable(Failure("invalid", f"the namespace {text.clean(name, 120)}", why, "kubectl get namespaces"))
    return name


def _split(wanted: str, config: Kubeconfig, environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Context and namespace."""
    if not wanted:
        return _current(config, environment), None
    known = {*config.contexts, *((IN_CLUSTER,) if _inside(environment) else ())}
    context, slash, namespace = wanted.rpartition("/")
    if wanted in known or not slash:
        return wanted, None
    return (context or _current(config, environment)), namespace or None


def _current(config: Kubeconfig, environment: Mapping[str, str]) -> str:
    if config.current:
        return config.current
    return IN_CLUSTER if not config.contexts and _inside(environment) else ""


def _target(context: str) -> TargetId:
    return TargetId(f"k8s/{quote(context, safe='.-_@:')}")


def _unknown(name: str, config: Kubeconfig, environment: Mapping[str, str]) -> Failure:
    files = ", ".join(text.clean(one, 200) for one in config.files[:4])
    if config.broken:
        why = config.broken[0] + (f" (and {len(config.broken) - 1} more)" if len(config.broken) > 1 else "")
        what = f"the Kubernetes context {text.clean(name, 120)}" if name else "the current Kubernetes context"
        return Failure("invalid", what, why, "mend the file; kubectl config view shows what kubectl makes of it")
    known = ", ".join(text.clean(one, 80) for one in list_contexts(environment)[:12])
    if not name:
        if known:
            hint = f"name one (k8s:CONTEXT): {known}; or kubectl config use-context CONTEXT"
            return Failure("not-found", "the current Kubernetes context", f"none is set in {files}", hint)
        why = f"there is no kubeconfig: {files} names no context, and this is no pod"
        return Failure("not-found", "a Kubernetes context", why, "set KUBECONFIG, or put one at ~/.kube/config")
    why = f"there is none of that name; there are: {known}" if known else f"{files} names no context"
    return Failure("not-found", f"the Kubernetes context {text.clean(name, 120)}", why, "kubectl config get-contexts")


def _inside(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and (ACCOUNT / "token").is_file()


def _in_cluster(namespace: str | None, environment: Mapping[str, str]) -> Place:
    """As client-go's ``rest.InClusterConfig``."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT") or "443"
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        urlsplit(server).port  # noqa: B018 - raises where it is none
        own = (ACCOUNT / "namespace").read_text("utf-8")[:253].strip()
    except ValueError:
        why = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address"
        raise Unreadable(Failure("invalid", "the cluster around this pod", why, "unset both outside a pod")) from None
    except OSError:
        own = ""
    authority = ACCOUNT / "ca.crt"
    return Place(
        target=_target(IN_CLUSTER),
        context=IN_CLUSTER,
        namespace=namespace,
        own_namespace=own if _LABEL.fullmatch(own) else "default",
        cluster=Cluster(server, authority_file=str(authority) if authority.is_file() else None, proxy=""),
        user=User("service account", token_file=str(ACCOUNT / "token")),
    )
