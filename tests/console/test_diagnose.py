"""``fastops diagnose``: pasted text in, findings with their lines out."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from console import contract
from tests.console._fastops import Done, Fastops

TIMEOUT = "[2026-11-22 09:21:54 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:17)"
DESCRIBED = """\
Name:             api-7d9f6c5b4-x2x1z
Namespace:        shop
Start Time:       Sun, 22 Nov 2026 09:00:00 +0000
Status:           Running
Containers:
  api:
    Container ID:  containerd://5f1d
    Image:         shop/api:7
    Port:          8000/TCP
    Command:
      gunicorn
    State:          Running
      Started:      Sun, 22 Nov 2026 09:22:10 +0000
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Started:      Sun, 22 Nov 2026 09:20:00 +0000
      Finished:     Sun, 22 Nov 2026 09:21:50 +0000
    Ready:          True
    Restart Count:  3
    Limits:
      cpu:     500m
      memory:  1Gi
    Environment:   <none>
Conditions:
  Type              Status
  Ready             True
Events:
  Type     Reason   Age   From     Message
  ----     ------   ----  ----     -------
  Normal   Pulled   10s   kubelet  Container image "shop/api:7" already present on machine
"""
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "api-7d9f6c5b4-x2x1z", "namespace": "shop"},
    "spec": {"containers": [{"name": "api", "resources": {"limits": {"memory": "1Gi"}}}]},
    "status": {
        "containerStatuses": [
            {
                "name": "api",
                "restartCount": 3,
                "ready": True,
                "state": {"running": {"startedAt": "2026-11-22T09:22:10Z"}},
                "lastState": {
                    "terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-22T09:21:50Z"}
                },
            }
        ]
    },
}
INSPECTED: dict[str, Any] = {
    "Id": "c0ffee" * 10,
    "Name": "/api",
    "Path": "gunicorn",
    "Args": ["app:app", "--bind", "0.0.0.0:8000"],
    "State": {
        "Status": "exited",
        "OOMKilled": True,
        "ExitCode": 137,
        "StartedAt": "2026-11-22T09:20:00.1Z",
        "FinishedAt": "2026-11-22T09:21:50.123456789Z",
    },
    "Config": {"Image": "shop/api", "Env": ["DATABASE_PASSWORD=hunter22"]},
    "HostConfig": {"Memory": 64 << 20},
}
KERNEL = (
    "Nov 22 09:21:50 vm kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
    "oom_memcg=/docker/c0,task_memcg=/docker/c0,task=gunicorn,pid=2530,uid=0\n"
    "Nov 22 09:21:50 vm kernel: Memory cgroup out of memory: Killed process 2530 (gunicorn) total-vm:90kB\n"
    "Nov 22 09:21:51 vm gunicorn[7]: [ERROR] Worker (pid:2530) was sent SIGKILL! Perhaps out of memory?\n"
)


@pytest.fixture
def fastops(tmp_path: Path) -> Fastops:
    return Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")


@pytest.fixture
def pasted(tmp_path: Path) -> Path:
    return tmp_path / "pasted.txt"


def yaml_of(value: object) -> str:
    import yaml

    return yaml.safe_dump(value)


def found(done: Done) -> dict[str, Any]:
    """The findings of the only file, by signature."""
    (file,) = done.json["files"]
    return {one["signature"]: one for one in file["findings"]}


def test_a_log_is_judged_and_its_lines_are_named(fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(f"fine\n{TIMEOUT}\nfine\n")
    done = fastops("diagnose", str(pasted), "--format", "json")
    assert done.status == 1
    jsonschema.validate(done.json, msgspec.json.schema(contract.DiagnoseOut))
    assert done.json["schema"] == 1
    assert done.json["files"][0]["file"] == str(pasted)
    timeout = found(done)["worker-timeout"]
    assert timeout["lines"] == [2]
    assert timeout["severity"] == "error"
    assert timeout["explained_by"] is None
    assert timeout["evidence"][0]["line"] == 2
    assert "WORKER TIMEOUT" in timeout["evidence"][0]["text"]


def test_no_figure_is_said_that_the_text_does_not_have(fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(f"{TIMEOUT}\n{TIMEOUT.replace('17', '18')}\n")
    said = fastops("diagnose", str(pasted)).out
    assert "gave no sign of life for longer than its time-out" in said
    assert "(twice)" in said
    assert " min)" not in said


def test_people_get_the_lines_quoted(fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(f"fine\n{TIMEOUT}\n")
    done = fastops("diagnose", str(pasted))
    assert "1 finding in 2 lines" in done.out
    assert f"2: {TIMEOUT}" in done.out
    assert "fastops signatures worker-timeout" in done.out


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_standard_input_is_read(arguments: tuple[str, ...], fastops: Fastops) -> None:
    done = piped(fastops, f"{TIMEOUT}\n".encode(), *arguments, "--format", "json")
    assert done.status == 1
    assert done.json["files"][0]["file"] == "-"
    assert set(found(done)) == {"worker-timeout"}


@pytest.mark.parametrize(("fail_on", "status"), [("error", 1), ("critical", 0), ("never", 0), ("info", 1)])
def test_the_status_follows_the_severity(fail_on: str, status: int, fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(TIMEOUT)
    assert fastops("diagnose", str(pasted), "--fail-on", fail_on).status == status


def test_a_packed_log_is_read_and_one_that_ends_too_early_is_said_to(fastops: Fastops, tmp_path: Path) -> None:
    log = gzip.compress(f"fine\n{TIMEOUT}\n".encode() + os.urandom(4096).hex().encode())
    whole, cut = tmp_path / "app.log.1.gz", tmp_path / "cut.gz"
    whole.write_bytes(log)
    cut.write_bytes(log[:-100])
    done = fastops("diagnose", str(whole), "--format", "json")
    assert found(done)["worker-timeout"]["lines"] == [2]
    assert done.err == ""
    assert found(piped(fastops, log, "-", "--format", "json"))["worker-timeout"]["lines"] == [2]
    done = fastops("diagnose", str(cut), "--format", "json", "--fail-on", "never")
    assert found(done)["worker-timeout"]["lines"] == [2]
    assert "ends too early" in done.err
    assert done.status == 3


def test_what_cannot_be_read_is_named_and_the_others_are_read(fastops: Fastops, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "junk").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "quiet").write_text("INFO:     Application startup complete.\n")
    names = [str(tmp_path / name) for name in ("missing", "empty", "junk", "quiet")]
    done = fastops("diagnose", *names, str(tmp_path), "--format", "json")
    assert done.status == 3
    assert "Traceback" not in done.err
    assert done.err.count("fastops: ") == 4
    for words in ("missing: cannot be read", "empty: is empty", "junk: is not text", "is a folder"):
        assert words in done.err
    assert [Path(one["file"]).name for one in done.json["files"]] == ["empty", "junk", "quiet"]
    (tmp_path / "sick").write_text(TIMEOUT)
    assert fastops("diagnose", *names, str(tmp_path / "sick")).status == 1


@pytest.mark.parametrize(
    "text",
    [
        DESCRIBED,
        f"$ kubectl describe pod\n{DESCRIBED}\n{DESCRIBED.replace('x2x1z', 'other').replace('OOMKilled', 'Error')}",
        json.dumps(POD, indent=4),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD]}, indent=4),
        json.dumps({"kind": "List", "apiVersion": "v1", "items": [POD]}),
        yaml_of(POD),
        yaml_of({"apiVersion": "v1", "kind": "List", "items": [POD]}),
    ],
)
def test_a_pod_that_was_killed_for_memory_is_told_from_what_kubectl_prints(
    text: str, fastops: Fastops, pasted: Path
) -> None:
    pasted.write_text(text)
    killed = found(fastops("diagnose", str(pasted), "--format", "json"))["oom-killed"]
    assert killed["deployment"] == "k8s/shop/Pod/api-7d9f6c5b4-x2x1z"
    assert "1.0 GiB" in killed["title"]
    assert all("OOMKilled" in text.splitlines()[number - 1] for number in killed["lines"])
    assert killed["lines"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([INSPECTED], indent=4),
        json.dumps(INSPECTED),
        f"$ docker inspect api\n{json.dumps([INSPECTED], indent=2)}",
    ],
)
def test_a_container_is_judged_by_what_inspect_prints(text: str, fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(text)
    done = fastops("diagnose", str(pasted), "--format", "json")
    told = found(done)
    assert {"oom-killed", "memory-limit-low"} <= set(told)
    assert told["oom-killed"]["deployment"] == "docker/api"
    assert all('"OOMKilled": true' in text.splitlines()[number - 1] for number in told["oom-killed"]["lines"])
    assert "hunter22" not in done.said


def test_a_configuration_file_that_is_not_seen_is_not_taken_for_absent(fastops: Fastops, pasted: Path) -> None:
    running = INSPECTED["State"] | {"Status": "running", "OOMKilled": False}
    pasted.write_text(json.dumps([INSPECTED | {"Args": ["app:app"], "State": running}], indent=4))
    assert "bind-loopback" not in found(fastops("diagnose", str(pasted), "--format", "json"))


def test_another_container_of_the_same_machine_is_not_taken_for_the_service(fastops: Fastops, pasted: Path) -> None:
    database = INSPECTED | {"Id": "d" * 64, "Name": "/db", "Path": "postgres", "Args": []}
    pasted.write_text(json.dumps([database, INSPECTED], indent=4))
    (file,) = fastops("diagnose", str(pasted), "--format", "json").json["files"]
    assert {one["deployment"] for one in file["findings"]} == {"docker/api"}


def test_the_kernels_words_explain_the_death_of_a_worker(fastops: Fastops, pasted: Path) -> None:
    pasted.write_text(KERNEL)
    told = found(fastops("diagnose", str(pasted), "--format", "json"))
    assert told["oom-killed"]["count"] == 1
    assert set(told["oom-killed"]["lines"]) <= {1, 2}
    assert told["worker-sigkill"]["explained_by"]["signature"] == "oom-killed"
    assert told["worker-sigkill"]["lines"] == [3]


def test_the_kernel_killing_something_else_is_no_finding(fastops: Fastops, pasted: Path) -> None:
    pasted.write_text("[ 12.5] Memory cgroup out of memory: Killed process 99 (chrome) total-vm:90kB, anon-rss:1kB\n")
    assert found(fastops("diagnose", str(pasted), "--format", "json")) == {}


def test_secrets_and_control_characters_are_not_repeated(fastops: Fastops) -> None:
    line = f"{TIMEOUT} password=hunter22 \x1b]0;title\x07\x1b[31m\u202ered"
    done = piped(fastops, line.encode(), "-")
    assert "hunter22" not in done.said
    assert "\x1b" not in done.said
    assert "\u202e" not in done.said


def piped(fastops: Fastops, given: bytes, *arguments: str) -> Done:
    command = fastops.command("diagnose", *arguments)
    ended = subprocess.run(command, input=given, env=fastops.env, capture_output=True, timeout=120, cwd="/")
    return Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def test_lines_beside_one_pod_are_its_own(fastops: Fastops, pasted: Path) -> None:
    backoff = (
        "  Warning  BackOff  10s  kubelet  Back-off restarting failed container api in pod api-7d9f6c5b4-x2x1z_shop\n"
    )
    pasted.write_text(DESCRIBED + backoff)
    told = found(fastops("diagnose", str(pasted), "--format", "json"))
    assert told["crash-loop"]["explained_by"]["signature"] == "oom-killed"
    assert told["crash-loop"]["lines"] == [len(DESCRIBED.splitlines()) + 1]
    assert told["oom-killed"]["lines"] == [15]
