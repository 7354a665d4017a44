"""``fastops fix``: the diff, a yes, the change, the verification."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple
from urllib.parse import unquote

from console import config as configuration
from console import contract, output, rules
from console.commands._session import drafted, find, finished, opened, progress, say, settle, unasked, unreached, unread
from console.config import seconds
from console.exits import FINE, PARTIAL, REFUSED, UNVERIFIED, USAGE, Stop
from console.session import Session
from fixes import asked, catalogue
from fixes.model import Outcome, Plan, RemedyId, SignatureId
from probes.base import DeploymentId, Value, target_of
from probes.model import Deployment
from probes.target import Outdated, ReadOnly
from probes.targets import name_of

PLANS = 3
"""So often a plan is made of what somebody changes between the diff and the yes."""


class Request(NamedTuple):
    """What was asked for on the command line."""

    deployment: str
    signature: str
    remedy: str | None
    values: tuple[str, ...]
    dry_run: bool
    yes: bool
    confirm: str | None
    namespace: str | None = None
    telemetry: str | None = None
    databases: tuple[str, ...] = ()
    """``own``, ``env:VAR``: asked before the fix is planned."""
    sources: tuple[str, ...] = ()
    """Directories with the code of services."""


def run(request: Request, *, observe: str, as_json: bool, read_only: bool | None) -> int:
    """Fixes one finding; returns the exit status."""
    signature = SignatureId(request.signature)
    config = configuration.load()
    if asked.signature(signature) is None and signature not in rules.load(config).signatures:
        raise Stop(f"there is no signature {request.signature!r}; `fastops signatures` lists them", USAGE)
    if request.remedy is not None and request.remedy not in catalogue.remedies():
        raise Stop(f"there is no remedy {request.remedy!r}; there are {', '.join(catalogue.remedies())}", USAGE)
    observe_seconds = seconds(observe, "--observe", 0, 86_400)
    values = dict(_assignment(one) for one in request.values)
    telemetry = config.telemetry if request.telemetry is None else request.telemetry
    session_of = opened_for(
        request.deployment,
        read_only=read_only,
        namespace=request.namespace,
        databases=request.databases,
        sources=request.sources,
        telemetry=telemetry,
    )
    with session_of as session:
        deployment = _await_finding(session, request, signature, observe_seconds)
        remedy = RemedyId(request.remedy) if request.remedy else None
        if remedy == "profile":
            return _profile(session, deployment)
        for left in reversed(range(PLANS)):
            plan = drafted(session.plan(deployment.id, signature, remedy, values))
            if not as_json:
                output.print_plan(plan)
            if request.dry_run or plan.advice is not None:
                return finish_dry(plan, as_json=as_json)
            refuse_closed(session, deployment.id)
            confirm = agreed(plan, deployment.name, request)
            try:
                with progress("applying") as told:
                    outcome = finished(session, session.apply(plan, confirm, told), plan.id)
                break
            except Outdated:
                if not left:
                    raise
                say("it was changed since the diff was made, and is planned again")
    return conclude(plan, outcome, as_json=as_json)


def conclude(plan: Plan, outcome: Outcome, *, as_json: bool) -> int:
    """Prints what became of a plan; returns the exit status, which is 4 only where nothing is left half done."""
    if as_json:
        output.write(contract.encode(contract.FixOut(contract.SCHEMA, contract.plan(plan), contract.outcome(outcome))))
    if not outcome.applied:
        rest = "not all of it is taken back" if outcome.half_done else "nothing is left half done"
        say(f"not applied, {rest}: {outcome.why}")
        return UNVERIFIED if outcome.half_done else REFUSED
    if not as_json:
        why = f" ({outcome.why})" if outcome.why else ""
        told = f"the finding is {outcome.verified}"
        if asked.signature(plan.signature) is not None:
            told = "it does what it is for" if outcome.verified == "gone" else "whether it helps was not seen"
        output.write(f"applied as {outcome.change} in {outcome.took_seconds:.1f} s; {told}{why}")
        output.write(f"`fastops undo {outcome.change}` takes it back")
    return FINE if outcome.verified == "gone" else UNVERIFIED


def agreed(plan: Plan, name: str, request: Request) -> str | None:
    """Asks where no yes was given; returns the typed name where one is needed. Raises :class:`Stop` on a no."""
    if plan.confirm is not None:
        if request.confirm == name:
            return name
        if request.confirm is None and sys.stdin.isatty() and not request.yes:
            typed = input(f"{plan.confirm}\nType {name} to go on: ")
            if typed.strip() == name:
                return name
        raise Stop(f"{plan.confirm.rstrip('.')}: `--confirm {name}` is needed; nothing was changed", REFUSED)
    if request.yes:
        return None
    ask("Apply this?")
    return None


def ask(question: str) -> None:
    """Raises :class:`Stop` unless a person says yes."""
    if not sys.stdin.isatty():
        raise Stop(
            "nobody is here to say yes: add --yes, or --dry-run to see the diff alone; nothing was changed", REFUSED
        )
    if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Stop("nothing was changed", REFUSED)


def _await_finding(session: Session, request: Request, signature: SignatureId, observe_seconds: float) -> Deployment:
    """The deployment, once it has the finding and what is to be asked was asked; raises :class:`Stop`."""
    report = settle(session, observe_seconds)
    deployment = find(report, session.targets, request.deployment)
    if asked.signature(signature) is not None:
        return deployment
    if any(f.signature == signature for f in report.of(deployment.id)):
        for sentence in unasked(report, session) if request.databases or request.telemetry else ():
            say(sentence)  # what the remedy may lack
        return deployment
    for sentence in unread(report, session):
        say(sentence)
    needs = next((u.needs for u in report.undecided.get(deployment.id, ()) if u.signature == signature), None)
    if needs is not None:
        raise Stop(
            f"{signature} cannot be decided yet for {deployment.id}: it needs {needs}; --observe gives it time", PARTIAL
        )
    if why := unreached(report, deployment.target):
        raise Stop(f"{signature} was not found on {deployment.id}, of which not everything was read: {why}", PARTIAL)
    found = ", ".join(f.signature for f in report.of(deployment.id)) or "nothing"
    raise Stop(
        f"{deployment.id} does not have {signature}: found there is {found}; nothing to fix so far, and what shows "
        "itself only in time is found with --observe, as long as the scan that found it",
        USAGE,
    )


def opened_for(
    named: str,
    *,
    read_only: bool | None,
    namespace: str | None = None,
    databases: Sequence[str] = (),
    sources: Sequence[str] = (),
    telemetry: str | None = None,
) -> AbstractContextManager[Session]:
    """A session over the target of a full id (on Kubernetes its namespace), over all that is here for a tail."""
    name = name_of(named)
    within = unquote(named.split("/")[2]) if name is not None and name.startswith("k8s:") else None
    targets = () if name is None else (name,)
    execute = read_only is not True
    return opened(
        targets,
        read_only=read_only,
        execute=execute,
        namespace=namespace or within,
        databases=databases,
        sources=sources,
        telemetry=telemetry,
    )


def refuse_closed(session: Session, deployment: DeploymentId) -> None:
    """Raises :class:`ReadOnly` where nothing may be changed, with what would allow it."""
    target = target_of(deployment)
    if session.read_only or target not in session.read_only_targets:
        return
    if target in session.production and configuration.load().of(target).read_only is None:
        raise ReadOnly(f"{target} is production, and read-only unless --no-read-only is given; nothing was changed")
    raise ReadOnly(f"{target} is read-only by configuration; nothing was changed")


def _assignment(text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Stop(f"--set {text}: write --set NAME=VALUE", USAGE)
    return name, value


def finish_dry(plan: Plan, *, as_json: bool) -> int:
    """Ends without a change."""
    if as_json:
        output.write(contract.encode(contract.FixOut(contract.SCHEMA, contract.plan(plan))))
    elif plan.advice is None:
        output.write("nothing was changed (--dry-run)")
    return FINE


def _profile(session: Session, deployment: Deployment) -> int:
    with progress("sampling stacks"):
        advice = drafted(session.profile(deployment.id))
    output.write(f"{advice.title}\n{advice.text}\n\n{advice.code}")
    return FINE
