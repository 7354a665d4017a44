"""What an orchestrator knows of a deployment, as lines of a name and what is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from probes.model import Deployment
from probes.orchestrator import Orchestrated, ProbeSpec, Revision, Rollout, ServicePort
from screens import words
from screens.findings import hang

_KEEPERS = {"helm": "Helm", "argocd": "Argo CD", "flux": "Flux"}
NAME_WIDTH = 11
MOST_REVISIONS = 4


def text(deployment: Deployment, now: datetime, width: int) -> Text:
    """The rollout, its revisions, the probes, what sends traffic, and who else decides."""
    around = deployment.orchestrated
    if around is None:
        return Text(end="")
    lines = []
    for name, value in _lines(deployment, around, now):
        line = Text(end="")
        line.append(f"{name:<{NAME_WIDTH}}  ", "dim")
        line.append_text(value)
        lines.append(hang(line, width, NAME_WIDTH + 2))
    return Text("\n", end="").join(lines)


def _lines(deployment: Deployment, around: Orchestrated, now: datetime) -> Iterator[tuple[str, Text]]:
    if around.managed is not None:
        by = _KEEPERS[around.managed.by]
        yield "kept by", Text(f"{by} ({around.managed.name}): it would undo a change made here", "yellow", end="")
    if around.rollout is not None:
        yield "rollout", _rollout(around.rollout, deployment)
    for name, revision in zip(_once("revisions"), around.revisions[:MOST_REVISIONS], strict=False):
        yield name, _revision(revision, now)
    probes = next((r.probes for r in reversed(deployment.replicas) if r.probes is not None), None)
    if probes == ():
        yield (
            "probes",
            Text("none: traffic goes to what is not ready, and nothing restarts what hangs", "yellow", end=""),
        )
    for name, probe in zip(_once("probes"), probes or (), strict=False):
        yield name, _probe(probe)
    for name, service in zip(_once("services"), around.services, strict=False):
        yield name, _service(service)
    if around.autoscaler is not None:
        scaler = around.autoscaler
        current = "" if scaler.current is None else f", now {scaler.current}"
        yield "autoscaler", Text(f"{scaler.name}: {scaler.minimum} … {scaler.maximum} replicas{current}", end="")
    if around.vertical_autoscaler is not None:
        owned = " and ".join(around.vertical_owns)
        yield "", Text(f"{around.vertical_autoscaler} decides requests and limits of {owned}", end="")
    if around.disruption is not None:
        allowed = around.disruption.allowed
        count = "" if allowed is None else f": {words.plural(allowed, 'replica')} may be away now"
        yield "disruption", Text(f"{around.disruption.name}{count}", "yellow" if allowed == 0 else "", end="")


def _once(name: str) -> Iterator[str]:
    """The name, then nothing: what has several lines is named in the first."""
    yield name
    while True:
        yield ""


def _rollout(rollout: Rollout, deployment: Deployment) -> Text:
    line = Text(end="")
    if rollout.reason is not None:
        line.append(rollout.reason, "red")
        if rollout.message:
            line.append(f": {rollout.message}")
    elif rollout.complete:
        line.append("complete", "green")
    else:
        line.append("under way", "yellow")
    if not rollout.complete and rollout.updated is not None:
        line.append(f"  {rollout.updated} of {deployment.desired if deployment.desired is not None else '?'} updated")
    if rollout.paused:
        line.append("  paused", "yellow")
    return line


def _revision(revision: Revision, now: datetime) -> Text:
    line = Text(end="")
    line.append("● " if revision.current else "  ", "green")
    line.append(f"{revision.number}", "bold" if revision.current else "")
    if revision.desired or revision.current:
        short = revision.ready < revision.desired
        line.append(f"  {revision.ready}/{revision.desired} ready", "yellow" if short else "")
    if revision.created_at is not None:
        line.append(f"  {words.ago(revision.created_at, now)} old", "dim")
    for image in revision.images[:2]:
        line.append(f"  {image}", "cyan")
    return line


def _probe(probe: ProbeSpec) -> Text:
    line = Text(f"{probe.role:<10} ", end="")
    match probe.handler:
        case "http":
            where = f"{probe.host or ''}:{probe.port if probe.port is not None else '?'}{probe.path or '/'}"
            line.append(f"GET {'https ' if probe.scheme == 'HTTPS' else ''}{where}", "cyan")
        case "exec":
            line.append(" ".join(probe.command), "cyan")
        case _:
            line.append(f"{probe.handler} :{probe.port if probe.port is not None else '?'}", "cyan")
    every, within = words.duration(probe.period_seconds), words.duration(probe.timeout_seconds)
    line.append(f"  every {every}, within {within}, {words.plural(probe.failure_threshold, 'failure')}", "dim")
    if probe.initial_delay_seconds:
        line.append(f", first after {words.duration(probe.initial_delay_seconds)}", "dim")
    return line


def _service(port: ServicePort) -> Text:
    line = Text(f"{port.service}:{port.port} → ", end="")
    if port.target_port is None:
        line.append(f"nothing: no container has a port named {port.target_name or '?'}", "red")
    else:
        line.append(f"{port.target_port}")
        line.append(f" ({port.target_name})" if port.target_name else "", "dim")
    return line
