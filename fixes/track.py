"""The one fold: snapshots in, reports out.

The tracker owns what a verdict cannot know: since when a finding is there, what opened and what closed. Unknown is not
gone: while a target is not live, or a signature is undecided, nothing opens and nothing closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from msgspec.structs import replace

from fixes import catalogue, policy
from fixes.counted import counted, severity
from fixes.explain import explain
from fixes.model import (
    Finding,
    Fires,
    Open,
    Report,
    Signature,
    SignatureId,
    Undecided,
    Verdict,
    View,
)
from fixes.opened import Opened
from fixes.plan import offer
from fixes.policy import Policy
from probes import text
from probes.base import DeploymentId, Failure
from probes.history import History, Metric, Point, SeriesKey
from probes.model import Deployment, Node, Snapshot, TargetState

LOOK_BACK = timedelta(minutes=15)
AGAIN = timedelta(seconds=5)
"""A deployment that did not change is judged again after so long, while time alone can change the verdict."""
AGAIN_PER_SECOND = 4.0
"""So many of them at most, the longest waiting first: a fleet at rest costs the same whatever its size."""
_AGAIN_AT_ONCE = 60.0
_READING = timedelta(seconds=5)
"""While a target is being read for the first time, what is known of a deployment comes in parts: not each is judged.

