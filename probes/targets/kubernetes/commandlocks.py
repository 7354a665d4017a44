"""What a template's command does not let be changed, so that no fix is offered that cannot be planned. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import lru_cache

from probes import command_locks
from probes.model import Capability
from probes.targets.kubernetes.views import ContainerView

_PLAIN = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "fastapi"})
"""Programs whose options stand in the command itself: these can be written, and most services start so."""


def locked(found: ContainerView | None, packages: Mapping[str, str]) -> Mapping[Capability, str]:
    """The capabilities that a container's command has not, each with a sentence.

    Of a command that stands in the image nothing is said: its settings may be given by variables.
    """
    if found is None or not found.entry_known or not found.argv or posixpath.basename(found.argv[0]) in _PLAIN:
        return {}
    return _locked(found.argv, tuple(found.environment.items()), tuple(packages.items()))


@lru_cache(maxsize=1024)
def _locked(
    argv: tuple[str, ...], environment: tuple[tuple[str, str], ...], packages: tuple[tuple[str, str], ...]
) -> Mapping[Capability, str]:
    """Many services start by the same words."""
    return command_locks.locks(argv, dict(environment), dict(packages))
