# ruff: noqa: E501 - tables of commands and sources read better in long lines
from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import drivers, proctext, rooted, workers
from probes.base import ReplicaId
from probes.model import UNLIMITED, Limit, Listener, Worker
from probes.procfs import ProcFs, Tree
from probes.workers import CpuMeter

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
BIN = Path(sys.executable).parent
REPLICA = ReplicaId("r")
PROC = ProcFs()
T = TypeVar("T")


def until(read: Callable[[], T], seconds: float = 60.0) -> T:
    """The first true answer before a deadline, or the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := read()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


# Texts.

STAT = (
    b"4711 (a) b (c) S 17 4711 4711 0 -1 4194560 1 2 3 4 250 150 7 8 20 0 5 0 123456 1000 20 18446744073709551615 1 1"
)


def test_a_stat_with_parentheses_in_its_command_is_parsed() -> None:
    found = proctext.stat(STAT)
    assert found is not None
    assert (found.pid, found.ppid, found.command, found.state) == (4711, 17, "a) b (c", "S")
    assert (found.cpu_seconds, found.threads, found.start_ticks) == (400 / proctext.TICKS_PER_SECOND, 5, 123456)


@pytest.mark.parametrize(
    ("rights", "map_", "expected"),
    [
        ("000001ffffffffff", "         0          0 4294967295\n", 1048576),
        ("000001fffeffffff", "         0          0 4294967295\n", 20000),
        ("000001ffffffffff", "         0     100000      65536\n", 20000),
        ("", "", None),
    ],
)
def test_only_with_the_right_to_raise_limits_may_a_process_give_more_than_its_own(
    tmp_path: Path, rights: str, map_: str, expected: int | None
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/nr_open").write_text("1048576\n")
    (tmp_path / "7/status").write_text(f"Name:\tshim\nUid:\t0\t0\t0\t0\nCapEff:\t{rights}\n")
    (tmp_path / "7/limits").write_text(
        "Max open files            1024                 20000                files     \n"
    )
    (tmp_path / "7/uid_map").write_text(map_)
    assert ProcFs(str(tmp_path)).open_files_most(7) == expected
    assert ProcFs(str(tmp_path)).open_files_most(8) is None


def test_limits_are_parsed_and_unlimited_is_no_number() -> None:
    head = b"Limit                     Soft Limit           Hard Limit           Units     \n"
    text = head + (
        b"Max data size             104857600            unlimited            bytes     \n"
        b"Max open files            1024                 524288               files     \n"
        b"Max address space         unlimited            unlimited            bytes     \n"
    )
    found = proctext.limits(text)
    assert (found.open_files, found.open_files_hard, found.memory) == (
        1024,
        524288,
        Limit(limited=True, value=104857600.0),
    )
    assert proctext.limits(text.replace(b"104857600", b"unlimited")).memory == UNLIMITED
    assert proctext.limits(b"").memory == Limit()


def test_a_process_that_shares_its_cpu_is_seen_to_wait_for_it_and_a_sleeping_one_is_not() -> None:
    cpu = min(os.sched_getaffinity(0))
    burn = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    meter = CpuMeter()

    def queued(process: subprocess.Popen[bytes]) -> float:
        return PROC.queued_seconds(process.pid) or 0.0

    def percent(process: subprocess.Popen[bytes]) -> float | None:
        return meter.percent(process.pid, 1, queued(process), time.monotonic(), "queued")

    started = [subprocess.Popen([sys.executable, "-c", p]) for p in (burn, burn, "import time; time.sleep(600)")]
    try:
        burning, _, sleeping = started
        assert until(lambda: queued(burning) > 1.0)
        assert queued(sleeping) < queued(burning)
        assert percent(burning) is None
        assert until(lambda: (percent(burning) or 0.0) > 10.0)
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.parametrize("text", [b"", b"1", b"a b c", b"1 -2 3"])
def test_a_schedstat_that_is_none_tells_nothing(text: bytes) -> None:
    assert proctext.queued_seconds(text) is None


def test_status_gives_the_innermost_pid() -> None:
    found = proctext.status(
        b"Name:\tx\nUid:\t1000\t0\t0\t0\nVmHWM:\t 90 kB\nVmRSS:\t 80 kB\nRssAnon:\t 70 kB\nNSpid:\t4711\t17\t1\n"
    )
    assert (found.inner_pid, found.uid, found.rss_bytes, found.anonymous_bytes) == (1, 1000, 80 * 1024, 70 * 1024)


def test_listeners_are_parsed_with_their_connections() -> None:
    head = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    tail = b" 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0 0 10 0\n"
    four = (
        head + b"   0: 0100007F:1F40 00000000:0000 0A" + tail % 11 + b"   1: 0100007F:1F40 0100007F:9999 01" + tail % 12
    )
    six = (
        head
        + b"   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A" + tail % 13
        + b"   1: 0000000000000000FFFF00000100007F:1F41 00000000000000000000000000000000:0000 0A" + tail % 14
    )  # fmt: skip
    found = proctext.listeners(four, six)
    assert found == (
        Listener(address="127.0.0.1", port=8000, established=1),
        Listener(address="127.0.0.1", port=8001, established=0),
        Listener(address="::", port=80, established=0),
    )
    assert [one.port for one in proctext.listeners(four, six, inodes=frozenset({13}))] == [80]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/s/asyncpg/protocol/protocol.cpython-312-x86_64-linux-gnu.so", "asyncpg"),
        ("/s/psycopg_binary/_psycopg.cpython-312.so", "psycopg"),
        ("/s/psycopg2/_psycopg.cpython-312.so", "psycopg2"),
        ("/s/MySQLdb/_mysql.cpython-312.so", "mysqlclient"),
        ("/l/lib-dynload/_sqlite3.cpython-312.so", "sqlite3"),
        ("/usr/lib/libpq.so.5.16", "libpq"),
    ],
)
def test_a_loaded_driver_is_seen_in_the_map(path: str, name: str) -> None:
    assert drivers.loaded(b"7f00-7f01 r-xp 00000000 08:01 42   " + path.encode()) == (name,)
    assert drivers.loaded(b"7f00-7f01 r-xp 00000000 08:01 42   /s/uvloop/loop.so\n") == ()


# Real processes.


def test_this_process_is_read_as_it_knows_itself() -> None:
    pid = os.getpid()
    stat = PROC.stat(pid)
    status = PROC.status(pid)
    limits = PROC.limits(pid)
    assert stat is not None
    assert status is not None
    assert limits is not None
    assert (stat.ppid, status.uid, limits.open_files) == (
        os.getppid(),
        os.getuid(),
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
    assert PROC.argv(pid) == tuple(Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0"))
    assert PROC.working_dir(pid) == str(Path.cwd())
    assert (PROC.environ(pid) or {}).keys() <= {*os.environ, *(PROC.environ(pid) or {})}
    assert (PROC.open_files(pid) or 0) > 2
    pss, _ = PROC.proportional(pid)
    assert status.rss_bytes is not None
    assert pss is None or pss <= status.rss_bytes
    started = PROC.started_at(stat)
    assert started is not None
    assert started <= datetime.now(UTC)
    assert pid in PROC.tree().descendants(os.getppid())


def test_an_open_port_is_listened_on_by_its_owner_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            own = PROC.listeners(os.getpid(), [os.getpid()])
            assert own is not None
            assert [(one.address, one.established) for one in own if one.port == port] == [("127.0.0.1", 1)]
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            seen = PROC.listeners(other.pid, [other.pid])
            assert port not in [one.port for one in seen or ()]
            assert port in [one.port for one in PROC.listeners(other.pid) or ()]
        finally:
            other.communicate(b"\n")


def test_a_driver_that_is_imported_is_seen_and_one_that_is_installed_is_not() -> None:
    code = "import sqlite3; print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert PROC.drivers(process.pid) == ("sqlite3",)
    finally:
        process.communicate(b"\n")


def test_what_has_vanished_is_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    tree_before = PROC.tree()
    process.wait()
    pid = process.pid
    assert [
        PROC.stat(pid),
        PROC.status(pid),
        PROC.limits(pid),
        PROC.open_files(pid),
        PROC.argv(pid),
        PROC.environ(pid),
    ] == [None] * 6
    assert [PROC.listeners(pid), PROC.drivers(pid), PROC.working_dir(pid), PROC.read_file(pid, "/etc/passwd")] == [
        None
    ] * 4
    assert workers.measure(PROC, tree_before, pid, REPLICA, CpuMeter()) == ()
    assert workers.measure(PROC, PROC.tree(), pid, REPLICA, CpuMeter()) == ()
    assert ProcFs("/nowhere").tree().stats == {}


def test_a_number_that_belongs_to_another_process_by_now_is_not_measured() -> None:
    tree = PROC.tree()
    stat = tree.stats[os.getpid()]
    earlier = type(stat)(
        **{name: getattr(stat, name) for name in stat.__struct_fields__} | {"start_ticks": stat.start_ticks - 1}
    )
    assert workers.measure(PROC, Tree({os.getpid(): earlier}, tree.at), os.getpid(), REPLICA, CpuMeter()) == ()


def test_cpu_is_measured_between_two_samples_of_the_same_process() -> None:
    meter = CpuMeter()
    assert meter.percent(1, 100, 5.0, at=10.0) is None
    assert meter.percent(1, 100, 6.0, at=12.0) == 50.0
    assert meter.percent(1, 999, 0.1, at=14.0) is None
    meter.forget(Tree({}, 0.0))
    assert meter.percent(1, 100, 7.0, at=16.0) is None


# Real servers.

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
POOL = (
    "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\nfrom fastapi import FastAPI\n"
    "app = FastAPI()\npool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))\n"
    "@app.on_event('startup')\ndef start():\n    pool.submit(print)\n"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def served(directory: Path, source: str, *words: str) -> Iterator[tuple[int, int]]:
    """A real server that answers on a port: its pid and the port."""
    (directory / "service.py").write_text(source)
    port = free_port()
    argv = [str(BIN / words[0]), *(word.replace("PORT", str(port)) for word in words[1:]), "service:app"]
    process = subprocess.Popen(
        argv, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        assert until(answers)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # granian's workers may outlive a master that ends early: the session is the test's own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "roles"),
    [
        (
            ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "127.0.0.1:PORT"),
            ["master", "worker", "worker"],
        ),
        (("uvicorn", "--port", "PORT", "--workers", "2"), ["master", "worker", "worker"]),
        (("uvicorn", "--port", "PORT"), ["server"]),
        (("hypercorn", "-b", "127.0.0.1:PORT"), ["master", "worker"]),
        (("granian", "--interface", "asgi", "--port", "PORT", "--workers", "2"), ["master", "worker", "worker"]),
    ],
    ids=["gunicorn", "uvicorn with workers", "uvicorn alone", "hypercorn", "granian"],
)
def test_a_real_server_is_measured_by_its_roles(tmp_path: Path, words: tuple[str, ...], roles: list[str]) -> None:
    with served(tmp_path, APP, *words) as (pid, port):

        def measured() -> tuple[Worker, ...]:
            found = workers.measure(PROC, PROC.tree(), pid, REPLICA, meter)
            return found if [one.role for one in found] == roles else ()

        meter = CpuMeter()
        found = until(measured)
        assert [one.role for one in found] == roles
        assert found[0].pid == found[0].inner_pid == pid
        for one in found:
            assert one.rss_bytes is not None
            assert one.anonymous_bytes is not None
            assert 0 < one.anonymous_bytes <= one.rss_bytes
            assert one.open_files is not None
            assert one.open_files_limit is not None
            assert one.open_files < one.open_files_limit
            assert one.age_seconds is not None
        listeners = PROC.listeners(pid, [one.pid for one in found])
        assert listeners is not None
        assert [(one.address, one.port) for one in listeners] == [("127.0.0.1", port)]
        again = measured()
        assert all(one.cpu_percent is not None for one in again)


def test_the_process_pool_of_a_lone_server_is_no_worker(tmp_path: Path) -> None:
    with served(tmp_path, POOL, "uvicorn", "--port", "PORT") as (pid, _):
        assert until(lambda: any("spawn_main" in " ".join(PROC.argv(one) or ()) for one in PROC.tree().children(pid)))
        found = workers.measure(PROC, PROC.tree(), pid, REPLICA, CpuMeter())
        assert [one.role for one in found] == ["server"]


def test_a_server_is_found_behind_a_shell_that_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APP)
    port = free_port()
    shell = subprocess.Popen(["sh", "-c", f"{BIN}/uvicorn --port {port} service:app; echo end"], cwd=tmp_path,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:

        def server() -> int | None:
            found = workers.find_servers(PROC.tree(), PROC, shell.pid)
            return found[0] if found and found != (shell.pid,) else None

        found = until(server)
        assert found is not None
        assert PROC.tree().stats[found].ppid == shell.pid
    finally:
        os.killpg(shell.pid, 15)
        shell.wait(20)


# Files inside a root.


def test_links_are_resolved_inside_the_root_and_never_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "name").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (root / "absolute").symlink_to("/etc/name")
    (root / "etc" / "deep" / "relative").symlink_to("../../etc/name")
    (root / "folder").symlink_to("/etc")
    (root / "out").symlink_to("../secret")
    (root / "far").symlink_to("../../../../../../../../etc/name")
    (root / "circle").symlink_to("/circle")
    os.mkfifo(root / "pipe")
    where = str(root)
    for path in (
        "/etc/name",
        "/absolute",
        "/etc/deep/relative",
        "/folder/name",
        "/folder/../etc//./name",
        "/far",
        "/../../etc/name",
    ):
        assert rooted.read_file(where, path) == b"inside", path
    for path in ("/out", "/circle", "/pipe", "/etc", "/missing", "/etc/name/x", ""):
        assert rooted.read_file(where, path) is None, path
    for path, absent in {
        "/missing": True, "/etc/name/x": True, "/out": True, "/etc": False, "/etc/name": False, "/folder/name": False,
        "/circle": False, "": False,
    }.items():  # fmt: skip
        assert rooted.is_absent(where, path) is absent, path
    assert not rooted.is_absent(f"{where}/gone", "/etc"), "nothing is known below a root that is not there"
    assert rooted.read_file(where, "/etc/name", limit=3) == b"ins"
    assert rooted.list_dir(where, "/folder") == ["deep", "name"]
    assert rooted.list_dir(where, "/etc/name") is None
    assert "etc" in (rooted.list_dir(where, "/") or [])


# Anything at all.


@given(st.binary(max_size=300))
def test_any_text_of_proc_is_survived(text: bytes) -> None:
    for parse in (proctext.stat, proctext.status, proctext.limits, proctext.proportional, proctext.arguments,
                  proctext.environment, proctext.listeners, proctext.address, proctext.boot_time, drivers.loaded):  # fmt: skip
        parse(text)
    found = proctext.stat(b"1 (x) S " + text)
    assert found is None or found.pid == 1


@given(st.lists(st.binary(max_size=12), max_size=14).map(b" ".join))
def test_any_line_of_a_socket_table_is_survived(text: bytes) -> None:
    assert len(proctext.listeners(b"head\n" + text)) <= 1


@given(st.text(max_size=40))
def test_any_path_is_survived(path: str) -> None:
    assert rooted.read_file("/proc/self/ns", path) is None
