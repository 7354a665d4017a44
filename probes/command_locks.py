"""What of a server's command cannot be changed, known before anybody asks for the change. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes.command import CannotRewrite, rewrite
from probes.intent import Desired
from probes.model import Capability
from probes.servers import ReadFile, no_files

_NOBODYS = 86_399
"""A number of seconds, of requests, of workers that no service has: what is in force already changes nothing."""
_TRIED: Mapping[Capability, tuple[Desired, ...]] = {
    "bind": (Desired(bind_host="0.0.0.0"),),  # noqa: S104 - what the remedy asks for
    "command": (Desired(production=True),),
    "gunicorn": (
        Desired(gunicorn={"timeout": _NOBODYS}),
        Desired(gunicorn={"max_requests": _NOBODYS}),
        Desired(gunicorn={"workers": _NOBODYS}),
        Desired(gunicorn={"workers": _NOBODYS}, server="uvicorn"),
        Desired(gunicorn={"workers": _NOBODYS}, server="gunicorn"),
    ),
}


def locks(
    argv: Sequence[str],
    environment: Mapping[str, str],
    packages: Mapping[str, str],
    read_file: ReadFile = no_files,
    working_dir: str = "/",
) -> dict[Capability, str]:
    """The capabilities that a command has not, each with a sentence: nothing that would be wanted of it can be written.

    By the rewriting itself, so that what is refused when it is planned is not offered before. Where one of several
    wishes could be met, the capability is there.
    """
    found: dict[Capability, str] = {}
    for capability, wishes in _TRIED.items():
        why: str | None = None
        for want in wishes:
            try:
                rewrite(argv, environment, want, packages, read_file, working_dir)
            except CannotRewrite as error:
                why = why or str(error)
            else:
                break
        else:
            found[capability] = f"Its command cannot be changed from here: {why}."
    return found
