"""On which port a container's service is asked. Pure."""

from __future__ import annotations

from probes.targets.docker.container import Container


def port_of(container: Container) -> int | None:
    """The port on which the service is asked: where it listens, where it says that it does, what is published."""
    command = container.known.command if container.known else None
    said = [port for _, port in command.binds()] if command else []
    listeners = container.reading.listeners if container.reading else None
    heard = [one.port for one in listeners or ()]
    both = [port for port in said if port in heard]
    published = [one.container_port for one in container.base.ports]
    if listeners is not None and not heard:
        return next(iter(said), None)
    likely = [*both, *(port for port in published if port in heard), *heard, *said, *published, *container.exposed]
    return next(iter(likely), None)
