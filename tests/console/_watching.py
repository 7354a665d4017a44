"""A session that watches the lab: what was listed and found of each case, over every report."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, ClassVar, Protocol, Self

from console.config import Config
from console.session import Session
from fixes import catalogue
from fixes.model import Finding, Report, SignatureId
from probes.base import DeploymentId
from tests.console._fastops import POLL_SECONDS
from tests.lab.case import advised
from tests.lab.runner import LabError

FOUND_SECONDS = 150
"""After a case shows its fact (and was watched as long as it asks for), it must be found within this time."""
LOOK_SECONDS = 6
"""Every case is watched at least so long after its fact."""
AT_ONCE = 4
ENDED: Mapping[str, frozenset[str]] = {"booted-later": frozenset({"worker-boot-failed"})}
"""By case: failures that are there until the case has come to its fact, and must be over in the end."""


class Case(Protocol):
    """What a lab says of one service, wherever it runs."""

    @property
    def name(self) -> str: ...
    @property
    def expect(self) -> frozenset[str]: ...
    @property
    def allow(self) -> frozenset[str]: ...
    @property
    def look_alike_of(self) -> str | None: ...
    @property
    def listed(self) -> bool: ...
    @property
    def observe_seconds(self) -> float: ...


class Running(Protocol):
    """A case that was started."""

    @property
    def case(self) -> Any: ...
    @property
    def deployment(self) -> str: ...
    def ready(self) -> Self: ...
    def log(self) -> str: ...
    def stop(self) -> None: ...


class Starts(Protocol):
    """A lab."""

    def start(self, case: Any) -> Running: ...


class Seen:
    """What a watch learned of one deployment."""

    def __init__(self) -> None:
        self.found: dict[SignatureId, Finding] = {}
        self.listed = False
        self.undecided: dict[str, str] = {}

    def describe(self, signatures: Iterable[str]) -> str:
        """The evidence of these, for people."""
        lines = []
        for signature in sorted(signatures):
            finding = self.found[SignatureId(signature)]
            lines.append(f"  {signature} ({finding.severity}, {finding.count} x): {finding.title}")
            lines += [f"    {e.source}: {e.at or ''} {e.text}" for e in finding.evidence[:6]]
        return "\n".join(lines)


class Watch:
    """A session, on Docker unless another is given, whose every report is read; a context manager."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session(("docker",), Config())
        self.reports = 0
        self._seen: dict[str, Seen] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.session.subscribe(self._read)
        self.session.start().result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def _read(self, report: Report) -> None:
        with self._lock:
            self.reports += 1
            for one in report.snapshot.deployments():
                seen = self._seen.setdefault(one.id, Seen())
                seen.listed = True
                seen.undecided = {str(u.signature): u.needs for u in report.undecided.get(one.id, ())}
                for finding in report.of(one.id):
                    seen.found[finding.signature] = finding

    def of(self, deployment: str) -> Seen:
        """What was seen of one deployment so far; a copy."""
        with self._lock:
            return copy.deepcopy(self._seen.get(deployment, Seen()))

    def now(self, deployment: str) -> frozenset[str]:
        """What is found in the latest report."""
        return frozenset(str(f.signature) for f in self.session.report.of(DeploymentId(deployment)))


class Result:
    """What became of one case of the lab; ``last`` is what was found in the end, ``seen`` in the whole time."""

    judged: ClassVar[frozenset[str]] = frozenset(catalogue.signatures())
    advised: ClassVar[Callable[[Any], frozenset[str]]] = staticmethod(advised)

    def __init__(self, case: Case, seen: Seen, last: frozenset[str], problem: str | None, log: str) -> None:
        self.case, self.seen, self.last, self.problem, self.log = case, seen, last, problem, log

    @property
    def missing(self) -> frozenset[str]:
        """What should have been found."""
        return (self.case.expect & self.judged) - {str(s) for s in self.seen.found}

    @property
    def invented(self) -> frozenset[str]:
        """What should not have been found at any time; a failure that ended may have been found while it lasted."""
        passed = ENDED.get(self.case.name, frozenset()) - self.last
        invented = (self.judged & {str(s) for s in self.seen.found}) - self.case.expect - self.case.allow - passed
        return invented - type(self).advised(self.case)

    def verdict(self) -> str | None:
        """What is wrong, for people; ``None`` when it is as the case says."""
        if self.problem is not None:
            return self.problem
        said = []
        if self.seen.listed != self.case.listed:
            said.append("it was listed" if self.seen.listed else "it was not listed")
        for signature in sorted(self.missing):
            needs = self.seen.undecided.get(signature)
            said.append(f"{signature} was not found" + (f" (undecided: it needs {needs})" if needs else ""))
        if self.invented:
            alike = f" (this resembles {self.case.look_alike_of})" if self.case.look_alike_of else ""
            said.append(f"invented{alike}:\n{self.seen.describe(self.invented)}")
        if not said:
            return None
        tail = "\n".join(f"  {line}" for line in self.log.splitlines()[-6:])
        return f"{self.case.name}: " + "\n".join(said) + f"\nits log ends:\n{tail}"


def observe(
    watch: Watch,
    lab: Starts,
    cases: Sequence[Case],
    becomes: type[Result] = Result,
    at_once: int = AT_ONCE,
    found_seconds: float = FOUND_SECONDS,
) -> dict[str, Result]:
    """Brings the cases up, watches them as long as they need, removes them; the results by the cases' names."""
    problems: dict[str, str] = {}
    ready: dict[str, tuple[Running, float]] = {}

    def bring(case: Case) -> None:
        try:
            ready[case.name] = (lab.start(case).ready(), monotonic())
        except LabError as error:
            problems[case.name] = f"the lab could not bring it up: {error}"

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(bring, cases))
    deadline = monotonic() + found_seconds
    while not all(_enough(watch, running, since, becomes.judged) for running, since in ready.values()):
        if monotonic() > deadline + max((r.case.observe_seconds for r, _ in ready.values()), default=0):
            break
        threading.Event().wait(POLL_SECONDS)
    results = {
        case.name: _result(becomes, watch, case, ready.get(case.name, (None, 0.0))[0], problems.get(case.name))
        for case in cases
    }
    for running, _ in ready.values():  # what a removal looks like is of no interest: half a service is one process
        running.stop()
    return results


def _result(becomes: type[Result], watch: Watch, case: Case, running: Running | None, problem: str | None) -> Result:
    if running is None:
        return becomes(case, Seen(), frozenset(), problem, "")
    return becomes(case, watch.of(running.deployment), watch.now(running.deployment), problem, running.log())


def _enough(watch: Watch, running: Running, since: float, judged: frozenset[str]) -> bool:
    case, seen = running.case, watch.of(running.deployment)
    watched = monotonic() - since
    if watched < max(case.observe_seconds, LOOK_SECONDS):
        return False
    if case.observe_seconds and case.look_alike_of in seen.undecided:
        return False  # silence proves nothing while the evidence is not enough
    if ENDED.get(case.name, frozenset()) & watch.now(running.deployment):
        return False
    return case.expect & judged <= {str(s) for s in seen.found} and seen.listed >= case.listed
