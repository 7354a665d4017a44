"""Files that somebody else made, or that broke on their way: one sentence, nothing hangs, nothing grows."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from msgspec.structs import replace

from console.recording import form, read
from console.recording import player as player_module
from console.recording.app import ReplayApp
from console.recording.form import Moment, Unusable
from console.recording.pack import deflated, encoded
from console.recording.player import Player
from console.recording.read import Reader
from console.recording.session import ReplaySession
from console.recording.write import Recording
from fixes.model import Report
from probes.base import ReplicaId
from probes.loghits import LogLine
from probes.model import TargetState
from screens import messages
from screens.deployment import DeploymentScreen
from tests.console.recording.files import CHECKOUT, at, finding, story, written
from tests.screens import harness
from tests.screens.reports import DOCKER, MIB, NOW


def other_program(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text TEXT)")


def newer(path: Path) -> None:
    written(path, story(2))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=2")


def with_more(sql: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        written(path, story(2))
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(sql)

    return make


def instead(sql: str) -> Callable[[Path], None]:
    """Our marks, another table of the same name."""

    def make(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA application_id={form.APPLICATION}")
            database.execute(f"PRAGMA user_version={form.FORMAT}")
            database.execute(sql)

    return make


def beginning(path: Path) -> None:
    written(path, story(2))
    os.truncate(path, 60)


ENDLESS = (
    "CREATE VIEW moments AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
    "SELECT id, 1.0 * id AS at, 1 AS first, 0 AS events, x'00' AS data FROM n"
)
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "not there": (lambda path: None, "cannot be read: No such file"),
    "a folder": (Path.mkdir, "is no file"),
    "a pipe": (os.mkfifo, "is no file"),
    "empty": (Path.touch, "it is empty"),
    "text": (lambda path: path.write_text("INFO: started\n" * 100), "is no recording"),
    "another program's": (other_program, "a database of another program"),
    "a newer one": (newer, "format 2"),
    "its beginning alone": (beginning, "ends within its first"),
    "no moment": (lambda path: written(path, []), "no moment"),
    "another table": (with_more("CREATE TABLE more (x)"), "other tables"),
    "a trigger": (with_more("CREATE TRIGGER t AFTER INSERT ON moments BEGIN SELECT 1; END"), "other tables"),
    "a view that never ends": (instead(ENDLESS), "other tables"),
    "other columns": (
        instead("CREATE TABLE moments (id INTEGER PRIMARY KEY, at, first, events, data)"),
        "other tables",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_replayed_is_refused_with_one_sentence(kind: str, tmp_path: Path) -> None:
    make, says = BAD[kind]
    path = tmp_path / "a"
    make(path)
    with pytest.raises(Unusable, match=says) as refused:
        Reader(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
def test_a_file_that_was_cut_is_readable_up_to_the_cut(share: float, tmp_path: Path) -> None:
    reports = story(1500)
    path = written(tmp_path / "a", reports)
    os.truncate(path, int(path.stat().st_size * share))
    with contextlib.closing(Reader(path)) as reader:
        assert reader.cut
        seconds = round(reader.last.at - NOW.timestamp())
        assert share - 0.1 < seconds / len(reports) <= share + 0.01
        player = Player(reader)
        for second in (*range(0, seconds, 70), *range(max(0, seconds - 20), seconds + 1)):
            player.go(at(second))
            assert player.report.snapshot.deployments() == reports[second].snapshot.deployments()
            assert any(failure.code == "cut" for failure in player.report.failures)


def test_a_killed_recorder_leaves_what_it_wrote_and_without_the_log_beside_it_all_but_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "CHAPTER_SECONDS", 30.0)
    recording, reports = Recording(tmp_path / "a", 64 * MIB), story(400)
    for one in reports:
        recording.add(one)
    copied = tmp_path / "copied"
    copied.mkdir()
    for one in tmp_path.glob("a*"):  # as they lie there while it still runs
        shutil.copy(one, copied / one.name)
    recording.close()
    with contextlib.closing(Reader(copied / "a")) as reader:
        assert reader.last.at == at(399)
    for more in ("-wal", "-shm"):
        (copied / f"a{more}").unlink()
    with contextlib.closing(Reader(copied / "a")) as reader:
        assert at(360) <= reader.last.at <= at(399)


def test_a_file_in_a_folder_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a", story(3))
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with contextlib.closing(Reader(path)) as reader:
            assert reader.last.at == at(2)
    finally:
        tmp_path.chmod(0o700)


def go_everywhere(path: Path) -> None:
    """Looks at it as a person does; whatever it holds is no exception but the one at the door."""
    reader = None
    with contextlib.suppress(Unusable):
        reader = Reader(path)
    if reader is None:
        return
    with contextlib.closing(reader):
        player = Player(reader)
        for second in (0, 55, 20, 59, 41):
            player.go(at(second))
            player.series(CHECKOUT, "memory-used", 0.0)
            player.lines(CHECKOUT, 0)
            with contextlib.suppress(form.Damaged):
                player.event(at(second), 1)
            assert player.report.snapshot.taken_at is not None


def test_bytes_that_changed_anywhere_are_no_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "CHAPTER_SECONDS", 15.0)
    whole, chance = written(tmp_path / "a", story(60)).read_bytes(), random.Random(11)
    broken = tmp_path / "b"
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 8, 200])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        broken.write_bytes(data)
        go_everywhere(broken)


def forged(path: Path, *rows: tuple[object, ...]) -> Path:
    """A recording with these rows behind its own."""
    written(path, story(30))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executemany("INSERT INTO moments VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    return path


def moment(**parts: object) -> bytes:
    return msgspec.msgpack.encode({"head": deflated(encoded({"targets": {}})), **parts})


@pytest.mark.parametrize(
    "row",
    [
        (31, at(31), 31, 0, b"\xc1"),
        (31, at(31), 31, 0, "text"),
        (31, at(31), 31, 0, moment(head=b"no")),
        (31, at(31), 31, 0, moment(whole={"docker/x": zlib.compress(b"\x00" * (32 << 20))})),
        (31, at(31), 31, 0, moment(whole={"docker/x": deflated(encoded({"deployment": 7}))})),
        (31, at(31), 31, 0, moment(since={"docker/x": b"\x78\x9c"}, gone=["docker/y"])),
        (31, at(31), 5, 0, moment()),
        (31, 9e999, 31, 0, moment()),
        (31, -9e999, 31, 0, moment()),
        (31, "soon", 31, 0, moment()),
        (31, at(31), -5, 0, moment()),
        (31, at(31), 99, 0, moment()),
        ((1 << 62), at(31), 31, 0, moment()),
        ((1 << 39), at(31), 1, 10**18, moment()),
    ],
)
def test_forged_rows_are_no_exception_and_hide_nothing_before_them(row: tuple[object, ...], tmp_path: Path) -> None:
    path = forged(tmp_path / "a", row)
    with contextlib.closing(Reader(path)) as reader:
        player = Player(reader)
        player.go(at(40))
        player.go(at(25))
        assert player.report.snapshot.deployments() == story(30)[25].snapshot.deployments()


def test_a_part_under_another_name_is_left_out_and_said(tmp_path: Path) -> None:
    one = next(d for d in story(1)[0].snapshot.deployments() if d.id == CHECKOUT)
    raw = deflated(encoded(form.Part(one)))
    head = deflated(encoded(form.Head(targets=dict(story(1)[0].snapshot.targets))))
    data = encoded(Moment(head=head, whole={CHECKOUT: raw, one.id + "2": raw}))  # type: ignore[dict-item]
    with contextlib.closing(Reader(forged(tmp_path / "a", (31, at(31), 31, 0, data)))) as reader:
        player = Player(reader)
        player.go(at(31))
        assert [d.id for d in player.report.snapshot.deployments()] == [CHECKOUT]
        assert "1 of its deployments cannot be read" in player.report.failures[0].why


def test_a_chapter_without_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MOST_MOMENTS", 50)
    rows = [(n, at(n), 1, 0, moment()) for n in range(31, 3000)]
    with contextlib.closing(Reader(forged(tmp_path / "a", *rows))) as reader:
        taken = sum(1 for _ in reader.moments(1, 3000))
        assert taken == 50
        began = monotonic()
        Player(reader).go(at(2999))
        assert monotonic() - began < 60


def test_one_question_to_sqlite_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "QUERY_SECONDS", 0.2)
    monkeypatch.setattr(read, "_STEPS", 1000)
    with contextlib.closing(Reader(written(tmp_path / "a", story(2)))) as reader:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        with pytest.raises(form.Damaged, match="interrupted"):
            reader._one(endless)


def test_many_bombs_stay_within_the_bound_of_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MOST_STATE_BYTES", 8 << 20)
    one = next(d for d in story(1)[0].snapshot.deployments() if d.id == CHECKOUT)
    large = replace(one.replicas[0], command=("y" * 3000,) * 1000)
    padded = replace(one, replicas=(large,))
    names = [f"docker/{n}" for n in range(60)]
    parts = {n: deflated(encoded(form.Part(replace(padded, id=n)))) for n in names}  # type: ignore[arg-type]
    head = deflated(encoded(form.Head(targets=dict(story(1)[0].snapshot.targets))))
    path = forged(tmp_path / "a", (31, at(31), 31, 0, encoded(Moment(head=head, whole=parts))))  # type: ignore[arg-type]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.closing(Reader(path)) as reader:
        player = Player(reader)
        player.go(at(31))
        shown = player.report.snapshot.deployments()
    assert 0 < len(shown) < 10
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200


def test_who_leaves_waits_for_nothing_and_a_moment_that_takes_too_long_leaves_deployments_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a", story(3))
    with contextlib.closing(Reader(path)) as reader:
        left = Player(reader, lambda: True)
        left.go(at(2))
        assert left.report.snapshot.deployments() == ()
        monkeypatch.setattr(player_module, "DECODE_SECONDS", 0.0)
        slow = Player(reader)
        slow.go(at(2))
        assert "deployments cannot be read" in slow.report.failures[0].why


NAIVE, BEFORE_ALL = datetime(2026, 3, 1, 12), datetime(1, 1, 1)
"""Times without a zone; the second is none in seconds since the epoch either."""


def with_state(one: Report, state: TargetState) -> Report:
    return replace(one, snapshot=replace(one.snapshot, targets={**one.snapshot.targets, DOCKER: state}))


def replica_time(one: Report, time: datetime) -> Report:
    state = one.snapshot.targets[DOCKER]
    checkout = state.deployments[CHECKOUT]
    started = tuple(replace(replica, started_at=time, sampled_at=time) for replica in checkout.replicas)
    known = {**state.deployments, CHECKOUT: replace(checkout, replicas=started)}
    return with_state(one, replace(state, deployments=known))


def finding_time(one: Report, time: datetime) -> Report:
    return replace(one, findings={CHECKOUT: (replace(finding(CHECKOUT, "made-up", 1), since=time),)})


def link_time(one: Report, time: datetime) -> Report:
    state = one.snapshot.targets[DOCKER]
    return with_state(one, replace(state, as_of=time, link=replace(state.link, since=time)))


@pytest.mark.parametrize("time", [NAIVE, BEFORE_ALL])
@pytest.mark.parametrize("forge", [replica_time, finding_time, link_time])
async def test_a_time_without_its_zone_is_damage_on_every_screen(
    forge: Callable[[Report, datetime], Report], time: datetime, tmp_path: Path
) -> None:
    path = written(tmp_path / "a", [story(1)[0], *(forge(one, time) for one in story(5)[1:])])
    with contextlib.closing(ReplaySession(path, lambda: 0.0)) as session:
        async with ReplayApp(session).run_test(size=(140, 40)) as pilot:
            await harness.until(pilot, lambda: session.report.snapshot.find(CHECKOUT) is not None, 60)
            pilot.app.screen.post_message(messages.DeploymentOpened(CHECKOUT))
            await harness.until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen), 60)
            session.series(CHECKOUT, "memory-used")
            await harness.press(pilot, "full_stop")
            await harness.until(pilot, lambda: any(f.code == "damaged" for f in session.report.failures), 60)
            await harness.press(pilot, "2", "3", "1", "escape", "1", "2")
        assert pilot.app.return_code in {None, 0}
    assert session.ended.result(60) is None


def test_log_lines_of_no_time_are_left_out(tmp_path: Path) -> None:
    lines = [[LogLine(n, ReplicaId("r"), time, f"line {n}")] for n, time in enumerate((NOW, NAIVE, BEFORE_ALL, NOW), 1)]
    with contextlib.closing(Recording(tmp_path / "a", 64 * MIB)) as recording:
        for one, some in zip(story(4), lines, strict=True):
            recording.add(one, {CHECKOUT: some})
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        player = Player(reader)
        player.go(at(3))
        assert [line.text for line in player.lines(CHECKOUT, 0)] == ["line 1", "line 4"]
