"""Signatures of the user's own: a TOML file each, no Python.

A line that ``pattern`` finds is a failure; ``at_least`` of them in the look-back (or in ``quiet_after``, where that is
given) are a finding, which closes when the log was quiet for as long. A later line of the same log that
``silent_pattern`` finds says that it is over: what came before it does not count any more.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import msgspec

from fixes import mistakes, values
from fixes.model import Parameter, RemedyId, Severity, Signature, SignatureId, Verdict, View
from fixes.signatures import _logged, _shared
from probes import text
from probes.base import Failure, Frozen, PatternKey
from probes.loghits import Pattern
from probes.logs import BadPattern, Matcher

MOST_FILES = 200
MOST_BYTES = 64 * 1024
MOST_TIMES = 64
"""As many places of one pattern are kept."""
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_QUIET = Parameter("quiet_after", "how long its log must be quiet", 900.0, "seconds", 1, 86_400)
_HINT = "Correct the file or move it away; all other signatures are looked for."


class File(Frozen, frozen=True, forbid_unknown_fields=True):
    """What a file says."""

    id: str
    title: str
    severity: Severity
    pattern: str
    """A regular expression without lookaround, found anywhere in a line."""
    text: str
    """What it means."""
    advice: str = ""
    at_least: int = 1
    silent_pattern: str | None = None
    quiet_after: str | float | None = None
    """Such as ``5m``; a number counts seconds."""


class Own(Frozen, frozen=True):
    """What a folder holds."""

    signatures: tuple[Signature, ...] = ()
    failures: tuple[Failure, ...] = ()
    """A file each that cannot be used."""
    claimed: frozenset[str] = frozenset()
    """The ids that files have, or are likely to have, also those that cannot be used."""


class _Bad(ValueError):
    """Why a file cannot be used."""


def load(folder: Path, taken: Collection[str]) -> Own:
    """Reads all files of a folder, by name; a folder that is not there is empty. ``taken`` are ids of others."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.is_file())
    except FileNotFoundError:
        return Own()
    except OSError as error:
        why = error.strerror or type(error).__name__
        return Own(failures=(Failure("bad-signature", f"the folder {folder}", why, "Make it readable."),))
    found: dict[str, Signature] = {}
    claimed: set[str] = set()
    failures: list[Failure] = []
    for path in paths[:MOST_FILES]:
        claimed.add(path.stem)
        try:
            one = _read(path)
            claimed.add(one.id)
            _check_free(one.id, (*taken, *found))
            found[one.id] = make(one)
        except _Bad as error:
            failures.append(Failure("bad-signature", f"the signature file {path}", text.line(str(error)), _HINT))
    if len(paths) > MOST_FILES:
        why = f"it holds {len(paths)} files; only the first {MOST_FILES} are read"
        failures.append(Failure("bad-signature", f"the folder {folder}", why, _HINT))
    return Own(tuple(found.values()), tuple(failures), frozenset(claimed))


def make(one: File) -> Signature:
    """The signature that a file describes; raises a ``ValueError`` that names the field."""
    if not _ID.fullmatch(one.id) or len(one.id) > 64:
        raise _Bad("id: write lower-case letters and digits with hyphens, such as payment-gateway-down")
    for field in ("title", "text"):
        if not getattr(one, field).strip():
            raise _Bad(f"{field}: it is empty")
    if not 1 <= one.at_least <= MOST_TIMES:
        raise _Bad(f"at_least: it may be from 1 to {MOST_TIMES}, not {one.at_least}")
    pattern = _pattern(one.id, "pattern", one.pattern)
    over = None if one.silent_pattern is None else _pattern(one.id, "silent_pattern", one.silent_pattern)
    title = text.line(one.title, 200)
    meaning = text.block(one.text)
    advice = "\n\n".join(part for part in (meaning, text.block(one.advice)) if part)

    def detect(view: View) -> Verdict:
        places = list(_shared.places(view, pattern))
        if over is not None:
            ends = {hit.replica: _shared.latest_line(view, hit.replica, None, over) for hit, _ in places}
            places = [(hit, at) for hit, at in places if (end := ends[at.replica]) is None or at.line > end.line]
        if len(places) < one.at_least:
            return _shared.unseen(view)
        return _logged.fires(view, places, one.severity, title, facts={"advice": advice})

    return Signature(
        id=SignatureId(one.id),
        title=title,
        severity=one.severity,
        detect=detect,
        remedies=(RemedyId("advise"),),
        source="a file of your own",
        patterns=(pattern,) if over is None else (pattern, over),
        quiet_after=_quiet(one.quiet_after),
        page=advice,
    )


def _read(path: Path) -> File:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _Bad(f"it cannot be read: {error.strerror or type(error).__name__}") from None
    if len(data) > MOST_BYTES:
        raise _Bad(f"it is longer than {MOST_BYTES // 1024} KiB")
    try:
        return msgspec.toml.decode(data, type=File)
    except (msgspec.DecodeError, ValueError) as error:
        raise _Bad(mistakes.sentence(error)) from None


def _check_free(identity: str, others: Collection[str]) -> None:
    if identity in others:
        raise _Bad(f"id: there is a signature {identity} already")


def _pattern(identity: str, field: str, regex: str) -> Pattern:
    """The pattern, if the log matcher takes it alone."""
    made = Pattern(PatternKey(f"own/{identity}/{field}"), regex)
    try:
        Matcher((made,)).prepare()
    except BadPattern as error:
        raise _Bad(f"{field}: {error}") from None
    return made


def _quiet(given: str | float | None) -> timedelta | None:
    if given is None:
        return None
    try:
        return timedelta(seconds=float(values.check(_QUIET, values.read(_QUIET, given))))
    except values.BadValue as error:
        raise _Bad(str(error)) from None
