"""Which program the words of a command line start, and whether it serves: tools only name servers."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from probes import server_options
from probes.command_line import Invocation, Kind
from probes.server_options import Program
from probes.shell import Word

PYTHON = re.compile(r"(?:python|pypy)[0-9.]*t?")
# Programs whose arguments may name a server without starting it.
TOOLS = frozenset(
    [
        "pip",
        "pip3",
        "pipx",
        "apt",
        "apt-get",
        "apk",
        "yum",
        "dnf",
        "grep",
        "egrep",
        "rg",
        "which",
        "whereis",
        "echo",
        "printf",
        "cat",
        "tail",
        "head",
        "less",
        "man",
        "pgrep",
        "pkill",
        "ps",
        "kill",
        "killall",
        "ls",
        "test",
        "curl",
        "wget",
        "sed",
        "awk",
        "find",
        "vim",
        "vi",
        "nano",
        "mypy",
        "ruff",
        "pytest",
        "git",
        "docker",
        "kubectl",
        "systemctl",
        "journalctl",
        "strace",
        "tee",
    ]
)
MODULES: Mapping[str, Program] = {
    "gunicorn": "gunicorn",
    "gunicorn.app.wsgiapp": "gunicorn",
    "uvicorn": "uvicorn",
    "uvicorn.main": "uvicorn",
    "hypercorn": "hypercorn",
    "granian": "granian",
    "fastapi": "fastapi",
    "fastapi_cli": "fastapi",
}
_NOT_SERVING = frozenset({"--version", "-v", "--help", "-h", "--check-config", "--print-config"})


def basename(value: str) -> str:
    """The program's name, without its directory."""
    return posixpath.basename(value)


def interpreted(words: Sequence[Word], at: int) -> tuple[Kind, str, int]:
    """What an interpreter runs, and the index after it: python(1)."""
    index = at + 1
    while index < len(words) and words[index].value.startswith("-") and len(words[index].value) > 1:
        value = words[index].value
        cluster = re.fullmatch(r"-[bBdEhiIOPqsSuvVx]*([mc])(.*)", value, re.DOTALL)
        if cluster is not None:
            kind: Kind = "module" if cluster[1] == "m" else "code"
            if cluster[2]:
                return kind, cluster[2], index + 1
            return kind, words[index + 1].value if index + 1 < len(words) else "", min(index + 2, len(words))
        index += 2 if value in ("-X", "-W", "--check-hash-based-pycs") else 1
    return ("script", words[index].value, index + 1) if index < len(words) else ("code", "", index)


def serves(made: Invocation, *, alone: bool) -> bool:
    """Whether the arguments are a server's: a user or a package may be called ``uvicorn``, too."""
    program = made.server
    if program is None:
        return False
    texts = [token.text for token in made.arguments]
    if _NOT_SERVING & set(texts):
        return False
    if program == "fastapi":
        return bool(texts) and texts[0] in ("run", "dev")
    if any(not token.known for token in made.arguments):
        return True
    scan = server_options.scan(texts, server_options.TABLES[program])
    apps = [texts[at] for at in scan.positional]
    if program == "uvicorn":
        return any(":" in app for app in apps[:1]) or "UVICORN_APP" in made.environment
    if program == "gunicorn":
        # Its application may stand in ./gunicorn.conf.py alone.
        named = bool(apps) and basename(apps[0]) not in server_options.PROGRAMS
        return alone or named or any(one.name == "config" for one in scan.given)
    return bool(apps) and (alone or ":" in apps[0])
