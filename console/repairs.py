"""Fixes in a session: a finding, a plan, an applied change, its verification. Runs on the session's loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from msgspec.structs import replace

from console.config import state_folder
from fixes import asked, catalogue, plan, verify
from fixes.apply import Fixer
from fixes.explain import explained
from fixes.journal import OPEN_STATES, Journal
from fixes.model import (
    Advice,
    ChangeId,
    Entry,
    Finding,
    Outcome,
    Plan,
    Remedy,
    RemedyId,
    Report,
    Signature,
    SignatureId,
    Undecided,
    Verified,
)
from fixes.remedies.profile import from_samples
from fixes.track import Tracker
from probes.base import DeploymentId, Failure, TargetId, Value, target_of
from probes.history import History, Metric, Point, SeriesKey
from probes.model import Deployment, Node, StackSample
from probes.otlp.receiver import Place
from probes.target import ReadOnly, Refused, Target, Unreadable

Progress = Callable[[str], None]

SAMPLES = 5
SAMPLE_PAUSE_SECONDS = 0.3
"""Five stacks of each worker over a second and a half: enough to tell a line that blocks from one that passes."""
MOST_PROFILED = 8
LOOK_SECONDS = 0.5
OFFERED = "A patch was written, and nothing that runs was changed: apply it where the object is kept."
PENDING_SECONDS = 5.0
"""How often the journal is looked at for interrupted changes."""


def journal() -> Journal:
    """The journal of this account."""
    return Journal(state_folder() / "journal")


class Repairs:
    """Plans, applies, verifies, undoes and resumes changes of the session's deployments."""

    def __init__(
        self,
        targets: Mapping[TargetId, Target],
        tracker: Tracker,
        history: History,
        report: Callable[[], Report],
        production: AbstractSet[TargetId] = frozenset(),
        receives: Callable[[], Place | Failure | None] = lambda: None,
    ) -> None:
        """``production``: targets on which every change asks for the deployment's name.

        ``receives``: where telemetry is received, or why it is not.
        """
        self._receives = receives
        self._targets = targets
        self._production = production
        self._tracker = tracker
        self._history = history
        self._report = report
        self._journal = journal()
        self._verifying: set[DeploymentId] = set()
        self._pending: tuple[Entry, ...] = ()
        self._pending_until = 0.0
        self._fixer = Fixer(
            self._journal,
            lambda deployment: self._target(deployment).writer(),
            lambda deployment: self._target(deployment).preserve(deployment),
        )

    def entries(self) -> tuple[Entry, ...]:
        """The journal, newest first."""
        return self._journal.entries()

    def verifying(self) -> frozenset[DeploymentId]:
        """What is verified now: its figures are to be fresh, also where nothing is found any more."""
        return frozenset(self._verifying)

    def pending(self) -> tuple[Entry, ...]:
        """Changes that were interrupted, as of :data:`PENDING_SECONDS` ago at most."""
        if time.monotonic() >= self._pending_until:
            self._pending = self._journal.pending()
            self._pending_until = time.monotonic() + PENDING_SECONDS
        return self._pending

    async def plan(
        self, deployment_id: DeploymentId, signature: SignatureId, remedy: RemedyId | None, values: Mapping[str, Value]
    ) -> Plan:
        """Drafts the named remedy, or the first that applies; raises :class:`Refused` or :class:`Unreadable`."""
        deployment = self._deployment(deployment_id)
        finding = await self._finding(deployment, signature)
        made = await plan.make_plan(
            deployment,
            finding,
            self._remedy(finding, remedy),
            values,
            self._target(deployment_id).drafter,
            self._node(deployment),
        )
        return self._guarded(made)

    def _guarded(self, made: Plan) -> Plan:
        """On production a yes is not enough."""
        target = target_of(made.deployment)
        if target not in self._production or not made.steps:
            return made
        return replace(made, confirm=" ".join(filter(None, (f"{target} is production.", made.confirm))))

    async def profile(self, deployment_id: DeploymentId) -> Advice:
        """Samples the stacks of the workers a few times; raises :class:`Unreadable` where none can be read.

        A worker may end meanwhile (a time-out's master kills the very ones that are wanted), and others come.
        """
        access = self._target(deployment_id).access
        samples: list[StackSample] = []
        failed: Unreadable | None = None
        for number in range(SAMPLES):
            if number:
                await asyncio.sleep(SAMPLE_PAUSE_SECONDS)
            deployment = self._deployment(deployment_id)
            for worker in deployment.workers[:MOST_PROFILED]:
                try:
                    samples.append(await access.stacks(worker.replica, worker.pid))
                except Unreadable as error:
                    if error.failure.code != "not-found":
                        raise
                    failed = error
        if failed is not None and not samples:
            raise failed
        return from_samples(deployment.name, samples)

    async def apply(self, wanted: Plan, confirm: str | None, progress: Progress) -> Outcome:
        """Applies and verifies; what was refused, and whether all of it was taken back, is in the outcome."""
        began = time.monotonic()
        deployment = self._deployment(wanted.deployment)
        if wanted.confirm is not None and confirm != deployment.name:
            raise Refused(f"{wanted.confirm} The name {deployment.name} has to be typed for that.")
        finding = await self._finding(self._deployment(wanted.deployment), wanted.signature)
        remedy = catalogue.remedies()[wanted.remedy]
        drafter = self._target(wanted.deployment).drafter
        before = verify.load_before(self._series_of(wanted.deployment), datetime.now(UTC))
        effects = explained(self._report().of(wanted.deployment), finding)
        entry = await self._fixer.apply(
            wanted, progress, current=lambda: plan.redraft(wanted, self._deployment(wanted.deployment), remedy, drafter)
        )
        if entry.state != "applied":
            return _outcome(entry, False, began)
        if all(step.action == "offer-file" for step in wanted.steps):
            self._record(entry.id, "untested", OFFERED, progress)
            return Outcome(True, "untested", entry.id, time.monotonic() - began, OFFERED)
        signature = asked.signature(wanted.signature) or catalogue.signatures()[wanted.signature]
        verification = verify.begin(finding, signature.proof, datetime.now(UTC), before, effects)
        answer = await self._verify(verification, signature, progress)
        verified = answer.verified or "untested"
        if verified == "gone":
            self._tracker.settle(wanted.deployment, wanted.signature, verification.evidence_from)
        self._record(entry.id, verified, answer.why, progress)
        return Outcome(True, verified, entry.id, time.monotonic() - began, answer.why)

    def _record(self, change: ChangeId, verified: Verified, why: str | None, progress: Progress) -> None:
        """What was found is told in any case: a journal that cannot be written does not make the fix a failed one."""
        try:
            self._fixer.record(change, verified, why)
        except Refused as error:
            progress(f"what verification found is not in the journal: {error}")

    async def undo_preview(self, change: ChangeId | None) -> Plan:
        """What an undo would do; raises :class:`Refused` also where the undo would be refused as the world is now."""
        entry = self._entry(change)
        with contextlib.suppress(ReadOnly):  # nobody can confirm it there, and what it would do may be looked at
            await self._fixer.check_undo(entry.id)
        return plan.undo_plan(entry)

    async def undo(self, change: ChangeId | None, progress: Progress) -> Outcome:
        """Takes a change back; raises :class:`Refused`."""
        began = time.monotonic()
        entry = await self._fixer.undo(change, progress)
        return _outcome(entry, entry.state == "undone", began)

    async def resume(self, change: ChangeId, finish: bool, progress: Progress) -> Outcome:
        """Finishes an interrupted change or takes it back; raises :class:`Refused`."""
        began = time.monotonic()
        known = self._entry(change)
        redraft = None
        if self._report().snapshot.find(known.deployment) is not None:
            deployment, remedy = self._deployment(known.deployment), catalogue.remedies()[known.remedy]
            drafter = self._target(known.deployment).drafter
            redraft = lambda: plan.redraft(known, deployment, remedy, drafter)  # noqa: E731 -- used once, right below
        entry = await self._fixer.resume(change, finish=finish, progress=progress, redraft=redraft)
        wanted = {"applied", "undone"} if finish else {"undone"}
        return _outcome(entry, entry.state in wanted, began)

    async def _verify(
        self, verification: verify.Verification, signature: Signature, progress: Progress
    ) -> verify.Answer:
        """Watches the finding's deployment until there is an answer; the verification's window bounds it."""
        progress(f"verifying for up to {verification.window_seconds:g} s")
        self._verifying.add(verification.deployment)
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                answer = self._judged(verification, signature)
                if answer.verified is not None:
                    return answer
        finally:
            self._verifying.discard(verification.deployment)

    def _judged(self, verification: verify.Verification, signature: Signature) -> verify.Answer:
        now = datetime.now(UTC)
        deployment = self._report().snapshot.find(verification.deployment)
        series = self._series_of(verification.deployment)
        if deployment is None:
            return verify.judge(verification, Undecided("the service to be seen"), None, series, now)
        verdict = self._tracker.judge(
            signature, deployment, self._history, now, node=self._node(deployment), after=verification.evidence_from
        )
        return verify.judge(verification, verdict, deployment, series, now)

    def _series_of(self, deployment: DeploymentId) -> verify.Series:
        def series(metric: Metric) -> Mapping[str, Sequence[Point]]:
            labels = self._history.labels(deployment, metric)
            return {label: self._history.series(SeriesKey(deployment, metric, label)) for label in labels}

        return series

    def _target(self, deployment: DeploymentId) -> Target:
        target = self._targets.get(target_of(deployment))
        if target is None:
            raise Refused(f"the target of {deployment} is not open")
        return target

    def _deployment(self, deployment: DeploymentId) -> Deployment:
        found = self._report().snapshot.find(deployment)
        if found is None:
            raise Refused(f"{deployment} is not there any more")
        return found

    def _node(self, deployment: Deployment) -> Node | None:
        state = self._report().snapshot.targets.get(deployment.target)
        return None if state is None or deployment.node is None else state.nodes.get(deployment.node)

    async def _finding(self, deployment: Deployment, signature: SignatureId) -> Finding:
        """The finding, or what stands in its place where a person asks for a remedy without one."""
        wished = asked.signature(signature)
        if wished is not None:
            from console.asked import facts

            state = self._report().snapshot.targets[deployment.target]
            known = await facts(deployment, self._target(deployment.id), state, self._receives())
            return asked.wish(deployment, wished, known)
        found = next((f for f in self._report().of(deployment.id) if f.signature == signature), None)
        if found is None:
            raise Refused(f"{signature} is not found on {deployment.id} any more")
        return found

    def _entry(self, change: ChangeId | None) -> Entry:
        entry = self._journal.latest_undoable() if change is None else self._journal.read(change)
        if entry is None:
            raise Refused("there is no such change; `fastops history` lists them")
        return entry

    def _remedy(self, finding: Finding, wanted: RemedyId | None) -> Remedy:
        """The remedy asked for, else the first of the finding's that applies."""
        if wanted is None:
            offers = [o for o in finding.remedies if o.applicable]
            if not offers:
                reasons = "; ".join(f"{o.id}: {o.why_not}" for o in finding.remedies)
                raise Refused(f"no remedy applies to {finding.signature} here: {reasons}")
            return catalogue.remedies()[offers[0].id]
        if wanted not in {o.id for o in finding.remedies}:
            names = ", ".join(o.id for o in finding.remedies)
            raise Refused(f"{wanted} is no remedy for {finding.signature}; there are {names}")
        return catalogue.remedies()[wanted]


def _outcome(entry: Entry, is_as_wanted: bool, began: float) -> Outcome:
    """What became of a change that is not verified; ``began`` is monotonic."""
    took, open_ = time.monotonic() - began, entry.state in OPEN_STATES
    return Outcome(is_as_wanted, None, entry.id, took, entry.why, half_done=open_)
