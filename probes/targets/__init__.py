"""The engines that run services, one folder each; opened by the names that people type."""

from __future__ import annotations

from collections.abc import Sequence

from probes.model import TargetId
from probes.target import Options, Target


class UnknownTarget(Exception):
    """A name that is no target; the text is one sentence for people."""


def open_target(name: str, options: Options) -> Target:
    """Opens ``docker``, ``docker:CONTEXT``, ``docker:URL`` or ``local``; nothing is contacted yet.

    Raises :class:`UnknownTarget`.
    """
    engine, _, rest = name.partition(":")
    if name == "local":
        from probes.targets.local.target import LocalTarget

        return LocalTarget(options)
    from probes.targets.docker import contexts
    from probes.targets.docker.target import DockerTarget

    if engine == "docker":
        return DockerTarget(contexts.resolve(rest or None), options)
    if name in contexts.names():
        return DockerTarget(contexts.resolve(name), options)
    raise UnknownTarget(
        f"{name!r} is not a target: fastops knows 'docker', 'docker:CONTEXT', 'docker:URL' and 'local'"
        f" (docker contexts here: {', '.join(contexts.names()) or 'none'})"
    )


def default_names() -> tuple[str, ...]:
    """What is opened when nobody names a target: the Docker engine that the docker CLI would use, and this machine."""
    from probes.targets.docker import contexts

    return ("docker", "local") if contexts.default_exists() else ("local",)


def target_id(name: str, opened: Sequence[Target]) -> TargetId | None:
    """The id of an opened target by the name that was typed."""
    return next((t.id for t in opened if name in {t.id, t.id.replace("@", ":", 1)}), None)
