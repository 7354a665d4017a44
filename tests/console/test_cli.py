"""The command line on a real engine: what it prints, and with which status it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from console import contract
from console.cli import app
from fixes import catalogue
from fixes.model import SEVERITIES
from tests.console._fastops import Done, Fastops, until
from tests.lab.case import advised
from tests.lab.cases import CASES
from tests.lab.runner import Lab, Running

NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root without its powers: it may not use what belongs to somebody else."""
ALONE = ("unshare", "--pid", "--fork", "--mount-proc")
"""No process but one's own is seen."""


@pytest.fixture(scope="module")
def services(docker_client: Any, lab_image: str) -> Iterator[dict[str, Running]]:
    with Lab(docker_client) as lab:
        yield lab.bring([CASES[name] for name in ("limit-256m", "healthy-gunicorn", "loopback", "sleeper")])


@pytest.fixture
def fastops(tmp_path: Path, engine: str) -> Fastops:
    return Fastops(tmp_path / "home", engine)


@pytest.fixture
def offline(tmp_path: Path) -> Fastops:
    return Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")


def sentence(done: Done, status: int, *words: str) -> None:
    """It ended with this status and one sentence that holds these words."""
    assert done.status == status, done.said
    assert "Traceback" not in done.err, done.said
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("fastops: "), done.said
    for word in words:
        assert word in done.err, done.said


def by_id(scan: Any) -> dict[str, Any]:
    return {one["id"]: one for one in scan["deployments"]}


def found(deployment: Any, running: Running) -> set[str]:
    """What was found beside what the case's configuration calls for by itself."""
    return {one["signature"] for one in deployment["findings"]} - advised(running.case)


# What scan prints.


def test_scan_lists_what_runs_and_what_is_wrong(fastops: Fastops, services: dict[str, Running]) -> None:
    done = fastops("scan", "docker")
    assert done.status == 1, done.said
    for name in ("limit-256m", "healthy-gunicorn", "loopback"):
        assert services[name].deployment in done.out, done.said
    assert services["sleeper"].names[0] not in done.out
    assert f"fastops fix {services['loopback'].deployment} bind-loopback" in done.out
    assert "256 MiB" in done.out
    assert "Traceback" not in done.err


def test_scan_as_json_is_the_object_of_its_schema_and_nothing_else(
    fastops: Fastops, services: dict[str, Running]
) -> None:
    done = fastops("scan", "docker", "--format", "json")
    report = done.json
    jsonschema.validate(report, msgspec.json.schema(contract.ScanOut))
    listed = by_id(report)
    sick = listed[services["limit-256m"].deployment]
    assert found(sick, services["limit-256m"]) == {"memory-limit-low"}
    assert (sick["memory"]["limited"], sick["memory"]["limit_bytes"]) == (True, 256 << 20)
    assert sick["memory"]["source"], "it says where it was read"
    assert sick["memory"]["used_bytes"] > 1 << 20
    assert sick["server"] == "gunicorn"
    assert [w["role"] for w in sick["workers"]].count("worker") == 2
    assert all(w["rss_bytes"] and w["open_files"] and w["age_seconds"] is not None for w in sick["workers"])
    healthy = listed[services["healthy-gunicorn"].deployment]
    assert not found(healthy, services["healthy-gunicorn"])
    assert healthy["replicas"] == {"ready": 1, "desired": 1}
    assert services["sleeper"].deployment not in listed


@pytest.mark.parametrize("least", ["critical", "error", "never"])
def test_the_status_of_scan_says_what_was_found(fastops: Fastops, services: dict[str, Running], least: str) -> None:
    done = fastops("scan", "docker", "--format", "json", "--fail-on", least)
    worst = {f["severity"] for one in done.json["deployments"] for f in one["findings"]}
    failing = set() if least == "never" else set(SEVERITIES[SEVERITIES.index(least) :])
    assert done.status == (1 if worst & failing else 0), done.said


def test_a_target_can_be_named_by_its_address(fastops: Fastops, engine: str, services: dict[str, Running]) -> None:
    done = fastops("scan", f"docker:{engine}", "--format", "json", env={"DOCKER_HOST": "unix:///nowhere"})
    tails = {one["id"].partition("/")[2] for one in done.json["deployments"]}
    assert services["loopback"].names[0] in tails, done.said


