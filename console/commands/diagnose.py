"""``fastops diagnose``: what is wrong, by pasted text alone: logs, events, descriptions of containers and pods."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from console import config as configuration
from console import contract, heap, output, rules
from console.exits import FINDINGS, FINE, PARTIAL, USAGE, Stop
from fixes.diagnose import Diagnosed, Diagnosis, diagnose, matcher
from fixes.model import SEVERITIES
from probes import text
from probes.logs import Matcher
from probes.pasted import Paste, Pasted
from probes.unpacked import Damaged, unpacked

STDIN = "-"
_CHUNK_BYTES = 1 << 18
_MOST_LINES = 12
_MOST_EVIDENCE = 6


def run(files: Sequence[str], *, fmt: str, fail_on: str) -> int:
    """Reads and judges each text; returns the exit status."""
    names = list(files) or [STDIN]
    if not files and sys.stdin.isatty():
        raise Stop("name a file, or pipe a text in: `kubectl logs POD | fastops diagnose -`", USAGE)
    if names.count(STDIN) > 1:
        raise Stop("standard input can be read only once", USAGE)
    judged = rules.load(configuration.load())
    heap.begin()  # a file may be large
    patterns = matcher(judged.signatures.values())
    results: list[tuple[str, Diagnosis, Pasted]] = []
    partial = bool(judged.failures)
    for failure in judged.failures:
        say(f"{failure.what}: {failure.why} ({failure.hint})")
    for name in names:
        read, damage = _read(name, patterns)
        if damage:
            say(f"{_shown(name)}: {damage}")
            partial = True
        if read is None:
            continue
        diagnosis = diagnose(read, judged.signatures.values(), judged.policy)
        for failure in diagnosis.failures:
            say(f"{_shown(name)}: {failure.what}: {failure.why} ({failure.hint})")
        results.append((_shown(name), diagnosis, read))
        doubt = _doubt(read)
        if doubt:
            say(f"{_shown(name)}: {doubt}")
        partial = partial or bool(doubt) or bool(diagnosis.failures)
    if fmt == "json":
        output.write(contract.encode(contract.diagnosis([(name, found) for name, found, _ in results])))
    else:
        for name, found, read in results:
            _print(name, found, read)
    return _status([found for _, found, _ in results], fail_on, partial=partial)


def _read(name: str, patterns: Matcher) -> tuple[Pasted | None, str | None]:
    """One text, in bounded memory, and why it could not be read, or not to its end."""
    paste, damage = Paste(patterns), None
    try:
        if name == STDIN:
            _feed(paste, sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                _feed(paste, file)
    except IsADirectoryError:
        return None, "is a folder; name the files in it"
    except OSError as error:
        return None, f"cannot be read: {error.strerror or type(error).__name__}"
    except ValueError:  # a name with a null byte
        return None, "is no name of a file"
    except Damaged as error:
        damage = f"{error}: what came before is judged"
    return paste.end(), damage


def _feed(paste: Paste, file: BinaryIO) -> None:
    for piece in unpacked(_chunks(file)):
        paste.feed(piece)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Until the end, or Ctrl-C on a stream that is followed: what came until then is judged."""
    read = getattr(file, "read1", file.read)
    try:
        while chunk := read(_CHUNK_BYTES):
            yield chunk
    except KeyboardInterrupt:
        if file is not sys.stdin.buffer:
            raise
        say("interrupted: what was read until then is judged")


def _doubt(read: Pasted) -> str | None:
    """Why nothing can be concluded from a text in which nothing was found."""
    if not read.head.strip():
        return "is empty"
    if not read.is_text:
        return "is not text: unpack or export it first (what can be read of it was looked at)"
    return None


def _status(results: Sequence[Diagnosis], fail_on: str, *, partial: bool) -> int:
    if fail_on != "never":
        bad = SEVERITIES[SEVERITIES.index(fail_on) :]
        if any(one.finding.severity in bad for result in results for one in result.found):
            return FINDINGS
    return PARTIAL if partial else FINE


def _print(name: str, diagnosis: Diagnosis, read: Pasted) -> None:
    """The findings of one text with the lines that prove them."""
    from rich.text import Text

    out = output.console()
    many = f"{read.lines:,} lines" if read.lines != 1 else "1 line"
    many += f" ({diagnosis.silenced} silenced)" if diagnosis.silenced else ""
    if not diagnosis.found:
        out.print(Text(f"{name}: nothing that fastops knows, in {many}"))
        return
    count = len(diagnosis.found)
    out.print(Text(f"{name}: {count} finding{'s' if count > 1 else ''} in {many}", "bold"))
    for one in diagnosis.found:
        finding = one.finding
        head = (f"{finding.severity:8} ", output.STYLE[finding.severity])
        out.print()
        out.print(Text.assemble(head, (finding.signature, "bold"), "  ", finding.title))
        for line in _below(one, several=diagnosis.documents > 1):
            out.print(Text(f"         {line}"))
    out.print()


def _below(one: Diagnosed, *, several: bool) -> list[str]:
    finding = one.finding
    lines = [f"of {finding.deployment}"] if several else []
    if finding.explained_by is not None:
        lines.append(f"explained by {finding.explained_by.signature}")
    if one.lines:
        shown = ", ".join(map(str, one.lines[:_MOST_LINES]))
        more = f" and {len(one.lines) - _MOST_LINES} more" if len(one.lines) > _MOST_LINES else ""
        lines.append(f"line{'s' if len(one.lines) > 1 else ''} {shown}{more}")
    for evidence in finding.evidence[:_MOST_EVIDENCE]:
        where = "" if evidence.line is None else f"{f'{evidence.file}:' if evidence.file else ''}{evidence.line}: "
        lines.append(f"{where}{evidence.text}")
    lines.append(f"→ fastops signatures {finding.signature}")
    return lines


def say(sentence: str) -> None:
    """One sentence on standard error."""
    print(f"fastops: {text.line(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 -- that is what it is for


def _shown(name: str) -> str:
    return text.clean(name, 1000)
