"""Tokens, files and plugins: what a request carries, and what is said where there is nothing to carry."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from probes.base import TargetId
from probes.target import Unreadable
from probes.targets.kubernetes import credentials as module
from probes.targets.kubernetes.credentials import Credential, Credentials
from probes.targets.kubernetes.place import Cluster, Place, Plugin, User, Variable

V1 = "client.authentication.k8s.io/v1"


def place(user: User, cluster: Cluster | None = None) -> Place:
    return Place(TargetId("k8s/x"), "x", None, "default", cluster or Cluster("https://10.0.0.1"), user)


def script(path: Path, body: str) -> str:
    """A plugin; its directory remembers each run in ``runs``."""
    path.write_text(f'#!/bin/sh\necho >> "{path.parent}/runs"\n{body}\n')
    path.chmod(0o755)
    return str(path)


def runs(tmp_path: Path) -> int:
    kept = tmp_path / "runs"
    return len(kept.read_text().splitlines()) if kept.exists() else 0


def printed(version: str = V1, seconds: float | None = 3600, **status: Any) -> str:
    """What a plugin prints, ended ``seconds`` from now."""
    if seconds is not None:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        status["expirationTimestamp"] = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def plugin(command: str, **rest: Any) -> User:
    return User("ann", plugin=Plugin(command, **rest))


def bearer(credential: Credential) -> str:
    return dict(credential.headers)["authorization"].removeprefix("Bearer ")


async def refusal(user: User, **rest: Any) -> Any:
    with pytest.raises(Unreadable) as raised:
        await Credentials(place(user), **rest).current()
    return raised.value.failure


async def test_a_token_of_the_kubeconfig_is_a_bearer():
    assert await Credentials(place(User(token="t"))).current() == Credential((("authorization", "Bearer t"),))


async def test_a_name_and_a_password_are_basic():
    found = await Credentials(place(User(username="ann", password="pä:ss"))).current()
    assert base64.b64decode(dict(found.headers)["authorization"].removeprefix("Basic ")).decode() == "ann:pä:ss"


async def test_whom_one_impersonates_goes_with_every_request():
    user = User(token="t", impersonate=(("Impersonate-User", "bob"), ("Impersonate-Group", "a")))
    assert (await Credentials(place(user)).current()).headers[1:] == user.impersonate


async def test_a_token_file_is_read_again_when_it_is_replaced(tmp_path):
    path = tmp_path / "token"
    path.write_text("one\n")
    kept = Credentials(place(User(token_file=str(path), token="of the kubeconfig")))
    assert bearer(await kept.current()) == "one"
    fresh = tmp_path / "fresh"
    fresh.write_text("two\n")
    os.replace(fresh, path)  # as the kubelet does
    assert bearer(await kept.current()) == "two"
    path.unlink()
    assert bearer(await kept.current()) == "of the kubeconfig"


async def test_a_token_file_that_is_not_there_is_named(tmp_path):
    found = await refusal(User("ann", token_file=str(tmp_path / "gone")))
    assert (found.code, str(tmp_path / "gone") in found.why) == ("not-found", True)


async def test_a_token_that_is_no_header_is_refused_without_being_shown():
    found = await refusal(User("ann", token="s3cr3t\r\nx: y"))
    assert found.code == "invalid"
    assert "s3cr3t" not in str(found)


async def test_certificates_come_from_files_or_from_the_kubeconfig(tmp_path):
    (tmp_path / "c").write_bytes(b"CERT")
    user = User(certificate_file=str(tmp_path / "c"), key=b"KEY")
    found = await Credentials(place(user)).current()
    assert (found.certificate, found.key) == (b"CERT", b"KEY")
    assert (await refusal(User("ann", key=b"KEY"))).code == "invalid"


async def test_a_plugin_runs_once_until_what_it_gave_ends(tmp_path):
    user = plugin(script(tmp_path / "login", f"cat <<'X'\n{printed(token='t1')}\nX"))
    kept = Credentials(place(user))
    found = await asyncio.gather(*(kept.current() for _ in range(20)))
    assert {bearer(one) for one in found} == {"t1"}
    assert runs(tmp_path) == 1


async def test_a_token_that_ends_soon_is_renewed_before_it_does(tmp_path):
    (tmp_path / "next").write_text(printed(token="t1", seconds=module.MARGIN.total_seconds() - 5))
    user = plugin(script(tmp_path / "login", f'cat "{tmp_path}/next"'))
    kept = Credentials(place(user))
    assert bearer(await kept.current()) == "t1"
    (tmp_path / "next").write_text(printed(token="t2"))
    assert bearer(await kept.current()) == "t2"
    assert bearer(await kept.current()) == "t2"
    assert runs(tmp_path) == 2


async def test_a_refused_token_is_renewed_once_however_many_requests_it_failed(tmp_path):
    (tmp_path / "next").write_text(printed(token="t1", seconds=None))
    kept = Credentials(place(plugin(script(tmp_path / "login", f'cat "{tmp_path}/next"'))))
    old = await kept.current()
    (tmp_path / "next").write_text(printed(token="t2", seconds=None))
    assert await asyncio.gather(*(kept.renew(old) for _ in range(10))) == [True] * 10
    assert bearer(await kept.current()) == "t2"
    assert runs(tmp_path) == 2


async def test_what_is_refused_again_does_not_run_the_plugin_for_every_request(tmp_path):
    kept = Credentials(place(plugin(script(tmp_path / "login", f"cat <<'X'\n{printed(token='t')}\nX"))))
    old = await kept.current()
    assert [await kept.renew(old) for _ in range(5)] == [False] * 5
    assert runs(tmp_path) == 2


async def test_a_login_by_hand_is_noticed_on_refusal():
    kept = Credentials(place(User(token="old")), reread=lambda: place(User(token="new")))
    old = await kept.current()
    assert await kept.renew(old)
    assert bearer(await kept.current()) == "new"
    assert not await Credentials(place(User(token="old"))).renew(old)


async def test_a_plugin_gives_a_certificate(tmp_path):
    output = printed(clientCertificateData="CERT", clientKeyData="KEY")
    found = await Credentials(place(plugin(script(tmp_path / "login", f"cat <<'X'\n{output}\nX")))).current()
    assert found == Credential((), b"CERT", b"KEY")


async def test_a_plugin_is_told_what_it_asks_for(tmp_path):
    body = f'cat > "{tmp_path}/stdin"; env > "{tmp_path}/env"; echo "$@" > "{tmp_path}/args"; cat "{tmp_path}/out"'
    (tmp_path / "out").write_text(printed("client.authentication.k8s.io/v1beta1", token="t"))
    user = plugin(
        script(tmp_path / "login", body),
        arguments=("get-token", "--x"),
        environment=(Variable("PROFILE", "prod"),),
        version="client.authentication.k8s.io/v1beta1",
        wants_cluster=True,
    )
    cluster = Cluster("https://10.0.0.1", authority=b"PEM", server_name="api", plugin_config={"audience": "x"})
    assert bearer(await Credentials(place(user, cluster)).current()) == "t"
    told = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert told["PROFILE"] == "prod"
    assert told["PATH"] == os.environ["PATH"]
    assert json.loads(told["KUBERNETES_EXEC_INFO"]) == {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://10.0.0.1",
                "tls-server-name": "api",
                "certificate-authority-data": base64.b64encode(b"PEM").decode(),
                "config": {"audience": "x"},
            },
        },
    }
    assert (tmp_path / "args").read_text() == "get-token --x\n"
    assert (tmp_path / "stdin").read_bytes() == b""


async def test_a_plugin_that_is_missing_is_named_with_how_to_install_it():
    user = plugin("no-such-plugin", install_hint="Install it:\n\x1b[31m  brew install x")
    found = await refusal(user)
    assert found.code == "no-command"
    assert "no-such-plugin" in found.what
    assert found.why == "the command is not found"
    assert found.hint == "Install it: brew install x"


async def test_a_plugin_that_cannot_be_run_is_named(tmp_path):
    path = tmp_path / "login"
    path.write_bytes(b"\x7fELF garbage")
    path.chmod(0o755)
    assert (await refusal(plugin(str(path)))).code == "no-command"


async def test_a_plugin_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    user = plugin(
        script(tmp_path / "login", f'sleep 600 & echo $! > "{tmp_path}/child"; echo $$ > "{tmp_path}/pid"; wait')
    )
    found = await refusal(user, timeout_seconds=1.0)
    assert found.code == "timeout"
    for name in ("pid", "child"):
        await _gone(int((tmp_path / name).read_text()))


async def test_a_plugin_that_leaves_a_program_behind_keeps_nobody_waiting(tmp_path):
    body = f"sleep 600 &\necho $! > \"{tmp_path}/child\"\ncat <<'X'\n{printed(token='t')}\nX"
    begun = time.monotonic()
    try:
        assert bearer(await Credentials(place(plugin(script(tmp_path / "login", body)))).current()) == "t"
        assert time.monotonic() - begun < 60  # and not the 600 s of what holds its pipes
    finally:
        psutil.Process(int((tmp_path / "child").read_text())).kill()


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("", "no ExecCredential"),
        ("Opening your browser …", "no ExecCredential"),
        ("[" * 5000, "no ExecCredential"),
        ('{"kind": "Pod", "apiVersion": "v1"}', "its kind is another"),
        (printed("client.authentication.k8s.io/v1alpha1", token="t"), "v1alpha1"),
        (json.dumps({"apiVersion": V1, "kind": "ExecCredential"}), "no status"),
        (printed(), "neither a token nor a certificate"),
        (printed(token=""), "neither a token nor a certificate"),
        (printed(token="t", clientKeyData="k"), "without the other"),
        (printed(token=5), "Expected `str"),
        (printed(seconds=None, token="t", expirationTimestamp="tomorrow"), "datetime"),
        (printed(seconds=None, token="t", expirationTimestamp="2030-01-01T00:00:00"), "no zone"),
    ],
)
async def test_a_plugin_that_prints_something_else_is_said_to(tmp_path, output, word):
    (tmp_path / "out").write_text(output)
    found = await refusal(plugin(script(tmp_path / "login", f'cat "{tmp_path}/out"')))
    assert found.code == "invalid"
    assert word in found.why


async def test_a_plugin_that_fails_is_quoted_cleaned_and_run_again_only_after_a_pause(tmp_path):
    said = "\\033]0;evil\\007Error: \\033[31mtoken=s3cr3t-value expired\\033[0m, run: aws sso login\\n"
    body = f"printf '{said}' >&2; exit 3"
    kept = Credentials(place(plugin(script(tmp_path / "login", body))))
    for _ in range(3):
        with pytest.raises(Unreadable) as raised:
            await kept.current()
        found = raised.value.failure
        assert found.code == "expired"
        assert found.why.startswith("it ended with 3: Error: ")
        assert "run: aws sso login" in found.why
        assert "s3cr3t" not in found.why
        assert "\x1b" not in found.why
    assert runs(tmp_path) == 1


async def test_a_plugin_that_says_too_much_is_read_to_its_end(tmp_path):
    found = await refusal(plugin(script(tmp_path / "login", "head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2")))
    assert found.code == "invalid"


async def test_a_plugin_that_must_ask_is_not_started(tmp_path):
    found = await refusal(plugin(script(tmp_path / "login", "read x"), interactive="Always"))
    assert (found.code, runs(tmp_path)) == ("expired", 0)


async def test_a_request_that_is_given_up_ends_no_login_and_closing_does(tmp_path):
    body = f'echo $$ > "{tmp_path}/pid"; while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done; cat "{tmp_path}/out"'
    (tmp_path / "out").write_text(printed(token="t"))
    kept = Credentials(place(plugin(script(tmp_path / "login", body))))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await kept.current()
    (tmp_path / "go").touch()
    assert bearer(await kept.current()) == "t"
    assert runs(tmp_path) == 1
    (tmp_path / "go").unlink()
    (tmp_path / "pid").unlink()
    other = Credentials(place(kept._user))
    waiting = asyncio.create_task(other.current())
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.02)
    await other.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await _gone(int((tmp_path / "pid").read_text()))


async def test_what_is_secret_is_in_no_representation(tmp_path):
    kept = Credentials(place(plugin(script(tmp_path / "login", f"cat <<'X'\n{printed(token='s3cr3t')}\nX"))))
    found = await kept.current()
    assert "s3cr3t" not in f"{found!r} {kept._issued!r}"


async def test_a_user_that_cannot_be_says_why():
    found = await refusal(User("ann", unsupported="its auth-provider gcp is gone"))
    assert (found.code, found.why) == ("invalid", "its auth-provider gcp is gone")


async def _gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.05)


def test_keys_in_memory_reach_tls_without_a_file(tmp_path, monkeypatch):
    from probes.targets.kubernetes import tls

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with tls._file(b"KEY") as path:
        assert Path(path).read_bytes() == b"KEY"
        assert list(tmp_path.iterdir()) == []
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tls.tempfile, "tempdir", str(tmp_path))
    with tls._file(b"KEY") as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert Path(path).read_bytes() == b"KEY"
    assert list(tmp_path.iterdir()) == []
