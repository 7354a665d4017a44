"""The fleet as rows: what is known of each deployment, what the filter leaves, and the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from fixes.model import Finding, Report
from probes.base import DeploymentId, TargetId
from probes.model import Deployment, HttpSample, Limit, LinkState, Replica
from screens import words
from screens.words import Tone


class Row(NamedTuple):
    """One deployment as the table shows it."""

    id: DeploymentId
    name: str
    target: TargetId
    namespace: str
    tone: Tone
    rank: int
    fresh: bool
    ready: int | None
    desired: int | None
    workers: int | None
    memory_bytes: float | None
    memory_limit_bytes: float | None
    restarts: int | None
    cores: float | None
    cores_limit: Limit
    p95_seconds: float | None
    short: str
    title: str
    haystack: tuple[str, str, str]
    """What the filter looks in, in lower case: the name; the server and its findings' ids; the findings' titles."""


def make(deployment: Deployment, findings: Sequence[Finding], link: LinkState) -> Row:
    """The row of a deployment."""
    running = deployment.running
    fresh = link == "live"
    severity = words.worst(findings)
    cause = next((f for f in findings if f.severity == severity), None)
    used = _total(r.memory.used_bytes for r in running)
    ready = [r for r in running if r.ready is not False and not r.terminating]
    return Row(
        id=deployment.id,
        name=deployment.name,
        target=deployment.target,
        namespace=deployment.namespace or "",
        tone=severity or calm(deployment, link),
        rank=words.rank(severity),
        fresh=fresh,
        ready=len(ready),
        desired=deployment.desired if deployment.desired is not None else len(deployment.replicas),
        workers=len(deployment.workers) or None,
        memory_bytes=used,
        memory_limit_bytes=_limit([r.memory.limit for r in running]),
        restarts=deployment.restarts,
        cores=_total(r.cpu.used_cores for r in running),
        cores_limit=_cores_limit(running),
        p95_seconds=p95(deployment),
        short=cause.signature if cause else _rest(deployment),
        title=cause.title if cause else _rest(deployment),
        haystack=(
            deployment.id.lower(),
            " ".join((deployment.server or "", *(f.signature for f in findings))).lower(),
            " ".join(f.title for f in findings).lower(),
        ),
    )


def calm(deployment: Deployment, link: LinkState) -> Tone:
    """The tone of a deployment without findings: only what runs and is read is well."""
    if link != "live":
        return "unknown"
    return "ok" if deployment.running else "stopped"


def p95(deployment: Deployment) -> float | None:
    """The 95th percentile of the users' requests in seconds, else of fastops' own."""
    told = deployment.latency.p95_seconds if deployment.latency is not None else None
    return probe_p95(deployment) if told is None else told


def probe_p95(deployment: Deployment) -> float | None:
    """The 95th percentile of the newest probes of the event loop, else of the health path, in seconds.

    A connection that is refused tells nothing of how long a request takes.
    """
    loop = [p.took_seconds for r in deployment.running for p in r.loop_probes if _took_time(p)]
    return words.p95(loop or [p.took_seconds for r in deployment.running for p in r.health_probes if _took_time(p)])


def _took_time(sample: HttpSample) -> bool:
    return sample.status is not None or sample.error == "timeout"


def _rest(deployment: Deployment) -> str:
    """What is said of a deployment without findings: nothing while it runs."""
    if deployment.running:
        return ""
    if not deployment.replicas:
        return "stopped"
    last = deployment.replicas[-1]
    if last.waiting is not None:
        return last.waiting.reason
    return last.state if last.exit_code is None else f"{last.state} ({last.exit_code})"


def _total(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _limit(limits: Sequence[Limit]) -> float | None:
    """The sum of the limits where every replica has one."""
    values = [limit.value for limit in limits if limit.limited and limit.value is not None]
    return sum(values) if values and len(values) == len(limits) else None


def _cores_limit(running: Sequence[Replica]) -> Limit:
    total = _limit([r.cpu.limit for r in running])
    return Limit() if total is None else Limit(limited=True, value=total)


class Fleet:
    """The rows of the latest report; those of unchanged deployments are kept as they are."""

    def __init__(self) -> None:
        self._made: dict[DeploymentId, tuple[Deployment, tuple[Finding, ...], LinkState, Row]] = {}

    def update(self, report: Report) -> dict[DeploymentId, Row]:
        """All rows by id."""
        made: dict[DeploymentId, tuple[Deployment, tuple[Finding, ...], LinkState, Row]] = {}
        for state in report.snapshot.targets.values():
            link = state.link.state
            for identity, deployment in state.deployments.items():
                findings = report.of(identity)
                old = self._made.get(identity)
                if old is not None and old[0] is deployment and old[1] is findings and old[2] == link:
                    made[identity] = old
                else:
                    made[identity] = (deployment, findings, link, make(deployment, findings, link))
        self._made = made
        return {identity: entry[3] for identity, entry in made.items()}


SORTS: Mapping[str, Callable[[Row], float | str | None]] = {
    "severity": lambda r: r.rank,
    "name": lambda r: r.name.lower(),
    "target": lambda r: r.target,
    "namespace": lambda r: r.namespace or None,
    "ready": lambda r: None if r.ready is None or not r.desired else -r.ready / r.desired,
    "workers": lambda r: r.workers,
    "memory": lambda r: r.memory_bytes,
    "restarts": lambda r: r.restarts,
    "cores": lambda r: r.cores,
    "p95": lambda r: r.p95_seconds,
}
"""Numbers sort from the largest down, words from A; what is unknown stands last."""


NAMESPACE = "ns:"
"""What begins a word of the filter that means a namespace: one of that name, else all that begin so."""


def matching(rows: Iterable[Row], needle: str) -> list[Row]:
    """The rows that hold every word of ``needle``: by name where one has it so, else by finding, else by title."""
    terms = needle.lower().split()
    shown = list(rows)
    for term in (term for term in terms if not term.startswith(NAMESPACE)):
        by_place = ([r for r in shown if term in r.haystack[place]] for place in range(3))
        shown = next((found for found in by_place if found), [])
    for wanted in (term.removeprefix(NAMESPACE) for term in terms if term.startswith(NAMESPACE)):
        whole = [r for r in shown if r.namespace == wanted]
        shown = whole or [r for r in shown if r.namespace and r.namespace.startswith(wanted)]
    return shown


def arrange(rows: Iterable[Row], sort: str, reverse: bool, needle: str) -> list[DeploymentId]:
    """The ids of the rows that ``needle`` leaves, in order; equal ones by severity, then name, so that none wanders."""
    shown = matching(rows, needle)
    value = SORTS[sort]
    shown.sort(key=lambda r: (-r.rank, r.name.lower(), r.id))
    known = [r for r in shown if value(r) is not None]
    rest = [r for r in shown if value(r) is None]
    known.sort(key=lambda r: number if isinstance(number := value(r), str) else -(number or 0))
    if reverse:
        known.reverse()
    return [r.id for r in known + rest]


def same_order(before: Mapping[DeploymentId, Row], after: Mapping[DeploymentId, Row], sort: str) -> bool:
    """Whether nothing changed that :func:`arrange` looks at: sorting 10,000 rows again for nothing costs 30 ms."""
    if before.keys() != after.keys():
        return False
    value = SORTS[sort]
    changed = ((old, row) for identity, row in after.items() if (old := before[identity]) is not row)
    return all(o.rank == n.rank and o.haystack == n.haystack and value(o) == value(n) for o, n in changed)
