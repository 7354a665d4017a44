"""What is replayed is what was recorded, at whatever time one looks and in whatever order."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from console.recording import form
from console.recording.player import Player
from console.recording.read import Reader
from console.recording.write import Recording
from fixes.model import Report
from probes.base import DeploymentId, ReplicaId
from probes.loghits import LogLine
from tests.console.recording.files import CHECKOUT, at, finding, later, story, using, written
from tests.screens.reports import DOCKER, MIB, NOW, report

BASE = report()
NAMES = tuple(BASE.snapshot.targets[DOCKER].deployments)
steps = st.lists(
    st.tuples(
        st.sampled_from(["use", "drop", "find", "clear", "nothing"]), st.sampled_from(NAMES), st.integers(1, 900)
    ),
    min_size=1,
    max_size=25,
)


def stepped(of: Report, step: tuple[str, DeploymentId, int]) -> Report:
    """What is so after one step."""
    kind, name, number = step
    state = of.snapshot.targets[DOCKER]
    if kind == "drop":
        rest = {d: one for d, one in state.deployments.items() if d != name}
        states = {**of.snapshot.targets, DOCKER: replace(state, deployments=rest)}
        return replace(
            of,
            snapshot=replace(of.snapshot, targets=states),
            findings={d: f for d, f in of.findings.items() if d != name},
            undecided={d: f for d, f in of.undecided.items() if d != name},
        )
    if name not in state.deployments:  # it comes back
        deployments = {**state.deployments, name: BASE.snapshot.targets[DOCKER].deployments[name]}
        states = {**of.snapshot.targets, DOCKER: replace(state, deployments=deployments)}
        return replace(of, snapshot=replace(of.snapshot, targets=states))
    if kind == "use":
        return using(of, name, number * MIB)
    if kind == "find":
        return replace(of, findings={**of.findings, name: (finding(name, "made-up", number),)})
    if kind == "clear":
        return replace(of, findings={d: f for d, f in of.findings.items() if d != name})
    return of


def same(shown: Report, was: Report) -> None:
    """Everything that a screen shows."""
    assert shown.snapshot.taken_at == was.snapshot.taken_at
    assert shown.snapshot.deployments() == was.snapshot.deployments()
    assert {t: s.link for t, s in shown.snapshot.targets.items()} == {
        t: s.link for t, s in was.snapshot.targets.items()
    }
    assert shown.findings == {d: f for d, f in was.findings.items() if f}
    assert shown.undecided == {d: f for d, f in was.undecided.items() if f}
    assert shown.failures == was.failures


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.data())
def test_every_moment_comes_back_as_it_was_in_any_order(
    story: list[tuple[str, DeploymentId, int]], data: st.DataObject
) -> None:
    reports = [BASE]
    for second, step in enumerate(story, 1):
        reports.append(stepped(later(reports[-1], second), step))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(form, "CHAPTER_SECONDS", 6.0)
        path = written(Path(folder) / "a", reports)
        with contextlib.closing(Reader(path)) as reader:
            player = Player(reader)
            for second in data.draw(st.lists(st.integers(0, len(reports) - 1), min_size=1, max_size=20)):
                player.go(at(second + 0.5))
                same(player.report, reports[second])


def test_what_does_not_change_stays_the_very_same_object(tmp_path: Path) -> None:
    with contextlib.closing(Reader(written(tmp_path / "a", story(10)))) as reader:
        player = Player(reader)
        player.go(at(3))
        before = player.report.snapshot.targets[DOCKER].deployments
        player.go(at(4))
        after = player.report.snapshot.targets[DOCKER].deployments
    assert [d for d in after if after[d] is not before[d]] == [CHECKOUT]


def test_series_reach_up_to_the_moment_and_across_chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "CHAPTER_SECONDS", 7.0)
    with contextlib.closing(Reader(written(tmp_path / "a", story(40)))) as reader:
        player = Player(reader)
        for second in (30, 10, 25):
            player.go(at(second))
            (points,) = player.series(CHECKOUT, "memory-used", 0.0).values()
            assert [p.value for p in points] == [(100 + n) * MIB for n in range(second + 1)]
        for second in range(26, 40):  # as it is played
            player.go(at(second))
            (points,) = player.series(CHECKOUT, "memory-used", 0.0).values()
            assert [p.value for p in points] == [(100 + n) * MIB for n in range(second + 1)]


def test_log_lines_are_there_up_to_the_moment(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a", 64 * MIB)
    with contextlib.closing(recording):
        for second, one in enumerate(story(10), 1):
            line = LogLine(second, ReplicaId("c-checkout"), NOW, f"line {second}", ())
            recording.add(one, {CHECKOUT: [line]})
    with contextlib.closing(Reader(tmp_path / "a")) as reader:
        player = Player(reader)
        player.go(at(4))
        assert [line.text for line in player.lines(CHECKOUT, 2)] == ["line 3", "line 4", "line 5"]
        player.go(at(1))
        assert [line.text for line in player.lines(CHECKOUT, 0)] == ["line 1", "line 2"]


def test_the_moments_in_which_something_opened_or_closed_are_found(tmp_path: Path) -> None:
    with contextlib.closing(Reader(written(tmp_path / "a", story(60)))) as reader:
        player = Player(reader)
        assert player.event(at(0), 1) == at(20)
        assert player.event(at(20), 1) == at(40)
        assert player.event(at(40), 1) is None
        assert player.event(at(40), -1) == at(20)
