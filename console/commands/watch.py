"""``fastops watch``: a line for each finding that opens or closes, until interrupted."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from console import contract, output
from console.commands._session import opened, say
from console.exits import DEFECT
from fixes.model import Report
from probes.base import Failure, TargetId
from probes.model import TargetState


def run(
    targets: Sequence[str], *, fmt: str, unknown: bool, namespace: str | None = None, telemetry: str | None = None
) -> int:
    """Watches until interrupted; the status is then that of Ctrl-C."""
    reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
    told: tuple[Failure, ...] = ()
    links: dict[TargetId, tuple[str, str | None]] = {}
    with opened(targets, read_only=True, unknown=unknown, namespace=namespace, telemetry=telemetry) as session:
        session.subscribe(reports.put)
        session.ended.add_done_callback(lambda _: reports.put(None))
        while (report := reports.get()) is not None:
            for event in events(report, links):
                output.write(contract.encode_line(event) if fmt == "jsonl" else output.watch_line(event))
            for failure in report.failures:
                if failure not in told:
                    say(f"{failure.what}: {failure.why} ({failure.hint})")
            told = report.failures
        session.ended.result()
    return DEFECT


def events(report: Report, links: dict[TargetId, tuple[str, str | None]]) -> Iterator[contract.WatchOut]:
    """What changed with this report; ``links`` is what was last said of each target."""
    now = datetime.now(UTC)
    for state in report.snapshot.targets.values():
        if links.get(state.target) != _link(state):
            links[state.target] = _link(state)
            yield contract.WatchOut(now, "target", target=contract.target(state))
    for finding in report.opened:
        yield contract.WatchOut(now, "opened", finding.deployment, contract.finding(finding))
    for finding in report.closed:
        yield contract.WatchOut(now, "closed", finding.deployment, contract.finding(finding))


def _link(state: TargetState) -> tuple[str, str | None]:
    return state.link.state, state.link.why
