"""Finds the server's own command in an argument vector: past shells, scripts, ``tini``, ``poetry run`` and the like."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from probes import programs, server_options, shell, supervisor
from probes.command_line import Invocation, Kind, Line, Token
from probes.shell import Word

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"})
_SILENT = frozenset({"exec", "command", "env", "nohup"})
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
    first = programs.basename(line.words[0].value)
    if first in programs.TOOLS:
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
    name = programs.basename(words[0].value)
    return f"{name} run" if at > 1 and words[1].value == "run" else name


def _program(
    search: _Search, line: Line, at: int, variables: Mapping[str, str], via: tuple[str, ...], rest: tuple[Token, ...]
) -> bool:
    """Takes the word for a server or an interpreter; true when it is one."""
    base = programs.basename(line.words[at].value)
    kind: Kind = "server"
    end = at + 1
    if programs.PYTHON.fullmatch(base):
        kind, base, end = programs.interpreted(line.words, at)
        if kind == "module" and base in programs.MODULES:
            via = (*via, f"python -m {base}")
            kind, base = "server", programs.MODULES[base]
        elif kind == "script" and programs.basename(base) in server_options.PROGRAMS:
            kind, base = "server", programs.basename(base)
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
    if not programs.serves(made, alone=at == 0):
        return False
    search.found.append(made)
    return True


def _shell(
    search: _Search, line: Line, at: int, variables: Mapping[str, str], via: tuple[str, ...], depth: int
) -> bool:
    """Takes the word for a shell or for a script and looks into its text; true when that is where the server starts."""
    value = line.words[at].value
    if programs.basename(value) in _SHELLS:
        index = at + 1
        while index < len(line.words) and re.fullmatch(r"[-+][a-zA-Z]*|-o|--[a-z]+|pipefail", line.words[index].value):
            if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", line.words[index].value):
                return _text(search, line, index + 1, variables, (*via, f"{programs.basename(value)} -c"), depth)
            index += 1
        return index < len(line.words) and _script(search, line, index, variables, via, depth)
    inside = at + 1 < len(line.words) and programs.PYTHON.fullmatch(programs.basename(value)) is not None
    program = at + 1 if inside else at
    if programs.basename(line.words[program].value) == "supervisord":
        return _supervised(search, line, program, variables, via, depth)
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
