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
    """Opens ``docker``, ``docker:CONTEXT``, ``docker:URL``, ``local``, or a docker context by its bare name.

    Nothing is contacted yet. Raises :class:`UnknownTarget`, and :class:`probes.target.Unreadable` for a docker context
    that exists and is broken.
    """
    if name == "local":
        from probes.targets.local.target import LocalTarget

        return LocalTarget(options)
    from probes.targets.docker import contexts

    if name == "docker" or name.startswith(("docker:", "docker@")):
        return _docker(name, options)
    if name in contexts.list_contexts():
        return _docker(f"docker:{name}", options)
    raise UnknownTarget(
        f"{name!r} is not a target: fastops knows 'docker', 'docker:CONTEXT', 'docker:URL' and 'local'"
        f" (docker contexts here: {', '.join(contexts.list_contexts())})"
    )


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
    """What is opened when nobody names a target: the engine that the docker command would use, and this machine.

    An engine that nobody configured counts only where its socket is.
    """
    from probes.targets.docker import contexts

    configured = "DOCKER_HOST" in os.environ or contexts.current_context() != contexts.DEFAULT
    there = configured or Path(contexts.DEFAULT_URL.removeprefix("unix://")).exists()
    return ("docker", "local") if there else ("local",)


def name_of(identity: str) -> str | None:
    """The name that opens the target of a deployment's full id; ``None`` for a mere tail of an id."""
    target = target_of(identity)
    if not identity.startswith(f"{target}/"):
        return None
    if target in {"docker", "local"} or target.startswith("docker@"):
        return unquote(target)
    kind, slash, context = target.partition("/")
    return f"k8s:{unquote(context)}" if slash and kind == "k8s" else None
