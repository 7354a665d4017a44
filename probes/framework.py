"""Whether a service is a FastAPI application, told by reading its files: nothing is executed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from probes import coded, http, invocation, packages
from probes.app_runs import imports, runs
from probes.app_source import FRAMEWORKS, Sources, Verdict
from probes.base import Frozen
from probes.command_line import Invocation
from probes.packages import ListDir, installed, site_packages
from probes.servers import ReadFile, ServerCommand
from probes.text import line

__all__ = ["ListDir", "Recognition", "installed", "recognise", "site_packages"]

_HOPS = 8


class Recognition(Frozen, frozen=True):
    """What a service is taken for."""

    framework: Literal["fastapi", "other", "unknown"]
    why: str
    """For people: ``main:app is made by FastAPI in /app/main.py, fastapi 0.115.2 is installed``."""
    packages: Mapping[str, str] = {}
    """Distributions that matter to fastops → version."""
    command: ServerCommand | None = None
    """The server's command: the one that was given, else the one that the program's own code starts."""
    by_source: bool = False
    """The application's own source says what it is, or the label does: no document outranks that."""


class _Service:
    """One service's files and what is known of its import path."""

    def __init__(
        self,
        command: ServerCommand | None,
        argv: Sequence[str],
        environment: Mapping[str, str],
        working_dir: str,
        list_dir: ListDir,
        read_file: ReadFile,
    ) -> None:
        self.environment = environment
        self.working_dir = working_dir
        self.read_file = read_file
        self.directories = site_packages(argv, environment, working_dir, list_dir)
        paths = [posixpath.join(working_dir, one) for one in environment.get("PYTHONPATH", "").split(":") if one]
        self.roots = list(
            dict.fromkeys(
                [
                    *([command.app_dir] if command is not None and command.app_dir else []),
                    working_dir.rstrip("/") or "/",
                    *(path.rstrip("/") for path in paths),
                    *packages.editable(self.directories, list_dir, read_file),
                ]
            )
        )
        self.installed = installed([*self.directories, *paths], list_dir, read_file)
        self.sources = Sources(self.roots, self.directories, read_file)
        self.coded: ServerCommand | None = None
        self.said: Verdict | None = None
        """What the application's source says."""

    def vendored(self) -> bool:
        """FastAPI lies outside of the site-packages that were listed."""
        return any(self.read_file(f"{root}/fastapi/__init__.py") is not None for root in self.roots)

    def version(self) -> str:
        """``fastapi 0.115.2``, as far as it is known."""
        known = (self.installed or {}).get("fastapi") or (self.installed or {}).get("fastapi-slim")
        return f"fastapi {known}" if known else "fastapi"


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
    """Tells FastAPI from others; never raises.

    ``label`` (``fastops.enable``) wins over all; then what the application's own source says; then the document at
    ``/openapi.json``; an ASGI server's command counts while nothing contradicts it.

    ``command`` is what :func:`probes.servers.parse` made of ``argv``; ``None`` (a product with a command of its own) is
    decided by the entry module.
    """
    service = _Service(command, argv, environment, working_dir, list_dir, read_file)
    framework, why = _decide(service, command, argv, openapi, label)
    return Recognition(
        framework=framework,
        why=line(why, 300),
        packages=service.installed or {},
        command=command or service.coded,
        by_source=service.said is not None or label is not None,
    )


Decision = tuple[Literal["fastapi", "other", "unknown"], str]


def _decide(
    service: _Service, command: ServerCommand | None, argv: Sequence[str], openapi: bytes | None, label: bool | None
) -> Decision:
    documented = openapi is not None and is_fastapi_document(openapi)
    product = _product(service, argv, documented) if command is None else None
    if label is not None:
        return ("fastapi" if label else "other"), f"the label fastops.enable is {str(label).lower()}"
    if product is not None or command is None:
        return product or ("unknown", "it has no command")
    shown = command.app or "its application"
    verdict = service.said = None if command.app is None else service.sources.judge(command.app)
    if verdict is not None and verdict.kind == "other":
        return "other", f"{shown} is made by {verdict.name} in {verdict.where}"
    if documented:
        return "fastapi", f"it serves FastAPI's document at /openapi.json under {command.server}"
    if verdict is not None and command.asgi is not False:
        return "fastapi", f"{shown} is made by {service.version()} in {verdict.where}"
    if _absent(service, command.server):
        return "other", f"fastapi is not installed beside {command.server} in {service.directories[0]}"
    installed = service.installed is not None and "fastapi" in service.installed
    return by_command(command, f", {service.version()} is installed" if installed else "")


def by_command(command: ServerCommand, found: str = "") -> Decision:
    """What a server's command tells by itself; ``found`` is what was seen beside it, for people."""
    shown = command.app or "its application"
    if command.asgi:
        return "fastapi", f"{command.server} serves {shown}{found}"
    if command.asgi is None:
        return "unknown", f"whether {command.server} serves ASGI cannot be told"
    return "unknown", f"{command.server} serves {shown} without an ASGI worker"


