"""Finds the server's own command in an argument vector: past shells, scripts, ``tini``, ``poetry run`` and the like."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from probes import server_options, shell, supervisor
from probes.command_line import Invocation, Kind, Line, Token
from probes.server_options import Program
from probes.shell import Word

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"})
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*t?")
# Programs whose arguments may name a server without starting it.
_TOOLS = frozenset(
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
_MODULES: Mapping[str, Program] = {
    "gunicorn": "gunicorn",
    "gunicorn.app.wsgiapp": "gunicorn",
    "uvicorn": "uvicorn",
    "uvicorn.main": "uvicorn",
    "hypercorn": "hypercorn",
    "granian": "granian",
    "fastapi": "fastapi",
    "fastapi_cli": "fastapi",
}
_SILENT = frozenset({"exec", "command", "env", "nohup"})
_NOT_SERVING = frozenset({"--version", "-v", "--help", "-h", "--check-config", "--print-config"})
_DEPTH = 4


class _Search(NamedTuple):
    read_file: Callable[[str], bytes | None]
    working_dir: str
    found: list[Invocation]
    others: list[Invocation]


def find(
    argv: Sequence[str], environment: Mapping[str, str], read_file: Callable[[str], bytes | None], working_dir: str
) -> Invocation | None:
    """The server that an argument vector starts; else what it starts instead; ``None`` for an empty one."""
    search = _searched(argv, environment, read_file, working_dir)
    if search.found:
        # Servers in one text run one after the other or side by side; the last one is what keeps a container alive.
        return search.found[-1]
    return search.others[-1] if search.others else None


def find_servers(
    argv: Sequence[str], environment: Mapping[str, str], read_file: Callable[[str], bytes | None], working_dir: str
) -> tuple[Invocation, ...]:
    """All servers that an argument vector starts, or may start: the last one in its text first."""
    return tuple(reversed(_searched(argv, environment, read_file, working_dir).found))


def _searched(
    argv: Sequence[str], environment: Mapping[str, str], read_file: Callable[[str], bytes | None], working_dir: str
) -> _Search:
    line = Line(words=tuple(Word(value=one) for one in argv))
    search = _Search(read_file, working_dir, [], [])
    _line(search, line, environment, (), (), 0)
    return search


def _basename(value: str) -> str:
    return posixpath.basename(value)


def _tokens(words: Sequence[Word], offset: int, positional: tuple[Token, ...]) -> tuple[Token, ...]:
    found: list[Token] = []
    for at, word in enumerate(words, offset):
        if word.value in ("$@", "${@}", "$*") and not word.known:
            found.extend(Token(text=one.text, at=at, locked=True, known=one.known) for one in positional)
        elif word.splits and word.known:
            found.extend(Token(text=one, at=at, locked=True) for one in word.value.split())
        else:
            found.append(Token(text=word.value, at=at, known=word.known))
    return tuple(found)


def _line(
    search: _Search,
    line: Line,
    environment: Mapping[str, str],
    via: tuple[str, ...],
    rest: tuple[Token, ...],
    depth: int,
) -> None:
    """Looks for servers in one simple command; ``rest`` are the positional parameters of the shell around it."""
    if depth > _DEPTH or not line.words:
        return
    first = _basename(line.words[0].value)
    if first in _TOOLS:
        return
    variables = dict(environment)
    before = len(search.found)
    for at, word in enumerate(line.words):
        if first == "env" and at and "=" in word.value and not word.value.startswith("-"):
            name, _, value = word.value.partition("=")
            variables[name] = value
            continue
        named = via if at == 0 or first in _SILENT else (*via, _wrapper(line.words, at))
        if _shell(search, line, at, variables, named, depth) or _program(search, line, at, variables, named, rest):
            if len(search.found) > before:
                return
            break
    if not search.others:
        tokens = _tokens(line.words[1:], 1, rest)
        search.others.append(
            Invocation(
                kind="program",
                name=line.words[0].value,
                line=line,
                program=(0, 1),
                arguments=tokens,
                environment=variables,
                working_dir=search.working_dir,
                via=via,
            )
        )


def _wrapper(words: Sequence[Word], at: int) -> str:
    name = _basename(words[0].value)
    return f"{name} run" if at > 1 and words[1].value == "run" else name


def _program(
    search: _Search, line: Line, at: int, variables: Mapping[str, str], via: tuple[str, ...], rest: tuple[Token, ...]
) -> bool:
    """Takes the word for a server or an interpreter; true when it is one."""
    base = _basename(line.words[at].value)
    kind: Kind = "server"
    end = at + 1
    if _PYTHON.fullmatch(base):
        kind, base, end = _python(line.words, at)
        if kind == "module" and base in _MODULES:
            via = (*via, f"python -m {base}")
            kind, base = "server", _MODULES[base]
        elif kind == "script" and _basename(base) in server_options.PROGRAMS:
            kind, base = "server", _basename(base)
    elif base not in server_options.PROGRAMS:
        return False
    tokens = _tokens(line.words[end:], end, rest)
    made = Invocation(
        kind=kind,
        name=base,
        line=line,
        program=(at, end),
        arguments=tokens,
        environment=dict(variables),
        working_dir=search.working_dir,
        via=via,
    )
    if kind != "server":
        search.others.append(made)
        return True
    if not _serves(made, alone=at == 0):
        return False
    search.found.append(made)
    return True


def _python(words: Sequence[Word], at: int) -> tuple[Kind, str, int]:
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


def _serves(made: Invocation, *, alone: bool) -> bool:
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
        named = bool(apps) and _basename(apps[0]) not in server_options.PROGRAMS
        return alone or named or any(one.name == "config" for one in scan.given)
    return bool(apps) and (alone or ":" in apps[0])


def _shell(
    search: _Search, line: Line, at: int, variables: Mapping[str, str], via: tuple[str, ...], depth: int
) -> bool:
    """Takes the word for a shell or for a script and looks into its text; true when that is where the server starts."""
    value = line.words[at].value
    if _basename(value) in _SHELLS:
        index = at + 1
        while index < len(line.words) and re.fullmatch(r"[-+][a-zA-Z]*|-o|--[a-z]+|pipefail", line.words[index].value):
            if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", line.words[index].value):
                return _text(search, line, index + 1, variables, (*via, f"{_basename(value)} -c"), depth)
            index += 1
        return index < len(line.words) and _script(search, line, index, variables, via, depth)
    program = line.words[at + 1].value if _PYTHON.fullmatch(_basename(value)) and at + 1 < len(line.words) else value
    if _basename(program) == "supervisord":
        return _supervised(search, line, at if program == value else at + 1, variables, via, depth)
    return at == 0 and _script(search, line, at, variables, via, depth)


def _supervised(
    search: _Search, line: Line, at: int, variables: Mapping[str, str], via: tuple[str, ...], depth: int
) -> bool:
    """The servers among the programs that supervisord's file starts: they stay where they stand."""
    before = len(search.found)
    for named in supervisor.named([word.value for word in line.words[at + 1 :]]):
        path = posixpath.normpath(posixpath.join(search.working_dir, named))
        data = search.read_file(path)
        if data is None:
            continue
        said = supervisor.read(data, variables)
        folder = posixpath.dirname(path)
        more = [posixpath.normpath(posixpath.join(folder, one)) for one in said.includes]
        # Directories are not listed here: of a pattern, the file that nearly every image has.
        more = [re.sub(r"/\*\.(conf|ini)$", r"/supervisord.\1", one) for one in more]
        files = [(path, said)]
        files += [(one, supervisor.read(found, variables)) for one in more if (found := search.read_file(one))]
        for name, each in ((name, each) for name, held in files for each in held.programs):
            words = tuple(Word(value=word) for word in each.argv)
            there = posixpath.normpath(posixpath.join(search.working_dir, each.directory or "."))
            started = Line(words=words, script=name)
            inner = search._replace(working_dir=there)
            _line(inner, started, {**variables, **each.environment}, (*via, "supervisord"), (), depth + 1)
        break
    _mark_several(search, before)
    return len(search.found) > before


