"""A deployment as text: its head line, its workers, its settings with their source. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from fixes.model import Finding
from probes import pooltext
from probes.model import Deployment, Worker
from screens import words
from screens.findings import hang
from screens.widgets.table import Cell, Column

LEAST_HEAD = 30
"""Cells that a deployment's name leaves for how it stands, or it has lines of its own."""

WORKER_COLUMNS = (
    Column("pid", "PID", 14),
    Column("role", "ROLE", 7),
    Column("rss", "RSS", 5, "right"),
    Column("pss", "PSS", 5, "right"),
    Column("cpu", "CPU", 5, "right"),
    Column("files", "FILES", 11, "right"),
    Column("age", "AGE", 6, "right"),
)


def head(deployment: Deployment, now: datetime, width: int = 0) -> Text:
    """One line that says what it is and how it stands; a name that leaves that no room has lines of its own."""
    ready = sum(1 for r in deployment.running if r.ready is not False and not r.terminating)
    desired = deployment.desired if deployment.desired is not None else len(deployment.replicas)
    text = _named(deployment)
    alone = 0 < width < text.cell_len + LEAST_HEAD
    text.no_wrap, text.overflow = not alone, "fold" if alone else "ellipsis"
    server = " ".join(filter(None, (deployment.server, deployment.server_version)))
    for part, style in (
        (_kind(deployment), ""),
        (server, ""),
        (f"{ready}/{desired} ready", "yellow" if ready < desired else ""),
        (words.plural(len(deployment.workers), "worker") if _looked(deployment) else "", ""),
        (f"{words.plural(deployment.restarts, 'restart')}" if deployment.restarts else "", "yellow"),
        (_up(deployment, now), ""),
        (deployment.origin or "", "dim"),
    ):
        if part:
            text.append("\n" if alone else " · ", "dim")
            text.append(part, style)
            alone = False
    return text


def _named(deployment: Deployment) -> Text:
    """The id with the name in it standing out; both where the id writes it otherwise."""
    text = Text(end="")
    if deployment.id.endswith(f"/{deployment.name}"):
        text.append(deployment.id.removesuffix(deployment.name), "dim")
        text.append(deployment.name, "bold")
    else:
        text.append(deployment.name, "bold")
        text.append(f"  {deployment.id}", "dim")
    return text


def tabs(panes: Sequence[str], chosen: str, found: Sequence[Finding]) -> Text:
    """The names of the panes with their keys, and how much is found."""
    text = Text(end="")
    for n, pane in enumerate(panes, 1):
        text.append(f"{n} ", "bold cyan")
        text.append(pane, "bold" if pane == chosen else "dim")
        if pane == "findings" and found:
            text.append(f" {len(found)}", words.STYLES[words.worst(found) or "ok"])
        text.append("   ")
    return text


def _looked(deployment: Deployment) -> bool:
    """Whether its processes could be counted: inside pods nobody may have looked."""
    return bool(deployment.workers) or deployment.orchestrated is None


def _kind(deployment: Deployment) -> str:
    """Kubernetes' kinds say how it is run; where it is stands in the id."""
    return deployment.kind if deployment.orchestrated is not None else ""


def _up(deployment: Deployment, now: datetime) -> str:
    started = [r.started_at for r in deployment.running if r.started_at is not None]
    if started:
        return f"up {words.ago(max(started), now)}"
    last = deployment.replicas[-1] if deployment.replicas else None
    if last is None or last.state == "running":
        return ""
    return last.state if last.exit_code is None else f"{last.state} with {last.exit_code}"


def worker_keys(deployment: Deployment) -> dict[str, Worker]:
    """All processes of all replicas, masters first, those of other servers beside it last."""
    every = [w for r in deployment.replicas for w in r.processes]
    order = sorted(every, key=lambda w: (w.replica, w.beside or "", w.role != "master", w.pid))
    return {f"{w.replica}/{w.pid}": w for w in order}