Half of a deployment's replicas are no ground for a verdict: only where a list takes longer than this they are one.
"""
_UNHURRIED = timedelta(minutes=1)
"""Where nothing was found, a moment later does."""


class _Known:
    """What is known of one deployment between two steps."""

    __slots__ = ("deployment", "judged_at", "judged_whole", "open", "report", "seen_at", "silenced", "undecided")

    def __init__(self, now: datetime) -> None:
        self.seen_at = now
        self.deployment: Deployment | None = None
        self.judged_at: datetime | None = None
        self.judged_whole = False
        """It was judged once its target had been listed."""
        self.open: dict[SignatureId, Opened] = {}
        self.undecided: tuple[Open, ...] = ()
        self.report: tuple[Finding, ...] = ()
        self.silenced: tuple[Finding, ...] = ()


class Tracker:
    """Folds snapshots into reports."""

    def __init__(
        self,
        signatures: Iterable[Signature] | None = None,
        window: timedelta = LOOK_BACK,
        decided: Policy | None = None,
        failures: Sequence[Failure] = (),
    ) -> None:
        """``window`` is the look-back; without ``signatures`` the whole catalogue is used.

        ``failures`` are of signatures that could not be taken in; each report names them.
        """
        chosen = catalogue.signatures().values() if signatures is None else signatures
        self._signatures = {signature.id: signature for signature in chosen}
        self._window = window
        self._policy = decided or Policy()
        self._not_taken = tuple(failures)
        self._known: dict[DeploymentId, _Known] = {}
        self._settled: dict[tuple[DeploymentId, SignatureId], datetime] = {}
        self._failures: dict[tuple[DeploymentId, SignatureId], Failure] = {}
        self._allowance = _AGAIN_AT_ONCE
        self._advanced_at: datetime | None = None

    def advance(self, snapshot: Snapshot, history: History, now: datetime) -> Report:
        """One step: judges what changed, or what time alone can change, and says what opened and closed."""
        opened: list[Finding] = []
        closed: list[Finding] = []
        live = [state for state in snapshot.targets.values() if state.link.state == "live"]
        for state in live:
            closed += self._forget_gone(state)
        for known, deployment, state in self._due(live, now):
            node = None if deployment.node is None else state.nodes.get(deployment.node)
            self._judge_all(known, deployment, history, now, node, opened, closed, state.deployments)
            known.judged_whole = state.listed
        return Report(
            snapshot=snapshot,
            findings={identity: known.report for identity, known in sorted(self._known.items()) if known.report},
            undecided={identity: known.undecided for identity, known in sorted(self._known.items()) if known.undecided},
            silenced={identity: known.silenced for identity, known in sorted(self._known.items()) if known.silenced},
            opened=tuple(opened),
            closed=tuple(closed),
            failures=(*self._not_taken, *(failure for _, failure in sorted(self._failures.items()))),
        )

    def judge(
        self,
        signature: Signature,
        deployment: Deployment,
        history: History,
        now: datetime,
        *,
        node: Node | None = None,
        after: datetime | None = None,
    ) -> Verdict:
        """One signature's verdict; changes and raises nothing. Evidence from before ``after`` does not count."""
        try:
            return signature.detect(self._view(deployment, history, now, node, after))
        except Exception as error:  # noqa: BLE001 - a signature that crashes must hurt no other
            return Undecided(f"a signature that works: {_reason(error)}")

    def settle(self, deployment: DeploymentId, signature: SignatureId, moment: datetime) -> None:
        """A fix was verified: evidence from before ``moment`` does not count any more for this signature."""
        self._settled[deployment, signature] = moment
        known = self._known.get(deployment)
        if known is not None:
            known.judged_at = None

    def _view(
        self, deployment: Deployment, history: History, now: datetime, node: Node | None, after: datetime | None
    ) -> View:
        read: dict[Metric, Mapping[str, Sequence[Point]]] = {}

        def series(metric: Metric) -> Mapping[str, Sequence[Point]]:
            if metric not in read:  # several signatures ask for the same, and for every worker
                labels = history.labels(deployment.id, metric)
                read[metric] = {label: history.series(SeriesKey(deployment.id, metric, label)) for label in labels}
            return read[metric]

        judged = counted(deployment)
        return View(
            deployment=judged,
            now=now,
            window=self._window,
            series=series,
            node=node,
            after=after,
            thresholds=self._policy.thresholds,
            whole=None if judged is deployment else deployment,
        )

    def _forget_gone(self, state: TargetState) -> list[Finding]:
        """Closes what was found on deployments that a live target has no more."""
        prefix = f"{state.target}/"
        gone = [d for d in self._known if d not in state.deployments and d.startswith(prefix)]
        closed = [finding for identity in gone for finding in self._known.pop(identity).report]
        self._settled = {key: moment for key, moment in self._settled.items() if key[0] not in gone}
        self._failures = {key: failure for key, failure in self._failures.items() if key[0] not in gone}
        return closed

    def _due(self, live: Iterable[TargetState], now: datetime) -> list[tuple[_Known, Deployment, TargetState]]:
        """What changed; and of the rest what waits for time, as much as may be done now."""
        changed: list[tuple[_Known, Deployment, TargetState]] = []
        waiting: list[tuple[datetime, tuple[_Known, Deployment, TargetState]]] = []
        for state in live:
            for deployment in state.deployments.values():
                known = self._known.get(deployment.id)
                if known is None:
                    known = self._known[deployment.id] = _Known(now)
                if known.deployment is not deployment or known.judged_at is None:
                    anew = state.complete or (state.listed and not (known.judged_whole and known.judged_at))
                    if anew or now - (known.judged_at or known.seen_at) >= _READING:
                        changed.append((known, deployment, state))
                    continue
                hurried = bool(known.open or deployment.hits)
                if (hurried or known.undecided) and now - known.judged_at >= AGAIN:
                    since = known.judged_at if hurried else known.judged_at + _UNHURRIED
                    waiting.append((since, (known, deployment, state)))
        most = self._allowed(len(waiting), now)
        if most < len(waiting):
            waiting.sort(key=itemgetter(0))
        return changed + [one for _, one in waiting[:most]]

    def _allowed(self, wanted: int, now: datetime) -> int:
        """How many of those that wait for time may be judged."""
        passed = AGAIN if self._advanced_at is None else max(timedelta(), now - self._advanced_at)
        self._advanced_at = now
        self._allowance = min(_AGAIN_AT_ONCE, self._allowance + passed.total_seconds() * AGAIN_PER_SECOND)
        most = min(wanted, int(self._allowance))
        self._allowance -= most
        return most

    def _judge_all(
        self,
        known: _Known,
        deployment: Deployment,
        history: History,
        now: datetime,
        node: Node | None,
        opened: list[Finding],
        closed: list[Finding],
        neighbours: Mapping[DeploymentId, Deployment],
    ) -> None:
        undecided: list[Open] = []
        ended: list[SignatureId] = []
        silenced = policy.silenced(self._policy, deployment.id, now)
        whole = replace(self._view(deployment, history, now, node, None), neighbours=neighbours)
        for identity, signature in self._signatures.items():
            after = self._settled.get((deployment.id, identity))
            view = whole if after is None else replace(whole, after=after)
            if signature.quiet_after is not None and signature.quiet_after < view.window:
                view = replace(view, window=signature.quiet_after)
            verdict = self._verdict(signature, view)
            if isinstance(verdict, Undecided) and identity not in silenced:
                undecided.append(Open(identity, verdict.needs))
            current = known.open.get(identity)
            if current is None:
                if isinstance(verdict, Fires):
                    known.open[identity] = Opened.begin(signature, verdict, view)
                continue
            if verdict is not None and current.step(signature, verdict, view):
                ended.append(identity)
        before = {finding.signature: finding for finding in known.report}
        closed += [before[identity] for identity in ended if identity in before]
        for identity in ended:
            del known.open[identity]
        found = [self._finding(deployment, one) for one in known.open.values()]
        known.silenced = tuple(finding for finding in found if finding.signature in silenced)
        known.report = explain((finding for finding in found if finding.signature not in silenced), self._signatures)
        opened += [finding for finding in known.report if finding.signature not in before]
        known.deployment, known.judged_at, known.undecided = deployment, now, tuple(undecided)

    def _verdict(self, signature: Signature, view: View) -> Verdict | None:
        """The verdict; ``None``, and a failure in the report, when the signature crashed."""
        key = (view.deployment.id, signature.id)
        try:
            verdict = signature.detect(view)
        except Exception as error:  # noqa: BLE001 - a signature that crashes must hurt no other
            self._failures[key] = _crash(signature, view.deployment, error)
            return None
        if self._failures:
            self._failures.pop(key, None)
        return verdict

    def _finding(self, deployment: Deployment, current: Opened) -> Finding:
        finding = current.finding(deployment.id)
        remedies = catalogue.remedies()
        offers = []
        for identity in self._signatures[finding.signature].remedies:
            try:
                offers.append(offer(remedies[identity], deployment, finding))
            except Exception as error:  # noqa: BLE001 - likewise: the finding itself still counts
                self._failures[deployment.id, finding.signature] = Failure(
                    "remedy-crashed", f"the remedy {identity}", _reason(error), "Please report this defect of fastops."
                )
        found = self._policy.severities.get(finding.signature) or severity(deployment, finding.severity)
        return replace(finding, severity=found, remedies=tuple(offers))


def _crash(signature: Signature, deployment: Deployment, error: Exception) -> Failure:
    what = f"the signature {signature.id} on {deployment.id}"
    return Failure("signature-crashed", what, _reason(error), "Please report this defect of fastops.")


def _reason(error: Exception) -> str:
    return text.line(f"{type(error).__name__}: {error}", 300)
