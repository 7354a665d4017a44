"""Rewriting a server's command so that it has the settings that are wanted, and every other one as before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes.model import Desired, Frozen
from probes.servers import ReadFile, no_files


class CannotRewrite(Exception):
    """The command cannot be rewritten safely; the text is one sentence for people that says why."""


class Rewritten(Frozen, frozen=True):
    """A command as it should be."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    """The whole environment; differs only where a setting stood in a variable (``GUNICORN_CMD_ARGS``, …)."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each: ``gunicorn is not installed: uvicorn's own workers are used``."""


def rewrite(
    argv: Sequence[str],
    environment: Mapping[str, str],
    want: Desired,
    packages: Mapping[str, str],
    read_file: ReadFile = no_files,
    working_dir: str = "/",
) -> Rewritten:
    """The command with ``want.bind_host``, ``want.gunicorn`` and ``want.server``; limits of memory and files are not its business.

    ``packages`` are the distributions that the service can import. With ``want.server`` (or settings of
    ``want.gunicorn`` for a service under uvicorn) the manager changes; where gunicorn is not among ``packages``,
    ``workers`` goes to uvicorn's own ``--workers`` and a note says so. Rewriting twice changes nothing more.
    Raises :class:`CannotRewrite`.
    """
    raise NotImplementedError
