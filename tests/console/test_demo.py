"""The demo's services are really ill, and nothing of them outlives whatever ends the demo."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from console import demo as demos
from console.demo import Demo, DemoError, processes
from console.demo.layout import PREFIX, SERVICES
from fixes import catalogue
from probes.intent import Desired, Restart
from probes.model import Deployment, Interest
from probes.target import Options
from probes.targets.local.target import LocalTarget
from tests.console._left import left, until_nothing_is_left
from tests.probes.local.servers import Watch, watched

DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with Demo() as running:
        yield running


@asynccontextmanager
async def looking(demo: Demo) -> AsyncIterator[Watch]:
    target = demo.target(Options(patterns=catalogue.patterns()))
    assert isinstance(target, LocalTarget)
    async with watched(target) as watch:
        everything = frozenset(await watch.until(lambda found: len(found) == len(SERVICES), DEADLINE_SECONDS))
        troubled = frozenset(one.id for one in target._services)
        assert len(troubled) == len(everything)
        target.focus(Interest(troubled=troubled, visible=troubled))
        yield watch


async def seen(demo: Demo, name: str, fact: Callable[[Deployment], bool]) -> Deployment:
    async with looking(demo) as watch:
        return (await watch.until(lambda found: fact(found[name]), DEADLINE_SECONDS))[name]


def hits(deployment: Deployment, text: str) -> bool:
    return any(text in hit.sample for hit in deployment.hits)


def port_of(demo: Demo, name: str) -> int:
    return next(one.port for one in demo.services if one.name == name)


async def test_the_console_sees_the_demos_services_and_no_others(demo: Demo) -> None:
    async with looking(demo) as watch:
        found = await watch.until(lambda all_: all(one.framework == "fastapi" for one in all_.values()))
    assert set(found) == {one.name for one in SERVICES}
    assert {one.id for one in found.values()} == {f"local/{one.name}" for one in SERVICES}
    assert {one.kind for one in found.values()} == {"process"}


async def test_the_leak_grows_under_a_limit_of_the_process(demo: Demo) -> None:
    async with looking(demo) as watch:
        first = (await watch.until(lambda found: len(found["catalog"].workers) == 2))["catalog"]
        start = {one.pid: one.anonymous_bytes or 0 for one in first.workers}
        assert all(one.memory_limit.value == 512 << 20 for one in first.workers)

        def grew(found: dict[str, Deployment]) -> bool:
            return sum((one.anonymous_bytes or 0) - start.get(one.pid, 0) for one in found["catalog"].workers) > 8 << 20

        await watch.until(grew, DEADLINE_SECONDS)


async def test_the_blocked_loop_is_slow_and_its_stack_names_the_line(demo: Demo) -> None:
    def blocked(one: Deployment) -> bool:
        replica = one.replicas[0]
        busy = [stack for stack in replica.stacks if not stack.idle]
        return any(p.took_seconds > 0.5 for p in replica.loop_probes) and any(
            s.frames[0].function == "search" for s in busy
        )

    found = await seen(demo, "search", blocked)
    frame = next(s.frames[0] for s in found.replicas[0].stacks if s.frames[0].function == "search")
    assert demo.directory is not None
    line = (demo.directory / "search" / "main.py").read_text().splitlines()[frame.line - 1]
    assert "time.sleep" in line
    assert len(found.workers) == 2


async def test_the_worker_time_out_is_in_the_log(demo: Demo) -> None:
    await seen(demo, "reports", lambda one: hits(one, "WORKER TIMEOUT"))


async def test_the_single_process_has_requests_in_flight(demo: Demo) -> None:
    def alone(one: Deployment) -> bool:
        listeners = one.replicas[0].listeners or ()
        return [w.role for w in one.replicas[0].workers] == ["server"] and any(
            (x.established or 0) >= 10 for x in listeners
        )

    await seen(demo, "frontdesk", alone)


async def test_the_descriptors_are_used_up(demo: Demo) -> None:
    def full(one: Deployment) -> bool:
        return hits(one, "Too many open files") and any(w.open_files and w.open_files >= 0.95 * 64 for w in one.workers)

    found = await seen(demo, "gateway", full)
    assert {w.open_files_limit for w in found.workers} == {64}


async def test_the_pool_is_exhausted(demo: Demo) -> None:
    found = await seen(demo, "orders", lambda one: hits(one, "QueuePool limit of size 1 overflow 0 reached"))
    assert "sqlite3" in found.drivers


async def test_the_healthy_one_answers(demo: Demo) -> None:
    found = await seen(demo, "accounts", lambda one: bool(one.replicas[0].loop_probes))
    assert found.replicas[0].loop_probes[-1].status == 404
    assert httpx.get(f"http://127.0.0.1:{port_of(demo, 'accounts')}/accounts", timeout=30).json() == {"accounts": 3}


async def test_the_lone_process_is_started_under_gunicorn_and_put_back(demo: Demo) -> None:
    async with looking(demo) as watch:
        before = (await watch.until(lambda found: bool(found["frontdesk"].workers)))["frontdesk"]
        assert before.capabilities["gunicorn"] is None
        port = port_of(demo, "frontdesk")
        want = Desired(
            gunicorn={"bind": f"127.0.0.1:{port}", "workers": 2, "worker_class": "uvicorn_worker.UvicornWorker"},
            server="gunicorn",
        )
        (step,) = await watch.target.drafter.draft(before, want)
        assert (step.action, step.restarts) == ("restart", True)
        writer = watch.target.writer()
        point = await writer.perform(step, "change", lambda _: None)
        after = await watch.until(
            lambda found: found["frontdesk"].server == "gunicorn" and len(found["frontdesk"].workers) == 2,
            DEADLINE_SECONDS,
        )
        assert after["frontdesk"].id == before.id
        assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
        await writer.restore(point, "change", lambda _: None)
        back = await watch.until(
            lambda found: found["frontdesk"].server == "uvicorn" and bool(found["frontdesk"].workers), DEADLINE_SECONDS
        )
        assert back["frontdesk"].replicas[0].command == before.replicas[0].command


async def test_a_service_is_restarted_through_its_supervisor(demo: Demo) -> None:
    async with looking(demo) as watch:
        before = (await watch.until(lambda found: bool(found["accounts"].workers)))["accounts"]
        (step,) = await watch.target.drafter.draft(before, Restart())
        await watch.target.writer().perform(step, "change", lambda _: None)
        after = await watch.until(
            lambda found: found["accounts"].replicas[0].id != before.replicas[0].id, DEADLINE_SECONDS
        )
    assert after["accounts"].id == before.id
    assert after["accounts"].restarts == 1


async def test_the_descriptors_are_enough_after_a_prlimit(demo: Demo) -> None:
    async with looking(demo) as watch:
        before = (await watch.until(lambda found: bool(found["gateway"].workers)))["gateway"]
        (step,) = await watch.target.drafter.draft(before, Desired(open_files_limit=4096))
        writer = watch.target.writer()
        point = await writer.perform(step, "change", lambda _: None)
        await watch.until(
            lambda found: sum(w.open_files or 0 for w in found["gateway"].workers) > 128 + 4, DEADLINE_SECONDS
        )
        await writer.restore(point, "change", lambda _: None)
        after = await watch.until(
            lambda found: {w.open_files_limit for w in found["gateway"].workers} == {64}, DEADLINE_SECONDS
        )
    assert after["gateway"].replicas[0].id == before.replicas[0].id


PROGRAM = """
import signal, sys, time
from console.demo import Demo
for ignored_under_nohup_or_in_the_background in (signal.SIGHUP, signal.SIGINT):
    signal.signal(ignored_under_nohup_or_in_the_background, signal.SIG_DFL)
