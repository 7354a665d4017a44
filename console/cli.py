"""The command line: one thin function per command. What each needs is imported when it runs.

Options whose names are those of a command's own parameters are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from console import __version__, options
from console.options import CatalogueFormat, FailOn, PastedFormat, ScanFormat, TextFormat, WatchFormat


class _Command(click.Command):
    """Told whole in the list of all commands."""

    def get_short_help_str(self, limit: int = 45) -> str:
        del limit
        return self.help or ""


class _Commands(click.Group):
    """Listed in the order in which they stand here: what is used most comes first."""

    command_class = _Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(
    cls=_Commands,
    help="The operations console for FastAPI in production: finds what is failing, shows the evidence, proposes a fix "
    "with its diff, applies it after a yes, verifies it and can undo it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@options.read_only
@click.version_option(__version__, message="fastops %(version)s", help="Print it.")
@click.pass_context
def app(context: click.Context, read_only: bool) -> None:
    """What stands before a command."""
    if read_only:  # before a command it means what it means behind it
        context.default_map = {name: {"read_only": True} for name in app.commands}


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns its exit status. What ends it otherwise is for ``console.exits.explain``."""
    try:
        with app.make_context("fastops", list(arguments)) as context:
            status: int = app.invoke(context)
    except click.exceptions.Exit as ended:  # after --help and --version
        status = ended.exit_code
    return status


@app.command()
@options.targets
@options.changeable
@click.option("--interval", metavar="DURATION", help="Between two samples of what is looked at: 2s, 500ms.")
@options.namespace
@options.unknown
@options.databases
@options.sources
@options.telemetry
@click.option("--replay", metavar="FILE", help="Show a recording of `fastops record`; changes nothing.")
def tui(targets: tuple[str, ...], replay: str | None, read_only: bool | None, **how: Any) -> int:
    """Open the console: on what runs now, or on a recording."""
    from console.commands import tui as command

    if replay is not None:
        if targets or read_only is False or any(how.values()):
            raise click.UsageError("a recording is shown as it is: it takes no target and no other option")
        return command.replay(replay)
    return command.run(targets, read_only=read_only, **how)


@app.command()
@options.targets
@options.observe
@options.printed(ScanFormat.table, "How to print the report.")
@options.fail_on
@options.read_only
@click.option(
    "--exec", "execute", is_flag=True, help="Run a small program inside pods to read the figures of each worker."
)
@options.namespace
@options.unknown
@options.databases
@options.sources
@options.telemetry
def scan(targets: tuple[str, ...], fmt: ScanFormat, fail_on: FailOn, **how: Any) -> int:
    """Look once, print what is wrong, and say it in the exit status."""
    from console.commands import scan as command

    return command.run(targets, command.How(**how), fmt=fmt, fail_on=fail_on)


@app.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", help="Texts to read; - (or none) is standard input.")
@options.printed(PastedFormat.table, "How to print what was found.")
@options.fail_on
@options.read_only_anyway
def diagnose(files: tuple[str, ...], fmt: PastedFormat, fail_on: FailOn) -> int:
    """Say what is wrong by pasted text: logs, `kubectl describe` and `get`, `docker inspect`, kernel messages."""
    from console.commands import diagnose as command

    return command.run(files, fmt=fmt, fail_on=fail_on)


@app.command()
@options.targets
@options.printed(WatchFormat.text, "Lines of text, or of JSON.")
@options.read_only_anyway
@options.namespace
@options.unknown
@options.telemetry
def watch(
    targets: tuple[str, ...], fmt: WatchFormat, namespace: str | None, unknown: bool, telemetry: str | None
) -> int:
    """Print a line for each finding that opens or closes, until Ctrl-C. Always read-only."""
    from console.commands import watch as command

    return command.run(targets, fmt=fmt, unknown=unknown, namespace=namespace, telemetry=telemetry)


@app.command()
@click.argument("file", metavar="FILE", help="A new file; `fastops tui --replay FILE` shows it.")
@options.targets
@click.option("--for", "lasting", metavar="DURATION", help="End by itself after so long: 10m, 8h.")
@click.option(
    "--size",
    metavar="SIZE",
    default="256MiB",
    show_default=True,
    help="The most that the file may hold; the oldest is dropped.",
)
@options.read_only_anyway
@options.namespace
@options.unknown
@options.databases
@options.telemetry
def record(file: str, targets: tuple[str, ...], **how: Any) -> int:
    """Record what is read and found, until Ctrl-C or for a while. Always read-only."""
    from console.commands import record as command

    return command.run(file, targets, command.How(**how))