def test_the_dry_run_of_a_fix_shows_the_diff_and_changes_nothing(
    fastops: Fastops, services: dict[str, Running]
) -> None:
    one = services["limit-256m"]
    before = one.inspect()["HostConfig"]
    plain = fastops("fix", one.names[0], "memory-limit-low", "--dry-run")
    assert plain.status == 0, plain.said
    assert "nothing was changed" in plain.out
    told = fastops("fix", one.deployment, "memory-limit-low", "--dry-run", "--set", "limit=1GiB", "--format", "json")
    assert told.status == 0, told.said
    jsonschema.validate(told.json, msgspec.json.schema(contract.FixOut))
    (change,) = told.json["plan"]["changes"]
    assert [x for x in change["diff"].splitlines() if x.startswith("+ ") and "1" in x] or "+" in change["diff"]
    assert one.inspect()["HostConfig"] == before
    assert fastops("history", "--format", "json").json["changes"] == []


# What it refuses, and with which status.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("frobnicate",), ()),
        (("scan", "--fail-on", "always"), ()),
        (("scan", "nowhere"), ("nowhere",)),
        (("scan", "docker", "--observe", "soon"), ("soon",)),
        (("fix", "docker/x", "no-such-signature", "--yes"), ("no-such-signature", "fastops signatures")),
        (("fix", "docker/x", "oom-killed", "--remedy", "prayer", "--yes"), ("prayer",)),
        (("fix", "docker/x", "oom-killed", "--set", "limit", "--yes"), ("NAME=VALUE",)),
        (("fix", "docker/x", "oom-killed", "--database", "theirs"), ("neither own nor env:VARIABLE",)),
        (("fix", "docker/x", "oom-killed", "--source", "/no/such/folder"), ("there is no directory /no/such/folder",)),
        (("signatures", "no-such-signature"), ("no-such-signature",)),
        (("undo",), ("no change",)),
        (("undo", "20990101-aaaa"), ("fastops history",)),
        (("resume",), ("nothing to resume",)),
        (("tui",), ("terminal",)),
        (("demo",), ("terminal",)),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(
    offline: Fastops, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = offline(*arguments)
    assert done.status == 2, done.said
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.said


def test_read_only_before_a_command_reaches_every_command(offline: Fastops) -> None:
    without = [name for name, one in app.commands.items() if "read_only" not in {p.name for p in one.params}]
    assert without == []
    assert offline("--read-only", "rbac").out == offline("rbac", "--read-only").out != offline("rbac").out
    done = offline("--read-only", "doctor", "docker", "--no-read-only")
    assert done.status == 2, done.said
    assert "contradicts" in done.err


def test_a_deployment_that_is_not_there_or_not_sick_is_wrong_use(
    fastops: Fastops, services: dict[str, Running]
) -> None:
    sentence(fastops("fix", "docker/no-such", "oom-killed", "--yes"), 2, "no-such")
    one = services["healthy-gunicorn"]
    sentence(fastops("fix", one.deployment, "bind-loopback", "--yes"), 2, "nothing to fix")


def test_without_anybody_to_say_yes_nothing_is_changed(fastops: Fastops, services: dict[str, Running]) -> None:
    one = services["limit-256m"]
    sentence(fastops("fix", one.deployment, "memory-limit-low"), 4, "--yes")
    assert one.inspect()["HostConfig"]["Memory"] == 256 << 20


def test_a_bad_configuration_is_wrong_use(fastops: Fastops) -> None:
    fastops.config.write_text("interval = 'now and then'")
    sentence(fastops("scan", "docker"), 2, "now and then")
    fastops.config.unlink()
    sentence(fastops("scan", "docker"), 2, "FASTOPS_CONFIG")


# Engines that cannot be read.


@pytest.mark.parametrize("command", ["scan", "doctor"])
def test_an_engine_that_is_not_there_ends_with_3_and_a_sentence(offline: Fastops, command: str) -> None:
    done = offline(command, "docker")
    assert done.status == 3, done.said
    assert "Traceback" not in done.out + done.err
    assert "there is no socket" in done.out + done.err, done.said


def test_an_engine_that_died_ends_with_3_and_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    dead = Fastops(tmp_path / "home", f"unix://{path}")
    sentence(dead("scan", "docker"), 3, "docker")
    sentence(dead("fix", "docker/x", "oom-killed", "--yes"), 3, "docker")


def test_an_engine_at_a_port_where_nobody_listens_ends_with_3(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sentence(Fastops(tmp_path / "home", f"tcp://127.0.0.1:{port}")("scan", "docker"), 3, "docker")


def test_an_engine_that_never_answers_ends_with_3_in_time(tmp_path: Path) -> None:
    path = tmp_path / "mute.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        sentence(Fastops(tmp_path / "home", f"unix://{path}")("scan", "docker", timeout=90), 3, "docker")


def test_json_of_an_engine_that_is_down_is_whole(offline: Fastops) -> None:
    done = offline("scan", "docker", "--format", "json")
    assert done.status == 3, done.said
    jsonschema.validate(done.json, msgspec.json.schema(contract.ScanOut))
    (target,) = done.json["targets"]
    assert target["state"] == "down"
    assert target["why"]
    assert target["hint"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes root and setpriv")
def test_an_engine_that_refuses_permission_ends_with_3_and_says_who_may(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        os.chown(path, 65534, 65534)
        path.chmod(0o600)
        refused = Fastops(tmp_path / "home", f"unix://{path}")
        done = refused("scan", "docker", "--format", "json", before=NO_CAPABILITIES)
        assert done.status == 3, done.said
        (target,) = done.json["targets"]
        assert target["state"] == "forbidden", done.said
        assert "permission" in (target["why"] or "").lower()
        assert target["hint"]
        sentence(refused("scan", "docker", before=NO_CAPABILITIES), 3, "permission")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="takes root and unshare")
def test_nothing_found_says_what_was_looked_at_and_what_to_try(offline: Fastops) -> None:
    sentence(offline("scan", "local", before=ALONE), 3, "no FastAPI deployment was found on local", "fastops doctor")


def test_with_one_engine_down_the_other_target_is_still_read(offline: Fastops) -> None:
    done = offline("scan", "docker", "local", "--format", "json", "--fail-on", "never")
    states = {t["target"]: t["state"] for t in done.json["targets"]}
    assert states == {"docker": "down", "local": "live"}, done.said
    assert done.status == 3, done.said


# Pipes and signals.


def test_a_reader_that_leaves_early_is_no_failure(fastops: Fastops, services: dict[str, Running]) -> None:
    with subprocess.Popen(
        fastops.command("scan", "docker"), env=fastops.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
    ) as left:
        assert left.stdout is not None
        assert left.stderr is not None
        left.stdout.close()
        said = left.stderr.read().decode()
        status = left.wait(60)
    assert "Traceback" not in said, said
    assert "BrokenPipe" not in said, said
    assert status in (0, 1, 141), said


@pytest.mark.parametrize("arguments", [("watch", "docker"), ("scan", "docker", "--observe", "10m")])
def test_ctrl_c_ends_at_once_with_130_and_a_sentence(
    fastops: Fastops, services: dict[str, Running], arguments: tuple[str, ...]
) -> None:
    with fastops.begin(*arguments) as begun:
        until("it to begin", lambda: "docker" in begun.out or "observing" in begun.err)
        begun.interrupt()
        done = begun.wait(20)
    sentence(done, 130, "interrupted")


# What else is printed.


def test_the_catalogue_is_printed_in_every_form(offline: Fastops) -> None:
    listed = offline("signatures", "--format", "json").json["signatures"]
    assert {one["id"] for one in listed} == set(catalogue.signatures())
    for one in listed:
        page = offline("signatures", one["id"], "--format", "markdown") if one is listed[0] else None
        assert page is None or page.out.startswith(f"# {one['id']}")
    assert "oom-killed" in offline("signatures").out


def test_doctor_says_what_can_be_reached_and_what_is_missing(fastops: Fastops, services: dict[str, Running]) -> None:
    done = fastops("doctor", "docker", "--format", "json")
    assert done.status == 0, done.said
    checks = {(c["subject"], c["state"]) for c in done.json["checks"]}
    assert ("docker", "ok") in checks
    assert "docker" in fastops("doctor", "docker").out
