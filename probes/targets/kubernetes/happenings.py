"""Events of the API as lines of a log, so that what is said of a pod is matched like what it says itself. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from probes import text
from probes.targets.kubernetes.views import HappeningView

SOURCE = "event"
_MESSAGE_CAP = 1000
_OF = re.compile(r"spec\.(?:initC|c)ontainers\{(?P<name>[^{}]+)\}")
_CHECK = re.compile(r" probe(?= failed| errored|, will be restarted)")
"""The kubelet's word for a check: whose it is can be said behind it."""


def line(event: HappeningView, container: str = "") -> bytes:
    """``2026-… Warning  FailedScheduling  default-scheduler  0/3 nodes are available: …``: kubectl's columns.

    The stamp in front is when the event was seen last; an event that comes again with a later time is said again.
    The checks of another container of the pod than ``container`` are said to be that one's: they tell nothing of this.
    """
    stamp = b"" if event.at is None else f"{_stamp(event.at)} ".encode()
    of, message = _OF.fullmatch(event.field or ""), event.message
    if container and of is not None and of["name"] != container:
        message = _CHECK.sub(lambda check: f"{check[0]} of {of['name']}", message)
    columns = (event.type, event.reason, event.source, message)
    return stamp + "  ".join(text.clean(one, _MESSAGE_CAP) for one in columns).encode() + b"\n"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
