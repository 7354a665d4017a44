"""Makes moments of reports: what is new since the one before, compressed, and no more than a moment may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from console.recording import form
from console.recording.form import Head, Moment, Part
from console.recording.pack import deflated, encoded
from fixes.model import Finding, Open, Report
from probes.base import DeploymentId, Failure
from probes.loghits import LogLine
from probes.model import Deployment
from screens.words import plural

_NAMED_BYTES = 16
"""What bytes cost beside themselves and the name of their deployment."""

_Judged = tuple[Deployment, tuple[Finding, ...], tuple[Open, ...]]


class Moments:
    """Remembers what the chapter holds already, and what did not fit."""

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes`` of one moment's deployments and log lines together."""
        self._most = most_bytes
        self._made: dict[DeploymentId, _Judged] = {}
        self._bases: dict[DeploymentId, bytes] = {}
        self._late: dict[DeploymentId, int] = {}
        self._head = b""

    def make(self, report: Report, lines: Mapping[DeploymentId, Sequence[LogLine]], *, fresh: bool) -> Moment:
        """The next moment, the first of a chapter where ``fresh``; what is left out of it is among its failures.

        Deployments that do not fit come first in the next one; log lines that do not are not recorded.
        """
        if fresh:
            self._made, self._bases = {}, {}
        failures = list(report.failures)
        judged = self._judged(report, failures)
        gone = tuple(d for d in self._made if d not in judged)
        for identity in gone:
            self._bases.pop(identity, None)
        whole, since, room = self._new(judged, failures)
        said = _fitting(lines, room, failures)
        return Moment(head=self._packed(report, failures, fresh=fresh), whole=whole, since=since, gone=gone, lines=said)

    def _judged(self, report: Report, failures: list[Failure]) -> dict[DeploymentId, _Judged]:
        """All deployments and what was found of them; those that waited first, longest first."""
        there = report.snapshot.deployments()
        taken = sorted(there[: form.MOST_DEPLOYMENTS], key=lambda d: self._late.get(d.id, len(self._late)))
        if len(there) > len(taken):
            many = plural(len(there) - len(taken), "deployment")
            failures.append(_left_out(many, f"a recording takes {len(taken)} at most"))
        return {d.id: (d, report.findings.get(d.id, ()), report.undecided.get(d.id, ())) for d in taken}

    def _new(
        self, judged: Mapping[DeploymentId, _Judged], failures: list[Failure]
    ) -> tuple[dict[DeploymentId, bytes], dict[DeploymentId, bytes], int]:
        """What is new: whole, and against the chapter's own whole; and how many bytes are left for log lines."""
        whole: dict[DeploymentId, bytes] = {}
        since: dict[DeploymentId, bytes] = {}
        made: dict[DeploymentId, _Judged] = {}
        late: dict[DeploymentId, int] = {}
        room = self._most
        for identity, one in judged.items():
            before = self._made.get(identity)
            if before is not None:
                made[identity] = before
            if _same(one, before):
                continue
            raw, base = b"" if late else encoded(Part(*one)), self._bases.get(identity, b"")
            data = deflated(raw, base) if len(raw) <= form.MOST_PART_BYTES else b""
            cost = _cost(identity, data)
            if late or (data and room < cost <= self._most):  # once one waits, no time goes into the others
                late[identity] = len(late)
                continue
            made[identity] = one
            if not data or cost > self._most:
                failures.append(_left_out(identity, f"it has more than {self._largest(raw)}"))
                continue
            room -= cost
            if base:
                since[identity] = data
            else:
                whole[identity], self._bases[identity] = data, raw
        self._made, self._late = made, late
        if late:
            failures.append(_left_out(plural(len(late), "deployment"), "more is new than a moment takes: they follow"))
        return whole, since, room

    def _largest(self, raw: bytes) -> str:
        if len(raw) > form.MOST_PART_BYTES:
            return f"{form.MOST_PART_BYTES >> 20} MiB"
        return f"the {self._most >> 10} KiB, compressed, that a moment takes"

    def _packed(self, report: Report, failures: Sequence[Failure], *, fresh: bool) -> bytes:
        none: frozenset[DeploymentId] = frozenset()
        raw = encoded(
            Head(
                targets={t: replace(s, deployments={}, changed=none) for t, s in report.snapshot.targets.items()},
                databases=report.snapshot.databases,
                failures=tuple(failures),
                observed_seconds=report.observed_seconds,
            )
        )
        if fresh:
            self._head = raw
            return deflated(raw)
        return deflated(raw, self._head)


def _same(one: _Judged, before: _Judged | None) -> bool:
    """Whether nothing was read or judged anew; what did not change keeps its identity."""
    return before is not None and one[0] is before[0] and one[1:] == before[1:]


def _cost(identity: DeploymentId, data: bytes) -> int:
    return len(data) + len(identity.encode()) + _NAMED_BYTES


def _fitting(
    lines: Mapping[DeploymentId, Sequence[LogLine]], room: int, failures: list[Failure]
) -> dict[DeploymentId, bytes]:
    """The log lines that fit."""
    said: dict[DeploymentId, bytes] = {}
    for identity, some in ((d, some) for d, some in lines.items() if some):
        data = deflated(encoded(list(some)))
        if _cost(identity, data) > room:
            failures.append(_left_out(f"the log of {identity}", "more is new than a moment takes"))
        else:
            room -= _cost(identity, data)
            said[identity] = data
    return said


def _left_out(what: str, why: str) -> Failure:
    return Failure(code="not-recorded", what=f"recording {what}", why=why, hint="`fastops scan` shows it.")