def no_workers(deployment: Deployment) -> Text:
    """Why no process is listed."""
    if not deployment.running:
        return Text("nothing runs", end="")
    failures = [f for r in deployment.running for f in r.unreadable] or list(deployment.unreadable)
    told = next((f for f in failures if f.code in {"read-only", "not-allowed"}), failures[0] if failures else None)
    if told is None:
        return Text("not read yet", end="")
    return Text(f"{told.what}: {told.why}" + (f" – {told.hint}" if told.hint else ""), end="")


def worker_cells(worker: Worker) -> tuple[Cell, ...]:
    """The cells of one process for :data:`WORKER_COLUMNS`."""
    inner = f" ({worker.inner_pid})" if worker.inner_pid not in (None, worker.pid) else ""
    limit = "" if worker.open_files_limit is None else f"/{worker.open_files_limit}"
    files = words.UNKNOWN if worker.open_files is None else f"{worker.open_files}{limit}"
    return (
        Cell(f"{worker.pid}{inner}"),
        Cell("beside" if worker.beside else worker.role, "dim" if worker.beside or worker.role == "master" else ""),
        Cell(words.size(worker.rss_bytes)),
        Cell(words.size(worker.pss_bytes)),
        Cell(words.percent(worker.cpu_percent), words.fill_tone(worker.cpu_percent, 100.0)),
        Cell(files, words.fill_tone(worker.open_files, worker.open_files_limit)),
        Cell(words.duration(worker.age_seconds), "dim"),
    )


def settings(deployment: Deployment, width: int) -> Text:
    """What is in force and where it was found, defaults last; below it how it is run."""
    around = _surroundings(deployment)
    names = max(len(name) for name in (*deployment.settings, *(name for name, _ in around)))
    values = min(28, max((len(str(s.value)) for s in deployment.settings.values()), default=0))
    lines: list[Text] = []
    for name, setting in sorted(deployment.settings.items(), key=lambda item: (item[1].source == "default", item[0])):
        line = Text(end="")
        line.append(f"{name:<{names}}  ", "dim")
        line.append(f"{setting.value!s:<{values}}  ")
        line.append(_source(setting.source, width - line.cell_len), "dim" if setting.source == "default" else "cyan")
        lines.append(hang(line, width, names + 2))
    for name, value in around:
        line = Text(end="")
        line.append(f"{name:<{names}}  ", "dim")
        line.append(value)
        lines.append(hang(line, width, names + 2))
    return Text("\n", end="").join(lines)


def _source(source: str, room: int) -> str:
    """A path too long for its place keeps its end."""
    return source if len(source) <= room or "/" not in source else f"…/{source.rsplit('/', 1)[-1]}"


def _surroundings(deployment: Deployment) -> list[tuple[str, str]]:
    found = [("found by", deployment.recognised_by)]
    last = deployment.replicas[-1] if deployment.replicas else None
    if last is not None:
        found += [("command", " ".join(last.command)), ("image", last.image or "")]
        ports = ", ".join(f"{p.host_ip}:{p.host_port}→{p.container_port}" for p in last.ports)
        listeners = ", ".join(f"{x.address}:{x.port}" for x in last.listeners or ())
        found += [("published", ports), ("listens", listeners), ("restart", last.restart_policy or "")]
        if last.health is not None:
            found.append(("health", last.health.status))
    if deployment.pool is not None:
        found += [("database", pooltext.sentence(deployment.pool)), ("", deployment.pool.source)]
        if deployment.pool.held is not None:
            held = deployment.pool.held
            found += [("sessions", pooltext.sessions(held)), ("pooler", pooltext.pooled(held.server))]
    found += [("packages", ", ".join(f"{k} {v}" for k, v in sorted(deployment.packages.items())))]
    found += [("drivers", ", ".join(deployment.drivers)), ("files", ", ".join(deployment.files))]
    measures = dict.fromkeys(r.memory.source for r in deployment.running if r.memory.source and r.memory.used_bytes)
    found.append(("memory", ", ".join(measures)))
    logs = deployment.logs
    found.append(("logs", logs.state + (f": {logs.why}" if logs.why else "")))
    found += [("unread", f"{f.what}: {f.why}") for f in deployment.unreadable]
    return [(name, value) for name, value in found if value]
