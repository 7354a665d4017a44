"""Limits, files and restarts: performed once, and taken back only where nobody else was there since."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.apply import Fixer
from fixes.journal import Journal
from fixes.plan import make_plan
from probes.intent import Desired, Document, Restart, Step
from probes.target import ReadOnly, Refused
from probes.targets.docker.atomic import FileWriter, read_text
from probes.targets.docker.client import EngineClient
from probes.targets.docker.documents import version_of
from probes.targets.docker.draft import DockerDrafter
from probes.targets.docker.write import DockerWriter
from probes.transport import Endpoint
from tests.fixes import fake
from tests.probes.docker.workshop import Workshop, answers, free_port, published, workshop

__all__ = ["workshop"]
CHANGE = "20261122-write"
MIB = 1 << 20


def perform(workshop: Workshop, step: Step):
    return workshop.write(lambda w: w.perform(step, CHANGE, workshop.said.append))


def restore(workshop: Workshop, point) -> None:
    workshop.write(lambda w: w.restore(point, CHANGE, workshop.said.append))


def limits(workshop: Workshop, name: str) -> tuple[int, int]:
    host = workshop.inspect(name)["HostConfig"]
    return host["Memory"] // MIB, host["MemorySwap"] // MIB


# Memory, on the container as it is


def test_a_memory_limit_is_raised_on_the_running_container_and_taken_back(workshop: Workshop):
    name = workshop.run("memory", HostConfig={"Memory": 256 * MIB})
    there = workshop.inspect(name)
    (step,) = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=1024 * MIB))
    assert step.action == "update"
    assert step.summary == f"docker update --memory 1g --memory-swap 1280m {name}"
    assert "  Memory: 1073741824   # 1 GiB\n" in step.after.text
    point = perform(workshop, step)
    assert limits(workshop, name) == (1024, 1280), "what may be swapped beside it is what it was"
    assert point.left == step.after.version
    workshop.write(lambda w: w.check(point, CHANGE))
    assert limits(workshop, name) == (1024, 1280), "to look is not to change"
    assert perform(workshop, step) == point
    assert workshop.inspect(name)["State"]["StartedAt"] == there["State"]["StartedAt"]
    assert workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=1024 * MIB)) == []
    restore(workshop, point)
    assert limits(workshop, name) == (256, 512)
    restore(workshop, point)


def test_a_first_memory_limit_is_set_and_taken_back_to_none(workshop: Workshop):
    name = workshop.run("unlimited")
    before = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=256 * MIB))[0].before
    (step,) = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=256 * MIB))
    point = perform(workshop, step)
    assert limits(workshop, name) == (256, 512)
    restore(workshop, point)
    (again,) = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=256 * MIB))
    assert again.before.text == before.text, "no limit is no limit, however the engine has to write it down"
    workshop.sdk.restart(name, timeout=0)
    assert workshop.inspect(name)["State"]["Running"]


def test_memory_that_is_in_use_or_that_the_machine_has_not_is_refused(workshop: Workshop):
    name = workshop.run(
        "used",
        command=["python3", "-c", "x=bytearray(90<<20); print('ready', flush=True); import time; time.sleep(300)"],
        HostConfig={"Memory": 256 * MIB},
    )
    deadline = time.monotonic() + 20
    while b"ready" not in workshop.sdk.logs(name) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(Refused, match="more than 90 % of 96 MiB"):
        workshop.draft(workshop.deployment(name, ports=()), Desired(memory_limit_bytes=96 * MIB))
    with pytest.raises(Refused, match="more memory than the machine has"):
        workshop.draft(workshop.deployment(name, ports=()), Desired(memory_limit_bytes=1 << 50))
    (step,) = workshop.draft(workshop.deployment(name, ports=()), Desired(memory_limit_bytes=512 * MIB))
    point = replace(
        perform(workshop, step), data={"values": {}, "former": {"Memory": 95 * MIB, "MemorySwap": 95 * MIB}}
    )
    with pytest.raises(Refused, match="the kernel would kill it"):
        restore(workshop, point)
    assert limits(workshop, name)[0] == 512


def test_limits_that_somebody_else_changed_are_left_alone(workshop: Workshop):
    name = workshop.run("else", HostConfig={"Memory": 256 * MIB})
    (step,) = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=512 * MIB))
    point = perform(workshop, step)
    workshop.sdk.update_container(name, mem_limit=600 * MIB, memswap_limit=700 * MIB)
    check = lambda: workshop.write(lambda w: w.check(point, CHANGE))  # noqa: E731 - one of the calls below
    for call in (check, lambda: restore(workshop, point), lambda: perform(workshop, step)):
        with pytest.raises(Refused, match="was changed since"):
            call()
    assert limits(workshop, name) == (600, 700)


def test_an_interrupted_update_is_abandoned(workshop: Workshop):
    name = workshop.run("half", HostConfig={"Memory": 256 * MIB})
    (step,) = workshop.draft(workshop.deployment(name), Desired(memory_limit_bytes=512 * MIB))
    for _ in range(2):
        workshop.write(lambda w: w.abandon(step, CHANGE, workshop.said.append))
        assert limits(workshop, name) == (256, 512)
        perform(workshop, step)
    workshop.write(lambda w: w.abandon(step, CHANGE, workshop.said.append))
    assert limits(workshop, name) == (256, 512)


def test_a_container_that_died_of_its_limit_is_started_with_the_new_one(workshop: Workshop):
    name = workshop.run(
        "oom",
        command=["python3", "-c", "x=bytearray(60<<20); import time; time.sleep(300)"],
        HostConfig={"Memory": 24 * MIB, "MemorySwap": 24 * MIB},
    )
    workshop.sdk.wait(name)
    update, start = workshop.draft(workshop.deployment(name, ports=()), Desired(memory_limit_bytes=256 * MIB))
    assert start.summary == f"start {name}"
    perform(workshop, update)
    perform(workshop, start)
    assert workshop.inspect(name)["State"]["Running"]


# Restarts


def test_replicas_are_restarted_one_after_the_other_and_once(workshop: Workshop):
    ports = [free_port(), free_port()]
    names = [workshop.run("many", HostConfig=published(port)) for port in ports]
    assert all(answers(port) for port in ports)
    steps = workshop.draft(workshop.deployment(*names), Restart())
    assert [step.summary for step in steps] == [f"restart {name}" for name in names]
    assert all(step.restarts and step.arguments["answers"] == [8000] for step in steps)
    before = workshop.inspect(names[0])["State"]["StartedAt"]
    point = perform(workshop, steps[0])
    started = workshop.inspect(names[0])["State"]["StartedAt"]
    assert started != before
    assert answers(ports[0])
    perform(workshop, steps[0])
    assert workshop.inspect(names[0])["State"]["StartedAt"] == started
    restore(workshop, point)
    workshop.sdk.stop(names[1], timeout=0)
    workshop.write(lambda w: w.abandon(steps[1], CHANGE, workshop.said.append))
    assert workshop.inspect(names[1])["State"]["Running"]


# Compose's file and the container in one plan


def test_the_file_comes_first_and_both_are_shown(workshop: Workshop, tmp_path: Path):
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web:\n    image: shop   # ours\n    mem_limit: 256m\n")
    labels = {
        "com.docker.compose.project.config_files": str(file),
        "com.docker.compose.project.working_dir": str(tmp_path),
        "com.docker.compose.service": "web",
        "com.docker.compose.project": "shop",
    }
    names = [workshop.run("web", Labels=labels, HostConfig={"Memory": 256 * MIB}) for _ in range(2)]
    deployment = workshop.deployment(*names)
    steps = workshop.draft(deployment, Desired(memory_limit_bytes=512 * MIB))
    assert [step.action for step in steps] == ["write-file", "update", "update"]
    assert steps[0].after.text == file.read_text().replace("256m", "512m")
    points = [perform(workshop, step) for step in steps]
    assert "mem_limit: 512m" in file.read_text()
    assert workshop.draft(deployment, Desired(memory_limit_bytes=512 * MIB)) == []
    for point in reversed(points):
        restore(workshop, point)
    assert "mem_limit: 256m" in file.read_text()
    assert sorted(tmp_path.iterdir()) == [file]
    file.write_text(file.read_text().replace("256m", "${MEM}"))
    steps = workshop.draft(deployment, Desired(memory_limit_bytes=512 * MIB))
    assert [step.action for step in steps] == ["update", "update"]
    assert "made from variables" in steps[0].arguments["notes"][0]


def test_an_undo_is_refused_as_a_whole_where_the_file_was_edited_since(workshop: Workshop, tmp_path: Path):
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web:\n    image: shop\n")
    labels = {
        "com.docker.compose.project.config_files": str(file),
        "com.docker.compose.project.working_dir": str(tmp_path),
        "com.docker.compose.service": "web",
        "com.docker.compose.project": "shop",
    }
    name = workshop.run("edited", command=["sleep", "300"], Labels=labels)
    raise_limit = fake.remedy(intend=lambda _d, _f, _v: Desired(open_files_limit=4096))
    sick = workshop.deployment(name, ports=())
    sick = replace(sick, capabilities=fake.EVERYTHING)
    before, old = file.read_text(), workshop.inspect(name)["Id"]

    async def fix_and_undo(client: EngineClient) -> None:
        writer = DockerWriter(client, settle_seconds=0.5)
        fixer = Fixer(Journal(tmp_path / "journal"), lambda _id: writer)
        plan = await make_plan(sick, fake.finding(deployment=sick.id), raise_limit, {}, DockerDrafter(client))
        assert [step.action for step in plan.steps] == ["write-file", "recreate"]
        entry = await fixer.apply(plan, workshop.said.append)
        assert entry.state == "applied", entry.why
        fixed, containers = file.read_text(), workshop.named(name)
        file.write_text(f"# mine\n{fixed}")
        with pytest.raises(Refused, match="was changed since"):
            await fixer.undo(entry.id, workshop.said.append)
        assert workshop.inspect(name)["Id"] != old, "the fixed container was not touched"
        assert workshop.named(name) == containers
        assert [one.state for one in fixer.journal.entries()] == ["applied"]
        file.write_text(fixed)
        assert (await fixer.undo(entry.id, workshop.said.append)).state == "undone"

    workshop.call(fix_and_undo)
    assert workshop.inspect(name)["Id"] == old
    assert file.read_text() == before


# Files


def file_step(path: Path, after: str) -> Step:
    def document(said: str) -> Document:
        return Document(id=f"file:{path}", kind="compose", title=str(path), text=said, version=version_of(said))

    return Step("write-file", f"write {path}", document(read_text(str(path))), document(after), str(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file behind a link, with a mode of its own and CRLF line ends."""
    real = tmp_path / "real.yaml"
    real.write_bytes(b"a: 1\r\nb: \xc3\xa9\r\n")
    real.chmod(0o640)
    link = tmp_path / "compose.yaml"
    link.symlink_to(real)
    return link


