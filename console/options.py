"""The options and arguments that commands share, and the formats that they print in.

Each is a decorator; the name that a command takes it by is the second one, where there are two.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., int])


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


_NO_CHANGE = "Nothing can be changed: refused below every client."


def _uncontradicted(context: click.Context, parameter: click.Parameter, read_only: bool | None) -> bool | None:
    """Refuses ``fastops --read-only COMMAND --no-read-only``: nobody can tell which one was meant."""
    if read_only is False and context.parent is not None and context.parent.params.get("read_only"):
        raise click.BadParameter(
            "it contradicts the --read-only before the command", context, parameter, "'--no-read-only'"
        )
    return read_only


targets = click.argument(
    "targets",
    nargs=-1,
    metavar="[TARGET]...",
    help="docker, docker:CONTEXT, docker:URL, k8s, k8s:CONTEXT, k8s:CONTEXT/NAMESPACE, local. None: all that is here.",
)
read_only = click.option("--read-only", is_flag=True, help=_NO_CHANGE)
read_only_anyway = click.option("--read-only", is_flag=True, expose_value=False, help=_NO_CHANGE)
"""For commands that change nothing: it is understood, and they need not be told."""
changeable = click.option(
    "--read-only/--no-read-only",
    default=None,
    callback=_uncontradicted,
    help=f"{_NO_CHANGE} --no-read-only: production may be changed.",
)
namespace = click.option("-n", "--namespace", metavar="NS", help="On Kubernetes: this namespace alone.")
unknown = click.option("--unknown", is_flag=True, help="List services too that cannot be told to be FastAPI.")
databases = click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="own|env:VAR",
    help="Ask the database servers who holds which connections, in a read-only session: with the deployments' own "
    "credentials, or with the DSN in an environment variable. Without it none is contacted.",
)
sources = click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="DIR",
    help="Code of a service on this machine: the size of its database pool is read there where the service's own "
    "files are not reached, in pods.",
)
telemetry = click.option(
    "--telemetry",
    metavar="ADDRESS:PORT",
    help="Listen there for what services send of their own requests (OTLP over HTTP). Without it nothing listens.",
)
observe = click.option(
    "--observe", metavar="DURATION", default="0s", show_default=True, help="Watch this long before judging: 30s, 5m."
)
fail_on = click.option(
    "--fail-on",
    type=click.Choice(FailOn),
    default=FailOn.error,
    show_default=True,
    help="Exit with 1 from this severity on.",
)
yes = click.option("-y", "--yes", is_flag=True, help="Answer the plain question with yes.")
dry_run = click.option("--dry-run", is_flag=True, help="Show the diff and stop.")


def printed(default: StrEnum, explained: str) -> Callable[[Command], Command]:
    """``--format``, as ``fmt``: one of the formats that its default is of."""
    return click.option(
        "--format", "fmt", type=click.Choice(type(default)), default=default, show_default=True, help=explained
    )


as_text = printed(TextFormat.text, "How to print the result.")
