"""A service that wishes harm: escapes in its names, labels and log, secrets in all that can be read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console._fastops import Fastops, until
from tests.console._places import of_lab, serves
from tests.lab.case import Case, Logged, ids
from tests.lab.runner import Lab, Running

SECRETS = ("hunter2-in-env", "hunter2-of-payment", "hunter2-in-log", "hunter2-in-argv", "hunter2-in-header")
OWNED = "\x1b[31mred\x1b[0m\x1b]0;owned\x07\x1bP1$tx\x1b\\\u202eevil"
LOGGED = (
    r"\033[31m[2026-11-22 13:00:00 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:7)\033[0m\033]0;owned\007"
    r" postgresql://shop:hunter2-in-log@db/shop Authorization: Bearer hunter2-in-header-0123456789\n"
    r"sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"
    r" password=hunter2-in-log \033]52;c;b3duZWQ=\007\n"
)
CASE = Case(
    "hostile",
    (
        "sh",
        "-c",
        f"printf '{LOGGED}' >&2; exec env REPORTS=postgresql://x:hunter2-in-argv@db/x uvicorn healthy:app",
    ),
    expect=ids("bind-loopback"),
    environment={"DATABASE_URL": "postgresql://shop:hunter2-in-env@db/shop", "PAYMENT_KEY": "hunter2-of-payment"},
    labels={"description": OWNED, "org.example.title": OWNED},
    memory="300m",
    up=Logged("Application startup complete."),
)


@pytest.fixture(scope="module")
def hostile(docker_client: Any, lab_image: str) -> Iterator[Running]:
    labels = {
        "com.docker.compose.project": f"shop{OWNED}",
        "com.docker.compose.service": f"web{OWNED}",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
    }
    with Lab(docker_client) as lab:
        yield lab.start(CASE, labels=labels).ready()


@pytest.fixture
def fastops(tmp_path: Path, engine: str) -> Fastops:
    return Fastops(tmp_path / "home", engine)


def identity(fastops: Fastops, running: Running) -> str:
    """Under which id it is listed."""
    replica = str(running.container.id)
    listed = fastops("scan", "docker", "--format", "json", "--fail-on", "never").json["deployments"]
    return next(one["id"] for one in listed if any(w["replica"] == replica for w in one["workers"]))


def harmless(text: str) -> None:
    """No escape, no control character but line ends and tabs, no direction of writing, no secret."""
    bad = {c for c in text if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" or c in "\u202a\u202b\u202d\u202e"}
    assert not bad, bad
    leaked = [secret for secret in SECRETS if secret in text]
    assert not leaked, (leaked, [line for line in text.splitlines() if leaked[0] in line][:5])


@pytest.mark.slow
def test_nothing_of_it_reaches_a_terminal_a_file_or_a_script(fastops: Fastops, hostile: Running) -> None:
    known = identity(fastops, hostile)
    said = []
    for arguments in (
        ("scan", "docker"),
        ("scan", "docker", "--format", "json"),
        ("doctor", "docker"),
        ("fix", known, "bind-loopback", "--dry-run"),
        ("fix", known, "bind-loopback", "--dry-run", "--format", "json"),
        ("fix", known, "memory-limit-low", "--dry-run"),
        ("fix", known, "pool-exhausted", "--dry-run"),
        ("fix", known, "no-such"),
        ("fix", f"docker/{OWNED}", "bind-loopback"),
    ):
        done = fastops(*arguments)
        assert "Traceback" not in done.err, done.said
        said.append(done.out + done.err)
    assert "bind-loopback" in said[0]
    assert "pool-exhausted" in said[0]
    for text in said:
        harmless(text)
    scan = fastops("scan", "docker", "--format", "json", "--fail-on", "never").json
    harmless(json.dumps(scan, ensure_ascii=False).replace("\\n", " "))
    with fastops.begin("watch", "docker") as watch:
        until("a line", lambda: known in watch.out)
        watch.interrupt()
        harmless(watch.wait(20).out)


@pytest.mark.slow
def test_a_fix_keeps_its_secrets_in_the_container_and_out_of_the_journal(
    fastops: Fastops, hostile: Running, docker_client: Any
) -> None:
    before = sorted(hostile.inspect()["Config"]["Env"])
    known = identity(fastops, hostile)
    done = fastops("fix", known, "bind-loopback", "--yes", "--format", "json")
    assert done.status == 0, done.said
    harmless(done.out + done.err)
    harmless(fastops.journal())
    assert "bind-loopback" in fastops.journal()
    assert any("evidence" in str(p) for p in fastops.state.rglob("*")), "the evidence was saved first"
    new = next(one for one in of_lab(docker_client, hostile) if one.name == hostile.names[0])
    assert sorted(new.attrs["Config"]["Env"]) == before
    assert "hunter2-in-argv" in str(new.attrs["Config"]["Cmd"])
    assert new.attrs["Config"]["Labels"]["description"] == OWNED
    until("the service", lambda: serves(new))
    for arguments in (("history",), ("history", "--format", "json"), ("undo", "--yes")):
        done = fastops(*arguments)
        assert done.status == 0, done.said
        harmless(done.out + done.err)
    harmless(fastops.journal())
    assert sorted(hostile.inspect()["Config"]["Env"]) == before


@pytest.mark.slow
def test_what_is_kept_belongs_to_this_account_alone(fastops: Fastops, hostile: Running) -> None:
    done = fastops("fix", identity(fastops, hostile), "memory-limit-low", "--yes")
    assert done.status == 0, done.said
    kept = [fastops.state, *fastops.state.rglob("*")]
    assert [p for p in kept if p.stat().st_mode & 0o077] in ([], [fastops.state])
    assert fastops("undo", "--yes").status == 0
