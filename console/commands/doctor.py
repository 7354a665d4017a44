"""``fastops doctor``: what can be reached, what is permitted, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from console import __version__, output
from console import config as configuration
from console.commands._session import opened, settle, unread
from console.exits import FINE, PARTIAL
from fixes.model import Report
from fixes.policy import is_over
from probes import text
from probes.base import TargetId, target_of
from probes.model import Deployment, TargetState


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    subject: str
    state: Literal["ok", "limited", "missing"]
    """``limited``: works, with less than everything; ``missing``: does not work."""
    what: str
    hint: str = ""


def run(targets: Sequence[str], *, as_json: bool, read_only: bool | None, namespace: str | None) -> int:
    """Checks; the status is 3 where a target that was asked for cannot be read."""
    with opened(targets, read_only=True, namespace=namespace) as session:
        report = settle(session, 0)
        checks = [*here(), *judging(report)]
        for name in session.targets:
            checks += of_target(report, name)
            if name.startswith("k8s/") and _is_live(report, name):
                checks += permissions(name, targets, namespace, read_only=read_only)
        partial = bool(unread(report, session))
    if as_json:
        body = msgspec.json.encode({"schema": 1, "version": __version__, "checks": checks})
        output.write(msgspec.json.format(body, indent=2).decode())
    else:
        marks = {"ok": "✓", "limited": "~", "missing": "✗"}
        output.table(
            ("", "subject", "what", "next"),
            [(marks[c.state], c.subject, c.what, c.hint) for c in together(checks)],
        )
    return PARTIAL if partial else FINE


def together(checks: Sequence[Check]) -> Iterator[Check]:
    """Those that say the same of several deployments of one target as one, in the place of the first."""
    subjects: dict[tuple[object, ...], list[str]] = {}
    for one in checks:
        subjects.setdefault(_alike(one), []).append(one.subject)
    for one in checks:
        same = subjects.pop(_alike(one), None)
        if same is not None:
            where = target_of(one.subject)
            yield one if len(same) == 1 else msgspec.structs.replace(one, subject=f"{len(same)} deployments of {where}")


def _alike(one: Check) -> tuple[object, ...]:
    target = target_of(one.subject)
    return (target, target != one.subject, one.state, one.what, one.hint)


def here() -> Iterator[Check]:
    """The machine and the installation."""
    yield Check("fastops", "ok", f"{__version__} on Python {platform.python_version()}, {platform.system()}")
    path = configuration.default_path()
    yield Check("configuration", "ok", str(path) if path.exists() else f"none (it would be {path})")
    yield _writable("journal", configuration.state_folder())
    yield _profiler()
    if sys.platform == "linux" and os.geteuid() != 0:
        yield Check(
            "processes of others",
            "limited",
            "their memory maps, descriptors and stacks are not readable for this user",
            "run as root, or as the services' user, to see descriptors, drivers and PSS",
        )


def judging(report: Report) -> Iterator[Check]:
    """What the configuration decided that has ended, and signatures that cannot be judged."""
    now = datetime.now(UTC)
    for one in configuration.load().silence:
        if is_over(one, now):
            what = f"silenced until {one.until} ({text.line(one.reason, 200)}): that has passed, it is shown again"
            yield Check(one.signature, "limited", what, "remove the entry, or give it a later date")
    yield from (Check("signatures", "missing", f"{f.what}: {f.why}", f.hint) for f in report.failures)


def of_target(report: Report, name: TargetId) -> Iterator[Check]:
    """One target: its link, what it could not read, and what each deployment hides."""
    state = report.snapshot.targets.get(name)
    if state is None or state.link.state != "live":
        why = "no answer yet" if state is None else (state.link.why or state.link.state)
        yield Check(name, "missing", why, (state.link.hint or "") if state else "is the engine overloaded?")
        return
    yield Check(name, "ok", f"{state.version or 'live'}, {len(state.deployments)} FastAPI deployments")
    if configuration.load().is_read_only(name):
        if configuration.load().is_read_only(name, lifted=True):
            yield Check(name, "limited", "read-only by configuration: fixes are refused", "")
        else:
            yield Check(
                name, "limited", "production: fixes are refused", "--no-read-only lets `fix` and `tui` change it"
            )
    yield from (Check(name, "limited", f"{f.what}: {f.why}", f.hint) for f in state.failures)
    yield from _deployments(state)


def permissions(
    target: TargetId, names: Sequence[str], namespace: str | None, *, read_only: bool | None
) -> Iterator[Check]:
    """What a cluster grants; that is asked by a POST, so in read-only mode it is not."""
    config = configuration.load()
    closed = config.is_read_only(target, lifted=read_only is False)
    if read_only is True or closed:
        how = "--no-read-only asks" if closed and not config.read_only else "without read-only they are asked"
        what = "permissions were not asked: that is a POST, and this is read-only"
        yield Check(target, "limited", what, f"{how}; `fastops rbac` prints what is needed")
        return
    from console.commands import _permissions

    found = _permissions.ask(target, names, namespace or config.of(target).namespace)
    if found.unknown is not None:
        yield Check(target, "limited", f"permissions are not known: {found.unknown}", "`fastops rbac` prints them")
        return
    yield Check(target, "ok", f"{found.asked - len(found.denied)} of {found.asked} permissions are granted")
    for one in found.denied:
        for_what = "a fix" if one.right.use == "fix" else "reading"
        what = f"not permitted ({for_what}): {', '.join(one.missing)}; without it {one.right.cost}"
        hint = one.right.optional or "`fastops rbac` prints the rule"
        yield Check(target, "limited", what, hint)


def _is_live(report: Report, target: TargetId) -> bool:
    state = report.snapshot.targets.get(target)
    return state is not None and state.link.state in {"live", "forbidden"}


def _deployments(state: TargetState) -> Iterator[Check]:
    for one in state.deployments.values():
        yield from _unread_logs(one)
        for failure in {f.code: f for r in one.replicas for f in (*one.unreadable, *r.unreadable)}.values():
            yield Check(one.id, "limited", f"{failure.what}: {failure.why}", failure.hint)


def _unread_logs(one: Deployment) -> Iterator[Check]:
    if one.logs.state == "unread":
        yield Check(
            one.id,
            "limited",
            f"its log is not read: {one.logs.why or 'not yet'}",
            "failures that only a log names are not found there",
        )


def _writable(subject: str, folder: Path) -> Check:
    at = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(at, os.W_OK):
        return Check(subject, "ok", str(folder))
    return Check(subject, "missing", f"{folder} cannot be written: no fix can be made", "FASTOPS_STATE names another")


def _profiler() -> Check:
    beside = Path(sys.executable).with_name("py-spy")
    if not beside.exists() and shutil.which("py-spy") is None:
        return Check("profile", "missing", "py-spy is not installed", "pip install py-spy")
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if sys.platform == "linux" and os.geteuid() != 0 and scope.exists() and scope.read_text().strip() != "0":
        return Check("profile", "limited", "stacks of other processes may not be read (ptrace_scope)", "run as root")
    return Check("profile", "ok", "stacks can be sampled where this user may read the process")
