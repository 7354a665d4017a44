"""What a template's command does not let be changed, so that no fix is offered that cannot be planned. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache

from probes import command_locks
from probes.model import Capability
from probes.targets.kubernetes.views import ContainerView

_PLAIN = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "fastapi"})
"""Programs whose options stand in the command itself: these can be written, and most services start so."""
_SERVERS = ("GUNICORN_", "UVICORN_", "HYPERCORN_", "GRANIAN_", "FASTAPI_", "WEB_CONCURRENCY", "PORT")
"""How the names of variables begin that servers read by themselves."""
_NAMES = re.compile(r"[A-Za-z_]\w*")


def locked(found: ContainerView | None, packages: Mapping[str, str]) -> Mapping[Capability, str]:
    """The capabilities that a container's command has not, each with a sentence.

    Of a command that stands in the image nothing is said: its settings may be given by variables.
    """
    if found is None or not found.entry_known or not found.argv or posixpath.basename(found.argv[0]) in _PLAIN:
        return {}
    return _locked(found.argv, _used(found.argv, found.environment), tuple(packages.items()))


def _used(argv: tuple[str, ...], environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables that may matter to the command: the servers' own, what it names, and what those name in turn.

    The others differ from service to service, and would keep what was found for one from the next.
    """
    known = {name for name in environment if name.startswith(_SERVERS)}
    words = " ".join(argv)
    while more := {name for name in _NAMES.findall(words) if name in environment} - known:
        known |= more
        words = " ".join(environment[name] for name in more)
    return tuple((name, environment[name]) for name in sorted(known))


@lru_cache(maxsize=1024)
def _locked(
    argv: tuple[str, ...], environment: tuple[tuple[str, str], ...], packages: tuple[tuple[str, str], ...]
) -> Mapping[Capability, str]:
    """Many services start by the same words."""
    return command_locks.locks(argv, dict(environment), dict(packages))
