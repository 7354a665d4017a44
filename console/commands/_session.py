"""What the commands without a screen share: opening a session, waiting for it, saying how it goes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from typing import TypeVar

from console import config as configuration
from console.exits import INTERRUPTED, PARTIAL, USAGE, Stop
from console.naming import meant
from console.repairs import journal
from console.session import Session
from console.wanted_databases import wanted
from fixes.journal import OPEN_STATES
from fixes.model import ChangeId, Entry, Outcome, Report
from probes import doubt, text
from probes.base import Failure, TargetId
from probes.model import Deployment, Interest, TargetState
from probes.schedule import is_small

T = TypeVar("T")

FIRST_ANSWER_SECONDS = 20.0
"""How long a target may take until everything was read once."""
ASK_SECONDS = 6.0
"""How long it may take until every service was asked once over HTTP."""
SETTLE_SECONDS = 15.0
"""How long a slow event loop is asked again, so that one slow answer is not taken for a blocked loop."""
LOOP_PROBES = 3
"""Answers of a slow loop that make a judgement, where there is no time to ask each service more often."""
SLOW_SECONDS = 1.0
POOLS_SECONDS = 10.0
"""How long the services' own files may take that say the sizes of their pools; without them a scan is none the less."""
DATABASE_SECONDS = 20.0
"""How long the database servers may take that are to be asked."""
READ_SECONDS = 60.0
"""How long a plan or a look at stacks may take: engines have deadlines of their own, a busy one needs several."""
MOST_NAMED = 20
"""Deployments that a sentence names."""


@contextmanager
def opened(
    targets: Sequence[str],
    *,
    read_only: bool | None,
    unknown: bool = False,
    execute: bool = False,
    namespace: str | None = None,
    databases: Sequence[str] = (),
    sources: Sequence[str] = (),
    telemetry: str | None = None,
) -> Iterator[Session]:
    """A running session over the named targets, or over all that is here.

    It listens for telemetry where that is said here, whatever is configured: two programs cannot listen at one place.
    """
    config = configuration.load().listening(telemetry or "")
    named = configuration.namespace(namespace)
    session = Session(
        targets,
        config,
        read_only=read_only,
        unknown=unknown,
        execute=execute,
        namespace=named,
        databases=wanted(databases, sources),
    )
    with session:
        warn_interrupted(session.pending())
        yield session


def warn_interrupted(pending: Sequence[Entry]) -> None:
    """Names interrupted fixes on standard error."""
    for entry in pending:
        say(
            f"the fix {entry.id} ({entry.remedy} on {entry.deployment}) was interrupted: "
            f"`fastops resume {entry.id}` finishes it or takes it back"
        )


def drafted(future: Future[T]) -> T:
    """Waits for what is only read. Raises :class:`Stop` where the target does not answer in time."""
    try:
        return future.result(READ_SECONDS)
    except TimeoutError:
        raise Stop(
            f"the target did not answer within {READ_SECONDS:.0f} s, so nothing was changed; try again when it is less "
            "busy, `fastops doctor` says how it answers",
            PARTIAL,
        ) from None


def finished(session: Session, future: Future[Outcome], change: ChangeId) -> Outcome:
    """Waits for a change without a deadline: each of its parts has one. Ctrl-C ends it in order, and says how."""
    try:
        return future.result()
    except (KeyboardInterrupt, CancelledError):
        _close(session)
        raise Stop(f"interrupted: {became(change)}", INTERRUPTED) from None


def leave(session: Session, *, passing: bool = False) -> None:
    """Closes the session; says what that waits for, and what became of it, unless it is ``passing``."""
    working = session.under_way
    _close(session)
    if working is not None and working.change is not None and not passing:
        say(became(working.change))


def _close(session: Session) -> None:
    working = session.under_way
    if working is None:
        session.close()
        return
    say(f"{working.says} Ctrl-C ends the waiting.")
    with suppress(KeyboardInterrupt):
        session.close()


def became(change: ChangeId) -> str:
    """What the journal says of a change that was interrupted."""
    entry = journal().read(change)
    if entry is None:
        return "nothing was changed"
    if entry.state in OPEN_STATES:
        return f"{change} is half done: `fastops resume {change}` finishes it or takes it back"
    if entry.state == "applied":
        verified = "" if entry.verified else ", not verified"
        return f"{change} is applied{verified}; `fastops undo {change}` takes it back"
    return f"{change} was taken back"


def settle(session: Session, observe_seconds: float) -> Report:
    """Waits until all targets were read once (or cannot be), then for ``observe_seconds``; returns the report."""
    with progress("reading"):
        session.wait(FIRST_ANSWER_SECONDS, lambda r: _read_once(r, session))
        session.wait(ASK_SECONDS, _asked)
        session.wait(SETTLE_SECONDS, lambda r: not any(_in_doubt(state) for state in r.snapshot.targets.values()))
        session.wait(POOLS_SECONDS, lambda _: session.databases.settings_read)
        session.wait(DATABASE_SECONDS, lambda _: session.databases.asked)
    return observe(session, observe_seconds) if observe_seconds > 0 else session.report


def observe(session: Session, observe_seconds: float) -> Report:
    """Watches for so long, more closely than what nobody looks at; returns the report."""
    with progress(f"observing for {observe_seconds:g} s"):
        session.focus(Interest(observed=True))
        threading.Event().wait(observe_seconds)
        session.focus(Interest())
    return session.report


