"""Containers that the kubelet ends because of a check, although nothing else shows that they are not well."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from fixes.model import Undecided, View
from fixes.signatures import _health, _kubernetes, _shared, _wording
from fixes.signatures._health import Told
from fixes.signatures._probing import LATE, LEAST, QUICK_SECONDS, REFUSED, Wrong, asked, has_a_cause
from fixes.signatures._shared import At
from probes.base import Value
from probes.history import Metric
from probes.loghits import LogHit, Pattern

_SLOW_SECONDS = 1.0
_WAITED: tuple[Metric, ...] = ("loop-seconds", "health-seconds")
_WHOLE = timedelta(seconds=1)
_ENDING = timedelta(seconds=5)
"""So long after its grace period a container that is being ended may still say something."""


def kills(view: View, said: list[Told]) -> Wrong | Undecided | None:
    """Containers that their check ends although nothing else shows that they are not well."""
    found = [(hit, place) for hit, place in _health.kills(view) if not _says_no(said, hit, place)]
    if not found or has_a_cause(_before_the_end(view, found)):
        return None
    hit, place = found[-1]
    probe, often = hit.fields["probe"], _shared.seen(view, len(found))
    facts: dict[str, Value] = {"probe": probe, "reason": "kills"}
    answers = [one.said for one in said if one.probe == probe and one.place.replica == place.replica]
    answer = answers[-1] if answers else ""
    lived = _lived(view, place)
    if lived is not None and _is_still_starting(view, place, lived, refused=bool(REFUSED.search(answer))):
        seconds = lived.total_seconds()
        facts |= {"reason": "slow-start", "lived_seconds": round(seconds)}
        why = f"the {probe} probe ends it {_shared.duration(seconds)} after its start, before the application is up"
    elif LATE.search(answer) and not _answers_now(view, place):
        return Undecided(f"why the service did not answer its {probe} probe in time")
    else:
        why = f"the {probe} probe restarts a service that nothing else shows to be down"
    return Wrong(why + (often if len(found) > 1 else ""), facts, tuple(found))


def _says_no(said: list[Told], hit: LogHit, place: At) -> bool:
    """Whether the service itself said 5xx to the check that ended it."""
    same = [one for one in said if one.place.replica == place.replica and one.probe == hit.fields["probe"]]
    return bool(same) and (_health.status(same[-1].said) or "").startswith("5")


def _lived(view: View, place: At) -> timedelta | None:
    """How long the run had lasted that was ended; ``None`` where it is not known which one."""
    replica = _shared.replica_of(view, place.replica)
    if replica is None or place.at is None:
        return None
    last = replica.last_end
    # Told in whole seconds, the word of the kill, the end and the next start may be of the same one.
    former = last.started_at if last is not None else None
    if last is not None and last.at is not None and former is not None and former < place.at <= last.at + _WHOLE:
        return place.at - former
    begun = [replica.started_at, former]
    lived = [place.at - moment for moment in begun if moment is not None and moment <= place.at]
    return min(lived, default=None)


def _is_still_starting(view: View, place: At, lived: timedelta, *, refused: bool) -> bool:
    """Whether the application had not said, in the run that was ended, that it is up, and nobody listened yet."""
    end = place.at
    assert end is not None

    def said(*patterns: Pattern) -> list[LogHit]:
        keys = _shared.keys(patterns)
        return [
            hit
            for hit in view.deployment.hits
            if hit.replica == place.replica
            and hit.key in keys
            and any(mark.at is not None and end - lived <= mark.at <= end for mark in hit.marks)
        ]

    # gunicorn's master listens before its workers have the application; uvicorn when the application is up.
    up = said(_wording.STARTED) or [h for h in said(_wording.LISTENING) if "Uvicorn running on" in h.sample]
    return not up and (refused or bool(said(_wording.WAITING, _wording.BOOTING, _wording.BEGUN)))


def _answers_now(view: View, place: At) -> bool:
    """Whether fastops was answered at once, now and as long as it asked; of pasted text nothing else is known."""
    replica = _shared.replica_of(view, place.replica)
    if replica is None or replica.sampled_at is None or not _kubernetes.runs(view):
        return True
    waited = [
        point.value
        for metric in _WAITED
        for point in view.series(metric).get(replica.id, ())
        if point.at >= view.start.timestamp()
    ]
    answers = [*asked(view, replica), *replica.loop_probes]
    slow = any(p.error is not None or p.took_seconds >= QUICK_SECONDS for p in answers)
    return len(answers) >= LEAST and not slow and max(waited, default=0.0) < _SLOW_SECONDS


def _before_the_end(view: View, kills: list[tuple[LogHit, At]]) -> View:
    """Without what containers said while they were being ended: a start that is broken off fails."""
    spans = []
    for _, place in kills:
        replica = _shared.replica_of(view, place.replica)
        grace = (replica.stop_signal_timeout_seconds if replica is not None else None) or 30.0
        if place.at is not None:
            spans.append((place.replica, place.at, place.at + timedelta(seconds=grace) + _ENDING))
    kept = []
    for hit in view.deployment.hits:
        marks = tuple(
            mark
            for mark in hit.marks
            if mark.at is None or not any(hit.replica == who and a <= mark.at <= b for who, a, b in spans)
        )
        if marks:
            kept.append(hit if len(marks) == len(hit.marks) else replace(hit, marks=marks, count=len(marks)))
    return replace(view, deployment=replace(view.deployment, hits=tuple(kept)))
