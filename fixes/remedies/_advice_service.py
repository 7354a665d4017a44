"""What to write for findings about the server, its start and end, its network and its settings."""

from __future__ import annotations

from collections.abc import Callable

from fixes.model import Advice, Finding
from probes.model import Deployment
from probes.text import clean

Write = Callable[[Deployment, Finding], Advice]


def _plain(title: str, text: str, code: str, language: str = "sh") -> Write:
    """Advice that is the same for every deployment."""
    return lambda _deployment, _finding: Advice(title=title, text=text, code=code, language=language)


def _fact(finding: Finding, name: str, default: str) -> str:
    return clean(str(finding.facts.get(name, default)), 200)


def address_in_use(_deployment: Deployment, finding: Finding) -> Advice:
    """The command that names the process, and the way around it."""
    port = _fact(finding, "port", "PORT")
    return Advice(
        title=f"Free port {port}",
        text="Another process listens there. If it is an orphaned worker of an earlier start, end it; if it belongs to "
        "another service, give one of them another port.",
        code=f"ss -ltnp 'sport = :{port}'      # names the process that holds the port\n"
        f"docker ps --filter publish={port}   # or the container that publishes it",
        language="sh",
    )


SERVICE: dict[str, Write] = {
    "address-in-use": address_in_use,
    "disk-full": _plain(
        "Make room, then bound what grows",
        "See which file system is full and what fills it. Logs are the usual cause: bound them. Files that a service "
        "makes belong on a volume of their own, with something that deletes them.",
        "df -h; df -i                            # a file system can also run out of inodes\n"
        "du -xh --max-depth=2 / | sort -h | tail # what fills it\n"
        "docker system df                        # images, containers, volumes\n"
        "docker run --log-opt max-size=10m --log-opt max-file=3 …",
    ),
}
"""By signature."""
