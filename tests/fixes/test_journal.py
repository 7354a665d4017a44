"""The journal survives kill -9 at every write, and keeps two programs off the same deployment."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import fixes.journal
from fixes.apply import Fixer, opened
from fixes.journal import Journal, new_id
from fixes.model import ChangeId, Entry
from probes.base import DeploymentId
from probes.target import Refused
from tests.fixes.fake import World, plan_of
from tests.fixes.killed import world_in

ROOT = Path(__file__).parents[2]
TEXTS = {"file:/a.yaml": "a: 1\n", "file:/b.yaml": "b: 2\n"}


async def entry_of(name: str = "checkout") -> Entry:
    return opened(await plan_of(World(TEXTS), name), None)


async def test_killed_at_every_moment_the_change_is_whole_after_resume(tmp_path: Path) -> None:
    taken_back = named = 0
    for last in range(1, 200):
        folder = tmp_path / str(last)
        world = world_in(folder)
        world.texts.update(TEXTS)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fixes.killed", str(folder), str(last)], cwd=ROOT, timeout=60
        )
        journal = Journal(folder / "journal")
        assert journal.failures() == ()
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        pending = journal.pending()
        named += len(pending)
        for entry in pending:
            finish = last % 2 == 0
            engine = Fixer(journal, lambda _id, world=world: world)
            try:
                await engine.resume(entry.id, finish=finish, progress=lambda _said: None)
            except Refused:
                await engine.resume(entry.id, finish=False, progress=lambda _said: None)
        assert journal.pending() == ()
        changed = ["limit: 1g" in text for text in world.texts.values()]
        assert all(changed) or not any(changed)
        state = [e.state for e in journal.entries()]
        assert state == (["applied"] if any(changed) else state)
        taken_back += not any(changed)
    else:
        pytest.fail("the program never came to its end")
    assert named > 10
    assert taken_back > 5


async def test_files_and_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state" / "journal")
    entry = await entry_of()
    old = os.umask(0)
    try:
        with journal.lock(entry.id, entry.deployment):
            journal.write(entry)
    finally:
        os.umask(old)
    for path in (journal.folder, *journal.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_an_entry_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = await entry_of()
    journal.write(entry)
    assert journal.read(entry.id) == entry
    assert journal.entries() == (entry,)


async def test_corrupt_files_are_skipped_and_reported(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = await entry_of()
    journal.write(entry)
    (tmp_path / "20260101-aaaaaa.json").write_text('{"id": "2026')
    (tmp_path / "20260101-bbbbbb.json").write_bytes(b"\xff\x00")
    assert journal.entries() == (entry,)
    assert journal.read(ChangeId("20260101-aaaaaa")) is None
    failures = journal.failures()
    assert [f.code for f in failures] == ["journal-unreadable"] * 2
    assert "20260101-bbbbbb" in failures[0].what


async def test_a_name_that_is_no_id_reads_nothing_outside_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    entry = await entry_of()
    journal.write(entry)
    (tmp_path / "secret.json").write_bytes((tmp_path / "journal" / f"{entry.id}.json").read_bytes())
    assert journal.read(ChangeId("../secret")) is None
    assert journal.read(ChangeId("")) is None


HOLDER = """
import sys
from pathlib import Path
from fixes.journal import Journal
with Journal(Path(sys.argv[1])).lock(sys.argv[2], sys.argv[3]):
    print("held", flush=True)
    sys.stdin.read()
