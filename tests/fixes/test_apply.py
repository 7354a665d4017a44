"""Changes are in force as a whole or not at all, whatever fails, is cancelled or crashes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.apply import KEPT_UNDOS, Fixer
from fixes.journal import Journal
from fixes.model import ChangeId
from fixes.plan import redraft
from probes.base import DeploymentId
from probes.intent import RestorePoint
from probes.target import ReadOnly, Refused
from tests.fixes.fake import Crash, World, deployment, plan_of, remedy

TEXTS = {"file:/a.yaml": "a: 1\n", "file:/b.yaml": "b: 2\n", "file:/c.yaml": "secret: hunter2-and-more\n"}


def quiet(_said: str) -> None:
    """Nobody watches."""


def fixer(world: World, folder: Path) -> Fixer:
    return Fixer(Journal(folder / "journal"), lambda _id: world)


def points_of_a_fix(folder: Path) -> list[str]:
    """The names of all places where a fix can be hit, in order."""
    seen: list[str] = []
    world = World(TEXTS)
    world.hook = seen.append

    async def go() -> None:
        await fixer(world, folder).apply(await plan_of(world), quiet)

    asyncio.run(go())
    return seen


async def test_a_fix_is_applied_step_by_step_and_undone_to_the_very_bytes(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    said: list[str] = []
    entry = await engine.apply(plan, said.append)
    assert entry.state == "applied"
    assert all(text.endswith("limit: 1g\n") for text in world.texts.values())
    assert world.restarts == 1
    assert [s.state for s in entry.steps] == ["done"] * 4
    assert "write file:/a.yaml" in said
    undone = await engine.undo(None, quiet)
    assert undone.id == plan.id
    assert undone.state == "undone"
    assert world.texts == TEXTS
    with pytest.raises(Refused, match="no change that could be undone"):
        await engine.undo(None, quiet)


@given(texts=st.dictionaries(st.text("abc/", min_size=1, max_size=6), st.text(max_size=60), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_undo_after_apply_is_the_identity_for_any_documents(texts: dict[str, str]) -> None:
    async def go(folder: Path) -> None:
        world = World(texts)
        engine = fixer(world, folder)
        entry = await engine.apply(await plan_of(world), quiet)
        assert entry.state == "applied", entry.why
        assert world.texts != texts
        await engine.undo(entry.id, quiet)
        assert world.texts == texts

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(go(Path(folder)))


@pytest.mark.parametrize("error", [Refused("the engine said no"), OSError("gone"), RuntimeError("a defect")])
@pytest.mark.parametrize("where", range(11))
async def test_a_step_that_fails_takes_the_earlier_ones_back(tmp_path: Path, error: Exception, where: int) -> None:
    at = points_of_a_fix_cached(tmp_path)[where]
    world = World(TEXTS)

    def hook(point: str) -> None:
        if point == at:
            raise error

    world.hook = hook
    entry = await fixer(world, tmp_path).apply(await plan_of(world), quiet)
    assert entry.state == "failed"
    assert str(error) in (entry.why or "")
    assert world.texts == TEXTS
    assert Journal(tmp_path / "journal").pending() == ()


def points_of_a_fix_cached(_tmp: Path) -> list[str]:
    names = sorted(TEXTS)
    steps = [f"{what} {name}" for name in names for what in ("begin", "kept", "end")]
    return [*steps, "begin c1", "end c1"]


def test_the_list_of_places_is_what_a_fix_passes(tmp_path: Path) -> None:
    # Run in a thread of its own: pytest-asyncio may hold a loop here.
    assert points_of_a_fix(tmp_path) == points_of_a_fix_cached(tmp_path)


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("where", range(11))
@pytest.mark.parametrize("resumable", [True, False])
async def test_after_a_crash_at_any_place_the_change_is_named_and_ended(
    tmp_path: Path, where: int, finish: bool, resumable: bool
) -> None:
    world, journal = World(TEXTS, resumable=resumable), Journal(tmp_path / "journal")
    engine = Fixer(journal, lambda _id: world)
    plan = await plan_of(world)
    await crash(engine, world, plan, points_of_a_fix_cached(tmp_path)[where])
    assert [e.id for e in journal.pending()] == [plan.id]
    with pytest.raises(Refused, match="was interrupted"):
        await engine.apply(await plan_of(World(TEXTS)), quiet)
    if finish:
        entry = journal.read(plan.id)
        assert entry is not None

        async def again() -> object:
            return await redraft(entry, deployment(), remedy(), world)

        try:
            ended = await engine.resume(plan.id, finish=True, progress=quiet, redraft=again)
        except Refused:
            # Written, but not journalled, by a writer that cannot complete without the text: only the way back is left.
            assert not resumable
            assert points_of_a_fix_cached(tmp_path)[where].startswith("end file")
            ended = await engine.resume(plan.id, finish=False, progress=quiet)
            assert ended.state == "undone"
            assert world.texts == TEXTS
            return
        assert ended.state == "applied"
        assert all(text.endswith("limit: 1g\n") and text.count("limit") == 1 for text in world.texts.values())
        await engine.undo(plan.id, quiet)
    else:
        ended = await engine.resume(plan.id, finish=False, progress=quiet)
        assert ended.state == "undone"
    assert world.texts == TEXTS
    assert journal.pending() == ()


async def crash(engine: Fixer, world: World, plan: object, at: str) -> None:
    def hook(point: str) -> None:
        if point == at:
            raise Crash

    world.hook = hook
    with pytest.raises(Crash):
        await engine.apply(plan, quiet)  # type: ignore[arg-type]
    world.hook = quiet


@pytest.mark.parametrize("at", [f"{what} file:/{name}.yaml" for name in "abc" for what in ("restore", "restored")])
@pytest.mark.parametrize("finish", [True, False])
async def test_an_undo_that_crashed_is_named_and_can_be_ended(tmp_path: Path, at: str, finish: bool) -> None:
    world, journal = World(TEXTS), Journal(tmp_path / "journal")
    engine = Fixer(journal, lambda _id: world)
    entry = await engine.apply(await plan_of(world), quiet)

    def hook(point: str) -> None:
        if point == at:
            raise Crash

    world.hook = hook
    with pytest.raises(Crash):
        await engine.undo(entry.id, quiet)
    world.hook = quiet
    assert [e.state for e in journal.pending()] == ["undoing"]
    ended = await engine.resume(entry.id, finish=finish, progress=quiet)
    assert ended.state == "undone"
    assert world.texts == TEXTS


async def test_an_undo_that_would_be_refused_touches_nothing_and_is_possible_later(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    entry = await engine.apply(await plan_of(world), quiet)
    left = dict(world.texts)
    world.texts["file:/a.yaml"] = "a: 3\n"
    touched = dict(world.texts)
    with pytest.raises(Refused, match=r"file:/a\.yaml was changed by somebody else"):
        await engine.undo(entry.id, quiet)
    assert world.texts == touched
    assert engine.journal.read(entry.id) == entry
    assert engine.journal.pending() == ()
    world.texts.update(left)
    assert (await engine.undo(entry.id, quiet)).state == "undone"
    assert world.texts == TEXTS


async def test_an_undo_below_a_change_of_the_same_file_for_another_service_is_refused_before_it_is_confirmed(
    tmp_path: Path,
) -> None:
    world = World({"file:/compose.yaml": "a: 1\n"})
    engine = fixer(world, tmp_path)
    first = await engine.apply(await plan_of(world), quiet)
    world.texts["file:/compose.yaml"] += "web: 1\n"
    changed = dict(world.texts)
    engine.journal.write(replace(first, id=ChangeId(f"{first.id}z"), deployment=DeploymentId("docker/web")))
    for ask in (engine.check_undo(first.id), engine.undo(first.id, quiet)):
        with pytest.raises(Refused) as refused:
            await ask
        assert str(refused.value) == (
            f"file:/compose.yaml was changed by somebody else. Nothing was taken back: all that {first.id} changed "
            f"stays in force; undo the newer changes first: {first.id}z of docker/web."
        )
    assert world.texts == changed


async def test_an_undo_that_would_be_done_is_told_by_looking_alone(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    entry = await engine.apply(await plan_of(world), quiet)
    left = dict(world.texts)
    await engine.check_undo(entry.id)
    assert world.texts == left
    assert engine.journal.read(entry.id) == entry
    await engine.undo(entry.id, quiet)
    with pytest.raises(Refused, match="not in force: it is undone"):
        await engine.check_undo(entry.id)


async def test_an_undo_of_what_cannot_be_read_touches_nothing(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    entry = await engine.apply(await plan_of(world), quiet)
    left = dict(world.texts)

    def hook(point: str) -> None:
        if point == "check file:/a.yaml":
            raise OSError("the engine is gone")

    world.hook = hook
    with pytest.raises(Refused, match="could not be told whether it can be taken back: the engine is gone"):
        await engine.undo(entry.id, quiet)
    assert world.texts == left
    assert engine.journal.read(entry.id) == entry


async def test_an_undo_that_is_refused_half_way_stays_open_and_says_how_it_is_ended(tmp_path: Path) -> None:
    world = World({"file:/a.yaml": "a: 1\n"})
    engine = fixer(world, tmp_path)
    entry = await engine.apply(await plan_of(world), quiet)

    def hook(point: str) -> None:
        if point == "restore c1":  # all was checked by then
            world.texts["file:/a.yaml"] = "a: 3\n"

    world.hook = hook
    undone = await engine.undo(entry.id, quiet)
    assert undone.state == "undoing"
    assert f"The undo is incomplete: `fastops resume {entry.id} --take-back` ends it" in (undone.why or "")
    # The restart counts as taken back, so the undo stays open.
    assert [e.id for e in engine.journal.pending()] == [entry.id]
    ended = await engine.resume(entry.id, finish=False, progress=quiet)
    assert ended.state == "undone"
    assert "'write file:/a.yaml' was not taken back" in (ended.why or "")
    assert world.texts == {"file:/a.yaml": "a: 3\n"}
    assert engine.journal.pending() == ()


async def test_a_plan_made_before_somebody_else_changed_the_document_is_refused(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    world.texts["file:/b.yaml"] = "b: 3\n"

    async def current() -> object:
        return await redraft(plan, deployment(), remedy(), world)

    with pytest.raises(Refused, match="changed since the diff was made"):
        await engine.apply(plan, quiet, current)
    assert world.writes == 0
    assert engine.journal.entries() == ()


async def test_cancelling_takes_back_what_was_done_and_is_still_a_cancellation(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    reached = asyncio.Event()
    perform = world.perform

    async def slow(step, change, progress):
        if step.subject == "file:/b.yaml":
            reached.set()
            await asyncio.Event().wait()
        return await perform(step, change, progress)

    world.perform = slow
    task = asyncio.create_task(engine.apply(plan, quiet))
    async with asyncio.timeout(10):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.texts == TEXTS
    entry = engine.journal.read(plan.id)
    assert entry is not None
    assert entry.state == "failed"
    assert "cancelled" in (entry.why or "")


async def test_cancelling_twice_does_not_stop_the_way_back(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    performing, restoring, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    perform, restore = world.perform, world.restore

    async def slow_perform(step, change, progress):
        if step.subject == "file:/c.yaml":
            performing.set()
            await asyncio.Event().wait()
        return await perform(step, change, progress)

    async def slow_restore(point, change, progress):
        restoring.set()
        await go_on.wait()
        await restore(point, change, progress)

    world.perform, world.restore = slow_perform, slow_restore
    task = asyncio.create_task(engine.apply(plan, quiet))
    async with asyncio.timeout(10):
        await performing.wait()
        task.cancel()
        await restoring.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert world.texts == TEXTS
    assert engine.journal.pending() == ()


async def test_a_way_back_that_fails_leaves_the_change_open(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)

    def hook(point: str) -> None:
        if point in {"begin file:/c.yaml", "restore file:/a.yaml"}:
            raise OSError("the disk is gone")

    world.hook = hook
    entry = await engine.apply(await plan_of(world), quiet)
    assert entry.state == "applying"
    assert "could not be taken back" in (entry.why or "")
    assert [e.id for e in engine.journal.pending()] == [entry.id]
    world.hook = quiet
    ended = await engine.resume(entry.id, finish=False, progress=quiet)
    assert ended.state == "undone"
    assert world.texts == TEXTS


async def test_a_refusal_that_cannot_be_taken_back_leaves_the_change_open(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)

    def hook(point: str) -> None:
        if point in {"end file:/b.yaml", "abandon file:/b.yaml"}:
            raise Refused("it cannot be put back now")

    world.hook = hook
    entry = await engine.apply(await plan_of(world), quiet)
    assert entry.state == "applying"
    assert f"`fastops resume {entry.id} --take-back`" in (entry.why or "")
    assert [done.state for done in entry.steps] == ["restored", "begun", "pending", "pending"]
    assert [e.id for e in engine.journal.pending()] == [entry.id]
    world.hook = quiet
    assert (await engine.resume(entry.id, finish=False, progress=quiet)).state == "undone"
    assert world.texts == TEXTS


@pytest.mark.parametrize("resumable", [True, False])
async def test_finishing_that_is_refused_takes_back_what_the_interrupted_attempt_left(
    tmp_path: Path, resumable: bool
) -> None:
    world = World(TEXTS, resumable=resumable)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    await crash(engine, world, plan, "end file:/b.yaml")
    left = dict(world.texts)

    def hook(point: str) -> None:
        if point == "begin file:/b.yaml":
            raise Refused("it was restarted since")

    world.hook = hook
    if not resumable:  # nothing is begun without the text, so nothing is taken back either
        with pytest.raises(Refused, match="can be taken back"):
            await engine.resume(plan.id, finish=True, progress=quiet)
        assert world.texts == left
        assert [e.id for e in engine.journal.pending()] == [plan.id]
        return
    ended = await engine.resume(plan.id, finish=True, progress=quiet)
    assert ended.state == "failed"
    assert "restarted since" in (ended.why or "")
    assert world.texts == TEXTS


async def test_taking_back_leaves_and_names_what_somebody_else_changed_since(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    await crash(engine, world, plan, "begin file:/c.yaml")
    world.texts["file:/a.yaml"] = "mine\n"
    ended = await engine.resume(plan.id, finish=False, progress=quiet)
    assert ended.state == "undone"
    assert "'write file:/a.yaml' was not taken back" in (ended.why or "")
    assert world.texts == {**TEXTS, "file:/a.yaml": "mine\n"}
    assert engine.journal.pending() == ()


async def test_a_change_cannot_be_finished_with_another_text_than_was_shown(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    plan = await plan_of(world)
    await crash(engine, world, plan, "begin file:/b.yaml")
    world.texts["file:/c.yaml"] = "somebody: else\n"

    async def again() -> object:
        return await redraft(plan, deployment(), remedy(), world)

    with pytest.raises(Refused, match="cannot be finished"):
        await engine.resume(plan.id, finish=True, progress=quiet, redraft=again)
    assert [e.id for e in engine.journal.pending()] == [plan.id]


async def test_a_read_only_session_gets_no_writer_and_leaves_no_trace(tmp_path: Path) -> None:
    def refuse(_id: object) -> World:
        raise ReadOnly("read-only")

    world = World(TEXTS)
    engine = Fixer(Journal(tmp_path / "journal"), refuse)
    with pytest.raises(ReadOnly):
        await engine.apply(await plan_of(world), quiet)
    assert not (tmp_path / "journal").exists()


async def test_evidence_is_saved_before_the_first_step_and_a_fix_goes_on_without_it(tmp_path: Path) -> None:
    world = World(TEXTS)
    seen: list[str] = []
    world.hook = seen.append

    async def preserve(_id: object) -> dict[str, bytes]:
        assert seen == []
        return {"logs.txt": b"Worker (pid:7) was sent SIGKILL!\npassword=hunter2\n"}

    engine = Fixer(Journal(tmp_path / "journal"), lambda _id: world, preserve)
    entry = await engine.apply(await plan_of(world), quiet)
    assert entry.evidence is not None
    saved = (Path(entry.evidence) / "logs.txt").read_text()
    assert "SIGKILL" in saved
    assert "hunter2" not in saved

    async def broken(_id: object) -> dict[str, bytes]:
        raise OSError("no such container")

    said: list[str] = []
    other = World(TEXTS)
    engine = Fixer(Journal(tmp_path / "journal"), lambda _id: other, broken)
    entry = await engine.apply(await plan_of(other), said.append)
    assert entry.state == "applied"
    assert entry.evidence is None
    assert any("evidence could not be saved" in one for one in said)


async def test_what_old_changes_keep_for_their_undo_is_removed(tmp_path: Path) -> None:
    world = World({"file:/a.yaml": ""})
    engine = fixer(world, tmp_path)
    made = []
    for _ in range(KEPT_UNDOS + 2):
        world.texts["file:/a.yaml"] = f"{world.texts['file:/a.yaml'].replace('limit: 1g', 'limit: 0')}"
        entry = await engine.apply(await plan_of(world), quiet)
        assert entry.state == "applied", entry.why
        made.append(entry.id)
    undoable = [e.id for e in engine.journal.entries() if e.steps[0].point is not None]
    assert len(undoable) == KEPT_UNDOS
    assert len(world.backups) == KEPT_UNDOS


async def test_what_a_writer_will_not_remove_is_told_and_stays_undoable(tmp_path: Path) -> None:
    class Keeper(World):
        async def discard(self, point: RestorePoint) -> None:
            raise Refused("Files stay in it.")

    world = Keeper({"file:/a.yaml": ""})
    engine = fixer(world, tmp_path)
    said: list[str] = []
    for _ in range(KEPT_UNDOS + 1):
        world.texts["file:/a.yaml"] = world.texts["file:/a.yaml"].replace("limit: 1g", "limit: 0")
        assert (await engine.apply(await plan_of(world), said.append)).state == "applied"
    assert said.count("Files stay in it.") == 1
    assert all(done.point is not None for entry in engine.journal.entries() for done in entry.steps)


async def test_a_change_below_a_later_one_is_not_undone_first(tmp_path: Path) -> None:
    world = World({"file:/a.yaml": "a\n"})
    engine = fixer(world, tmp_path)
    first = await engine.apply(await plan_of(world), quiet)
    world.texts["file:/a.yaml"] = "b\n"
    second = await engine.apply(await plan_of(world), quiet)
    older, newer = sorted([first.id, second.id])
    with pytest.raises(Refused, match=f"A later change, {newer}"):
        await engine.undo(older, quiet)


async def test_no_text_of_a_document_enters_the_journal(tmp_path: Path) -> None:
    world = World(TEXTS)
    entry = await fixer(world, tmp_path).apply(await plan_of(world), quiet)
    stored = (tmp_path / "journal" / f"{entry.id}.json").read_text()
    assert "hunter2" not in stored
    assert all(not done.step.before.text and not done.step.after.text for done in entry.steps)


async def test_verification_is_recorded_with_the_change(tmp_path: Path) -> None:
    engine = fixer(World(TEXTS), tmp_path)
    world = World(TEXTS)
    engine = fixer(world, tmp_path)
    entry = await engine.apply(await plan_of(world), quiet)
    engine.record(entry.id, "untested", "Nobody used the service")
    again = engine.journal.read(entry.id)
    assert again is not None
    assert (again.state, again.verified, again.why) == ("applied", "untested", "Nobody used the service")


async def test_what_verification_found_is_not_written_over_what_another_program_does_meanwhile(tmp_path: Path) -> None:
    world = World(TEXTS)
    engine, other = fixer(world, tmp_path), Fixer(Journal(tmp_path / "journal"), lambda _id: world)
    entry = await engine.apply(await plan_of(world), quiet)
    restored, go_on = asyncio.Event(), asyncio.Event()
    restore = world.restore

    async def slow(point, change, progress):
        restored.set()
        await go_on.wait()
        await restore(point, change, progress)

    world.restore = slow
    undo = asyncio.create_task(other.undo(entry.id, quiet))
    async with asyncio.timeout(10):
        await restored.wait()
        with pytest.raises(Refused, match="being changed by another fastops"):
            engine.record(entry.id, "gone")
        go_on.set()
        undone = await undo
    assert engine.record(entry.id, "gone", "It is gone") == engine.journal.read(entry.id)
    again = engine.journal.read(entry.id)
    assert again is not None
    assert (again.state, again.verified, again.why) == (undone.state, None, None)
