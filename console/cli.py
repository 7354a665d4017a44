"""The command line: one thin function per command. What each needs is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from console import __version__
from console.options import (
    AsText,
    CatalogueFormat,
    Changeable,
    Databases,
    DryRun,
    FailOn,
    Namespace,
    PastedFormat,
    ReadOnlyFlag,
    Replayed,
    ScanFormat,
    Sources,
    Targets,
    Telemetry,
    TextFormat,
    Unknown,
    WatchFormat,
    Yes,
)

app = typer.Typer(
    name="fastops",
    help="The operations console for FastAPI in production: finds what is failing, shows the evidence, proposes a fix "
    "with its diff, applies it after a yes, verifies it and can undo it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastops {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    read_only: ReadOnlyFlag = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """The operations console for FastAPI in production."""
    del version  # its callback prints it
    if read_only:  # before a command it means what it means behind it
        assert isinstance(context.command, TyperGroup)
        context.default_map = {name: {"read_only": True} for name in context.command.commands}


@app.command()
def tui(
    targets: Targets = None,
    read_only: Changeable = None,
    interval: Annotated[str | None, typer.Option(help="Between two samples of what is looked at: 2s, 500ms.")] = None,
    namespace: Namespace = None,
    unknown: Unknown = False,
    database: Databases = None,
    source: Sources = None,
    telemetry: Telemetry = None,
    replay: Replayed = None,
) -> None:
    """Open the console: on what runs now, or on a recording."""
    from console.commands import tui as command

    if replay is not None:
        if targets or interval or namespace or unknown or database or source or telemetry or read_only is False:
            raise typer.BadParameter("a recording is shown as it is: it takes no target and no other option")
        raise typer.Exit(command.replay(replay))
    raise typer.Exit(
        command.run(
            targets or [],
            read_only=read_only,
            interval=interval,
            unknown=unknown,
            namespace=namespace,
            databases=database or [],
            sources=source or [],
            telemetry=telemetry,
        )
    )


@app.command()
def scan(
    targets: Targets = None,
    observe: Annotated[str, typer.Option(help="Watch this long before judging: 30s, 5m.")] = "0s",
    fmt: Annotated[ScanFormat, typer.Option("--format", help="How to print the report.")] = ScanFormat.table,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 from this severity on.")] = FailOn.error,
    read_only: ReadOnlyFlag = False,
    execute: Annotated[
        bool, typer.Option("--exec", help="Run a small program inside pods to read the figures of each worker.")
    ] = False,
    namespace: Namespace = None,
    unknown: Unknown = False,
    database: Databases = None,
    source: Sources = None,
    telemetry: Telemetry = None,
) -> None:
    """Look once, print what is wrong, and say it in the exit status."""
    from console.commands import scan as command

    how = command.How(
        observe=observe,
        unknown=unknown,
        namespace=namespace,
        execute=execute,
        read_only=read_only,
        databases=tuple(database or ()),
        sources=tuple(source or ()),
        telemetry=telemetry,
    )
    raise typer.Exit(command.run(targets or [], how, fmt=fmt, fail_on=fail_on))


@app.command()
def diagnose(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Texts to read; - (or none) is standard input.")
    ] = None,
    fmt: Annotated[PastedFormat, typer.Option("--format", help="How to print what was found.")] = PastedFormat.table,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 from this severity on.")] = FailOn.error,
    read_only: ReadOnlyFlag = False,
) -> None:
    """Say what is wrong by pasted text: logs, `kubectl describe` and `get`, `docker inspect`, kernel messages."""
    del read_only  # it reads what it is given and nothing else
    from console.commands import diagnose as command

    raise typer.Exit(command.run(files or [], fmt=fmt, fail_on=fail_on))


@app.command()
def watch(
    targets: Targets = None,
    fmt: Annotated[WatchFormat, typer.Option("--format", help="Lines of text, or of JSON.")] = WatchFormat.text,
    read_only: ReadOnlyFlag = False,
    namespace: Namespace = None,
    unknown: Unknown = False,
    telemetry: Telemetry = None,
) -> None:
    """Print a line for each finding that opens or closes, until Ctrl-C. Always read-only."""
    del read_only
    from console.commands import watch as command

    raise typer.Exit(command.run(targets or [], fmt=fmt, unknown=unknown, namespace=namespace, telemetry=telemetry))


@app.command()
def record(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file; `fastops tui --replay FILE` shows it.")],
    targets: Targets = None,
    lasting: Annotated[str | None, typer.Option("--for", help="End by itself after so long: 10m, 8h.")] = None,
    size: Annotated[str, typer.Option(help="The most that the file may hold; the oldest is dropped.")] = "256MiB",
    read_only: ReadOnlyFlag = False,
    namespace: Namespace = None,
    unknown: Unknown = False,
    database: Databases = None,
    telemetry: Telemetry = None,
) -> None:
    """Record what is read and found, until Ctrl-C or for a while. Always read-only."""
    del read_only
    from console.commands import record as command

    how = command.How(
        lasting, size, unknown=unknown, namespace=namespace, databases=tuple(database or ()), telemetry=telemetry
    )
    raise typer.Exit(command.run(file, targets or [], how))


@app.command()
def fix(
    deployment: Annotated[str, typer.Argument(help="A deployment's id, or an unambiguous tail of it.")],
    signature: Annotated[
        str, typer.Argument(help="The finding's signature, for example memory-limit-low; or enable-telemetry.")
    ],
    remedy: Annotated[str | None, typer.Option(help="Another remedy than the first that applies.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    confirm: Annotated[str | None, typer.Option(metavar="NAME", help="The deployment's name, where asked for.")] = None,
    observe: Annotated[str, typer.Option(help="Watch this long before judging: 30s, 5m.")] = "0s",
    fmt: AsText = TextFormat.text,
    read_only: Changeable = None,
    namespace: Namespace = None,
    database: Databases = None,
    source: Sources = None,
    telemetry: Telemetry = None,
) -> None:
    """Fix a finding: show the diff, ask, apply, verify."""
    from console.commands import fix as command

    given, databases, sources = tuple(values or ()), tuple(database or ()), tuple(source or ())
    request = command.Request(
        deployment, signature, remedy, given, dry_run, yes, confirm, namespace, telemetry, databases, sources
    )
    raise typer.Exit(command.run(request, observe=observe, as_json=fmt is TextFormat.json, read_only=read_only))


@app.command()
def undo(
    change: Annotated[str | None, typer.Argument(help="The change; the latest one when left out.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    fmt: AsText = TextFormat.text,
    read_only: Changeable = None,
) -> None:
    """Take a change back."""
    from console.commands import undo as command

    raise typer.Exit(command.run(change, dry_run=dry_run, yes=yes, as_json=fmt is TextFormat.json, read_only=read_only))


@app.command()
def resume(
    change: Annotated[str | None, typer.Argument(help="The interrupted change; the only one when left out.")] = None,
    yes: Yes = False,
    take_back: Annotated[bool, typer.Option("--take-back", help="Take back what it left instead.")] = False,
    fmt: AsText = TextFormat.text,
    read_only: Changeable = None,
) -> None:
    """Finish a fix that was interrupted, or take back what it left."""
    from console.commands import resume as command

    raise typer.Exit(
        command.run(change, yes=yes, take_back=take_back, as_json=fmt is TextFormat.json, read_only=read_only)
    )


@app.command()
def history(fmt: AsText = TextFormat.text, read_only: ReadOnlyFlag = False) -> None:
    """List the changes that were made, newest first."""
    del read_only
    from console.commands import history as command

    raise typer.Exit(command.run(as_json=fmt is TextFormat.json))


@app.command()
def signatures(
    signature: Annotated[str | None, typer.Argument(metavar="[ID]", help="Explain this one.")] = None,
    fmt: Annotated[CatalogueFormat, typer.Option("--format", help="How to print.")] = CatalogueFormat.table,
    read_only: ReadOnlyFlag = False,
) -> None:
    """List the failures that fastops knows, or explain one."""
    del read_only
    from console.commands import signatures as command

    raise typer.Exit(command.run(signature, fmt=fmt))


@app.command()
def doctor(
    targets: Targets = None,
    fmt: AsText = TextFormat.text,
    read_only: Changeable = None,
    namespace: Namespace = None,
) -> None:
    """Say what can be reached, what is permitted, what is missing and how to get it."""
    from console.commands import doctor as command

    raise typer.Exit(
        command.run(targets or [], as_json=fmt is TextFormat.json, read_only=read_only, namespace=namespace)
    )


@app.command()
def rbac(
    read_only: Annotated[bool, typer.Option("--read-only", help="The rights for looking alone.")] = False,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NS", help="A Role in this namespace alone.")
    ] = None,
) -> None:
    """Print the least role that fastops needs on Kubernetes, as YAML. Contacts nothing."""
    from console.commands import rbac as command

    raise typer.Exit(command.run(read_only=read_only, namespace=namespace))


@app.command()
def demo(
    docker: Annotated[bool, typer.Option("--docker", help="Run the sick services in containers.")] = False,
    image: Annotated[str | None, typer.Option(help="With --docker: the image to run them in.")] = None,
    read_only: ReadOnlyFlag = False,
) -> None:
    """Start six sick services and open the console on them; nothing is left behind."""
    from console.commands import demo as command

    raise typer.Exit(command.run(docker=docker, image=image, read_only=read_only))