def test_a_file_is_written_whole_its_mode_and_link_kept_and_put_back_by_bytes(file: Path, tmp_path: Path):
    before, real = file.read_bytes(), tmp_path / "real.yaml"
    point = FileWriter().perform(step := file_step(file, "a: 2\r\nb: é\r\n"), CHANGE, lambda _: None)
    assert file.is_symlink()
    assert file.read_bytes() == b"a: 2\r\nb: \xc3\xa9\r\n"
    assert real.stat().st_mode & 0o777 == 0o640
    backup = tmp_path / f".real.yaml.fastops-{CHANGE}"
    assert backup.read_bytes() == before
    assert backup.stat().st_mode & 0o777 == 0o600
    blank = replace(step, after=replace(step.after, text=""))
    assert FileWriter().perform(blank, CHANGE, lambda _: None) == point, "completed without the text"
    for _ in range(2):
        FileWriter().check(point)
        FileWriter().restore(point, lambda _: None)
        assert file.read_bytes() == before
        assert real.stat().st_mode & 0o777 == 0o640
        assert sorted(tmp_path.iterdir()) == [file, real]


def test_a_file_that_was_changed_meanwhile_is_left_alone(file: Path, tmp_path: Path):
    step = file_step(file, "a: 2\r\n")
    file.write_text("a: 3\n")
    with pytest.raises(Refused, match="changed since the diff was made"):
        FileWriter().perform(step, CHANGE, lambda _: None)
    point = FileWriter().perform(step := file_step(file, "a: 4\n"), CHANGE, lambda _: None)
    file.write_text("a: 5\n")
    for call in (
        lambda: FileWriter().check(point),
        lambda: FileWriter().restore(point, print),
        lambda: FileWriter().abandon(step, CHANGE, print),
    ):
        with pytest.raises(Refused, match="its former text is"):
            call()
    assert file.read_text() == "a: 5\n"
    FileWriter().discard(point)
    FileWriter().discard(point)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_write_that_was_never_begun_is_abandoned_whoever_changed_the_file_since(file: Path, tmp_path: Path):
    step = file_step(file, "a: 2\r\n")
    file.write_text("mine: 1\n")
    FileWriter().abandon(step, CHANGE, lambda _: None)
    assert file.read_text() == "mine: 1\n"


