"""The ways to an engine: TLS, and ssh through a real server on loopback."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from probes.target import Unreadable
from probes.targets.docker.client import EngineClient
from probes.targets.docker.tunnel import Tunnel
from probes.transport import Endpoint
from tests.parts import missing
from tests.probes.docker.fake_engine import FakeEngine
from tests.probes.docker.watching import watched


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        missing("openssl is not installed", "FASTOPS_REQUIRE_PARTS")
    directory = tmp_path_factory.mktemp("tls")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(directory, "req", "-x509", *curve, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name in ("server", "client"):
        (directory / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl(directory, "req", *curve, "-keyout", f"{name}-key.pem", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", f"{name}.pem")  # fmt: skip
    return directory


@pytest.fixture
async def secured(certificates, tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    engine = FakeEngine(tmp_path / "unused")
    await engine.start(context, tcp=True)
    yield engine
    await engine.stop()


async def test_a_tls_engine_is_reached_with_its_certificates(secured, certificates, monkeypatch, tmp_path):
    for source, name in (("ca.pem", "ca.pem"), ("client.pem", "cert.pem"), ("client-key.pem", "key.pem")):
        shutil.copy(certificates / source, tmp_path / name)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://localhost:{secured.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    async with watched("docker") as seen:
        state = await seen.until(lambda s: s.complete)
        assert len(state.deployments) == 1


async def test_a_server_that_cannot_be_trusted_is_not_talked_to(secured):
    client = EngineClient(Endpoint(url=f"https://localhost:{secured.port}"), read_only=True)
    with pytest.raises(Unreadable) as refused:
        await client.open()
    assert refused.value.failure.code == "tls"
    assert secured.requests == []
    await client.close()


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """An ssh server on loopback that lets this user in by a key of its own, and ssh's configuration for it."""
    server, keygen = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("ssh-keygen")
    if server is None or keygen is None or shutil.which("ssh") is None:
        missing("openssh-server is not installed", "FASTOPS_REQUIRE_PARTS")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    port = free_port()
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([server, "-D", "-e", "-f", config], stderr=subprocess.DEVNULL)
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    real = shutil.which("ssh")
    options = (
        f"-i {tmp_path}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={tmp_path}/known -o StrictHostKeyChecking=no"
    )
    wrapper.write_text(f'#!/bin/sh\nexec {real} -F none {options} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_an_engine_behind_ssh_is_read_and_found_again_after_the_way_was_cut(sshd, tmp_path):
    engine = FakeEngine(tmp_path / "far.sock")
    await engine.start()
    async with watched(f"docker:{sshd}{engine.path}") as seen:
        state = await seen.until(lambda s: s.complete, seconds=60)
        assert len(state.deployments) == 1
        process = seen.target._tunnel._process
        directory = Path(seen.target._tunnel._directory)
        assert directory.stat().st_mode & 0o777 == 0o700
        process.kill()
        await seen.until(lambda s: s.link.state in {"stale", "down"}, seconds=60)
        await seen.until(lambda s: s.complete, seconds=60)
    assert not directory.exists()
    assert not seen.target._tunnel.alive
    await engine.stop()


async def test_an_engine_that_is_not_started_behind_ssh_is_named_by_its_address(sshd, tmp_path):
    async with watched(f"docker:{sshd}{tmp_path}/nowhere.sock") as seen:
        state = await seen.until(lambda s: sshd in (s.link.why or ""), seconds=60)
    assert state.link.state == "down"
    assert "fastops-ssh" not in (state.link.why or "")
    assert "start Docker on that machine" in (state.link.hint or "")


async def test_ssh_that_cannot_connect_is_one_sentence_in_its_own_words(sshd):
    tunnel = Tunnel(f"ssh://127.0.0.1:{free_port()}")
    with pytest.raises(Unreadable) as refused:
        await tunnel.open()
    assert "refused" in refused.value.failure.why
    await tunnel.close()


async def test_cancelling_ends_ssh_at_once(sshd):
    tunnel = Tunnel(sshd)
    opening = asyncio.create_task(tunnel.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert not tunnel.alive
    assert tunnel._directory is None
