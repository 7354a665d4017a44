"""``fastops undo``: takes a change back, after the diff and a yes."""

from __future__ import annotations

from console import contract, output
from console.commands._session import drafted, finished, must_answer, progress, say, settle
from console.commands.fix import ask, finish_dry, opened_for, refuse_closed
from console.exits import FINE, REFUSED, UNVERIFIED, USAGE, Stop
from console.repairs import journal
from fixes.model import ChangeId, Entry, Outcome, Plan
from probes.base import target_of


def run(change: str | None, *, dry_run: bool, yes: bool, as_json: bool, read_only: bool | None) -> int:
    """Undoes one change; returns the exit status."""
    entry = _undoable(change)
    with opened_for(entry.deployment, read_only=read_only) as session:
        report = settle(session, 0)
        must_answer(report, target_of(entry.deployment))
        plan = drafted(session.undo_preview(entry.id))
        if not as_json:
            output.print_plan(plan)
        if dry_run:
            return finish_dry(plan, as_json=as_json)
        refuse_closed(session, entry.deployment)
        if not yes:
            ask(f"Take {entry.id} back?")
        with progress("taking back") as told:
            outcome = finished(session, session.undo(entry.id, told), entry.id)
    return concluded(plan, outcome, "taken back", as_json=as_json)


def concluded(plan: Plan | None, outcome: Outcome, done: str, *, as_json: bool) -> int:
    """Prints what became of an undo or a resume; returns the exit status, 4 only where nothing is left half done."""
    if as_json and plan is not None:
        output.write(contract.encode(contract.FixOut(contract.SCHEMA, contract.plan(plan), contract.outcome(outcome))))
    elif as_json:
        output.write(contract.encode(contract.outcome(outcome)))
    if not outcome.applied:
        say(f"{outcome.change} was not {done}: {outcome.why}")
        return UNVERIFIED if outcome.half_done else REFUSED
    if not as_json:
        output.write(f"{outcome.change} was {done} in {outcome.took_seconds:.1f} s")
    return FINE


def _undoable(change: str | None) -> Entry:
    """The entry that was named, or the latest that can be undone; raises :class:`Stop`."""
    book = journal()
    if change is None:
        entry = book.latest_undoable()
        if entry is None:
            raise Stop("there is no change to undo; `fastops history` lists what was done", USAGE)
        return entry
    entry = next((e for e in book.entries() if e.id == ChangeId(change)), None)
    if entry is None:
        raise Stop(f"there is no change {change!r}; `fastops history` lists them", USAGE)
    return entry