def test_what_an_interrupted_write_left_is_taken_back(file: Path, tmp_path: Path):
    before, step = file.read_bytes(), file_step(file, "a: 2\n")
    leftover = tmp_path / f".real.yaml.fastops-{CHANGE}-new"
    leftover.write_bytes(b"ha")
    FileWriter().abandon(step, CHANGE, print)
    FileWriter().perform(step, CHANGE, print)
    FileWriter().abandon(step, CHANGE, print)
    assert file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
    blank = replace(step, after=replace(step.after, text=""))
    with pytest.raises(Refused, match="Nothing was changed"):
        FileWriter().perform(blank, CHANGE, print)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    if os.geteuid() == 0:
        path = Path("/proc/version")  # no user may write there
    else:
        path = tmp_path / "x"
        path.write_text("a: 1\n")
        tmp_path.chmod(0o500)
    with pytest.raises(Refused, match=str(path)):
        FileWriter().perform(file_step(path, "a: 2\n"), CHANGE, print)


@given(st.text(max_size=80).map(str.encode), st.text(max_size=80))
@settings(max_examples=40)
def test_writing_and_undoing_leaves_the_same_bytes(before: bytes, after: str):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.yaml"
        path.write_bytes(before)
        point = FileWriter().perform(file_step(path, after), CHANGE, str)
        assert path.read_bytes() == after.encode()
        FileWriter().restore(point, str)
        assert path.read_bytes() == before
        assert list(Path(folder).iterdir()) == [path]