"""


async def test_another_process_that_works_on_a_deployment_keeps_this_one_off_until_it_dies(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = await entry_of()
    journal.write(entry)
    assert journal.pending() == (entry,)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), entry.id, entry.deployment],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert journal.pending() == ()
        with (
            pytest.raises(Refused, match="is being changed by another fastops"),
            journal.lock(new_id(), entry.deployment),
        ):
            pass
        with journal.lock(new_id(), DeploymentId("docker/another")):
            pass
    finally:
        other.kill()
        other.communicate(timeout=30)
    assert journal.pending() == (entry,)
    with journal.lock(entry.id, entry.deployment):
        pass


async def test_a_journal_that_cannot_be_written_refuses_before_anything_is_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world = World(TEXTS)
    engine = Fixer(Journal(tmp_path / "file" / "journal"), lambda _id: world)
    with pytest.raises(Refused, match="Not a directory"):
        await engine.apply(await plan_of(world), lambda _said: None)
    assert world.texts == TEXTS


async def test_the_oldest_finished_changes_are_forgotten_beyond_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec.structs import replace

    monkeypatch.setattr(fixes.journal, "MOST_ENTRIES", 3)
    journal = Journal(tmp_path)
    entry = await entry_of()
    states = ["applying", "failed", "failed", "undone", "applied"]
    for number, state in enumerate(states):
        journal.write(replace(entry, id=ChangeId(f"2026010{number}-aaaaaa"), state=state))  # type: ignore[arg-type]
    journal.prune()
    assert [e.state for e in journal.entries()] == ["applied", "undone", "applying"]


def test_ids_sort_by_time_and_fit_the_names_of_containers() -> None:
    start = datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC)
    ids = [new_id(start + timedelta(seconds=0.1 * step)) for step in range(100)]
    assert ids == sorted(ids)
    assert ids[0].startswith("20261122-")
    assert ids[-1].startswith("20261123-")
    assert all(len(one) == 15 and one.replace("-", "").isalnum() and one == one.lower() for one in ids)


@pytest.mark.parametrize("data", [b'{"id":"\xff\xfe"}', b'{"x":' + b"[" * 100_000, b"\x00", b""])
async def test_a_file_of_any_bytes_is_named_and_hides_no_other_change(tmp_path: Path, data: bytes) -> None:
    journal = Journal(tmp_path)
    entry = await entry_of()
    journal.write(entry)
    (tmp_path / "20261122-zzzzzz.json").write_bytes(data)
    assert journal.entries() == (entry,)
    assert journal.pending() == (entry,)
    assert journal.read(ChangeId("20261122-zzzzzz")) is None
    assert [f.code for f in journal.failures()] == ["journal-unreadable"]


class CountingJournal(Journal):
    """Counts how often all files are read."""

    reads = 0

    def entries(self) -> tuple[Entry, ...]:
        self.reads += 1
        return super().entries()


async def test_the_files_are_read_again_only_after_a_change_and_locks_each_time(tmp_path: Path) -> None:
    journal, other = CountingJournal(tmp_path), Journal(tmp_path)
    entry = await entry_of()
    journal.write(entry)
    _age(tmp_path)
    assert [e.id for e in journal.pending()] == [entry.id]
    with other.lock(entry.id, entry.deployment):
        assert journal.pending() == ()
    assert [e.id for e in journal.pending()] == [entry.id]
    assert journal.reads == 1
    other.write(msgspec.structs.replace(entry, state="failed"))
    assert journal.pending() == ()
    other.write(entry)  # within the same moment: what was just written is not trusted to be the last
    assert [e.id for e in journal.pending()] == [entry.id]


def _age(folder: Path) -> None:
    """As if it had been written a while ago."""
    stat = folder.stat()
    os.utime(folder, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10_000_000_000))


READERS = """
import sys, threading
from pathlib import Path
from fixes.journal import Journal

sys.setswitchinterval(1e-6)
journal, together = Journal(Path(sys.argv[1])), threading.Barrier(4)
found = []

def read():
    together.wait()
    found.extend(journal.entries())

threads = [threading.Thread(target=read) for _ in range(4)]
for one in threads:
    one.start()
for one in threads:
    one.join()
assert len(found) == 4, found
"""


async def test_threads_that_read_it_for_the_first_time_together_do_not_crash(tmp_path: Path) -> None:
    """What is known of a type is made at its first use: half of these programs died of it by SIGSEGV."""
    Journal(tmp_path).write(await entry_of())
    for _ in range(8):
        ended = subprocess.run(
            [sys.executable, "-c", READERS, str(tmp_path)], cwd=ROOT, capture_output=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr.decode()
