from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from probes import cgroup
from probes.cgroup import Paths, Sample
from probes.model import UNLIMITED, Limit, Memory
from tests.parts import missing

V1_MEMBERSHIP = b"9:name=systemd:/docker/ab\n4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/\n"
V1_MOUNTS = (
    b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    b"33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:2 - cgroup cgroup rw,cpu,cpuacct\n"
    b"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    b"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
V2_MEMBERSHIP = b"0::/system.slice/docker-ab.scope\n"
V2_MOUNTS = b"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def write(directory: Path, files: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def test_version_1_is_found_controller_by_controller() -> None:
    found = cgroup.paths(V1_MEMBERSHIP, V1_MOUNTS)
    assert (found.memory, found.memory_version) == ("/sys/fs/cgroup/memory/docker/ab", 1)
    assert (found.cpu, found.cpu_version) == ("/sys/fs/cgroup/cpu,cpuacct/docker/ab", 1)
    assert found.cpuacct == found.cpu


def test_version_2_is_one_directory() -> None:
    found = cgroup.paths(V2_MEMBERSHIP, V2_MOUNTS)
    assert (found.memory, found.cpu) == ("/sys/fs/cgroup/system.slice/docker-ab.scope",) * 2
    assert (found.memory_version, found.cpu_version) == (2, 2)


def test_in_a_hybrid_each_controller_is_where_it_is_mounted() -> None:
    found = cgroup.paths(b"4:memory:/a\n0::/b\n", V1_MOUNTS)
    assert (found.memory, found.memory_version) == ("/sys/fs/cgroup/memory/a", 1)
    assert (found.cpu, found.cpu_version) == ("/sys/fs/cgroup/unified/b", 2)


def test_a_group_outside_of_what_is_mounted_is_not_taken_for_another() -> None:
    mounts = V2_MOUNTS.replace(b"0:26 / ", b"0:26 /docker/ab ")
    assert cgroup.paths(b"0::/docker/ab/x\n", mounts).memory == "/sys/fs/cgroup/x"
    assert cgroup.paths(b"0::/docker/abc\n", mounts).memory is None
    assert cgroup.paths(b"0::/../elsewhere\n", mounts).memory is None


def test_version_2_is_read_with_the_tightest_limit_above(tmp_path: Path) -> None:
    group = tmp_path / "slice" / "scope"
    write(tmp_path / "slice", {"memory.max": "500000000\n", "cpu.max": "50000 100000\n"})
    write(
        group,
        {
            "memory.current": "300000000\n",
            "memory.max": "max\n",
            "memory.peak": "400000000\n",
            "memory.stat": "anon 1\ninactive_file 100000000\n",
            "memory.events": "low 0\noom 4\noom_kill 3\noom_group_kill 0\n",
            "cpu.max": "max 100000\n",
            "cpu.stat": "usage_usec 2500000\nuser_usec 1\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n",
        },
    )
    found = cgroup.read(Paths(memory=str(group), cpu=str(group), memory_top=str(tmp_path), cpu_top=str(tmp_path)))
    assert found is not None
    limit = Limit(limited=True, value=500000000.0)
    assert found.memory == Memory(
        used_bytes=200000000, limit=limit, peak_bytes=400000000, oom_kills=3, source="cgroup v2"
    )
    assert found.cpu_limit == Limit(limited=True, value=0.5)
    assert (found.cpu_seconds, found.periods, found.throttled_periods, found.throttled_seconds) == (2.5, 10, 4, 0.5)


def test_version_1_is_read_and_its_huge_limit_is_no_limit(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "memory.usage_in_bytes": "5000\n",
            "memory.max_usage_in_bytes": "6000\n",
            "memory.limit_in_bytes": "9223372036854771712\n",
            "memory.stat": "inactive_file 1\ntotal_inactive_file 2000\nhierarchical_memory_limit 9223372036854771712\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            "cpu.cfs_quota_us": "-1\n",
            "cpu.cfs_period_us": "100000\n",
            "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 1500000000\n",
            "cpuacct.usage": "3000000000\n",
        },
    )
    where = str(tmp_path)
    found = cgroup.read(Paths(memory=where, cpu=where, cpuacct=where, memory_version=1, cpu_version=1))
    assert found is not None
    assert found.memory == Memory(used_bytes=3000, limit=UNLIMITED, peak_bytes=6000, oom_kills=2, source="cgroup v1")
    assert (found.cpu_limit, found.cpu_seconds, found.throttled_seconds) == (UNLIMITED, 3.0, 1.5)


