"""Settings are written where Compose has them, or the file is left alone and it is said why."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.targets.docker.compose import Command, Goal, config_files, edit, memory_text

BASE = """\
# the shop
services:
  web:  # front
    image: shop:1
    command: gunicorn app:app --bind "127.0.0.1:8000"
    environment:
      - GUNICORN_CMD_ARGS=--timeout 10
      - COST=5$$
    ulimits:
      nofile:
        soft: 1024
        hard: 2048
  db:
    image: postgres
"""


def labels(folder: Path, *names: str, service: str = "web") -> dict[str, str]:
    return {
        "com.docker.compose.project.config_files": ",".join(str(folder / name) for name in names),
        "com.docker.compose.project.working_dir": str(folder),
        "com.docker.compose.service": service,
    }


def write(folder: Path, **files: str) -> None:
    for name, said in files.items():
        (folder / f"{name}.yaml").write_bytes(said.encode())


def test_memory_goes_below_deploy_where_the_service_has_none(tmp_path: Path):
    write(tmp_path, compose=BASE)
    done = edit(labels(tmp_path, "compose.yaml"), Goal(memory_bytes=1 << 30))
    made = "        hard: 2048\n    deploy:\n      resources:\n        limits:\n          memory: 1G\n"
    assert done.notes == ()
    assert [one.after for one in done.files] == [BASE.replace("        hard: 2048\n", made)]
    assert done.files[0].before == BASE


def test_mem_limit_is_kept_where_the_service_uses_it(tmp_path: Path):
    said = BASE.replace(
        "    image: shop:1\n", "    image: shop:1\n    mem_limit: 256m # low\n    memswap_limit: 512m\n"
    )
    write(tmp_path, compose=said)
    done = edit(labels(tmp_path, "compose.yaml"), Goal(memory_bytes=768 << 20, memory_swap_bytes=1 << 30))
    assert done.files[0].after == said.replace("256m #", "768m #").replace("512m", "1g")


def test_the_last_file_that_sets_a_value_gets_it(tmp_path: Path):
    over = "services:\n  web:\n    deploy: {resources: {limits: {memory: 300M}}}\n"
    write(tmp_path, compose=BASE, over=over)
    done = edit(labels(tmp_path, "compose.yaml", "over.yaml"), Goal(memory_bytes=512 << 20, nofile=(4096, 8192)))
    after = {Path(one.path).name: one.after for one in done.files}
    assert after["over.yaml"] == over.replace("300M", "512M")
    assert after["compose.yaml"] == BASE.replace("1024", "4096").replace("2048", "8192")


def test_open_files_as_one_number_stay_one_number(tmp_path: Path):
    said = "services:\n  web:\n    ulimits: {nofile: 1024}\n"
    write(tmp_path, compose=said)
    done = edit(labels(tmp_path, "compose.yaml"), Goal(nofile=(4096, 4096)))
    assert done.files[0].after == said.replace("1024", "4096")


def test_a_command_as_text_stays_text_and_dollars_are_escaped(tmp_path: Path):
    write(tmp_path, compose=BASE)
    before = ("gunicorn", "app:app", "--bind", "127.0.0.1:8000")
    done = edit(labels(tmp_path, "compose.yaml"), Goal(command=Command(before, (*before[:3], "0.0.0.0:8000", "$x"))))
    assert "    command: gunicorn app:app --bind 0.0.0.0:8000 '$$x'\n" in done.files[0].after
    assert len(done.files[0].after.splitlines()) == len(BASE.splitlines())


def test_a_command_that_the_file_does_not_have_is_added(tmp_path: Path):
    write(tmp_path, compose="services:\n  web:\n    image: x\n")
    done = edit(labels(tmp_path, "compose.yaml"), Goal(command=Command(("a",), ("a", "-b", "0.0.0.0:80"))))
    assert done.files[0].after == 'services:\n  web:\n    image: x\n    command: ["a", "-b", "0.0.0.0:80"]\n'


def test_variables_change_in_lists_and_in_mappings(tmp_path: Path):
    write(tmp_path, compose=BASE)
    goal = Goal(environment={"GUNICORN_CMD_ARGS": "--timeout 60", "NEW": "1"})
    done = edit(labels(tmp_path, "compose.yaml"), goal)
    changed = BASE.replace("--timeout 10", "--timeout 60").replace("COST=5$$\n", "COST=5$$\n      - NEW=1\n")
    assert done.files[0].after == changed
    mapped = "services:\n  web:\n    environment:\n      GUNICORN_CMD_ARGS: '--timeout 10'  # short\n"
    write(tmp_path, compose=mapped)
    done = edit(labels(tmp_path, "compose.yaml"), goal)
    assert done.files[0].after == mapped.replace("10'", "60'").replace("# short\n", '# short\n      NEW: "1"\n')


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("services:\n  web:\n    mem_limit: ${MEM}\n", "made from variables"),
        ("services:\n  web: &w\n    mem_limit: 1g\n  other: *w\n", "shared with other places"),
        ("services:\n  web:\n    extends: {service: base}\n", "extends another one"),
        ("services:\n  db:\n    image: x\n", "has no service web"),
        ("services: [\n", "not valid YAML"),
        ("services:\n  web:\n    image: caf\xe9\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_edited_is_left_alone_and_named(tmp_path: Path, said: str | bytes, why: str):
    (tmp_path / "compose.yaml").write_bytes(said if isinstance(said, bytes) else said.encode())
    done = edit(labels(tmp_path, "compose.yaml"), Goal(memory_bytes=1 << 30))
    assert done.files == ()
    (note,) = done.notes
    assert why in note
    assert note.startswith(f"{tmp_path}/compose.yaml is left as it is: ")
    assert "docker compose up" in note


def test_variables_keep_their_names_in_what_is_said_of_them(tmp_path: Path):
    write(tmp_path, compose=BASE)
    url = Goal(environment={"DATABASE_URL": "x"}, in_place=frozenset({"DATABASE_URL"}))
    (note,) = edit(labels(tmp_path, "compose.yaml"), url).notes
    assert " left as it is: DATABASE_URL does not stand in its environment there. " in note


def test_a_command_that_is_not_what_runs_is_left_alone(tmp_path: Path):
    write(tmp_path, compose=BASE)
    done = edit(labels(tmp_path, "compose.yaml"), Goal(command=Command(("other",), ("other", "-x"))))
    assert done.files == ()
    assert "not what the container runs" in done.notes[0]


def test_files_that_are_elsewhere_are_named_and_containers_without_compose_have_none(tmp_path: Path):
    done = edit(labels(tmp_path, "compose.yaml"), Goal(memory_bytes=1 << 30))
    assert "is not on this machine" in done.notes[0]
    assert edit({}, Goal(memory_bytes=1 << 30)) == edit({"com.docker.compose.service": "x"}, Goal())
    relative = {
        "com.docker.compose.project.config_files": "a.yml,/b.yml",
        "com.docker.compose.project.working_dir": "/p",
    }
    assert config_files(relative) == ("/p/a.yml", "/b.yml")


def test_sizes_are_exact():
    assert [memory_text(size) for size in (1 << 30, 1536 << 20, (1 << 20) + 1024, 1000)] == [
        "1G",
        "1536M",
        "1025K",
        "1000b",
    ]
    assert memory_text(1 << 30, "512m") == "1g"
