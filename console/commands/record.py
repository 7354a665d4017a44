"""``fastops record``: writes what a session reads and finds into a file, until interrupted or for a while."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from console import output
from console.commands._session import FIRST_ANSWER_SECONDS, opened, say, unread
from console.config import seconds
from console.exits import FINE, PARTIAL, USAGE, Stop
from console.recording.form import Unusable
from console.recording.lines import LogReader
from console.recording.write import Recording
from console.session import Session
from fixes import values
from fixes.model import Parameter, Report
from probes.model import Interest
from screens.words import plural

MOMENT_SECONDS = 1.0
"""Between two moments: as often as a calm session has a new report."""
MOST_BYTES = 256 << 20
_SIZE = Parameter(
    name="--size", title="size", default=MOST_BYTES, unit="bytes", minimum=float(8 << 20), maximum=float(1 << 40)
)


class How(NamedTuple):
    """How to record, as the command line says it."""

    lasting: str | None
    size: str
    unknown: bool
    namespace: str | None
    databases: tuple[str, ...] = ()
    telemetry: str | None = None


def run(file: str, targets: Sequence[str], how: How) -> int:
    """Records; returns the exit status. It writes nothing but the file."""
    lasting = None if how.lasting is None else seconds(how.lasting, "--for", 1, 31 * 86_400)
    most = int(values.check(_SIZE, values.read(_SIZE, how.size)))
    path = Path(file)
    if path.exists():  # before anything is opened
        raise Stop(f"{path} exists already, and a recording replaces nothing: name another file", USAGE)
    with opened(
        targets,
        read_only=True,
        unknown=how.unknown,
        namespace=how.namespace,
        databases=how.databases,
        telemetry=how.telemetry,
    ) as session:
        session.focus(Interest(observed=True))
        try:
            recording = Recording(path, most)
        except Unusable as error:
            raise Stop(str(error), USAGE) from None
        try:
            with suppress(KeyboardInterrupt):
                _record(session, recording, lasting)
        except Unusable as error:
            raise Stop(str(error), PARTIAL) from None
        finally:
            recording.close()
            _wipe()
        report = session.report
        missing = unread(report, session)
        read = tuple(t for t, s in report.snapshot.targets.items() if s.link.state == "live")
    for sentence in missing:
        say(sentence)
    if not recording.last_at:
        path.unlink(missing_ok=True)
        raise Stop("nothing was recorded: it ended before any target had answered", PARTIAL)
    if read and not report.snapshot.deployments():
        say(output.nothing_found(read))
    say(f"recorded {_state(recording, report)} in {path}: `fastops tui --replay {path}` shows it")
    return PARTIAL if missing or not report.snapshot.deployments() else FINE


def _record(session: Session, recording: Recording, lasting: float | None) -> None:
    """Writes each new report until the time is over; raises what ended the session."""
    ends, written, logs = math.inf, None, LogReader(session.lines)
    begins = time.monotonic() + FIRST_ANSWER_SECONDS
    if not sys.stderr.isatty():
        say(f"recording into {recording.path}; Ctrl-C ends it")
    while (looked := time.monotonic()) < ends:
        report = session.report
        if report is not written and report.snapshot.targets:
            recording.add(report, logs.read([d.id for d in report.snapshot.deployments()]))
            written = report
            _show(recording, report)
        if session.ended.done():
            session.ended.result()
            return
        if lasting is not None and ends == math.inf and (looked > begins or _answered(session, report)):
            ends = looked + lasting
        time.sleep(max(0.0, looked + MOMENT_SECONDS - time.monotonic()))


def _answered(session: Session, report: Report) -> bool:
    """Whether every target was read once, or says why it cannot be: from then on the time counts."""
    states = report.snapshot.targets.values()
    return len(states) == len(session.targets) and all(
        state.complete or state.link.state not in {"connecting", "live"} for state in states
    )


def _state(recording: Recording, report: Report) -> str:
    took = timedelta(seconds=round(recording.last_at - recording.first_at))
    deployments, found = len(report.snapshot.deployments()), sum(map(len, report.findings.values()))
    older = " (what was before is dropped: --size)" if recording.dropped else ""
    size = recording.size_bytes / 1024
    held = f"{size:.0f} KiB" if size < 1024 else f"{size / 1024:.1f} MiB"
    return f"{took}{older}, {plural(deployments, 'deployment')}, {plural(found, 'finding')}, {held}"


def _show(recording: Recording, report: Report) -> None:
    """One line that is written again and again, where there is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[Krecording {_state(recording, report)}; Ctrl-C ends it")
        sys.stderr.flush()


def _wipe() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
