"""What a session knew at one moment of a recording: the report, and one deployment's series and log up to then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from console.recording import form
from console.recording.form import Damaged, Head, Moment, Part
from console.recording.pack import cleaned, inflated
from console.recording.read import Reader, Row
from console.recording.trace import Trace
from fixes.model import Finding, Open, Report
from probes.base import DeploymentId, Failure, TargetId
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Deployment, Snapshot

DECODE_SECONDS = 20.0
"""How long the deployments of one moment may take: a fleet of thousands takes some, a made-up one would take more."""


class _Kept:
    """One deployment: as it is packed, and as it was decoded last."""

    __slots__ = ("base", "data", "decoded", "part", "raw_bytes")

    def __init__(self, base: bytes) -> None:
        self.base = base
        """Its latest whole, packed."""
        self.data: bytes | None = None
        """What changed since, packed against the whole."""
        self.decoded = False
        self.part: Part | None = None
        self.raw_bytes = 0


class Player:
    """Stands at one moment of a recording. One thread at a time; going to another never raises."""

    def __init__(self, reader: Reader, stopped: Callable[[], bool] = lambda: False) -> None:
        """``stopped`` says that nobody waits for what is read any more."""
        self._reader = reader
        self._stopped = stopped
        self._at: Row | None = None
        self._first_head = b""
        self._head = Head(targets={})
        self._kept: dict[DeploymentId, _Kept] = {}
        self._left_out = 0
        self._damage: str | None = None
        self._trace: Trace | None = None
        self.report = Report(snapshot=Snapshot(taken_at=datetime.fromtimestamp(reader.first.at, UTC), targets={}))
        """As it was at the moment."""

    @property
    def row(self) -> Row | None:
        """The moment; ``None`` before the first."""
        return self._at

    def go(self, when: float) -> bool:
        """Goes to the newest moment that is not after ``when``, forward or back; whether that is another one."""
        at, wanted = self._at, self._at
        try:
            wanted = self._reader.find(when)
            if at is not None and wanted.id == at.id:
                return False
            if at is not None and self._damage is None and wanted.first == at.first and wanted.id > at.id:
                self._read(at.id + 1, wanted)
            else:
                self._leave(wanted)
                self._read(wanted.first, wanted)
            self._damage = None
        except Damaged as error:  # what was known before stays; the next step begins its chapter anew
            self._damage = str(error)
            self._at = wanted or self._reader.first
            self._decode()
        self.report = self._reported()
        return True

    def event(self, when: float, step: int) -> float | None:
        """When a finding opened or closed next after a time, or last before it where ``step`` is negative.

        Raises :class:`Damaged` where that cannot be told.
        """
        found = self._reader.event(self._reader.find(when), step)
        return None if found is None else found.at

    def series(self, deployment: DeploymentId, metric: Metric, since: float) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label, up to the moment, from :data:`console.recording.trace.BACK_SECONDS` on."""
        trace = self._traced(deployment)
        return {} if trace is None else trace.series(metric, since)

    def lines(self, deployment: DeploymentId, after: int) -> Sequence[LogLine]:
        """The log lines that were recorded up to the moment, numbers above ``after``."""
        trace = self._traced(deployment)
        return () if trace is None else trace.lines(after)

    def _traced(self, deployment: DeploymentId) -> Trace | None:
        if self._trace is None or self._trace.deployment != deployment:
            self._trace = None if self._at is None else Trace.back_from(self._reader, self._at, deployment)
        return self._trace

    def _leave(self, wanted: Row) -> None:
        """Nothing of another chapter is needed; a trace goes on where the recording was played from one to the next."""
        for kept in self._kept.values():
            kept.base, kept.data = b"", None
        self._first_head = b""
        at, trace, self._trace = self._at, self._trace, None
        if trace is not None and at is not None and at.id < wanted.first and wanted.at - at.at < form.CHAPTER_SECONDS:
            for row, moment in self._reader.moments(at.id + 1, wanted.first - 1):
                trace.take(row, moment)
            self._trace = trace

    def _read(self, first: int, wanted: Row) -> None:
        """Takes the moments with these ids, then decodes what they left behind."""
        head, alone, seen = b"", False, set[DeploymentId]()
        for row, moment in self._reader.moments(first, wanted.id):
            if row.first != wanted.first:
                raise Damaged("its chapters overlap")
            self._at, head, alone = row, moment.head, row.id == row.first
            if alone:
                self._first_head = head
            self._take(moment, seen)
            if self._trace is not None:
                self._trace.take(row, moment)
        if not head:  # a recorder dropped it since it was found
            raise Damaged("it is not there any more")
        if first == wanted.first:
            for identity in self._kept.keys() - seen:
                del self._kept[identity]
        self._head = cleaned(inflated(head, b"" if alone else inflated(self._first_head)), Head)
        self._decode()

    def _take(self, moment: Moment, seen: set[DeploymentId]) -> None:
        for identity in moment.gone:
            self._kept.pop(identity, None)
        for identity, data in moment.whole.items():
            kept = self._kept.setdefault(identity, _Kept(data))
            kept.base, kept.data, kept.decoded = data, None, False
            seen.add(identity)
        for identity, data in moment.since.items():
            found = self._kept.get(identity)
            if found is not None:
                found.data, found.decoded = data, False
        if len(self._kept) > form.MOST_DEPLOYMENTS:
            raise Damaged(f"it has more than {form.MOST_DEPLOYMENTS} deployments")

    def _decode(self) -> None:
        """The newest state of each deployment; what did not change stays the very same."""
        held = sum(kept.raw_bytes for kept in self._kept.values() if kept.decoded)
        end = time.monotonic() + DECODE_SECONDS
        self._left_out = 0
        for identity, kept in self._kept.items():
            if not kept.decoded:
                kept.decoded, kept.raw_bytes = True, 0
                before, kept.part = kept.part, None
                if held < form.MOST_STATE_BYTES and time.monotonic() < end and not self._stopped():
                    kept.part, kept.raw_bytes = _part(identity, kept)
                    held += kept.raw_bytes
                if kept.part is not None and kept.part == before:
                    kept.part = before
            self._left_out += kept.part is None

    def _reported(self) -> Report:
        deployments: dict[TargetId, dict[DeploymentId, Deployment]] = {target: {} for target in self._head.targets}
        findings: dict[DeploymentId, tuple[Finding, ...]] = {}
        undecided: dict[DeploymentId, tuple[Open, ...]] = {}
        for identity, kept in sorted(self._kept.items()):
            part = kept.part
            if part is None or part.deployment.target not in deployments:
                continue
            deployments[part.deployment.target][identity] = part.deployment
            if part.findings:
                findings[identity] = part.findings
            if part.undecided:
                undecided[identity] = part.undecided
        at = self._at or self._reader.first
        states = {t: replace(s, deployments=deployments[t]) for t, s in self._head.targets.items()}
        taken_at = datetime.fromtimestamp(at.at, UTC)
        return Report(
            snapshot=Snapshot(taken_at=taken_at, targets=states, databases=self._head.databases),
            findings=findings,
            undecided=undecided,
            failures=(*self._failures(), *self._head.failures),
            observed_seconds=self._head.observed_seconds,
        )

    def _failures(self) -> list[Failure]:
        found = []
        if self._damage is not None:
            found.append(Failure("damaged", "the recording", f"a part of it cannot be read: {self._damage}", ""))
        if self._left_out:
            why = f"{self._left_out} of its deployments cannot be read"
            found.append(Failure("damaged", "the recording", why, ""))
        if self._reader.dropped:
            begin = datetime.fromtimestamp(self._reader.first.at, UTC)
            why = f"it is still written and at its bound: what was before {begin:%H:%M:%S} is not there any more"
            found.append(Failure("dropped", "the recording", why, ""))
        if self._reader.cut:
            end = datetime.fromtimestamp(self._reader.last.at, UTC)
            found.append(Failure("cut", "the recording", f"it was cut: it can be read until {end:%H:%M:%S}", ""))
        return found


def _part(identity: DeploymentId, kept: _Kept) -> tuple[Part | None, int]:
    """A deployment and how large it is; ``None`` where what is written is not it."""
    try:
        raw = inflated(kept.base)
        if kept.data is not None:
            raw = inflated(kept.data, raw)
        part = cleaned(raw, Part)
    except Damaged:
        return None, 0
    of = {identity, part.deployment.id, *(finding.deployment for finding in part.findings)}
    return (part if len(of) == 1 else None), len(raw)
