"""A simple command and where it stands, so that words of it can be replaced and every other character stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from probes import server_options, shell
from probes.base import Frozen
from probes.server_options import Program
from probes.shell import Word

Kind = Literal["server", "module", "script", "code", "program"]


class Locked(Exception):
    """The words stand where they cannot be edited; the text is one sentence."""


class Edit(NamedTuple):
    """Puts ``words`` in the place of ``length`` words from ``first`` on; with ``length`` 0 before ``first``."""

    first: int
    length: int
    words: tuple[str, ...]
    raw: bool = False
    """The words are the shell's own text, quotes and variables included: not to be quoted again."""


class Line(Frozen, frozen=True):
    """A simple command and where it stands: an argument vector, or a part of a shell's text inside one."""

    words: tuple[Word, ...]
    text: str | None = None
    script: str | None = None
    """The file that holds the text."""
    parent: Line | None = None
    index: int = 0
    """Which word of the parent is the text."""

    def raw(self, index: int) -> str:
        """A word as the shell reads it; as it is in an argument vector."""
        word = self.words[index]
        return word.value if self.text is None else self.text[word.start : word.end]

    def edited(self, edits: Sequence[Edit]) -> tuple[str, ...]:
        """The whole argument vector with words replaced; every other character stays. Raises :class:`Locked`."""
        if self.script is not None:
            raise Locked(f"the server is started by {self.script}, a script inside the service's files")
        if self.text is None:
            values = [word.value for word in self.words]
            for edit in sorted(edits, reverse=True):
                values[edit.first : edit.first + edit.length] = edit.words
            return tuple(values)
        text = self.text
        for edit in sorted(edits, reverse=True):
            new = " ".join(edit.words if edit.raw else map(shell.quote, edit.words))
            if edit.length:
                start, end = self.words[edit.first].start, self.words[edit.first + edit.length - 1].end
                # Words that go leave the blank before them behind: take it along.
                start -= 0 if new or not text[:start].endswith(" ") else 1
            else:
                start = end = self.words[edit.first - 1].end
                new = f" {new}"
            text = text[:start] + new + text[end:]
        if self.parent is None:
            raise Locked("the shell's text stands nowhere")
        return self.parent.edited([Edit(self.index, 1, (text,))])


class Token(Frozen, frozen=True):
    """One argument as the server gets it."""

    text: str
    at: int
    """Index of the word of the line that it comes from."""
    locked: bool = False
    """It comes out of a variable, or from elsewhere: it is not a word that can be edited."""
    known: bool = True


class Invocation(Frozen, frozen=True):
    """A program and its arguments."""

    kind: Kind
    name: str
    """The program of a server; else the module, the script's path, the code or the program's name."""
    line: Line
    program: tuple[int, int]
    """Words of the line that name the program: first and one past the last (``python -m uvicorn``)."""
    arguments: tuple[Token, ...]
    environment: Mapping[str, str]
    working_dir: str
    via: tuple[str, ...] = ()
    single: bool = True
    """False when the shell's text starts several servers."""

    @property
    def server(self) -> Program | None:
        """The server's program, or ``None``."""
        return next((one for one in server_options.PROGRAMS if self.kind == "server" and one == self.name), None)
