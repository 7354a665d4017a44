"""Plans and what became of them as JSON."""

from __future__ import annotations

from console.contract.base import Out
from fixes.model import Outcome, Plan, Verified


class ChangeOut(Out, frozen=True):
    """One document of a plan and its redacted diff."""

    document: str
    diff: str
    summary: str


class PlanOut(Out, frozen=True):
    """What a fix would do."""

    deployment: str
    signature: str
    remedy: str
    title: str
    risk: str
    restart: bool
    changes: tuple[ChangeOut, ...]
    warnings: tuple[str, ...]
    confirm: str | None
    advice: str | None


class OutcomeOut(Out, frozen=True):
    """What became of it."""

    applied: bool
    verified: Verified | None
    change: str
    took_seconds: float
    why: str | None


class FixOut(Out, frozen=True):
    """What ``fix --format json`` prints."""

    schema: int
    plan: PlanOut
    outcome: OutcomeOut | None = None


def plan(one: Plan) -> PlanOut:
    """A plan, without the texts of documents: those may hold secrets."""
    return PlanOut(
        deployment=one.deployment,
        signature=one.signature,
        remedy=one.remedy,
        title=one.title,
        risk=one.risk,
        restart=one.restart,
        changes=tuple(ChangeOut(c.document, c.diff, c.summary) for c in one.changes),
        warnings=one.warnings,
        confirm=one.confirm,
        advice=None if one.advice is None else f"{one.advice.text}\n\n{one.advice.code}".strip(),
    )


def outcome(one: Outcome) -> OutcomeOut:
    """An outcome."""
    return OutcomeOut(one.applied, one.verified, one.change, round(one.took_seconds, 1), one.why)
