"""Events of the API as lines of a log, so that what is said of a pod is matched like what it says itself. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from probes import text
from probes.targets.kubernetes.views import HappeningView

SOURCE = "event"
_MESSAGE_CAP = 1000


def line(event: HappeningView) -> bytes:
    """``2026-… Warning  FailedScheduling  default-scheduler  0/3 nodes are available: …``: kubectl's columns.

    The stamp in front is when the event was seen last; an event that comes again with a later time is said again.
    """
    stamp = b"" if event.at is None else f"{_stamp(event.at)} ".encode()
    columns = (event.type, event.reason, event.source, event.message)
    return stamp + "  ".join(text.clean(one, _MESSAGE_CAP) for one in columns).encode() + b"\n"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