def _read_once(report: Report, session: Session) -> bool:
    states = report.snapshot.targets
    return len(states) == len(session.targets) and all(_answered(s) for s in states.values())


def _answered(state: TargetState) -> bool:
    return state.complete or state.link.state in {"down", "forbidden", "expired"}


def _asked(report: Report) -> bool:
    """Whether every replica that listens was asked for a path that no route answers."""
    return all(r.loop_probes for d in report.snapshot.deployments() for r in d.running if r.listeners)


def _in_doubt(state: TargetState) -> bool:
    """Whether more answers are to come soon, or a look at why they are slow."""
    deployments = state.deployments.values()
    asked = [r for d in deployments for r in d.running if r.loop_probes]
    if is_small(deployments):
        return any(doubt.unsettled(r.loop_probes) or not doubt.looked_into(r) for r in asked)
    return any(r.loop_probes[-1].took_seconds >= SLOW_SECONDS and len(r.loop_probes) < LOOP_PROBES for r in asked)


def unread(report: Report, session: Session) -> list[str]:
    """A sentence for each target of which less than everything was read, and for each signature that was not judged."""
    of_targets = [sentence for name in session.targets for sentence in unread_of(report, name)]
    return of_targets + unasked(report, session)


def unasked(report: Report, session: Session) -> list[str]:
    """A sentence for each thing beside the targets that was not read: databases, telemetry, signatures."""
    late = [] if session.databases.asked else [f"the database servers were not asked within {DATABASE_SECONDS:g} s"]
    return late + [told(failure) for failure in report.failures]


def unread_of(report: Report, target: TargetId) -> list[str]:
    """A sentence for each part of a target that was not read; none where all of it was."""
    state = report.snapshot.targets.get(target)
    if state is None or state.link.state != "live":
        return [unreached(report, target)]
    sentences = [f"{target}: {told(failure)}" for failure in state.failures]
    return sentences if state.complete else [*sentences, unreached(report, target)]


def unreached(report: Report, target: TargetId) -> str:
    """Why a target as a whole was not read; empty where it was."""
    state = report.snapshot.targets.get(target)
    if state is None:
        return f"{target}: no answer within {FIRST_ANSWER_SECONDS:g} s"
    if state.link.state != "live":
        why = state.link.why or f"it is {state.link.state}"
        return f"{target}: {why.rstrip('.')}" + (f" ({state.link.hint})" if state.link.hint else "")
    return "" if state.complete else f"{target}: not everything was read within {FIRST_ANSWER_SECONDS:g} s"


def must_answer(report: Report, target: TargetId) -> None:
    """Raises :class:`Stop` where a target that is to be changed cannot be reached."""
    state = report.snapshot.targets.get(target)
    if state is None or state.link.state != "live":
        raise Stop(f"nothing was changed: {unreached(report, target)}", PARTIAL)


def told(failure: Failure) -> str:
    """A failure as one sentence."""
    return f"{failure.what}: {failure.why}" + (f" ({failure.hint})" if failure.hint else "")


def find(report: Report, targets: Sequence[TargetId], named: str) -> Deployment:
    """The deployment that a person named by its id or an unambiguous part of it; raises :class:`Stop`.

    That there is none can be said only where everything was read.
    """
    everything = report.snapshot.deployments()
    matching = meant(named, everything)
    if len(matching) == 1:
        return matching[0]
    if matching:
        more = f" or one of {len(matching) - MOST_NAMED} more" if len(matching) > MOST_NAMED else ""
        raise Stop(f"{named!r} could be {', '.join(d.id for d in matching[:MOST_NAMED])}{more}: say which", USAGE)
    missing = [sentence for target in targets for sentence in unread_of(report, target)]
    if missing:
        more = f"; and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        told_all = "; ".join(missing[:MOST_NAMED])
        raise Stop(f"there is no deployment {named!r} in what could be read. Not read: {told_all}{more}", PARTIAL)
    if everything:
        more = f" and {len(everything) - MOST_NAMED} more" if len(everything) > MOST_NAMED else ""
        there = ", ".join(d.id for d in everything[:MOST_NAMED])
        raise Stop(f"there is no deployment {named!r}; there are {there}{more}", USAGE)
    raise Stop(f"there is no deployment {named!r}: no FastAPI deployment was found", PARTIAL)


def say(sentence: str) -> None:
    """One sentence on standard error."""
    print(f"fastops: {text.line(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 -- that is what it is for


class _Teller:
    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, what: str) -> None:
        self.what = what


@contextmanager
def progress(what: str) -> Iterator[_Teller]:
    """Says on standard error what goes on, once it has taken a second; on a terminal the line is wiped at the end."""
    teller, done = _Teller(what), threading.Event()

    def tell() -> None:
        shown = ""
        began = 0
        while not done.wait(1.0):
            began += 1
            if sys.stderr.isatty():
                shown = f"\r{teller.what} … {began} s"
                sys.stderr.write(shown)
                sys.stderr.flush()
            elif shown != teller.what:
                shown = teller.what
                say(f"{shown} …")
        if shown and sys.stderr.isatty():
            sys.stderr.write("\r" + " " * len(shown) + "\r")
            sys.stderr.flush()

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield teller
    finally:
        done.set()
        thread.join(2)
