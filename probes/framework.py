"""Whether a service is a FastAPI application, told by reading its files: nothing is executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from probes.model import Frozen
from probes.servers import ReadFile, ServerCommand

ListDir = Callable[[str], Sequence[str] | None]
"""Names in a directory as the service sees it, by absolute path; ``None`` when it is absent or unreadable. Never raises."""


class Recognition(Frozen, frozen=True):
    """What a service is taken for."""

    framework: Literal["fastapi", "other", "unknown"]
    why: str
    """For people: ``fastapi 0.115.2 is installed and main:app is FastAPI(…) in /app/main.py``."""
    packages: Mapping[str, str] = {}
    """Distributions that matter to fastops → version."""


def site_packages(
    argv: Sequence[str], environment: Mapping[str, str], working_dir: str, list_dir: ListDir
) -> tuple[str, ...]:
    """The site-packages directories that the command's interpreter imports from, the likeliest first; empty when none is seen.

    Looks at the interpreter's or script's own prefix, ``VIRTUAL_ENV``, ``PATH``, ``WORKDIR/.venv`` and the usual prefixes.
    """
    raise NotImplementedError


def installed(directories: Sequence[str], list_dir: ListDir, read_file: ReadFile) -> dict[str, str] | None:
    """Distributions of interest → version, from ``*.dist-info`` names; ``None`` when no directory could be listed."""
    raise NotImplementedError


def recognise(
    command: ServerCommand | None,
    argv: Sequence[str],
    environment: Mapping[str, str],
    working_dir: str,
    list_dir: ListDir,
    read_file: ReadFile,
    *,
    openapi: bytes | None = None,
    label: bool | None = None,
) -> Recognition:
    """Tells FastAPI from others. ``label`` (``fastops.enable``) wins over all; then the document at ``/openapi.json``
    and the application's own source; an ASGI server's command counts while nothing contradicts it. Never raises.

    ``command`` is what :func:`probes.servers.parse` made of ``argv``; ``None`` (a product with a command of its own) is
    decided by the entry module.
    """
    raise NotImplementedError
