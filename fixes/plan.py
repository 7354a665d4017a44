"""Makes plans: a finding and a remedy become steps, a diff and warnings. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from fixes.diff import reverse, unified
from fixes.journal import new_id
from fixes.model import Change, Entry, Finding, Offer, Plan, Remedy, Risk
from fixes.values import settle, shown
from probes.base import Value
from probes.intent import Step
from probes.model import Deployment, Node
from probes.target import Drafter, Refused
from probes.text import line

_RISKS: tuple[tuple[Risk, frozenset[str]], ...] = (
    ("recreate", frozenset({"recreate"})),
    ("restart", frozenset({"restart"})),
    ("reload", frozenset({"reload"})),
)


def refusal(remedy: Remedy, deployment: Deployment, finding: Finding) -> str | None:
    """Why this remedy cannot be used here, in one sentence; ``None`` when it can."""
    if remedy.capability is not None:
        if remedy.capability not in deployment.capabilities:
            return f"Nothing can change that for a {deployment.kind} from here."
        cannot = deployment.capabilities[remedy.capability]
        if cannot is not None:
            return cannot
    return remedy.why_not(deployment, finding)


def offer(remedy: Remedy, deployment: Deployment, finding: Finding) -> Offer:
    """The remedy as it is shown beside a finding."""
    why_not = refusal(remedy, deployment, finding)
    return Offer(remedy.id, remedy.title, applicable=why_not is None, why_not=why_not)


async def make_plan(
    deployment: Deployment,
    finding: Finding,
    remedy: Remedy,
    values: Mapping[str, Value],
    drafter: Drafter,
    node: Node | None = None,
) -> Plan:
    """What the remedy would do, with a diff of what will be written.

    ``values`` are parameters by name, as typed or as values; what is left out takes its default. Raises
    :class:`Refused` with one sentence (:class:`fixes.values.BadValue` for a value that cannot be used), and what the
    drafter raises.
    """
    why_not = refusal(remedy, deployment, finding)
    if why_not is not None:
        raise Refused(why_not)
    parameters = remedy.parameters(deployment, finding, node)
    settled = settle(parameters, values)
    plan = Plan(
        id=new_id(),
        deployment=deployment.id,
        signature=finding.signature,
        remedy=remedy.id,
        title=remedy.title,
        parameters=parameters,
        values=settled,
        steps=(),
        changes=(),
        risk="none",
        restart=False,
    )
    if remedy.intend is None:
        return replace(plan, advice=remedy.advise(deployment, finding) if remedy.advise else None)
    asked = remedy.asks(settled)
    if asked is not None:
        return replace(plan, advice=asked)
    steps = tuple(await drafter.draft(deployment, remedy.intend(deployment, finding, settled)))
    if not steps:
        set_to = ", ".join(f"{p.title.lower()} {shown(settled[p.name], p.unit)}" for p in parameters)
        raise Refused(f"There is nothing to change: {set_to or 'all'} is in force already.")
    return replace(
        plan,
        steps=steps,
        changes=tuple(_change(step) for step in steps),
        risk=_risk(steps),
        restart=any(step.restarts for step in steps),
        warnings=_warnings(remedy, deployment, finding, settled, steps),
        confirm=_confirm(remedy, deployment, finding, settled, steps),
    )


async def redraft(entry: Entry | Plan, deployment: Deployment, remedy: Remedy, drafter: Drafter) -> Sequence[Step]:
    """The steps that a plan or a journalled change would take now, from the values it was made with."""
    if remedy.intend is None:
        return ()
    finding = Finding(
        id=f"{entry.deployment}#{entry.signature}",
        deployment=entry.deployment,
        signature=entry.signature,
        severity="info",
        title=entry.title,
        since=entry.at if isinstance(entry, Entry) else datetime.now(UTC),
        count=1,
        evidence=(),
    )
    return await drafter.draft(deployment, remedy.intend(deployment, finding, entry.values))


def undo_plan(entry: Entry) -> Plan:
    """What taking a change back would do: its steps from last to first, its diffs turned round."""
    steps = tuple(done.step for done in reversed(entry.steps) if done.state == "done")
    return Plan(
        id=entry.id,
        deployment=entry.deployment,
        signature=entry.signature,
        remedy=entry.remedy,
        title=f"Undo: {entry.title}",
        parameters=(),
        values={},
        steps=steps,
        changes=tuple(
            Change(document=c.document, diff=reverse(c.diff), summary=f"take back: {c.summary}")
            for c in reversed(entry.diff)
        ),
        risk=_risk(steps),
        restart=any(step.restarts for step in steps),
        warnings=tuple(dict.fromkeys(_told(steps, "undo_notes"))),
    )


def _change(step: Step) -> Change:
    return Change(
        document=line(step.after.title, 300), diff=unified(step.before, step.after), summary=line(step.summary, 300)
    )


def _risk(steps: Sequence[Step]) -> Risk:
    actions = {step.action for step in steps}
    for risk, names in _RISKS:
        if actions & names:
            return risk
    return "restart" if any(step.restarts for step in steps) else "none"


def _warnings(
    remedy: Remedy, deployment: Deployment, finding: Finding, values: Mapping[str, Value], steps: Sequence[Step]
) -> tuple[str, ...]:
    said = list(remedy.cautions(deployment, finding, values))
    cause = finding.explained_by
    if cause is not None:
        elsewhere = f" of {cause.deployment}" if cause.deployment != deployment.id else ""
        said.append(f"This finding is an effect of {cause.signature}{elsewhere}: that is what has to be fixed.")
    return tuple(dict.fromkeys([*said, *_told(steps, "notes")]))


def _told(steps: Sequence[Step], key: str) -> list[str]:
    """The sentences that drafters gave with their steps."""
    given = [step.arguments.get(key) for step in steps]
    return [line(str(note), 500) for notes in given if isinstance(notes, (list, tuple)) for note in notes]


def _confirm(
    remedy: Remedy, deployment: Deployment, finding: Finding, values: Mapping[str, Value], steps: Sequence[Step]
) -> str | None:
    reasons = [remedy.confirm(deployment, finding, values)]
    reasons += [line(str(step.arguments["confirm"]), 1000) for step in steps if step.arguments.get("confirm")]
    return " ".join(dict.fromkeys(reason for reason in reasons if reason)) or None
