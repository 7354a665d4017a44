"""Reads what health checks answered: the engine's on Docker, the kubelet's events on Kubernetes and in pasted text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from fixes.model import View
from fixes.signatures import _kubernetes, _shared, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit
from probes.model import Replica

PROBED = _wording.unquoted(
    "kubernetes/probe",
    r"(?P<probe>Liveness|Readiness|Startup) probe (?:failed|errored)[^:\"]{0,60}: (?P<said>.{1,300})",
)
"""kubelet, pkg/kubelet/prober/prober.go: what the latest check answered."""
KILLED = _wording.unquoted(
    "kubernetes/probe-kill",
    r"[Cc]ontainer (?P<container>\S+) failed (?P<probe>liveness|startup) probe, will be restarted",
)
"""kubelet, pkg/kubelet/kuberuntime/kuberuntime_manager.go: it ends the container because of its check."""
PATTERNS = (PROBED, KILLED)
START_UP = timedelta(seconds=60)
LEAST = 3
_STATUS = re.compile(
    r"(?:HTTP Error|returned error:|error: |HTTP/[12](?:\.[01])?\"?|[Ss]tatus(?:[ _]?[Cc]ode)?[:= ]*|Server [Ee]rror '?"
    r"|Client [Ee]rror:? '?) ?\(?(?P<status>[45]\d\d)\b"
)


class Told(NamedTuple):
    """What the kubelet said of one failed check."""

    hit: LogHit
    place: At
    probe: str
    """``liveness``, ``readiness``, ``startup``."""
    said: str


def status(answer: str) -> str | None:
    """The status that a check got, whatever program asked."""
    found = _STATUS.search(answer)
    return found["status"] if found else None


def failed(view: View, replica: Replica) -> tuple[str, ...]:
    """The latest answers of a check that is unhealthy, if they failed throughout and it had time to start."""
    health = replica.health
    if health is None or health.status != "unhealthy" or health.failing_streak < LEAST:
        return ()
    if replica.started_at is None or view.now - replica.started_at < START_UP:
        return ()
    latest = health.answers[-LEAST:]
    return latest if latest and all(not answer.startswith("exit 0:") for answer in latest) else ()


def told(view: View) -> list[Told]:
    """What the kubelet said of checks that still matter, in order: a pod that is ready again has passed its own."""
    return [
        Told(hit, place, hit.fields["probe"].lower(), hit.fields["said"])
        for hit, place in _shared.places(view, PROBED)
        if not _has_passed(view, hit, place)
    ]


def kills(view: View) -> Iterator[tuple[LogHit, At]]:
    """The kubelet's words of containers that it ends because of their checks."""
    return _shared.places(view, KILLED)


def _has_passed(view: View, hit: LogHit, place: At) -> bool:
    """Whether the pod's status says that the check succeeded since: it is ready, or lives on although it was not."""
    replica = _shared.replica_of(view, place.replica)
    if replica is None or not _kubernetes.runs(view):
        return False
    if hit.fields["probe"] != "Liveness":
        return bool(replica.ready) or replica.held_by is not None
    check = next((one for one in replica.probes or () if one.role == "liveness"), None)
    if check is None or place.at is None or any(at.line >= place.line for _, at in kills(view)):
        return False
    return view.now - place.at > timedelta(
        seconds=check.period_seconds * check.failure_threshold + check.timeout_seconds
    )
