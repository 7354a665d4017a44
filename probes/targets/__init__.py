"""The engines that run services, one folder each; opened by the names that people type."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from probes import text
from probes.base import target_of

if TYPE_CHECKING:
    from probes.target import Options, Target


class UnknownTarget(Exception):
    """A name that is no target; the text is one sentence for people."""


def open_target(name: str, options: Options) -> Target:
    """Opens a target by the name that people type.

    ``docker``, ``docker:CONTEXT``, ``docker:URL``, ``k8s``, ``k8s:CONTEXT``, ``k8s:CONTEXT/NAMESPACE``, ``local``, or
    a context of docker or kubectl by its bare name. Nothing is contacted yet. Raises :class:`UnknownTarget`, and
    :class:`probes.target.Unreadable` for a context that exists and is broken.
    """
    if name == "local":
        from probes.targets.local.target import LocalTarget

        return LocalTarget(options)
    if name == "docker" or name.startswith(("docker:", "docker@")):
        return _docker(name, options)
    if name == "k8s" or name.startswith("k8s:"):
        return _kubernetes(name, options)
    from probes.targets.docker import contexts
    from probes.targets.kubernetes import contexts as clusters

    engines, kubectl = contexts.list_contexts(), clusters.list_contexts()
    if name in engines and name in kubectl:
        raise UnknownTarget(f"{name!r} is a context of docker and of kubectl: say docker:{name} or k8s:{name}")
    if name in engines:
        return _docker(f"docker:{name}", options)
    if name in kubectl:
        return _kubernetes(f"k8s:{name}", options)
    there = f"docker contexts here: {', '.join(engines)}; of kubectl: {', '.join(kubectl) or 'none'}"
    raise UnknownTarget(
        f"{name!r} is not a target: fastops knows 'docker', 'docker:CONTEXT', 'docker:URL', 'k8s', 'k8s:CONTEXT', "
        f"'k8s:CONTEXT/NAMESPACE' and 'local' ({text.line(there, 1000)})"
    )


def _kubernetes(name: str, options: Options) -> Target:
    from probes.targets.kubernetes.target import KubernetesTarget

    return _opened(lambda: KubernetesTarget(name, options))


def _docker(name: str, options: Options) -> Target:
    from probes.targets.docker.target import DockerTarget

    return _opened(lambda: DockerTarget(name, options))


def _opened(make: Callable[[], Target]) -> Target:
    """A context that is not there is a wrong name; one that is broken stays unreadable."""
    from probes.target import Unreadable

    try:
        return make()
    except Unreadable as unreadable:
        failure = unreadable.failure
        if failure.code != "not-found":
            raise
        raise UnknownTarget(f"{failure.what}: {failure.why} ({failure.hint})") from None


def default_names() -> tuple[str, ...]:
    """What is opened when nobody names a target: what the docker command and kubectl would use, and this machine.

    An engine that nobody configured counts only where its socket is; a cluster where a kubeconfig, or the pod that
    fastops runs in, names one. Nothing is contacted.
    """
    from probes.targets.docker import contexts
    from probes.targets.kubernetes import contexts as clusters

    configured = "DOCKER_HOST" in os.environ or contexts.current_context() != contexts.DEFAULT
    there = configured or Path(contexts.DEFAULT_URL.removeprefix("unix://")).exists()
    names = ("docker",) if there else ()
    if clusters.current_context() is not None:
        names = (*names, "k8s")
    return (*names, "local")


def name_of(identity: str) -> str | None:
    """The name that opens the target of a deployment's full id; ``None`` for a mere tail of an id."""
    target = target_of(identity)
    if not identity.startswith(f"{target}/"):
        return None
    if target in {"docker", "local"} or target.startswith("docker@"):
        return unquote(target)
    kind, slash, context = target.partition("/")
    return f"k8s:{unquote(context)}" if slash and kind == "k8s" else None
