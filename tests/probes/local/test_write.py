"""Changes of real local services: applied, refused and taken back."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixes.apply import Fixer
from fixes.journal import Journal, blanked
from fixes.model import ChangeId, Done, Entry, RemedyId, SignatureId
from probes import atomic
from probes.base import DeploymentId
from probes.intent import Desired, Intent, Restart, Step
from probes.model import Deployment
from probes.procfs import ProcFs
from probes.target import Options, ReadOnly, Refused, Writer
from probes.targets.local import reload, rerun
from probes.targets.local.target import LocalTarget
from tests.probes.local.servers import APP, Watch, free_port, gunicorn, running, unique, uvicorn, watched

SHOP, BARE, GATEWAY, LONE = (unique(name) for name in ("shop", "bare", "gateway", "lone"))
CHANGE = "20261122-090000-abcd"


def said(_: str) -> None:
    """Progress that nobody reads."""


@asynccontextmanager
async def service(
    folder: Path, *more: str, config: str | None = "timeout = 30  # ours\n", app: str = APP
) -> AsyncIterator[tuple[Watch, Deployment, subprocess.Popen[bytes]]]:
    folder.mkdir()
    (folder / "main.py").write_text(app)
    if config is not None:
        (folder / "gunicorn.conf.py").write_text(config)
    port = free_port()
    with running(gunicorn(port, *more), folder, port) as process:
        async with watched() as watch:
            found = await watch.until(lambda all_: folder.name in all_ and bool(all_[folder.name].workers))
            yield watch, found[folder.name], process


async def plan(watch: Watch, deployment: Deployment, want: Intent) -> list[Step]:
    return list(await watch.target.drafter.draft(deployment, want))


def workers(pid: int) -> set[int]:
    return set(ProcFs().tree().children(pid))


async def test_a_setting_reaches_the_workers_by_a_hup_and_is_taken_back(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, process):
        config = tmp_path / SHOP / "gunicorn.conf.py"
        config.chmod(0o640)
        before = workers(process.pid)
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60, "max_requests": 1000}))
        assert step.action == "reload"
        assert (step.before.text, step.after.text) == (
            "timeout = 30  # ours\n",
            "timeout = 60  # ours\nmax_requests = 1000\n",
        )
        writer = watch.target.writer()
        point = await writer.perform(step, CHANGE, said)
        assert config.read_text() == step.after.text
        assert config.stat().st_mode & 0o777 == 0o640
        assert process.poll() is None
        assert workers(process.pid) - before
        after = await watch.until(lambda all_: all_[SHOP].setting("timeout") == 60)
        assert after[SHOP].setting("max_requests") == 1000
        assert after[SHOP].replicas[0].id == deployment.replicas[0].id
        assert await plan(watch, after[SHOP], Desired(gunicorn={"timeout": 60, "max_requests": 1000})) == []
        backup = Path(str(point.data["backup"]))
        assert backup.stat().st_mode & 0o777 == 0o600

        reloaded = workers(process.pid)
        config.write_text("timeout = 61\n")
        with pytest.raises(Refused, match="was changed since"):
            await writer.check(point, CHANGE)
        config.write_text(step.after.text)
        await writer.check(point, CHANGE)
        assert workers(process.pid) == reloaded, "to look is not to change"
        await writer.restore(point, CHANGE, said)
        assert config.read_text() == "timeout = 30  # ours\n"
        assert workers(process.pid) - reloaded
        await writer.restore(point, CHANGE, said)
        assert sorted(one.name for one in config.parent.glob("*.py")) == ["gunicorn.conf.py", "main.py"]
        assert not backup.exists()


async def test_a_file_is_made_where_there_was_none_and_removed_by_the_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: dict[str, int | None] = {}
    replace = atomic.replace

    def noted(path: Path, data: bytes, temporary: Path, *, like: Path | None = None, reader: int | None = None) -> None:
        readers[path.name] = reader
        replace(path, data, temporary, like=like, reader=reader)

    monkeypatch.setattr(atomic, "replace", noted)
    async with service(tmp_path / BARE, config=None) as (watch, deployment, _):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"max_requests": 1000}))
        assert step.before.text == ""
        assert step.arguments["notes"] == [
            f"Every gunicorn that starts in {tmp_path / BARE} without --config reads it."
        ]
        writer = watch.target.writer()
        point = await writer.perform(step, CHANGE, said)
        config = tmp_path / BARE / "gunicorn.conf.py"
        assert config.read_text() == "max_requests = 1000\n"
        assert readers["gunicorn.conf.py"] == os.geteuid(), "who runs the service reads it, whoever writes it"
        await watch.until(lambda all_: all_[BARE].setting("max_requests") == 1000)
        await writer.restore(point, CHANGE, said)
        assert not config.exists()


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"timeout": "soon"}, "timeout"),
        ({"worker_class": "no.such.Worker"}, "no.such"),
        ({"keepalive": -1}, "keepalive"),
    ],
)
async def test_a_bad_configuration_is_refused_and_the_master_lives(
    tmp_path: Path, wanted: dict[str, str | int], word: str
) -> None:
    folder = tmp_path / SHOP
    folder.mkdir()
    config = folder / "gunicorn.conf.py"
    config.write_text('worker_class = "uvicorn_worker.UvicornWorker"\n')
    port = free_port()
    command = (sys.executable, "-m", "gunicorn", "main:app", "-b", f"127.0.0.1:{port}")
    with running(command, folder, port) as process:
        async with watched() as watch:
            deployment = (await watch.until(lambda all_: SHOP in all_))[SHOP]
            (step,) = await plan(watch, deployment, Desired(gunicorn=wanted))
            before = workers(process.pid)
            with pytest.raises(Refused, match=word):
                await watch.target.writer().perform(step, CHANGE, said)
        assert config.read_text() == step.before.text
        assert process.poll() is None
        assert workers(process.pid) == before
        assert sorted(one.name for one in folder.iterdir() if "gunicorn.conf" in one.name) == ["gunicorn.conf.py"]


async def test_an_application_that_no_longer_imports_is_refused(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, process):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
        (tmp_path / SHOP / "main.py").write_text("import no_such_module\n")
        with pytest.raises(Refused, match="no_such_module"):
            await watch.target.writer().perform(step, CHANGE, said)
        assert process.poll() is None
        assert (tmp_path / SHOP / "gunicorn.conf.py").read_text() == "timeout = 30  # ours\n"


async def test_a_setting_on_the_command_line_outranks_the_file_and_is_refused(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP, "--timeout", "20") as (watch, deployment, _):
        with pytest.raises(Refused, match="command line"):
            await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))


async def test_under_preload_a_hup_is_never_sent(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP, "--preload") as (watch, deployment, _):
        assert "preload" in (deployment.capabilities["gunicorn"] or "")
        with pytest.raises(Refused, match="preload"):
            await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))


async def test_a_file_changed_since_the_diff_is_left_alone(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, _):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
        config = tmp_path / SHOP / "gunicorn.conf.py"
        config.write_text("timeout = 45\n")
        with pytest.raises(Refused, match="changed since"):
            await watch.target.writer().perform(step, CHANGE, said)
        assert config.read_text() == "timeout = 45\n"


async def test_what_an_interrupted_reload_left_is_taken_back_or_finished(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, _):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
        config = tmp_path / SHOP / "gunicorn.conf.py"
        writer = watch.target.writer()
        await writer.abandon(step, CHANGE, said)
        assert config.read_text() == step.before.text
        backup = config.with_name(f".{config.name}.{CHANGE}.backup")
        backup.write_text(step.before.text)
        config.write_text(step.after.text)
        point = await writer.perform(_blanked(step), CHANGE, said)
        assert point.left == step.after.version
        await writer.abandon(_blanked(step), CHANGE, said)
        assert config.read_text() == step.before.text
        assert not backup.exists()


STARTS = APP.replace(
    "app = FastAPI()",
    """
