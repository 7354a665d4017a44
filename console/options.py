"""The options and arguments that commands share, and the formats that they print in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class ScanFormat(StrEnum):
    """How ``scan`` prints."""

    table = "table"
    json = "json"
    sarif = "sarif"
    markdown = "markdown"


class PastedFormat(StrEnum):
    """How ``diagnose`` prints."""

    table = "table"
    json = "json"


class TextFormat(StrEnum):
    """How single results are printed."""

    text = "text"
    json = "json"


class WatchFormat(StrEnum):
    """How ``watch`` prints."""

    text = "text"
    jsonl = "jsonl"


class CatalogueFormat(StrEnum):
    """How ``signatures`` prints."""

    table = "table"
    json = "json"
    markdown = "markdown"


class FailOn(StrEnum):
    """The severity from which ``scan`` exits with 1."""

    info = "info"
    warning = "warning"
    error = "error"
    critical = "critical"
    never = "never"


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="docker, docker:CONTEXT, docker:URL, k8s, k8s:CONTEXT, k8s:CONTEXT/NAMESPACE, local. "
        "None: all that is here.",
    ),
]
ReadOnlyFlag = Annotated[bool, typer.Option("--read-only", help="Nothing can be changed: refused below every client.")]


def _uncontradicted(context: typer.Context, read_only: bool | None) -> bool | None:
    """Refuses ``fastops --read-only COMMAND --no-read-only``: nobody can tell which one was meant."""
    if read_only is False and context.parent is not None and context.parent.params.get("read_only"):
        raise typer.BadParameter("it contradicts the --read-only before the command", context)
    return read_only


Changeable = Annotated[
    bool | None,
    typer.Option(
        "--read-only/--no-read-only",
        callback=_uncontradicted,
        help="Nothing can be changed: refused below every client. --no-read-only: production may be changed.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NS", help="On Kubernetes: this namespace alone.")
]
Unknown = Annotated[bool, typer.Option("--unknown", help="List services too that cannot be told to be FastAPI.")]
Databases = Annotated[
    list[str] | None,
    typer.Option(
        "--database",
        metavar="own|env:VAR",
        help="Ask the database servers who holds which connections, in a read-only session: with the deployments' own "
        "credentials, or with the DSN in an environment variable. Without it none is contacted.",
    ),
]
Telemetry = Annotated[
    str | None,
    typer.Option(
        "--telemetry",
        metavar="ADDRESS:PORT",
        help="Listen there for what services send of their own requests (OTLP over HTTP). Without it nothing listens.",
    ),
]
Replayed = Annotated[
    str | None, typer.Option("--replay", metavar="FILE", help="Show a recording of `fastops record`; changes nothing.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="DIR",
        help="Code of a service on this machine: the size of its database pool is read there where the service's own "
        "files are not reached, in pods.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer the plain question with yes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the diff and stop.")]
AsText = Annotated[TextFormat, typer.Option("--format", help="How to print the result.")]