def _mark_several(search: _Search, before: int) -> None:
    if len(search.found) - before > 1:
        search.found[-1] = msgspec.structs.replace(search.found[-1], single=False)


def _text(
    search: _Search, line: Line, index: int, variables: Mapping[str, str], via: tuple[str, ...], depth: int
) -> bool:
    if index >= len(line.words):
        return False
    rest = _tokens(line.words[index + 2 :], index + 2, ())
    text = line.words[index].value
    return _commands(search, Line(words=(), text=text, parent=line, index=index), variables, via, rest, depth)


def _script(
    search: _Search, line: Line, index: int, variables: Mapping[str, str], via: tuple[str, ...], depth: int
) -> bool:
    path = line.words[index].value
    if not path.endswith(".sh") and "/" not in path:
        return False
    path = posixpath.normpath(posixpath.join(search.working_dir, path))
    data = search.read_file(path)
    head = (data or b"")[:64].split(b"\n", 1)[0]
    if data is None or b"\0" in data or not (re.match(rb"#!.*\b(ba|da|a|z|k)?sh\b", head) or path.endswith(".sh")):
        return False
    text = data.decode("utf-8", "replace")
    rest = _tokens(line.words[index + 1 :], index + 1, ())
    return _commands(search, Line(words=(), text=text, script=path), variables, (*via, path), rest, depth)


def _commands(
    search: _Search,
    frame: Line,
    variables: Mapping[str, str],
    via: tuple[str, ...],
    rest: tuple[Token, ...],
    depth: int,
) -> bool:
    try:
        commands = shell.split(frame.text or "", variables)
    except shell.ShellError:
        return False
    before = len(search.found)
    for command in commands:
        if command.words[0].value == "cd" and len(command.words) == 2:
            directory = posixpath.normpath(posixpath.join(search.working_dir, command.words[1].value))
            search = search._replace(working_dir=directory)
            continue
        line = Line(words=command.words, text=frame.text, script=frame.script, parent=frame.parent, index=frame.index)
        _line(search, line, command.environment, via, rest, depth + 1)
    _mark_several(search, before)
    return len(search.found) > before
