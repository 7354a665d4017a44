"""The engines that run services, one folder each; opened by the names that people type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from probes.base import target_of

if TYPE_CHECKING:
    from probes.target import Options, Target


class UnknownTarget(Exception):
    """A name that is no target; the text is one sentence for people."""


def open_target(name: str, options: Options) -> Target:
    """Opens ``local``, ``docker[:CONTEXT]``, ``docker:URL``, ``k8s[:CONTEXT[/NAMESPACE]]``, or a context by its name.

    A bare name is that of a context: Docker's first, then kubectl's. Nothing is contacted yet. Raises
    :class:`UnknownTarget`, and :class:`probes.target.Unreadable` for a context that exists and is broken.
    """
    if name == "local":
        from probes.targets.local.target import LocalTarget

        return LocalTarget(options)
    from probes.targets.docker import contexts

    if name == "docker" or name.startswith(("docker:", "docker@")):
        return _docker(name, options)
    if name == "k8s" or name.startswith(("k8s:", "k8s/")):
        return _cluster(unquote(name.replace("k8s/", "k8s:", 1)) if name.startswith("k8s/") else name, options)
    if name in contexts.list_contexts():
        return _docker(f"docker:{name}", options)
    from probes.targets.kubernetes import contexts as clusters

    if any(name == one or name.startswith(f"{one}/") for one in clusters.list_contexts()):
        return _cluster(f"k8s:{name}", options)
    known = ", ".join((*contexts.list_contexts(), *(f"k8s:{one}" for one in clusters.list_contexts())))
    raise UnknownTarget(
        f"{name!r} is not a target: fastops knows 'docker', 'docker:CONTEXT', 'docker:URL', 'k8s', 'k8s:CONTEXT',"
        f" 'k8s:CONTEXT/NAMESPACE' and 'local' (contexts here: {known})"
    )


def _cluster(name: str, options: Options) -> Target:
    from probes.target import Unreadable
    from probes.targets.kubernetes.target import KubernetesTarget

    try:
        return KubernetesTarget(name, options)
    except Unreadable as unreadable:
        failure = unreadable.failure
        if failure.code != "not-found":
            raise
        hint = f" ({failure.hint})" if failure.hint else ""
        raise UnknownTarget(f"{failure.what}: {failure.why}{hint}") from None


def _docker(name: str, options: Options) -> Target:
    from probes.target import Unreadable
    from probes.targets.docker.target import DockerTarget

    try:
        return DockerTarget(name, options)
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