def test_a_group_that_is_gone_is_none(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert cgroup.read(Paths(memory=gone, cpu=gone, cpuacct=gone)) is None
    assert cgroup.read(Paths(memory=gone, cpu=gone, cpuacct=gone, memory_version=1, cpu_version=1)) is None
    assert cgroup.locate(2**22 + 1) is None


def test_rates_come_from_two_samples_and_never_from_a_counter_that_began_anew() -> None:
    before = Sample(at=10.0, cpu_seconds=1.0, periods=100, throttled_periods=10, throttled_seconds=1.0)
    now = Sample(at=12.0, cpu_seconds=4.0, periods=120, throttled_periods=15, throttled_seconds=1.5)
    rates = cgroup.cpu(now, before)
    assert (rates.used_cores, rates.throttled_ratio, rates.throttled_time_ratio) == (1.5, 0.25, 0.25)
    assert cgroup.cpu(now, None).used_cores is None
    assert cgroup.cpu(Sample(at=13.0, cpu_seconds=0.5), now).used_cores is None
    idle = cgroup.cpu(Sample(at=13.0, periods=120, throttled_periods=15), now)
    assert (idle.throttled_ratio, idle.used_cores) == (0.0, None)


# This machine's own groups.


@contextlib.contextmanager
def group_of(pid: int, limit_bytes: int) -> Iterator[None]:
    """Puts a process into a fresh memory and CPU group of this machine, or skips where that is not allowed."""
    own = cgroup.locate(os.getpid())
    assert own is not None
    if own.memory is None or own.cpu is None:
        missing("no control groups are mounted here", "FASTOPS_REQUIRE_PARTS")
    version_1 = own.memory_version == 1
    tops = {own.memory_top, own.cpu_top, own.cpu_top.replace("/cpu", "/cpuacct") if version_1 and own.cpu_top else None}
    made = [Path(top, f"fastops-test-{pid}") for top in tops if top is not None and Path(top).is_dir()]
    try:
        for one in made:
            one.mkdir()
        memory, cpu = Path(own.memory_top or "", made[0].name), Path(own.cpu_top or "", made[0].name)
        if version_1:
            (memory / "memory.limit_in_bytes").write_text(str(limit_bytes))
            (cpu / "cpu.cfs_quota_us").write_text("50000")
        else:
            (memory / "memory.max").write_text(str(limit_bytes))
            (cpu / "cpu.max").write_text("50000 100000")
        for one in made:
            (one / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        for one in made:
            with contextlib.suppress(OSError):
                one.rmdir()
        missing(f"no control group can be made here: {error}", "FASTOPS_REQUIRE_PARTS")
    try:
        yield
    finally:
        deadline = time.monotonic() + 10
        for one in made:
            while one.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    one.rmdir()


def test_a_real_group_shows_its_limit_and_the_throttling_of_a_busy_process() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "x = bytearray(30_000_000)\ninput()\nwhile True: pass"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(busy.wait)
        stack.callback(busy.kill)
        stack.callback(busy.stdin.close)  # type: ignore[union-attr]
        stack.callback(busy.stdout.close)  # type: ignore[union-attr]
        inner = contextlib.ExitStack()
        stack.callback(inner.close)
        stack.callback(busy.wait)
        stack.callback(busy.kill)
        inner.enter_context(group_of(busy.pid, 256 << 20))
        where = cgroup.locate(busy.pid)
        assert where is not None
        before = cgroup.read(where)
        assert before is not None
        assert before.memory.limit == Limit(limited=True, value=float(256 << 20))
        assert before.cpu_limit == Limit(limited=True, value=0.5)
        busy.stdin.write(b"\n")  # type: ignore[union-attr]
        busy.stdin.flush()  # type: ignore[union-attr]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            now = cgroup.read(where)
            assert now is not None
            used = now.memory.used_bytes
            rates = cgroup.cpu(now, before)
            if rates.throttled_ratio and rates.throttled_time_ratio and rates.used_cores:
                break
            time.sleep(0.05)
        assert rates.throttled_ratio
        assert rates.throttled_time_ratio
        assert rates.used_cores
        assert used is not None


def test_this_process_has_groups_that_can_be_read() -> None:
    where = cgroup.locate(os.getpid())
    assert where is not None
    found = cgroup.read(where)
    assert found is None or found.memory.used_bytes is None or found.memory.used_bytes >= 0


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_texts_are_survived(membership: bytes, mounts: bytes) -> None:
    assert isinstance(cgroup.paths(membership, mounts), Paths)
    joined = cgroup.paths(b"0::/" + membership, b"1 2 0:1 / /x rw - cgroup2 a b\n" + mounts)
    assert joined.memory is None or joined.memory.startswith("/")
