"""Findings, remedies, plans and outcomes, as plain frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NewType

from fixes.proof import BY_LOAD, Proof
from probes.base import DeploymentId, Failure, Frozen, ReplicaId, TargetId, Value
from probes.history import Metric, Point
from probes.intent import Intent, RestorePoint, Step
from probes.loghits import LogHit, Pattern
from probes.model import Capability, Deployment, Node, Snapshot

SignatureId = NewType("SignatureId", str)
RemedyId = NewType("RemedyId", str)
ChangeId = NewType("ChangeId", str)
Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
"""From the mildest to the worst."""

PASTED = TargetId("pasted")
"""The target of text that somebody pasted."""

EvidenceSource = Literal[
    "log", "event", "inspect", "cgroup", "proc", "http", "stack", "settings", "database", "gunicorn"
]


class Evidence(Frozen, frozen=True):
    """One fact that proves a finding: what was seen, where and when."""

    source: EvidenceSource
    text: str
    at: datetime | None = None
    replica: ReplicaId | None = None
    worker: int | None = None
    """The worker's pid, as the log or the host numbers it."""
    file: str | None = None
    line: int | None = None
    value: float | None = None
    unit: str | None = None


class Fires(Frozen, frozen=True):
    """A signature's answer: it is there."""

    severity: Severity
    title: str
    """One line for people that names the thing and the number: ``worker 17 was killed by the kernel for memory``."""
    evidence: tuple[Evidence, ...]
    count: int = 1
    """How often it happened in the window."""
    first_at: datetime | None = None
    """When it was first seen to happen, by the evidence's own clock."""
    last_at: datetime | None = None
    facts: Mapping[str, Value] = {}
    """For remedies and scripts: ``file``, ``line``, ``call``, ``missing``, ``peak_bytes``, …"""


class Silent(Frozen, frozen=True):
    """A signature's answer: it was looked at and is not there."""


class Undecided(Frozen, frozen=True):
    """A signature's answer: the evidence is not enough. It opens nothing and closes nothing."""

    needs: str
    """What is missing: ``5 min of memory, 40 s seen``."""


Verdict = Fires | Silent | Undecided
SILENT = Silent()


class Threshold(Frozen, frozen=True):
    """A number of a signature's rule that the configuration may change."""

    name: str
    default: float
    what: str
    """The rule, for people: ``fires where the limit is below this``."""
    unit: str | None = None
    """``bytes``, ``seconds``; ``None`` for ratios."""
    minimum: float | None = None
    maximum: float | None = None


class View(Frozen, frozen=True):
    """All that a signature may look at."""

    deployment: Deployment
    """With the replicas that count."""
    now: datetime
    window: timedelta
    """The look-back."""
    series: Callable[[Metric], Mapping[str, Sequence[Point]]]
    """The series of one metric of this deployment by label (``REPLICA`` or ``REPLICA/PID``), oldest first."""
    node: Node | None = None
    after: datetime | None = None
    """Evidence from before this moment does not count: set while a fix is verified."""
    thresholds: Mapping[Threshold, float] = {}
    """Those that the configuration changed."""
    whole: Deployment | None = None
    """With the replicas that were told to go or are being replaced, too; ``None`` where there are none."""

    neighbours: Mapping[DeploymentId, Deployment] = {}
    """What else is known of on the same target, by id, itself included."""

    def threshold(self, one: Threshold) -> float:
        """The number that counts: what the configuration says, else its default."""
        return self.thresholds.get(one, one.default)

    def hits(self, *keys: str) -> tuple[LogHit, ...]:
        """Log matches of these patterns in the window, in order of their latest mark."""
        if not self.deployment.hits:  # most often, and asked for by half of all signatures
            return ()
        start = self.start
        found = [
            h for h in self.deployment.hits if h.key in keys and (h.marks[-1].at is None or h.marks[-1].at >= start)
        ]
        return tuple(sorted(found, key=lambda h: h.marks[-1].line))

    @property
    def pasted(self) -> bool:
        """Whether it is a text that somebody pasted: of what wrote it only that is known."""
        return self.deployment.target == PASTED

    @property
    def start(self) -> datetime:
        """The beginning of the window."""
        start = self.now - self.window
        return start if self.after is None or self.after < start else self.after