with Demo() as demo:
    print(demo.directory, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_the_end_of_fastops(how: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        directory = Path(process.stdout.readline().decode().strip())
        assert directory.name.startswith(PREFIX)
        assert len(left(directory)) > len(SERVICES)
        process.send_signal(how)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    until_nothing_is_left(directory)


def test_nothing_outlives_a_killed_supervisor() -> None:
    with Demo() as demo:
        directory = demo.directory
        assert directory is not None
        supervisor = next(
            psutil.Process(pid) for pid in left(directory) if "supervisor" in " ".join(psutil.Process(pid).cmdline())
        )
        supervisor.kill()
        until_nothing_is_left(directory)


def test_what_was_left_when_all_was_killed_at_once_is_swept_by_the_next_demo() -> None:
    stale = Path(tempfile.mkdtemp(prefix=PREFIX))
    (stale / "lock").write_text("")
    with Demo() as demo:
        assert not stale.exists()
        directory = demo.directory
    assert directory is not None
    until_nothing_is_left(directory)


def test_stopping_twice_is_fine_and_a_demo_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    demo.stop()
    monkeypatch.setattr(processes, "find_spec", lambda name: None if name == "gunicorn" else True)
    with pytest.raises(DemoError, match=r"gunicorn: pip install 'fastops\[demo\]'"):
        demo.start()


def test_run_opens_the_console_on_the_demo_and_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_place", lambda: str(tmp_path))
    opened: list[Path] = []

    def console(target: Callable[[Options], object], directory: Path) -> int:
        assert isinstance(target(Options()), LocalTarget)
        assert [directory] == list(tmp_path.glob(f"{PREFIX}*"))
        opened.extend(tmp_path.glob(f"{PREFIX}*"))
        return 7

    assert demos.run(docker=False, image=None, open_console=console) == 7
    (directory,) = opened
    until_nothing_is_left(directory)


async def test_the_leak_begins_anew_long_before_it_fills_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from console.demo.services import catalog

    assert catalog.MOST_BYTES <= 150 << 20
    sent: list[int] = []
    monkeypatch.setattr(catalog.signal, "raise_signal", sent.append)
    monkeypatch.setattr(catalog, "MOST_BYTES", 3 * catalog.PAGE_BYTES)
    monkeypatch.setattr(catalog, "searches", [])
    for _ in range(2):
        await catalog.products()
    assert not sent
    for _ in range(3):
        await catalog.products()
    assert sent == [signal.SIGTERM], "its manager is asked once to start another"
