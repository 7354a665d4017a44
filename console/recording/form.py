"""What a recording is made of, and its bounds.

A recording is an SQLite database with one table, whose rows are the moments of a session in the order of time. Moments
stand in chapters: the first of a chapter holds every deployment whole (of a fleet that is too large for one moment, the
next ones hold the rest), the others hold what changed since. What is compressed against something stands on the
chapter's own whole, so a chapter is read without any other, the oldest can be dropped, and a file that was cut is
readable up to the cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from fixes.model import Finding, Open
from probes.base import DeploymentId, Failure, Frozen, TargetId
from probes.model import Deployment, TargetState
from probes.pools import DatabaseServer

FORMAT = 1
"""SQLite's ``user_version``: a reader refuses what is newer than itself."""
APPLICATION = 0x666F7073
"""SQLite's ``application_id``: ``fops``."""
TABLE = (
    "CREATE TABLE moments (id INTEGER PRIMARY KEY, at REAL NOT NULL, first INTEGER NOT NULL, "
    "events INTEGER NOT NULL, data BLOB NOT NULL)"
)
"""``at`` in seconds since the epoch, increasing; ``first`` is the id of the chapter's first moment; ``events`` counts
the findings that opened or closed; ``data`` is a :class:`Moment`."""
CHAPTER_SECONDS = 300.0
CHAPTER_MOMENTS = 1000
"""A chapter ends after so long, and after so many moments: going to a time reads one chapter at most."""
PAGE_BYTES = 4096

# What a reader believes: nobody knows who wrote a file.
MOST_MOMENTS = 4 * CHAPTER_MOMENTS
MOST_CHAPTER_BYTES = 256 << 20
MOST_ROW_BYTES = 64 << 20
MOST_PART_BYTES = 8 << 20
"""Of one deployment or one moment's head, uncompressed."""
MOST_STATE_BYTES = 256 << 20
"""Of all deployments at one moment, uncompressed."""
MOST_DEPLOYMENTS = 20_000
_BOUND = Meta(max_length=MOST_DEPLOYMENTS)


class Head(Frozen, frozen=True):
    """What a moment says of no deployment alone."""

    targets: Mapping[TargetId, TargetState]
    """Without their deployments."""
    databases: tuple[DatabaseServer, ...] = ()
    failures: tuple[Failure, ...] = ()
    observed_seconds: float = 0.0


class Part(Frozen, frozen=True):
    """One deployment at one moment, and what was found of it."""

    deployment: Deployment
    findings: tuple[Finding, ...] = ()
    undecided: tuple[Open, ...] = ()


class Moment(Frozen, frozen=True):
    """One row. All bytes are MessagePack, deflated."""

    head: bytes
    """A :class:`Head`; compressed against that of the chapter's first moment, which stands alone."""
    whole: Annotated[Mapping[DeploymentId, bytes], _BOUND] = {}
    """A :class:`Part` each."""
    since: Annotated[Mapping[DeploymentId, bytes], _BOUND] = {}
    """Likewise, compressed against the deployment's latest ``whole``."""
    gone: Annotated[tuple[DeploymentId, ...], _BOUND] = ()
    lines: Annotated[Mapping[DeploymentId, bytes], _BOUND] = {}
    """Log lines that came since: a list of :class:`probes.loghits.LogLine` each."""


class Unusable(Exception):
    """A file that cannot be replayed or written; the text is one sentence for people."""


class Damaged(Exception):
    """A part of a recording cannot be read; the text says why, as the end of a sentence."""