@app.command()
@click.argument("deployment", metavar="DEPLOYMENT", help="A deployment's id, or an unambiguous tail of it.")
@click.argument(
    "signature",
    metavar="SIGNATURE",
    help="The finding's signature, for example memory-limit-low; or enable-telemetry.",
)
@click.option("--remedy", metavar="REMEDY", help="Another remedy than the first that applies.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A parameter.")
@options.dry_run
@options.yes
@click.option("--confirm", metavar="NAME", help="The deployment's name, where asked for.")
@options.observe
@options.as_text
@options.changeable
@options.namespace
@options.databases
@options.sources
@options.telemetry
def fix(observe: str, fmt: TextFormat, read_only: bool | None, **request: Any) -> int:
    """Fix a finding: show the diff, ask, apply, verify."""
    from console.commands import fix as command

    asked = command.Request(**request)
    return command.run(asked, observe=observe, as_json=fmt is TextFormat.json, read_only=read_only)


@app.command()
@click.argument("change", required=False, metavar="[CHANGE]", help="The change; the latest one when left out.")
@options.dry_run
@options.yes
@options.as_text
@options.changeable
def undo(change: str | None, dry_run: bool, yes: bool, fmt: TextFormat, read_only: bool | None) -> int:
    """Take a change back."""
    from console.commands import undo as command

    return command.run(change, dry_run=dry_run, yes=yes, as_json=fmt is TextFormat.json, read_only=read_only)


@app.command()
@click.argument(
    "change", required=False, metavar="[CHANGE]", help="The interrupted change; the only one when left out."
)
@options.yes
@click.option("--take-back", is_flag=True, help="Take back what it left instead.")
@options.as_text
@options.changeable
def resume(change: str | None, yes: bool, take_back: bool, fmt: TextFormat, read_only: bool | None) -> int:
    """Finish a fix that was interrupted, or take back what it left."""
    from console.commands import resume as command

    return command.run(change, yes=yes, take_back=take_back, as_json=fmt is TextFormat.json, read_only=read_only)


@app.command()
@options.as_text
@options.read_only_anyway
def history(fmt: TextFormat) -> int:
    """List the changes that were made, newest first."""
    from console.commands import history as command

    return command.run(as_json=fmt is TextFormat.json)


@app.command()
@click.argument("signature", required=False, metavar="[ID]", help="Explain this one.")
@options.printed(CatalogueFormat.table, "How to print.")
@options.read_only_anyway
def signatures(signature: str | None, fmt: CatalogueFormat) -> int:
    """List the failures that fastops knows, or explain one."""
    from console.commands import signatures as command

    return command.run(signature, fmt=fmt)


@app.command()
@options.targets
@options.as_text
@options.changeable
@options.namespace
def doctor(targets: tuple[str, ...], fmt: TextFormat, read_only: bool | None, namespace: str | None) -> int:
    """Say what can be reached, what is permitted, what is missing and how to get it."""
    from console.commands import doctor as command

    return command.run(targets, as_json=fmt is TextFormat.json, read_only=read_only, namespace=namespace)


@app.command()
@click.option("--read-only", is_flag=True, help="The rights for looking alone.")
@click.option("-n", "--namespace", metavar="NS", help="A Role in this namespace alone.")
def rbac(read_only: bool, namespace: str | None) -> int:
    """Print the least role that fastops needs on Kubernetes, as YAML. Contacts nothing."""
    from console.commands import rbac as command

    return command.run(read_only=read_only, namespace=namespace)


@app.command()
@click.option("--docker", is_flag=True, help="Run the sick services in containers.")
@click.option("--image", metavar="IMAGE", help="With --docker: the image to run them in.")
@options.read_only
def demo(docker: bool, image: str | None, read_only: bool) -> int:
    """Start six sick services and open the console on them; nothing is left behind."""
    from console.commands import demo as command

    return command.run(docker=docker, image=image, read_only=read_only)
