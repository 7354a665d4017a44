"""What would be done is computed from the engine's own words; nothing is done."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fixes.diff import unified
from probes.intent import Desired, Restart
from probes.target import Refused
from probes.targets.docker.containers import _unframed
from probes.targets.docker.guards import worth_keeping
from probes.targets.docker.limits import former_values, memory_values, needs_recreate, refuse_memory, ulimits
from probes.targets.docker.wanted import _set_command, argv_of
from tests.probes.docker.workshop import Workshop, answers, free_port, published, workshop

__all__ = ["workshop"]
MIB = 1 << 20
HUGE = (1 << 63) - 4096


def test_a_service_bound_to_loopback_is_bound_to_all_and_answers(workshop: Workshop):
    port = free_port()
    command = ["uvicorn", "--host", "127.0.0.1", "--port", "8000", "healthy:app"]
    name = workshop.run("loopback", command=command, HostConfig=published(port))
    (step,) = workshop.draft(workshop.deployment(name), Desired(bind_host="0.0.0.0"))
    assert step.action == "recreate"
    assert step.summary == f"recreate {name} with another command"
    assert step.arguments["answers"] == [], "it did not answer before, so that is not asked of the new one"
    assert "127.0.0.1" in step.before.text
    assert "- 0.0.0.0\n" in step.after.text
    assert not answers(port, within_seconds=0.2)
    point = workshop.write(lambda w: w.perform(step, "c", workshop.said.append))
    assert answers(port)
    workshop.write(lambda w: w.restore(point, "c", workshop.said.append))
    assert workshop.inspect(name)["Config"]["Cmd"] == command


def test_limits_and_command_go_into_one_recreate(workshop: Workshop):
    name = workshop.run("both", HostConfig={"Memory": 256 * MIB})
    want = Desired(memory_limit_bytes=512 * MIB, open_files_limit=2048, gunicorn={"timeout": 61})
    (step,) = workshop.draft(workshop.deployment(name), want)
    assert step.summary == f"recreate {name} with 512 MiB of memory and 2048 open files and another command"
    for line in ("  Memory: 536870912   # 512 MiB", "  MemorySwap: 805306368   # 768 MiB", "    Soft: 2048"):
        assert line in step.after.text.splitlines()


def test_flags_variables_and_the_log_go_into_one_recreate_and_back(workshop: Workshop):
    command = ["uvicorn", "--host", "0.0.0.0", "--reload", "--port", "8000", "healthy:app"]
    host = {"LogConfig": {"Type": "json-file", "Config": {"labels": "a"}}}
    url = "DATABASE_URL=postgresql://app:hunter-2@db/app?sslmode="
    name = workshop.run("settings", command=command, Env=["POOL_SIZE=5", f"{url}disable"], HostConfig=host)
    want = Desired(
        production=True,
        environment={"POOL_SIZE": "20"},
        log_options={"max-size": "10m"},
        database_tls={"DATABASE_URL": "require"},
    )
    before = workshop.inspect(name)
    (step,) = workshop.draft(workshop.deployment(name), want)
    assert step.summary == f"recreate {name} with a bounded log and another command and another environment"
    diff = unified(step.before, step.after)
    assert "@db/app?sslmode=require" in diff
    assert "hunter-2" not in diff + str((step.arguments, step.summary))
    point = workshop.write(lambda w: w.perform(step, "c", workshop.said.append))
    assert "hunter-2" not in str(point)
    after = workshop.inspect(name)
    assert after["Config"]["Cmd"] == [one for one in command if one != "--reload"]
    assert {"POOL_SIZE=20", f"{url}require"} <= set(after["Config"]["Env"])
    assert after["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"labels": "a", "max-size": "10m"}}
    assert workshop.draft(workshop.deployment(name), want) == []
    for path, why in (("/etc/no.pem", "is not in the container"), ("/etc/hostname", "holds no certificate")):
        with pytest.raises(Refused, match=why):
            workshop.draft(workshop.deployment(name), Desired(database_ca=path, environment={"A": "1"}))
    workshop.write(lambda w: w.restore(point, "c", workshop.said.append))
    again = workshop.inspect(name)
    assert (again["Id"], again["Config"]) == (before["Id"], before["Config"])


def test_a_recreate_of_a_service_of_compose_says_that_compose_counts_the_kept_container(workshop: Workshop):
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    said = []
    for own in (labels, {}):
        name = workshop.run("compose", command=["sleep", "300"], Labels=own)
        (step,) = workshop.draft(workshop.deployment(name, ports=()), Desired(open_files_limit=4096))
        said.append([note for note in step.arguments["notes"] if "Compose counts two containers of web" in note])
    assert [len(notes) for notes in said] == [1, 0]


def test_drafting_sends_only_reads(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    from probes.targets.docker.client import EngineClient

    sent: list[str] = []
    request = EngineClient.request

    async def recorded(self: EngineClient, method: str, path: str, **options: Any) -> bytes:
        sent.append(method)
        return await request(self, method, path, **options)

    monkeypatch.setattr(EngineClient, "request", recorded)
    name = workshop.run("reads")
    for want in (Desired(memory_limit_bytes=512 * MIB), Desired(open_files_limit=2048), Restart()):
        assert workshop.draft(workshop.deployment(name), want)
    assert set(sent) == {"GET"}


def test_secrets_stand_in_the_documents_alone(workshop: Workshop):
    name = workshop.run("secret", Env=["DB_PASSWORD=hunter-2"], Labels={"token": "hunter-2"})
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=2048))
    assert "hunter-2" in step.after.text
    point = workshop.write(lambda w: w.perform(step, "c", workshop.said.append))
    rest = (step.arguments, step.summary, step.before.title, point, workshop.said)
    assert b"hunter-2" not in msgspec.json.encode(rest)


def test_a_deployment_that_vanished_is_a_sentence(workshop: Workshop):
    name = workshop.run("gone", command=["sleep", "300"])
    deployment = workshop.deployment(name)
    workshop.sdk.remove_container(name, force=True)
    with pytest.raises(Refused, match=r"No container of .* is there any more"):
        workshop.draft(deployment, Restart())


@pytest.mark.parametrize(
    ("memory", "swap", "wanted", "sent"),
    [
        (256, 512, 1024, (1024, 1280)),
        (256, 256, 1024, (1024, 1024)),
        (1024, 2048, 512, (512, 1536)),
        (0, 0, 512, (512, 1024)),
    ],
)
def test_both_limits_are_told_and_swap_stays_what_it_was(memory: int, swap: int, wanted: int, sent: tuple[int, int]):
    host = {"Memory": memory * MIB, "MemorySwap": swap * MIB}
    values = memory_values(host, wanted * MIB)
    assert (values["Memory"] // MIB, values["MemorySwap"] // MIB) == sent


def test_limits_that_are_none_come_back_as_none():
    assert memory_values({"Memory": 256 * MIB, "MemorySwap": -1}, MIB) == {"Memory": MIB, "MemorySwap": -1}
    assert former_values({"Memory": 0, "MemorySwap": 0}) == {"Memory": HUGE, "MemorySwap": HUGE}
    assert former_values({"Memory": 256 * MIB, "MemorySwap": 0}) == {"Memory": 256 * MIB, "MemorySwap": -1}
    assert memory_values({"Memory": HUGE, "MemorySwap": HUGE}, MIB) == {"Memory": MIB, "MemorySwap": 2 * MIB}


def test_memory_guards_count_lowering_alone():
    refuse_memory("x", 512 * MIB, 256 * MIB, 500 * MIB, 1024 * MIB)
    refuse_memory("x", 512 * MIB, 1024 * MIB, 460 * MIB, None)
    refuse_memory("x", HUGE, 256 * MIB, 250 * MIB, 1024 * MIB)
    refuse_memory("x", 512 * MIB, 0, None, 1024 * MIB)
    with pytest.raises(Refused, match="90 %"):
        refuse_memory("x", 512 * MIB, 1024 * MIB, 462 * MIB, None)
    with pytest.raises(Refused, match="90 %"):
        refuse_memory("x", 512 * MIB, 0, 500 * MIB, None)
    with pytest.raises(Refused, match="than the machine has"):
        refuse_memory("x", 2048 * MIB, 0, None, 1024 * MIB)


def test_a_hard_limit_is_raised_only_where_it_has_to_be():
    def nofile(soft: int, hard: int) -> dict[str, Any]:
        return {"Name": "nofile", "Soft": soft, "Hard": hard}

    core = {"Name": "core", "Soft": 0, "Hard": 0}
    assert ulimits({"Ulimits": [core, nofile(64, 4096)]}, 1024, None) == [core, nofile(1024, 4096)]
    assert ulimits({"Ulimits": [nofile(64, 128)]}, 1024, None) == [nofile(1024, 1024)]
    assert ulimits({"Ulimits": None}, 1024, 20000) == [nofile(1024, 20000)]
    assert ulimits({"Ulimits": [nofile(64, -1)]}, 1024, None) == [nofile(1024, -1)]
    assert not needs_recreate({"Ulimits": [nofile(64, 64)]}, Desired(open_files_limit=64, memory_limit_bytes=1))
    assert needs_recreate({}, Desired(open_files_limit=64))


@pytest.mark.parametrize(
    ("entrypoint", "argv", "body"),
    [
        (None, ["a", "b"], {"Cmd": ["a", "b"]}),
        ([""], ["a", "b"], {"Entrypoint": [""], "Cmd": ["a", "b"]}),
        (["a"], ["a", "b"], {"Entrypoint": ["a"], "Cmd": ["b"]}),
        (["tini", "--"], ["tini", "--", "b"], {"Entrypoint": ["tini", "--"], "Cmd": ["b"]}),
        (["a"], ["c", "b"], {"Entrypoint": ["c"], "Cmd": ["b"]}),
        (["a", "b"], ["a", "x"], {"Entrypoint": ["a"], "Cmd": ["x"]}),
    ],
)
def test_the_command_is_split_as_the_engine_joins_it(entrypoint: list[str] | None, argv: list[str], body: dict):
    made: dict[str, Any] = {} if entrypoint is None else {"Entrypoint": entrypoint}
    _set_command(made, argv)
    assert made == body
    assert argv_of(made) == argv


def test_traces_of_running_are_not_worth_keeping():
    traces = [
        "/app/__pycache__/x.cpython-311.pyc", "/tmp/a", "/run/app.pid", "/var/run/x", "/root/.gunicorn/gunicorn.ctl",
        "/var/log/app/today.txt", "/app/app.log", "/app/app.log.1", "/root/.cache/pip/x", "/srv/app.sock", "/etc/hosts",
        "/root/.python_history", "/var/lib/prometheus_multiproc/counter_1.db", "/data/x", "/mnt",
    ]  # fmt: skip
    folders = ["/app", "/root", "/var", "/var/lib", "/home/app", "/srv"]
    changes = [{"Path": path, "Kind": 1} for path in [*traces, *folders]]
    assert worth_keeping(changes, ["/data", "/mnt/volume"]) == []
    kept = ["/app/uploads/a.png", "/srv/db.sqlite3", "/etc/app.conf", "/app/catalogue.py", "/opt/blog/x"]
    assert worth_keeping([*changes, *({"Path": path, "Kind": 1} for path in kept)], ["/data"]) == sorted(
        [*kept, "/mnt"]
    )


def test_the_engines_framing_is_taken_off_a_log():
    framed = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x04two\n"
    assert _unframed(framed) == b"onetwo\n"
    assert _unframed(b"plain text of a terminal") == b"plain text of a terminal"
    assert _unframed(b"") == b""
