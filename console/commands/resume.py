"""``fastops resume``: finishes a fix that was interrupted, or takes back what it left."""

from __future__ import annotations

from console import output
from console.commands._session import finished, must_answer, progress, settle
from console.commands.fix import ask, opened_for, refuse_closed
from console.commands.undo import concluded
from console.exits import REFUSED, UNVERIFIED, USAGE, Stop
from console.repairs import journal
from fixes.journal import OPEN_STATES
from fixes.model import Entry
from probes.base import target_of
from probes.target import Refused


def run(change: str | None, *, yes: bool, take_back: bool, as_json: bool, read_only: bool | None) -> int:
    """Resumes one change; returns the exit status."""
    entry = _pending(change)
    if not as_json:
        steps = ", ".join(f"{done.summary} ({done.state})" for done in entry.steps)
        output.write(f"{entry.id}: {entry.remedy} on {entry.deployment}, begun {entry.at:%Y-%m-%d %H:%M} UTC: {steps}")
    if not yes:
        ask("Take back what it left?" if take_back else "Finish it?")
    with opened_for(entry.deployment, read_only=read_only) as session:
        must_answer(settle(session, 0), target_of(entry.deployment))
        refuse_closed(session, entry.deployment)
        with progress("taking back" if take_back else "finishing") as told:
            try:
                outcome = finished(session, session.resume(entry.id, not take_back, told), entry.id)
            except Refused as refused:
                raise Stop(str(refused), UNVERIFIED if _is_open(entry) else REFUSED) from None
    return concluded(None, outcome, "taken back" if take_back else "finished", as_json=as_json)


def _is_open(entry: Entry) -> bool:
    """Whether what was left half done still is."""
    now = journal().read(entry.id)
    return now is not None and now.state in OPEN_STATES


def _pending(change: str | None) -> Entry:
    """The interrupted change that was named, or the only one; raises :class:`Stop`."""
    waiting = journal().pending()
    if not waiting:
        raise Stop("no fix was interrupted: there is nothing to resume", USAGE)
    if change is None and len(waiting) == 1:
        return waiting[0]
    entry = next((e for e in waiting if e.id == change), None)
    if entry is None:
        raise Stop(f"say which one: {', '.join(e.id for e in waiting)}", USAGE)
    return entry
