"""Applies plans, takes them back, and ends what was interrupted: the only caller of a :class:`probes.target.Writer`.

Every step is journalled before it begins and after it is done. What fails or is cancelled is taken back in reverse,
so that a change is in force as a whole or not at all. What a crash leaves is named by
:meth:`fixes.journal.Journal.pending` and ended by :meth:`Fixer.resume`: finished (the texts, which the journal does
not hold, are drafted again and must hash to what was wanted) or taken back (which needs no text).
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from fixes import evidence
from fixes.journal import Journal, blanked, sha256, undoable
from fixes.model import ChangeId, Done, Entry, Plan, Verified
from fixes.run import Progress, Run, sentence, to_the_end
from probes.base import DeploymentId
from probes.intent import RestorePoint, Step
from probes.target import Outdated, Refused, Unreadable, Writer
from probes.text import clean, line

Redraft = Callable[[], Awaitable[Sequence[Step]]]
"""Drafts the same wish again, as the world is now (see :func:`fixes.plan.redraft`)."""
KEPT_UNDOS = 3
"""Changes of one deployment that can be undone; what older ones kept for it is removed."""


class Fixer:
    """Performs the steps of plans and journals them."""

    def __init__(
        self,
        journal: Journal,
        writer_of: Callable[[DeploymentId], Writer],
        preserve: Callable[[DeploymentId], Awaitable[Mapping[str, bytes]]] | None = None,
    ) -> None:
        """``writer_of`` raises :class:`probes.target.ReadOnly` in read-only mode; ``preserve`` reads the evidence."""
        self.journal = journal
        self._writer_of = writer_of
        self._preserve = preserve

    async def apply(self, plan: Plan, progress: Progress, current: Redraft | None = None) -> Entry:
        """Performs a plan. The entry's state is ``applied``, or ``failed`` with ``why`` and all taken back.

        With ``current`` a document that changed since its diff was made raises :class:`Outdated`. Raises that and
        :class:`Refused` before anything was begun, ``ReadOnly``, and ``CancelledError`` after having taken back what
        was done.
        """
        if not plan.steps:
            raise Refused("This plan changes nothing, so there is nothing to apply.")
        writer = self._writer_of(plan.deployment)
        with self.journal.lock(plan.id, plan.deployment):
            if self.journal.read(plan.id) is not None:
                raise Refused("This plan was applied already; make a new one.")
            self._refuse_beside_interrupted(plan.deployment)
            await _refuse_outdated(plan, current)
            saved = await self._save_evidence(plan.id, plan.deployment, progress)
            run = Run(self.journal, opened(plan, saved), writer, progress)
            run.write()
            await _forward(run, plan.steps)
            if run.entry.state == "applied":
                await self._forget_older(run.entry, writer, progress)
                self.journal.prune()
            return run.entry

    async def undo(self, change: ChangeId | None, progress: Progress) -> Entry:
        """Takes an applied change back, the latest one when none is named.

        Raises :class:`Refused` where there is nothing to undo or where something else was changed since: then
        nothing is touched, and it stays applied. One that fails half-way stays ``undoing``; ``why`` says what ends it.
        """
        entry = self.journal.latest_undoable() if change is None else self._known(change)
        if entry is None:
            raise Refused("There is no change that could be undone.")
        with self.journal.lock(entry.id, entry.deployment):
            entry = self._known(entry.id)
            run = Run(self.journal, entry, self._writer_of(entry.deployment), progress)
            progress("looking at what is to be taken back")
            await run.check()
            await self._save_evidence(ChangeId(f"{entry.id}-undo"), entry.deployment, progress)
            run.close("undoing", None)
            await _undo_steps(run)
            return run.entry

    async def check_undo(self, change: ChangeId) -> None:
        """Raises :class:`Refused` where :meth:`undo` would as the world is now, ``ReadOnly``; nothing is touched."""
        entry = self._known(change)
        await Run(self.journal, entry, self._writer_of(entry.deployment), lambda _: None).check()

    async def resume(
        self, change: ChangeId, *, finish: bool, progress: Progress, redraft: Redraft | None = None
    ) -> Entry:
        """Ends an interrupted change: finishes it, or takes back what it left.

        Finishing needs the texts of the steps that are left: ``redraft`` gives them. Raises :class:`Refused` where the
        change cannot be finished so; it stays pending and can be taken back. What somebody else changed since is then
        left as it is and named in ``why``. Taking back an interrupted undo means the same: it is ended, whatever of it
        cannot be restored any more.
        """
        self._known(change)
        with self.journal.lock(change, self._known(change).deployment):
            entry = self._known(change)
            run = Run(self.journal, entry, self._writer_of(entry.deployment), progress)
            if entry.state == "undoing":
                if finish:
                    await _undo_steps(run)
                else:
                    await to_the_end(
                        run.back("Its undo was interrupted, and ended.", leave_refused=True, ends="undone")
                    )
            elif entry.state != "applying":
                raise Refused(f"The change {entry.id} was not interrupted: it is {entry.state}.")
            elif finish:
                await _forward(run, await _resolved(entry, redraft))
            else:
                await to_the_end(run.back("It was interrupted, and taken back.", leave_refused=True, ends="undone"))
            return run.entry

    def record(self, change: ChangeId, verified: Verified, why: str | None = None) -> Entry:
        """Journals what verification found, of a change in force; raises :class:`Refused` while another works on it."""
        with self.journal.lock(change, self._known(change).deployment):
            entry = self._known(change)
            if entry.state == "applied":
                entry = replace(entry, verified=verified, why=None if why is None else line(why, 500))
                self.journal.write(entry)
            return entry

    def _known(self, change: ChangeId) -> Entry:
        entry = self.journal.read(change)
        if entry is None:
            raise Refused(f"The journal knows no change {clean(change, 60)}; `fastops history` lists them.")
        return entry

    def _refuse_beside_interrupted(self, deployment: DeploymentId) -> None:
        """The caller holds the deployment's lock, so an open change of it has nobody who works on it."""
        for entry in self.journal.pending():
            if entry.deployment == deployment:
                raise Refused(f"The change {entry.id} of it was interrupted: `fastops resume {entry.id}` comes first.")

    async def _save_evidence(self, change: ChangeId, deployment: DeploymentId, progress: Progress) -> str | None:
        """A fix goes on without evidence, and says so: the service's failure outweighs its memory."""
        if self._preserve is None:
            return None
        preserve = self._preserve
        progress("saving evidence")
        try:
            folder = await evidence.save(self.journal.evidence, change, lambda: preserve(deployment))
        except TimeoutError:
            progress("evidence could not be saved within 10 s")
        except Exception as error:  # noqa: BLE001 - whatever a target raises, the fix goes on
            progress(f"evidence could not be saved: {sentence(error)}")
        else:
            return None if folder is None else str(folder)
        return None

    async def _forget_older(self, latest: Entry, writer: Writer, progress: Progress) -> None:
        """Removes what is kept for the undo of changes that are too old to be undone.

        Where a writer keeps it (it is the only copy of somebody's files) that is told, and the change stays undoable.
        """
        same = [e for e in self.journal.entries() if e.deployment == latest.deployment and undoable(e)]
        for entry in same[KEPT_UNDOS:]:
            steps = list(entry.steps)
            for number in reversed(range(len(steps))):
                point = steps[number].point
                if point is not None and not await _discarded(writer, point, progress):
                    break
                steps[number] = replace(steps[number], point=None)
            if tuple(steps) != entry.steps:
                self.journal.write(replace(entry, steps=tuple(steps)))


