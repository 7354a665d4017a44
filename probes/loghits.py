"""What the log matcher looks for and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from probes.base import Frozen, PatternKey, ReplicaId
from probes.loghead import Place


class Pattern(Frozen, frozen=True):
    """An expression that the log matcher looks for; both hyperscan and ``re`` must understand it."""

    key: PatternKey
    regex: str
    """Matched against one line of bytes without ANSI colour; no lookaround; named groups become ``LogHit.fields``."""
    context_lines: int = 0
    """How many lines before and after the match are kept with the latest sample (20 at most)."""
    place: Place | None = None
    """Where in its record the text must stand to be the record's own and no quotation; ``None``: anywhere."""
    sought: tuple[str, ...] = ()
    """Expressions of which at least one is found in whatever ``regex`` matches: where they are given, logs are searched
    for them first, and for ``regex`` in those lines alone. For a regex whose beginning stands in most lines."""


class Mark(Frozen, frozen=True):
    """One place where a pattern matched."""

    line: int
    """Number of the line in its stream, from 1, never reused: it orders the marks of one replica."""
    at: datetime | None = None
    """The engine's timestamp of the line, else the one in it, else when it was read live; ``None`` when unknown."""


class LogHit(Frozen, frozen=True):
    """All matches of one pattern in one replica's log that agree in their named groups."""

    key: PatternKey
    replica: ReplicaId
    count: int
    marks: tuple[Mark, ...]
    """The latest 64, oldest first."""
    fields: Mapping[str, str] = {}
    sample: str = ""
    """The latest line that matched, clean and redacted."""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    source: str | None = None
    """``docker logs``, ``/var/log/app.log``, ``journal``: where the line was read."""


class LogLine(Frozen, frozen=True):
    """One line for the log view."""

    number: int
    replica: ReplicaId
    at: datetime | None
    text: str
    keys: tuple[PatternKey, ...] = ()
    """The patterns that matched here."""


class LogCoverage(Frozen, frozen=True):
    """Since when, and until when, a deployment's logs were read without a gap."""

    state: Literal["followed", "sampled", "unread"]
    since: datetime | None = None
    until: datetime | None = None
    why: str | None = None
    """Why they are unread."""
    structured_ratio: float | None = None
    """How many of the lines that were read are JSON objects, in tenths; ``None`` where there were too few to tell."""