async def test_nothing_is_written_in_read_only_mode(engine: str):
    client = EngineClient(Endpoint(engine), read_only=True)
    step = Step("update", "u", *[Document("x", "container", "x", "", "")] * 2, "x", {"values": {}, "former": {}})
    try:
        await client.open()
        with pytest.raises(ReadOnly):
            await DockerWriter(client)._containers.update(step.subject, {"Memory": 1})
    finally:
        await client.close()


def test_a_container_that_its_policy_restarted_since_the_diff_is_restarted_all_the_same(workshop: Workshop):
    once_ended = "trap 'exit 0' TERM; [ -f /tmp/ended ] || { touch /tmp/ended; sleep 2; exit 1; }; sleep 300 & wait"
    name = workshop.run(
        "policy",
        command=["sh", "-c", once_ended],
        HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    )
    (step,) = workshop.draft(workshop.deployment(name, ports=()), Restart())
    deadline = time.monotonic() + 30
    while not (workshop.inspect(name)["RestartCount"] and workshop.inspect(name)["State"]["Running"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    by_policy = workshop.inspect(name)["State"]["StartedAt"]
    perform(workshop, step)
    by_fastops = workshop.inspect(name)
    assert by_fastops["State"]["StartedAt"] != by_policy
    assert by_fastops["RestartCount"] == 0
    perform(workshop, step)
    assert workshop.inspect(name)["State"]["StartedAt"] == by_fastops["State"]["StartedAt"], "once"