async def _discarded(writer: Writer, point: RestorePoint, progress: Progress) -> bool:
    """Whether it is forgotten; a failure of tidying does no harm, a refusal has a reason that people must know."""
    refused: list[Refused] = []

    async def work() -> None:
        try:
            await writer.discard(point)
        except Refused as error:
            refused.append(error)

    await Run.ignoring_failures(work())
    for error in refused:
        progress(sentence(error))
    return not refused


def opened(plan: Plan, saved: str | None) -> Entry:
    """The entry of a plan of which nothing is done yet."""
    return Entry(
        id=plan.id,
        at=datetime.now(UTC),
        deployment=plan.deployment,
        signature=plan.signature,
        remedy=plan.remedy,
        title=plan.title,
        state="applying",
        steps=tuple(
            Done(
                summary=line(step.summary, 300),
                step=blanked(step),
                state="pending",
                wanted=None if step.before.text == step.after.text else sha256(step.after.text),
            )
            for step in plan.steps
        ),
        diff=plan.changes,
        evidence=saved,
        by=_somebody(),
        values=plan.values,
    )


async def _forward(run: Run, steps: Sequence[Step]) -> None:
    try:
        await run.forward(steps)
    except asyncio.CancelledError:
        await to_the_end(run.back("It was cancelled, and taken back."))
        raise
    except Exception as error:  # noqa: BLE001 - whatever a writer raises, nothing may stay half done
        await to_the_end(run.back(sentence(error)))


async def _undo_steps(run: Run) -> None:
    try:
        await run.undo()
    except Exception as error:
        if isinstance(error, Refused) and all(done.state != "restored" for done in run.entry.steps):
            run.close("applied", None)
            raise
        advice = f"The undo is incomplete: `fastops resume {run.entry.id} --take-back` ends it."
        run.close("undoing", f"{sentence(error)} {advice}")


async def _refuse_outdated(plan: Plan, current: Redraft | None) -> None:
    if current is None:
        return
    now = {step.before.id: step.before.version for step in await current()}
    if now != {step.before.id: step.before.version for step in plan.steps}:
        raise Outdated("It was changed since the diff was made; plan again.")


async def _resolved(entry: Entry, redraft: Redraft | None) -> list[Step]:
    """The steps of an interrupted change with their texts; raises :class:`Refused` where one cannot be had again."""
    fresh: Sequence[Step] = ()
    if redraft is not None:
        try:
            fresh = await redraft()
        except (Refused, Unreadable):
            fresh = ()
    steps = []
    for done in entry.steps:
        again = next((s for s in fresh if _same(s, done)), None)
        if (
            done.state == "done"
            or done.wanted is None
            or (again is None and done.step.arguments.get("resumable") is True)
        ):
            steps.append(done.step)
        elif again is not None:
            # Its texts as they are now; how the service was run before stands in the journal alone.
            steps.append(replace(done.step, before=again.before, after=again.after))
        else:
            raise Refused(
                f"It cannot be finished: what '{done.summary}' was to write is not what would be written now. "
                "It can be taken back."
            )
    return steps


def _same(step: Step, done: Done) -> bool:
    return (
        step.action == done.step.action
        and step.before.id == done.step.before.id
        and sha256(step.after.text) == done.wanted
    )


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without an entry in passwd
        name = str(os.getuid())
    return clean(f"{name}@{socket.gethostname()}", 200)
