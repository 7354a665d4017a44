"""One change while it is worked on: its steps forward, back and undone, each journalled before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from msgspec.structs import replace

from fixes.journal import OPEN_STATES, Journal, undoable
from fixes.model import ChangeState, Entry
from probes.base import target_of
from probes.intent import RestorePoint, Step
from probes.target import Refused, Writer
from probes.text import line

Progress = Callable[[str], None]
STEP_SECONDS = 900.0
"""For one step: a recreate waits until the new container is healthy."""
BACK_SECONDS = 900.0
"""For taking a whole change back."""
CHECK_SECONDS = 120.0
"""For reading all that an undo would put back."""


class Run:
    """Works on one journalled change; the caller holds its lock."""

    def __init__(self, journal: Journal, entry: Entry, writer: Writer, progress: Progress) -> None:
        self.entry = entry
        self._journal = journal
        self._writer = writer
        self._progress = progress
        self._steps: list[Step] = [done.step for done in entry.steps]

    async def forward(self, steps: Sequence[Step]) -> None:
        """Performs what is not done yet, in order, and closes the change as applied.

        What the writer raises leaves the step ``begun``: :meth:`back` abandons it, whatever was raised.
        """
        self._steps = list(steps)
        for number, step in enumerate(steps):
            if self.entry.steps[number].state == "done":
                continue
            self._mark(number, "begun")
            self._progress(line(step.summary, 300))
            # A refused step stays "begun": the refusal says nothing of what an earlier, interrupted attempt left.
            async with asyncio.timeout(STEP_SECONDS):
                point = await self._writer.perform(step, self.entry.id, self._progress)
            self._mark(number, "done", point)
        self.close("applied", None)

    async def back(
        self, why: str, *, leave_refused: bool = False, ends: Literal["failed", "undone"] = "failed"
    ) -> None:
        """Takes back what was done, from last to first, and closes the change as ``ends`` says.

        Where something cannot be taken back the change stays open, to be tried again; with ``leave_refused`` what a
        writer refuses (somebody else changed it since) is left as it is and named instead.
        """
        refused: list[str] = []
        failed: list[str] = []
        try:
            async with asyncio.timeout(BACK_SECONDS):
                for number in reversed(range(len(self.entry.steps))):
                    await self._try_back(number, refused, failed)
        except TimeoutError:
            failed.append("Taking it back took too long.")
        stays_open = bool(failed or (refused and not leave_refused))
        advice = [f"`fastops resume {self.entry.id} --take-back` ends it."] if stays_open else []
        self.close(self.entry.state if stays_open else ends, " ".join([why, *refused, *failed, *advice]))

    async def check(self) -> None:
        """Raises :class:`Refused` where :meth:`undo` would be refused as the world is now; nothing is touched."""
        self._refuse_not_undoable()
        document = ""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                for done in reversed(self.entry.steps):
                    if done.state == "done" and done.point is not None:
                        document = done.step.before.id
                        await self._writer.check(done.point, self.entry.id)
        except Refused as error:
            first = self._newer_first(document)
            kept = f"Nothing was taken back: all that {self.entry.id} changed stays in force"
            raise Refused(f"{sentence(error)} {kept}{first}.") from error
        except Exception as error:
            raise Refused(f"It could not be told whether it can be taken back: {sentence(error)}") from error

    async def undo(self) -> None:
        """Restores what is done, from last to first, and closes the change as undone; raises what the writer raises."""
        for number in reversed(range(len(self.entry.steps))):
            done = self.entry.steps[number]
            if done.state != "done" or done.point is None:
                continue
            self._progress(f"taking back: {done.summary}")
            async with asyncio.timeout(STEP_SECONDS):
                await self._writer.restore(done.point, self.entry.id, self._progress)
            self._mark(number, "restored")
        self.close("undone", None)

    def write(self) -> None:
        """Journals the change as it is now."""
        self._journal.write(self.entry)

    def close(self, state: ChangeState, why: str | None) -> None:
        """Journals a new state of the whole change."""
        self.entry = replace(self.entry, state=state, why=why)
        self.write()

    def _refuse_not_undoable(self) -> None:
        entry = self.entry
        if entry.state in OPEN_STATES:
            raise Refused(f"The change {entry.id} was interrupted: `fastops resume {entry.id}` ends it.")
        if entry.state != "applied":
            raise Refused(f"The change {entry.id} is not in force: it is {entry.state}.")
        if not undoable(entry):
            raise Refused(f"What the way back of {entry.id} needs is no longer kept.")
        touched = {done.step.before.id for done in entry.steps}
        for later in self._newer(touched):
            if later.deployment == entry.deployment:
                raise Refused(f"A later change, {later.id}, builds upon it: undo that first.")

    def _newer_first(self, document: str) -> str:
        """What has to be undone before; several services stand in one file, so it may be another one's change."""
        newer = [f"{later.id} of {later.deployment}" for later in self._newer({document})]
        return f"; undo the newer changes first: {', '.join(newer)}" if newer else ""

    def _newer(self, documents: AbstractSet[str]) -> list[Entry]:
        """Later changes in force of any of the documents, newest first: the order in which they are undone."""
        target = target_of(self.entry.deployment)
        return [
            later
            for later in self._journal.entries()
            if later.id > self.entry.id and later.state == "applied" and target_of(later.deployment) == target
            if any(done.step.before.id in documents for done in later.steps)
        ]

    @staticmethod
    async def ignoring_failures(work: Awaitable[None]) -> None:
        """Waits for tidying that may fail without harm."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await work
        except Exception:  # noqa: BLE001, S110 - what is left is a stopped container or a backup file
            pass

    async def _try_back(self, number: int, refused: list[str], failed: list[str]) -> None:
        done = self.entry.steps[number]
        if done.state not in {"begun", "done"}:
            return
        self._progress(f"taking back: {done.summary}")
        try:
            await self._take_back(number)
        except Refused as error:
            refused.append(f"'{done.summary}' was not taken back: {sentence(error)}")
        except Exception as error:  # noqa: BLE001 - the other steps are still to be taken back
            failed.append(f"'{done.summary}' could not be taken back: {sentence(error)}")
        else:
            self._keep(number, "restored")

    async def _take_back(self, number: int) -> None:
        done = self.entry.steps[number]
        if done.state == "done" and done.point is not None:
            await self._writer.restore(done.point, self.entry.id, self._progress)
        else:
            await self._writer.abandon(self._steps[number], self.entry.id, self._progress)

    def _mark(
        self, number: int, state: Literal["begun", "done", "restored"], point: RestorePoint | None = None
    ) -> None:
        self._set(number, state, point)
        self.write()

    def _keep(self, number: int, state: Literal["restored"]) -> None:
        """Like ``_mark``; a journal that cannot be written must not stop what is being taken back."""
        try:
            self._mark(number, state)
        except Refused as error:
            self._progress(str(error))

    def _set(self, number: int, state: Literal["begun", "done", "restored"], point: RestorePoint | None) -> None:
        steps = list(self.entry.steps)
        steps[number] = replace(steps[number], state=state, point=point)
        self.entry = replace(self.entry, steps=tuple(steps))


async def to_the_end(work: Awaitable[None]) -> None:
    """Waits for work that must not be left half done, also where the caller is cancelled again meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:  # noqa: BLE001 - raised below, once the task is done
            break
    task.result()
    if cancelled:
        raise asyncio.CancelledError


def sentence(error: BaseException) -> str:
    """An error as one sentence for people."""
    if isinstance(error, TimeoutError) and not str(error):
        return "It took too long."
    said = line(str(error) or type(error).__name__, 500)
    return said if said.endswith((".", "!", "?")) else f"{said}."