class Example(Frozen, frozen=True):
    """A case that a signature must find, or must not. The test of every signature is made of these."""

    name: str
    log: str = ""
    """Log lines of one replica, as its server prints them."""
    deployment: Deployment | None = None
    """What the engine tells; a plain running container when left out. The log's hits are added to its first replica."""
    series: Mapping[Metric, Mapping[str, Sequence[Point]]] = {}
    """Times relative to *now*, in seconds (-60.0 is a minute ago)."""
    node: Node | None = None
    undecided: bool = False
    """Among the silent ones: the answer must be :class:`Undecided`."""


class Signature(Frozen, frozen=True):
    """One documented failure. Its module's docstring is its documentation page."""

    id: SignatureId
    title: str
    """What it is, without a subject: ``Worker killed by its own time-out``."""
    severity: Severity
    """The worst it can have; ``detect`` may say less."""
    detect: Callable[[View], Verdict]
    """Pure: the same view gives the same verdict. Raises nothing that is not a defect."""
    remedies: tuple[RemedyId, ...]
    """In order of preference; the first that applies is the one-key default."""
    source: str
    """Where the rule and its numbers come from."""
    patterns: tuple[Pattern, ...] = ()
    explains: tuple[SignatureId, ...] = ()
    """The effects that this failure has: where both are found, the effect names this one as its cause."""
    proof: Proof = BY_LOAD
    """How it shows after a change that the failure is over."""
    quiet_after: timedelta | None = None
    """How long its logs must be quiet before it closes, and how far it looks back at most; else the look-back."""
    fires: tuple[Example, ...] = ()
    silent: tuple[Example, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    """What the configuration may change; names are unique within a signature."""
    page: str | None = None
    """Its documentation where it has no module: a signature of the user's own."""


class Offer(Frozen, frozen=True):
    """A remedy beside a finding."""

    id: RemedyId
    title: str
    applicable: bool
    why_not: str | None = None


class Reference(Frozen, frozen=True):
    """Points to a finding."""

    deployment: DeploymentId
    signature: SignatureId


class Finding(Frozen, frozen=True):
    """A failure that is there."""

    id: str
    """``DEPLOYMENT#SIGNATURE``: the same as long as it stays open."""
    deployment: DeploymentId
    signature: SignatureId
    severity: Severity
    title: str
    since: datetime
    count: int
    evidence: tuple[Evidence, ...]
    remedies: tuple[Offer, ...] = ()
    explained_by: Reference | None = None
    facts: Mapping[str, Value] = {}


class Open(Frozen, frozen=True):
    """What could not be decided about a deployment."""

    signature: SignatureId
    needs: str


class Report(Frozen, frozen=True):
    """The judgement of one snapshot. All that a front end shows stands in here."""

    snapshot: Snapshot
    findings: Mapping[DeploymentId, tuple[Finding, ...]] = {}
    """The worst first, effects after causes."""
    undecided: Mapping[DeploymentId, tuple[Open, ...]] = {}
    silenced: Mapping[DeploymentId, tuple[Finding, ...]] = {}
    """What is there and shall not be shown: neither opened nor closed, explains nothing."""
    opened: tuple[Finding, ...] = ()
    closed: tuple[Finding, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Signatures that crashed, which is a defect of fastops, and files of own ones that cannot be used."""
    observed_seconds: float = 0.0
    pending: tuple[ChangeId, ...] = ()
    """Changes that were interrupted and await ``resume``."""

    def of(self, deployment: DeploymentId) -> tuple[Finding, ...]:
        """The findings of one deployment, the worst first."""
        return self.findings.get(deployment, ())


class Parameter(Frozen, frozen=True):
    """A value that the person may change before the diff is made (``--set NAME=VALUE``)."""

    name: str
    title: str
    default: Value
    unit: str | None = None
    """``bytes``, ``seconds``, …; bytes are also understood as ``512MiB``, ``1GiB``."""
    minimum: float | None = None
    maximum: float | None = None


class Advice(Frozen, frozen=True):
    """What ``advise`` and ``profile`` answer: text and code that a person applies; nothing is changed."""

    title: str
    text: str
    code: str = ""
    language: str = "python"


class Remedy(Frozen, frozen=True):
    """One answer to findings. Its module's docstring is its documentation."""

    id: RemedyId
    title: str
    capability: Capability | None
    """What the target must be able to do; ``None`` for remedies that change nothing."""
    why_not: Callable[[Deployment, Finding], str | None] = lambda _d, _f: None
    """A sentence where this deployment or finding forbids it although the target could."""
    parameters: Callable[[Deployment, Finding, Node | None], tuple[Parameter, ...]] = lambda _d, _f, _n: ()
    """With defaults computed for this deployment."""
    intend: Callable[[Deployment, Finding, Mapping[str, Value]], Intent] | None = None
    """``None`` for remedies that change nothing."""
    advise: Callable[[Deployment, Finding], Advice] | None = None
    """Set for remedies that change nothing."""
    cautions: Callable[[Deployment, Finding, Mapping[str, Value]], tuple[str, ...]] = lambda _d, _f, _v: ()
    """What a person should know before saying yes, one sentence each; shown with the diff."""
    confirm: Callable[[Deployment, Finding, Mapping[str, Value]], str | None] = lambda _d, _f, _v: None
    """Why a plain yes is not enough and the deployment's name has to be typed."""
    asks: Callable[[Mapping[str, Value]], Advice | None] = lambda _v: None
    """What has to be typed before anything can be planned, where the values leave that out."""
    asked: Signature | None = None
    """Set where a person may ask for it without a finding: silent once it has done what it is for."""


Risk = Literal["none", "reload", "restart", "recreate"]


class Change(Frozen, frozen=True):
    """One document of a plan, as a person sees it."""

    document: str
    """Its title."""
    diff: str
    """Unified diff, redacted, derived from what will be written; empty for an act without a document (a restart)."""
    summary: str


class Plan(Frozen, frozen=True):
    """What a fix would do; made without changing anything."""

    id: ChangeId
    deployment: DeploymentId
    signature: SignatureId
    remedy: RemedyId
    title: str
    parameters: tuple[Parameter, ...]
    values: Mapping[str, Value]
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    risk: Risk
    restart: bool
    warnings: tuple[str, ...] = ()
    confirm: str | None = None
    """Why the deployment's name has to be typed; ``None`` where a plain yes is enough."""
    advice: Advice | None = None
    """Set, with no steps, for ``advise`` and ``profile``."""


Verified = Literal["gone", "present", "untested"]
ChangeState = Literal["applying", "applied", "failed", "undoing", "undone"]


class Outcome(Frozen, frozen=True):
    """What became of a fix."""

    applied: bool
    verified: Verified | None
    """``None`` when nothing was applied."""
    change: ChangeId
    took_seconds: float
    why: str | None = None
    """Why it was refused or failed, or what verification missed."""
    half_done: bool = False
    """Something could not be taken back: the change is open, and ``why`` names the ``resume`` that ends it."""


class Done(Frozen, frozen=True):
    """A step of a journalled change."""

    summary: str
    step: Step
    """With the documents' texts removed: the journal holds hashes, never a document."""
    state: Literal["pending", "begun", "done", "restored"]
    point: RestorePoint | None = None
    wanted: str | None = None
    """SHA-256 of the text that the step writes: a step drafted anew after a crash must have the same; ``None`` for acts
    without a document."""


class Entry(Frozen, frozen=True):
    """A change in the journal."""

    id: ChangeId
    at: datetime
    deployment: DeploymentId
    signature: SignatureId
    remedy: RemedyId
    title: str
    state: ChangeState
    steps: tuple[Done, ...]
    diff: tuple[Change, ...] = ()
    """Redacted, as it was shown."""
    verified: Verified | None = None
    why: str | None = None
    evidence: str | None = None
    """The folder with the evidence that was saved first."""
    by: str | None = None
    """User and machine."""
    values: Mapping[str, Value] = {}
    """The parameters it was made with: an interrupted change is drafted from them again."""
