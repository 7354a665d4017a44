"""Shell text, split into simple commands whose words know where they stand: enough of POSIX sh to find a server.

Nothing is executed. Variables are taken from the environment that is given and from plain assignments before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probes.base import Frozen

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+=?])(.*))?", re.DOTALL)
_RESERVED = frozenset({"if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "fi", "done", "}"})
_LONGEST = 64_000


class ShellError(Exception):
    """The text is not understood: an open quote, a here-document, too long."""


class Word(Frozen, frozen=True):
    """One word of a command."""

    value: str
    """After quote removal and expansion; what could not be expanded stands as written."""
    start: int = 0
    end: int = 0
    """Where it stands in the shell's text: ``text[start:end]``."""
    known: bool = True
    """False when it holds something whose value cannot be told (``$(…)``)."""
    splits: bool = False
    """It holds an expansion outside quotes: it may be none, one or several words at run time."""


class Command(Frozen, frozen=True):
    """One simple command: assignments before it, and its words without redirections."""

    words: tuple[Word, ...]
    environment: Mapping[str, str]
    """As the command gets it."""
    unknown: frozenset[str] = frozenset()
    """Variables whose values cannot be told here."""


def quote(value: str) -> str:
    """A word that the shell reads as ``value``, unquoted where that is safe."""
    return value if re.fullmatch(r"[A-Za-z0-9_@%+=:,./\-]+", value) else "'" + value.replace("'", "'\"'\"'") + "'"


class _Lexer:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        if len(text) > _LONGEST:
            raise ShellError("the text is too long")
        self.text = text
        self.at = 0
        self.variables = dict(environment)
        self.unknown: set[str] = set()
        self.commands: list[Command] = []
        self.words: list[Word] = []

    def run(self) -> tuple[Command, ...]:
        text = self.text
        while self.at < len(text):
            here = text[self.at]
            if text.startswith("\\\n", self.at):
                self.at += 2
            elif here in " \t\r":
                self.at += 1
            elif here == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif here in "\n;&|()":
                if text.startswith("&>", self.at):
                    self.redirect(2)
                    continue
                self.end_command()
                self.at += 1
            elif (redirection := re.compile(r"\d*(<<|>>|[<>]&|[<>]\||<>|[<>])").match(text, self.at)) is not None:
                if redirection[1] == "<<":
                    raise ShellError("it holds a here-document")
                self.redirect(len(redirection[0]))
            else:
                self.words.append(self.word())
        self.end_command()
        return tuple(self.commands)

    def redirect(self, length: int) -> None:
        self.at += length
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        if self.at < len(self.text) and self.text[self.at] not in "\n;&|()<>":
            self.word()

    def end_command(self) -> None:
        words, self.words = self.words, []
        while words and words[0].value in _RESERVED:
            words.pop(0)
        local: dict[str, Word] = {}
        while words and (match := _ASSIGNMENT.fullmatch(words[0].value)) and not words[0].splits:
            local[match[1]] = words.pop(0)
        exported = words[1:] if words and words[0].value in ("export", "declare", "readonly", "local") else []
        if not words or exported:
            for one in [*local.values(), *exported]:
                self.assign(self.variables, self.unknown, one)
            return
        variables, unknown = dict(self.variables), set(self.unknown)
        for one in local.values():
            self.assign(variables, unknown, one)
        self.commands.append(Command(words=tuple(words), environment=variables, unknown=frozenset(unknown)))

    @staticmethod
    def assign(variables: dict[str, str], unknown: set[str], word: Word) -> None:
        match = _ASSIGNMENT.fullmatch(word.value)
        if match is None:
            return
        if word.known:
            variables[match[1]] = match[2]
            unknown.discard(match[1])
        else:
            unknown.add(match[1])

    def word(self) -> Word:
        start = self.at
        parts: list[str] = []
        known, splits = True, False
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n;&|()<>":
            here = self.text[self.at]
            if here == "'":
                end = self.text.find("'", self.at + 1)
                if end < 0:
                    raise ShellError("a quote is not closed")
                parts.append(self.text[self.at + 1 : end])
                self.at = end + 1
            elif here == '"':
                self.at += 1
                value, sure = self.double()
                parts.append(value)
                known = known and sure
            elif here == "\\":
                if not self.text.startswith("\\\n", self.at):
                    parts.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif here in "$`":
                value, sure = self.expansion()
                # An unquoted expansion is split at blanks and globbed; a plain value is one word.
                splits = splits or not sure or not re.fullmatch(r"[^\s*?\[]+", value)
                known = known and sure
                parts.append(value)
            else:
                parts.append(here)
                self.at += 1
        return Word(value="".join(parts), start=start, end=self.at, known=known, splits=splits)

    def double(self) -> tuple[str, bool]:
        parts: list[str] = []
        known = True
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == '"':
                self.at += 1
                return "".join(parts), known
            if here == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                parts.append(self.text[self.at + 1].replace("\n", ""))
                self.at += 2
            elif here in "$`":
                value, sure = self.expansion()
                known = known and sure
                parts.append(value)
            else:
                parts.append(here)
                self.at += 1
        raise ShellError("a quote is not closed")

    def expansion(self) -> tuple[str, bool]:
        start = self.at
        text = self.text
        if text[start] == "`":
            end = text.find("`", start + 1)
            if end < 0:
                raise ShellError("a quote is not closed")
            self.at = end + 1
            return text[start : self.at], False
        if text.startswith("$(", start):
            self.at = self.closing(start + 1, "(", ")")
            return text[start : self.at], False
        if text.startswith("${", start):
            self.at = self.closing(start + 1, "{", "}")
            return self.braced(text[start : self.at])
        name = _NAME.match(text, start + 1)
        if name is not None:
            self.at = name.end()
            return (
                (text[start : self.at], False) if name[0] in self.unknown else (self.variables.get(name[0], ""), True)
            )
        special = text[start + 1 : start + 2]
        self.at = start + (2 if special and special in "@*#?-$!0123456789" else 1)
        return text[start : self.at], self.at == start + 1

    def braced(self, raw: str) -> tuple[str, bool]:
        match = _BRACED.fullmatch(raw[2:-1])
        if match is None or match[1] in self.unknown:
            return raw, False
        value, operator, other = self.variables.get(match[1]), match[2] or "", match[3] or ""
        simple = not set(other) & set("$`\\'\"")
        absent = value is None or (operator.startswith(":") and not value)
        if operator.endswith(("-", "=")) and absent:
            return (other, True) if simple else (raw, False)
        if operator.endswith("+"):
            return ("", True) if absent else ((other, True) if simple else (raw, False))
        return value or "", True

    def closing(self, at: int, opening: str, closing: str) -> int:
        depth = 0
        quoted = ""
        while at < len(self.text):
            here = self.text[at]
            if here == "\\" and quoted != "'":
                at += 1
            elif quoted:
                quoted = "" if here == quoted else quoted
            elif here in "'\"":
                quoted = here
            elif here == opening:
                depth += 1
            elif here == closing:
                depth -= 1
                if depth == 0:
                    return at + 1
            at += 1
        raise ShellError("a bracket is not closed")


def split(text: str, environment: Mapping[str, str]) -> tuple[Command, ...]:
    """The simple commands in ``text``, in order; raises :class:`ShellError`.

    Commands inside ``$(…)`` are not among them; those inside ``if``, loops and subshells are.
    """
    return _Lexer(text, environment).run()
