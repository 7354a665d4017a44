"""Where a service imports from and what is installed there, told from directory listings."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

ListDir = Callable[[str], Sequence[str] | None]
"""Names in a directory as the service sees it, by absolute path; ``None`` when absent or unreadable. Never raises."""
ReadFile = Callable[[str], bytes | None]

OF_INTEREST = frozenset(
    {
        "fastapi",
        "fastapi-slim",
        "starlette",
        "pydantic",
        "pydantic-settings",
        "uvicorn",
        "uvicorn-worker",
        "gunicorn",
        "hypercorn",
        "granian",
        "uvloop",
        "httptools",
        "sqlalchemy",
        "sqlmodel",
        "tortoise-orm",
        "databases",
        "asyncpg",
        "psycopg",
        "psycopg-pool",
        "psycopg2",
        "psycopg2-binary",
        "aiomysql",
        "asyncmy",
        "pymysql",
        "mysqlclient",
        "aiosqlite",
        "pymongo",
        "motor",
        "redis",
        "apscheduler",
        "celery",
        "arq",
        "websockets",
        "wsproto",
        "prometheus-client",
        "prometheus-fastapi-instrumentator",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
        "opentelemetry-instrumentation-fastapi",
        "sentry-sdk",
        "setproctitle",
        "flask",
        "django",
        "litestar",
        "quart",
    }
)
_DISTRIBUTION = re.compile(r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info")
_PYTHON = re.compile(r"python3(?:\.[0-9]+t?)?")
_USUAL = ("/usr/local", "/usr", "/opt/venv", "/venv", "/app/.venv", "/opt/conda", "/root/.local")
_PREFIXES = 24


def prefixes(argv: Sequence[str], environment: Mapping[str, str], working_dir: str) -> tuple[str, ...]:
    """Installation prefixes that the command's interpreter may have, the likeliest first."""
    found: dict[str, None] = {}
    for word in argv:
        if word.startswith("/") and posixpath.basename(posixpath.dirname(word)) in ("bin", "sbin"):
            found[posixpath.dirname(posixpath.dirname(word))] = None
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environment.get(name, "").startswith("/"):
            found[environment[name].rstrip("/")] = None
    # `uv run` and `poetry run` take the project's own environment.
    found[posixpath.join(working_dir, ".venv")] = None
    for directory in environment.get("PATH", "").split(":"):
        if posixpath.basename(directory.rstrip("/")) == "bin":
            found[posixpath.dirname(directory.rstrip("/"))] = None
    found[posixpath.join(working_dir, "venv")] = None
    if environment.get("HOME", "").startswith("/"):
        found[posixpath.join(environment["HOME"], ".local")] = None
    found.update(dict.fromkeys(_USUAL))
    return tuple(found)[:_PREFIXES]


def site_packages(
    argv: Sequence[str], environment: Mapping[str, str], working_dir: str, list_dir: ListDir
) -> tuple[str, ...]:
    """The site-packages directories that the command's interpreter may import from, the likeliest first."""
    found: dict[str, None] = {}
    for prefix in prefixes(argv, environment, working_dir):
        for library in ("lib", "lib64"):
            base = posixpath.join(prefix, library)
            for name in sorted(list_dir(base) or ()):
                if not _PYTHON.fullmatch(name):
                    continue
                for leaf in ("site-packages", "dist-packages"):
                    directory = posixpath.join(base, name, leaf)
                    if directory not in found and list_dir(directory):
                        found[directory] = None
    return tuple(found)


def installed(directories: Sequence[str], list_dir: ListDir, read_file: ReadFile) -> dict[str, str] | None:
    """Distributions of interest → version, from the names of ``*.dist-info``; ``None`` when nothing could be listed.

    A FastAPI without its dist-info (images are stripped of them) is found by its package.
    """
    found: dict[str, str] = {}
    listed = False
    for directory in directories:
        names = list_dir(directory)
        if names is None:
            continue
        listed = True
        for name in names:
            match = _DISTRIBUTION.fullmatch(name)
            if match is not None:
                distribution = re.sub(r"[-_.]+", "-", match["name"]).lower()
                if distribution in OF_INTEREST:
                    found.setdefault(distribution, match["version"])
        if "fastapi" in names and "fastapi" not in found:
            source = read_file(posixpath.join(directory, "fastapi/__init__.py")) or b""
            version = re.search(rb"__version__\s*=\s*[\"']([0-9][^\"']{0,32})[\"']", source)
            if source:
                found["fastapi"] = version[1].decode("ascii", "replace") if version else "unknown"
    return found if listed else None


def editable(directories: Sequence[str], list_dir: ListDir, read_file: ReadFile) -> tuple[str, ...]:
    """Directories that ``*.pth`` files put on the import path: where projects that are installed editable live."""
    found: dict[str, None] = {}
    for directory in directories:
        for name in [one for one in list_dir(directory) or () if one.endswith(".pth")][:20]:
            for line in (
                (read_file(posixpath.join(directory, name)) or b"")[:65536].decode("utf-8", "replace").split("\n")
            ):
                if line.startswith("/"):
                    found[line.strip().rstrip("/")] = None
    return tuple(found)[:20]