def _absent(service: _Service, server: str) -> bool:
    """FastAPI is verifiably not there: the server's own distribution was seen where FastAPI was not."""
    found = service.installed
    return (
        found is not None
        and server in found
        and "fastapi" not in found
        and "fastapi-slim" not in found
        and not service.vendored()
    )


def is_fastapi_document(body: bytes) -> bool:
    """Whether an OpenAPI document has FastAPI's own marks.

    FastAPI names operations ``FUNCTION_PATH_METHOD`` (``fastapi.utils.generate_unique_id``) and answers 422 by
    ``HTTPValidationError``; a document without any path is taken for what it claims.
    """
    if not http.is_openapi(body):
        return False
    return (
        b"HTTPValidationError" in body
        or re.search(rb'"operationId":\s*"\w+_(?:get|post|put|patch|delete|head|options)"', body) is not None
        or re.search(rb'"paths":\s*\{\s*\}', body) is not None
    )


def _product(service: _Service, argv: Sequence[str], documented: bool) -> Decision:
    """A program that starts its server itself: decided by the calls and imports of its entry module."""
    found = invocation.find(argv, service.environment, service.read_file, service.working_dir)
    name = found.name if found is not None else ""
    verdict = service.said = None if found is None else _entry(service, found)
    if verdict is not None and verdict.kind == "other":
        return "other", f"{name} runs {verdict.name} ({verdict.where})"
    if verdict is not None:
        return "fastapi", f"{name} serves {service.version()} by a command of its own ({verdict.where})"
    if documented:
        return "fastapi", "it serves FastAPI's document at /openapi.json"
    if service.installed is not None and not {"fastapi", "fastapi-slim"} & service.installed.keys():
        return "other", f"{name or 'its command'} starts no ASGI server and fastapi is not installed"
    if found is None or (found.kind == "program" and service.installed is None):
        return "other", f"{name or 'its command'} starts no ASGI server"
    return "unknown", f"what {name} serves cannot be told from its source"


def _entry(service: _Service, found: Invocation) -> Verdict | None:
    """Follows the entry module, and modules of the same package that it imports, to the call that starts a server."""
    start = _start(service, found)
    if start is None:
        return None
    todo, seen = [start], {start}
    first = True
    while todo and len(seen) <= _HOPS:
        name = todo.pop(0)
        module = service.sources.load(name)
        if module is None:
            continue
        for run in runs(module):
            service.coded = service.coded or coded.command(run, module, found.environment)
            made = service.sources.judge(run.app) if isinstance(run.app, str) else None
            if not isinstance(run.app, str):
                made = service.sources.expression(module, run.app)
            if made is not None:
                return made
        imported = imports(module)
        if first and "fastapi" in imported and imported & {"uvicorn", "hypercorn", "granian"}:
            return Verdict("fastapi", "FastAPI", module.path)
        others = sorted(imported & FRAMEWORKS.keys())
        if first and others and "fastapi" not in imported:
            return Verdict("other", FRAMEWORKS[others[0]], module.path)
        first = False
        for one in service.sources.neighbours(module):
            if one not in seen:
                seen.add(one)
                todo.append(one)
    return None


def _start(service: _Service, found: Invocation) -> str | None:
    """The name under which the entry module is loaded; code and scripts get a name in angle brackets."""
    if found.kind == "module":
        main = f"{found.name}.__main__"
        return main if service.sources.load(main) is not None else found.name
    if found.kind == "code":
        return service.sources.add("<code>", "the command line", found.name.encode("utf-8", "replace"))
    if found.kind == "script":
        path = posixpath.normpath(posixpath.join(found.working_dir, found.name))
        if service.read_file(path) is None:
            path = f"{path}/__main__.py"
        service.sources.first(posixpath.dirname(path))
        data = service.read_file(path)
        return None if data is None else _script(service, path, data)
    if found.kind != "program":
        return None
    for path in _programs(found.name, service):
        data = service.read_file(path)
        if data is not None and re.match(rb"#!.*python|#!/bin/sh\n'''exec'", data[:200]):
            return _script(service, path, data)
    return None


def _programs(name: str, service: _Service) -> list[str]:
    if "/" in name:
        return [posixpath.normpath(posixpath.join(service.working_dir, name))]
    directories = service.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    beside = [posixpath.normpath(f"{directory}/../../../bin") for directory in service.directories]
    return [posixpath.join(directory, name) for directory in dict.fromkeys([*directories, *beside]) if directory]


def _script(service: _Service, path: str, data: bytes) -> str | None:
    """A script; one that pip made for an entry point leads to the module that it imports."""
    entry = re.search(rb"^from ([\w.]+) import \w+\s*$", data, re.MULTILINE)
    if entry is not None and len(data) < 2000 and b"sys.exit(" in data:
        return entry[1].decode()
    return service.sources.add("<script>", path, data)
