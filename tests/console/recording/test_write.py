"""The file that is written: its bound, its rights, what it refuses."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.recording import form
from console.recording.form import Unusable
from console.recording.player import Player
from console.recording.read import Reader
from console.recording.write import Recording
from fixes.model import Report
from probes.base import DeploymentId, Failure, ReplicaId
from probes.loghits import LogLine
from tests.console.recording.files import CHECKOUT, at, later, story, written
from tests.screens.reports import DOCKER, MIB, NOW, report


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("mine")
    with pytest.raises(Unusable, match="replaces nothing"):
        Recording(path, 64 * MIB)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file or directory"):
        Recording(tmp_path / "nowhere" / "a", 64 * MIB)


def test_one_file_is_left_for_its_owner_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a", story(3))
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", [":memory:", "file:a?mode=memory", "file::memory:"])
def test_a_name_that_means_something_else_to_sqlite_is_a_file_like_any_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path(name), story(3))
    assert [one.name for one in tmp_path.iterdir()] == [name]
    with contextlib.closing(Reader(Path(name))) as reader:
        assert reader.last.at == at(2)


def test_beyond_its_bound_the_oldest_is_dropped_and_the_newest_can_be_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "CHAPTER_SECONDS", 5.0)
    chance, reports = random.Random(3), []
    for one in story(60):  # what does not compress
        noise = Failure("noise", "noise", "".join(map(chr, (chance.randrange(33, 127) for _ in range(40_000)))), "")
        reports.append(replace(one, failures=(noise,)))
    recording = Recording(tmp_path / "a", 1 * MIB)
    with contextlib.closing(recording):
        for one in reports:
            recording.add(one)
            assert (tmp_path / "a").stat().st_size <= 1 * MIB
    assert recording.dropped
    assert (tmp_path / "a").stat().st_size <= 1 * MIB
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        assert at(30) < reader.first.at == recording.first_at < reader.last.at == at(59)
        player = Player(reader)
        player.go(at(0))  # before what is kept: the oldest that is
        assert player.report.snapshot.taken_at.timestamp() == reader.first.at
        player.go(at(59))
        assert player.report.snapshot.deployments() == reports[-1].snapshot.deployments()


def noisy(one: Report, count: int, chance: random.Random) -> Report:
    """So many more deployments, each of which takes 2 KiB however it is compressed."""
    state = one.snapshot.targets[DOCKER]
    checkout, first = state.deployments[CHECKOUT], state.deployments[CHECKOUT].replicas[0]
    known = dict(state.deployments)
    for n in range(count):
        replica = replace(first, command=(chance.randbytes(2048).hex(),))
        name = DeploymentId(f"docker/noise{n}")
        known[name] = replace(checkout, id=name, name=name, replicas=(replica,))
    states = {**one.snapshot.targets, DOCKER: replace(state, deployments=known)}
    return replace(one, snapshot=replace(one.snapshot, targets=states))


def test_what_does_not_fit_in_a_moment_is_said_and_follows_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "MOST_ROW_BYTES", 128 << 10)
    large = noisy(story(1)[0], 150, random.Random(5))
    path = written(tmp_path / "a", [later(large, second) for second in range(10)])
    with contextlib.closing(Reader(path)) as reader:
        player = Player(reader)
        player.go(at(0))
        (failure,) = [one for one in player.report.failures if one.code == "not-recorded"]
        shown = len(player.report.snapshot.deployments())
        assert 0 < shown < len(large.snapshot.deployments())
        assert failure.what == f"recording {len(large.snapshot.deployments()) - shown} deployments"
        player.go(at(9))
        assert player.report.snapshot.deployments() == large.snapshot.deployments()
        assert not [one for one in player.report.failures if one.code == "not-recorded"]


def test_a_fleet_that_is_new_in_each_moment_takes_turns_and_keeps_the_file_within_its_bound(tmp_path: Path) -> None:
    chance, recording = random.Random(7), Recording(tmp_path / "a", 1 * MIB)
    base = replace(story(1)[0], failures=())
    lines = [LogLine(n, ReplicaId("r"), NOW, chance.randbytes(1500).hex(), ()) for n in range(200)]
    with contextlib.closing(recording):
        for second in range(30):
            recording.add(noisy(later(base, second), 150, chance), {CHECKOUT: lines})
            assert (tmp_path / "a").stat().st_size <= 1 * MIB
            assert recording.size_bytes <= 1 * MIB
    assert (tmp_path / "a").stat().st_size <= 1 * MIB
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        assert reader.last.at == at(29)
        player, seen = Player(reader), set()
        for second in range(15, 30):
            player.go(at(second))
            seen |= {one.id for one in player.report.snapshot.deployments()}
            assert any(one.what == f"recording the log of {CHECKOUT}" for one in player.report.failures)
        assert len(seen) > 150


def test_a_clock_that_was_set_back_leaves_the_moments_in_order(tmp_path: Path) -> None:
    base = report()
    written(tmp_path / "a", [later(base, 10), later(base, 4), later(base, 5), later(base, 12)])
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        times = [row.at for row, _ in reader.moments(1, 4)]
    assert times == sorted(times)
    assert times[-1] == at(12)


def test_a_deployment_beyond_all_bounds_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MOST_PART_BYTES", 1200)
    with contextlib.closing(Reader(written(tmp_path / "a", story(2)))) as reader:
        player = Player(reader)
        player.go(at(1))
        assert CHECKOUT not in {d.id for d in player.report.snapshot.deployments()}
        assert any(CHECKOUT in failure.what for failure in player.report.failures)


def test_a_full_disk_is_one_sentence_and_what_was_recorded_can_be_replayed(tmp_path: Path) -> None:
    recording, reports = Recording(tmp_path / "a", 64 * MIB), story(2000)
    recording._database.execute("PRAGMA max_page_count=30")  # what SQLite says is the same

    def add_all() -> None:
        for one in reports:
            recording.add(one)

    with contextlib.closing(recording), pytest.raises(Unusable, match="takes no more: database or disk is full"):
        add_all()
    written_until = recording.last_at
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        assert reader.last.at == written_until > at(50)