import asyncio
import os
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(_app):
    if os.path.exists("slow"):
        await asyncio.sleep(4)
    if os.path.exists("broken"):
        raise RuntimeError("the database is down")
    while os.path.exists("never"):
        await asyncio.sleep(0.1)
    yield


app = FastAPI(lifespan=lifespan)""",
)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_reload_is_applied_when_the_start_up_is_over_and_not_before(
    tmp_path: Path, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken:
        monkeypatch.setattr(reload, "RELOAD_SECONDS", 10.0)
    async with service(tmp_path / SHOP, app=STARTS) as (watch, deployment, process):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
        (tmp_path / SHOP / "slow").touch()
        if broken:
            (tmp_path / SHOP / "broken").touch()
        before = workers(process.pid)
        writer = watch.target.writer()
        if broken:
            with pytest.raises(Refused, match=r"ended after the HUP|no new worker answered"):
                await writer.perform(step, CHANGE, said)
            assert (tmp_path / SHOP / "gunicorn.conf.py").read_text() == step.before.text
        else:
            await writer.perform(step, CHANGE, said)
            assert workers(process.pid) - before
            log = (tmp_path / SHOP / "service.log").read_text()
            assert log.count("Application startup complete") == 2, log


async def test_a_configuration_is_put_back_though_nobody_answers_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "BACK_SECONDS", 3.0)
    async with service(tmp_path / SHOP, app=STARTS) as (watch, deployment, process):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
        writer = watch.target.writer()
        point = await writer.perform(step, CHANGE, said)
        (tmp_path / SHOP / "never").touch()
        told: list[str] = []
        await writer.restore(point, CHANGE, told.append)
        assert any("no new worker answered" in one for one in told), told
        assert (tmp_path / SHOP / "gunicorn.conf.py").read_text() == step.before.text
        assert process.poll() is None


async def interrupted(tmp_path: Path, step: Step, writer: Writer) -> Fixer:
    """What kill -9 within this step leaves in the journal."""
    entry = Entry(
        id=ChangeId(CHANGE),
        at=datetime.now(UTC),
        deployment=DeploymentId("local/any"),
        signature=SignatureId("worker-timeout"),
        remedy=RemedyId("set-worker-timeout"),
        title="",
        state="applying",
        steps=(Done(summary="the step", step=blanked(step), state="begun", wanted=step.after.version),),
        diff=(),
        evidence=None,
        by="",
        values={},
    )
    journal = Journal(tmp_path / "journal")
    journal.write(entry)
    return Fixer(journal, lambda _: writer)


async def test_a_fix_killed_before_its_hup_is_taken_back_where_gunicorn_was_restarted_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / SHOP
    async with service(folder) as (watch, deployment, _):
        (step,) = await plan(watch, deployment, Desired(gunicorn={"timeout": 60}))
    config = folder / "gunicorn.conf.py"
    config.with_name(f".{config.name}.{CHANGE}.backup").write_text(step.before.text)
    config.write_text(step.after.text)
    port = free_port()
    with running(gunicorn(port), folder, port) as process:
        writer = LocalTarget(Options()).writer()
        fixer = await interrupted(tmp_path, step, writer)
        before = workers(process.pid)
        ended = await fixer.resume(ChangeId(CHANGE), finish=True, progress=said)
        assert ended.state == "failed"
        assert "restarted" in (ended.why or "")
        assert config.read_text() == step.before.text
        assert sorted(one.name for one in folder.iterdir() if "gunicorn.conf" in one.name) == ["gunicorn.conf.py"]
        assert workers(process.pid) - before  # they read the former file
        assert fixer.journal.pending() == ()


@pytest.mark.parametrize("finish", [True, False])
async def test_limits_set_for_half_of_the_processes_are_completed_or_taken_back(tmp_path: Path, finish: bool) -> None:
    async with service(tmp_path / GATEWAY, "--workers", "2") as (watch, deployment, process):
        pids = [process.pid, *workers(process.pid)]
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        wanted = soft + 1 if soft < hard else soft
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, hard))
        (step,) = await plan(watch, deployment, Desired(open_files_limit=wanted))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (wanted, hard))  # and then it was killed
        fixer = await interrupted(tmp_path, step, watch.target.writer())
        ended = await fixer.resume(ChangeId(CHANGE), finish=finish, progress=said)
        assert ended.state == ("applied" if finish else "undone"), ended.why
        limits = {resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] for pid in pids}
        assert limits == {wanted if finish else 256}


async def test_limits_that_somebody_else_set_are_neither_overwritten_nor_taken_back(tmp_path: Path) -> None:
    async with service(tmp_path / GATEWAY) as (watch, deployment, process):
        pids = [process.pid, *workers(process.pid)]
        hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, hard))
        (step,) = await plan(watch, deployment, Desired(open_files_limit=512))
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (300, hard))
        fixer = await interrupted(tmp_path, step, watch.target.writer())
        ended = await fixer.resume(ChangeId(CHANGE), finish=True, progress=said)
        assert ended.state == "failed"
        assert "changed since" in (ended.why or "")
        assert {resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] for pid in pids} == {300}


async def test_the_limit_of_open_files_is_raised_at_once_and_taken_back(tmp_path: Path) -> None:
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, former[1]))
    try:
        context = service(tmp_path / GATEWAY)
        watch, deployment, process = await context.__aenter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
    try:
        assert deployment.capabilities["nofile"] is None
        (step,) = await plan(watch, deployment, Desired(open_files_limit=1024))
        assert step.before.text != step.after.text
        assert "soft 1024" in step.after.text
        assert "restarted" in str(step.arguments["notes"])
        writer = watch.target.writer()
        point = await writer.perform(step, CHANGE, said)
        pids = {process.pid, *workers(process.pid)}
        for soft in (1023, 1024):
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, former[1]))
            if soft == 1023:
                with pytest.raises(Refused, match="were changed since"):
                    await writer.check(point, CHANGE)
        await writer.check(point, CHANGE)
        assert {resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids} == {(1024, former[1])}
        await writer.restore(point, CHANGE, said)
        assert {resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids} == {(256, former[1])}
        await writer.restore(point, CHANGE, said)
    finally:
        await context.__aexit__(None, None, None)


async def test_more_than_the_hard_limit_is_capped_and_said(tmp_path: Path) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, process):
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        steps = await plan(watch, deployment, Desired(open_files_limit=hard + 1))
        assert [f"soft {hard}" in step.after.text for step in steps] == ([True] if soft < hard else [])


async def test_what_nobody_supervises_is_not_restarted_but_the_command_is_said(tmp_path: Path) -> None:
    port = free_port()
    with running(uvicorn(port), tmp_path / LONE, port):
        async with watched() as watch:
            deployment = (await watch.until(lambda all_: LONE in all_))[LONE]
            for capability in ("restart", "gunicorn"):
                assert str(tmp_path / LONE) in (deployment.capabilities[capability] or "")
            with pytest.raises(Refused, match=f"--port {port}"):
                await plan(watch, deployment, Restart())
            with pytest.raises(Refused, match="gunicorn main:app"):
                await plan(watch, deployment, Desired(gunicorn={"workers": 2}, server="gunicorn"))
            with pytest.raises(Refused, match="systemd"):
                await plan(watch, deployment, Desired(memory_limit_bytes=1 << 30))
            with pytest.raises(Refused, match="reaches it"):
                await plan(watch, deployment, Desired(bind_host="0.0.0.0"))


async def test_a_development_server_is_left_alone_and_its_command_without_the_flags_is_said(tmp_path: Path) -> None:
    port = free_port()
    with running(uvicorn(port, "--reload", "--reload-dir", "."), tmp_path / LONE, port):
        async with watched() as watch:
            deployment = (await watch.until(lambda all_: LONE in all_))[LONE]
            assert deployment.settings["reload"].value is True
            with pytest.raises(Refused, match=f"uvicorn main:app --port {port}$"):
                await plan(watch, deployment, Desired(production=True))


def test_read_only_hands_no_writer_out() -> None:
    with pytest.raises(ReadOnly):
        LocalTarget(Options(read_only=True)).writer()


async def test_a_failed_systemctl_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with service(tmp_path / SHOP) as (watch, deployment, _):
        program = tmp_path / "systemctl"
        program.write_text("#!/bin/sh\necho 'Unit shop.service not found.' >&2\nexit 5\n")
        program.chmod(0o755)
        master = watch.target.master(deployment.id)
        assert master is not None
        monkeypatch.setattr(rerun.capabilities, "restart_command", lambda _: (str(program), "restart", "shop.service"))
        (step,) = [one for one in [_restart_step(deployment)] if one]
        with pytest.raises(Refused, match="not found"):
            await watch.target.writer().perform(step, CHANGE, said)


def _restart_step(deployment: Deployment) -> Step:
    from probes.targets.local.documents import document

    nothing = document("restart:x", "none", "restart", "")
    return Step(action="restart", summary="", before=nothing, after=nothing, subject=deployment.replicas[0].id)


def _blanked(step: Step) -> Step:
    from msgspec.structs import replace

    return replace(step, before=replace(step.before, text=""), after=replace(step.after, text=""))
