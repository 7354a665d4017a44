"""One server's command while it is edited: options are replaced where they stand, as they are spelled."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from probes.command_line import Edit, Invocation, Locked
from probes.server_options import TABLES, Given, Program, Table, scan


class CannotRewrite(Exception):
    """The command cannot be rewritten safely; the text is one sentence for people that says why."""


class Editor:
    """Collects edits of an invocation's words and of the environment."""

    def __init__(self, found: Invocation, program: Program, environment: Mapping[str, str]) -> None:
        self.found = found
        self.table: Table = TABLES[program]
        self.environment = dict(environment)
        self.texts = [token.text for token in found.arguments]
        self.scan = scan(self.texts, self.table)
        self.notes: list[str] = []
        self._edits: dict[int, Edit] = {}
        self._appended: list[str] = []

    def given(self, flags: Sequence[str]) -> list[Given]:
        """Where options stand on the command line."""
        return [one for one in self.scan.given if one.flag in flags]

    def set(self, flags: Sequence[str], value: str) -> None:
        """Gives an option a value: in the place of its last appearance, else at the end."""
        there = self.given(flags)
        if there and not self._locked(there[-1]):
            self.replace(there[-1], value)
        else:
            self.append(flags[-1], value)

    def append(self, *words: str) -> None:
        """Adds words after the last argument (before a ``--``)."""
        self._appended += words

    def replace(self, given: Given, value: str, *, raw: bool = False) -> None:
        """Gives one appearance of an option another value."""
        if self._locked(given):
            raise CannotRewrite(f"{given.flag} comes out of a variable of the shell, where it cannot be edited")
        at = self.found.arguments[given.first + given.words - 1].at
        text = value if given.words == 2 else given.prefix + value
        if given.value is None:
            at, text = self.found.arguments[given.first].at, f"{given.flag}={value}"
        self._edits[at] = Edit(at, 1, (text,), raw)

    def replace_part(self, given: Given, old: str, new: str, whole: str) -> None:
        """Replaces a part of a value and keeps the rest as written (``127.0.0.1:$PORT``), else writes ``whole``."""
        if self._locked(given) or self.found.line.text is None:
            self.replace(given, whole)
            return
        raw = self.found.line.raw(self.found.arguments[given.first + given.words - 1].at)
        if old and raw.count(old) == 1:
            at = self.found.arguments[given.first + given.words - 1].at
            self._edits[at] = Edit(at, 1, (raw.replace(old, new),), raw=True)
        elif "$" not in raw and "`" not in raw:
            self.replace(given, whole)
        else:
            raise CannotRewrite(f"the value of {given.flag} is computed by the shell: {raw}")

    def replace_argument(self, index: int, word: str) -> None:
        """Puts another word in the place of one argument."""
        token = self.found.arguments[index]
        if token.locked:
            raise CannotRewrite(f"{token.text} comes out of a variable of the shell, where it cannot be edited")
        self._edits[token.at] = Edit(token.at, 1, (word,))

    def remove(self, given: Given) -> None:
        """Takes a flag away."""
        if self._locked(given):
            raise CannotRewrite(f"{given.flag} comes out of a variable of the shell, where it cannot be edited")
        word = self.texts[given.first]
        at = self.found.arguments[given.first].at
        if word.startswith("--") or len(word) == 2:
            self._edits[at] = Edit(at, given.words, ())
        else:
            self._edits[at] = Edit(at, 1, (word.replace(given.flag[1], "", 1),))

    def _locked(self, given: Given) -> bool:
        return any(self.found.arguments[at].locked for at in range(given.first, given.first + given.words))

    def set_variable(self, name: str, value: str) -> None:
        """Gives an environment variable another value."""
        self.environment[name] = value

    def own_variable(self, name: str) -> bool:
        """The server gets the variable from the environment that can be changed, not from its shell."""
        return name in self.environment and self.environment[name] == self.found.environment.get(name)

    def in_variable(self, variable: str, flags: Sequence[str], change: Callable[[str], str]) -> bool:
        """Changes an option inside ``GUNICORN_CMD_ARGS``; false when it does not stand there."""
        if not self.own_variable(variable):
            return False
        try:
            words = shlex.split(self.environment[variable])
        except ValueError:
            return False
        there = [one for one in scan(words, self.table).given if one.flag in flags and one.value is not None]
        for one in there:
            at = one.first + one.words - 1
            words[at] = ("" if one.words == 2 else one.prefix) + change(str(one.value))
        if there:
            self.environment[variable] = shlex.join(words)
        return bool(there)

    def drop_from_variable(self, variable: str, flags: Sequence[str]) -> None:
        """Takes options, with their values, out of ``GUNICORN_CMD_ARGS``."""
        if not self.own_variable(variable):
            return
        try:
            words = shlex.split(self.environment[variable])
        except ValueError:
            return
        going = [one for one in scan(words, self.table).given if one.flag in flags and one.flag.startswith("--")]
        if going:
            gone = {at for one in going for at in range(one.first, one.first + one.words)}
            self.environment[variable] = shlex.join(word for at, word in enumerate(words) if at not in gone)

    def result(self) -> tuple[str, ...]:
        """The argument vector with all edits; raises :class:`CannotRewrite`."""
        line = self.found.line
        edits = list(self._edits.values())
        if self._appended:
            end = len(line.words)
            if "--" in self.texts:
                end = self.found.arguments[self.texts.index("--")].at
            edits.append(Edit(end, 0, tuple(self._appended)))
        return self.write(edits)

    def rebuild(self, words: Sequence[str]) -> tuple[str, ...]:
        """The argument vector with the server's program and arguments replaced by ``words`` (the shell's own text)."""
        line = self.found.line
        first = self.found.program[0]
        if line.text is not None:
            for before, after in zip(line.words[first:], line.words[first + 1 :], strict=False):
                if not re.fullmatch(r"(?:\s|\\\n)*", line.text[before.end : after.start]):
                    raise CannotRewrite("a redirection stands among the server's arguments")
        return self.write([Edit(first, len(line.words) - first, tuple(words), raw=line.text is not None)])

    def write(self, edits: Sequence[Edit]) -> tuple[str, ...]:
        """Applies edits to the whole argument vector."""
        if not self.found.single:
            raise CannotRewrite("the shell's text starts more than one server, so which one is meant cannot be told")
        try:
            return self.found.line.edited(edits) if edits else self._unchanged()
        except Locked as locked:
            raise CannotRewrite(f"{locked}") from locked

    def _unchanged(self) -> tuple[str, ...]:
        line = self.found.line
        while line.parent is not None:
            line = line.parent
        return tuple(word.value for word in line.words) if line.text is None else line.edited([])
