"""Which engine is meant: the environment and the contexts of the docker command."""

from __future__ import annotations

import hashlib
import json

import pytest

from probes.target import Unreadable
from probes.targets.docker import contexts, tunnel


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty configuration directory, and no environment of the person who runs the tests."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def add(home, name, host, *, tls=False, skip=True):
    key = hashlib.sha256(name.encode()).hexdigest()
    directory = home / "contexts" / "meta" / key
    directory.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip}
    (directory / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if tls:
        files = home / "contexts" / "tls" / key / "docker"
        files.mkdir(parents=True)
        for one in ("ca.pem", "cert.pem", "key.pem"):
            (files / one).write_text("x")


def test_without_anything_said_it_is_the_local_socket(home):
    place = contexts.resolve("docker")
    assert (place.target, place.url) == ("docker", "unix:///var/run/docker.sock")
    assert contexts.list_contexts() == ("default",)


def test_docker_host_wins_over_the_context(home, monkeypatch):
    add(home, "prod", "tcp://10.0.0.1:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "prod")
    assert contexts.resolve("docker").url == "http://10.0.0.1:2375"
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/other.sock")
    assert contexts.resolve("docker").url == "unix:///tmp/other.sock"


def test_the_context_in_use_is_plain_docker_and_others_carry_their_name(home):
    add(home, "prod", "ssh://ops@10.0.0.1")
    add(home, "team/a:b", "tcp://10.0.0.2:2375")
    (home / "config.json").write_text(json.dumps({"currentContext": "prod"}))
    current = contexts.resolve("docker")
    assert (current.target, current.url, current.endpoint) == ("docker", "ssh://ops@10.0.0.1", None)
    assert contexts.resolve("docker:prod").target == "docker"
    assert contexts.resolve("docker:team/a:b").target == "docker@team%2Fa:b"
    assert contexts.resolve("docker:default").url == "unix:///var/run/docker.sock"
    assert contexts.list_contexts() == ("default", "prod", "team/a:b")


def test_tls_of_a_context_and_of_the_environment(home, monkeypatch):
    add(home, "safe", "tcp://10.0.0.3:2376", tls=True, skip=False)
    safe = contexts.resolve("docker:safe").endpoint
    assert safe is not None
    assert safe.url == "https://10.0.0.3:2376"
    assert safe.verify
    assert safe.cert is not None
    assert safe.cert.endswith("cert.pem")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.4")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(home))
    (home / "ca.pem").write_text("x")
    endpoint = contexts.resolve("docker").endpoint
    assert endpoint is not None
    assert (endpoint.url, endpoint.ca, endpoint.cert) == ("https://10.0.0.4:2376", str(home / "ca.pem"), None)


def test_a_broken_context_hides_no_other_and_is_one_sentence(home):
    add(home, "good", "tcp://10.0.0.1:2375")
    add(home, "bad", "tcp://10.0.0.2:2375")
    broken = home / "contexts" / "meta" / hashlib.sha256(b"bad").hexdigest() / "meta.json"
    broken.write_text('{"Name": "bad", "Endpoints": 3}')
    assert contexts.resolve("docker:good").url == "http://10.0.0.1:2375"
    with pytest.raises(Unreadable):
        contexts.resolve("docker:bad")


@pytest.mark.parametrize("spec", ["docker:nowhere", "docker:ftp://x", "docker:-oProxyCommand=x"])
def test_what_is_not_there_is_said_with_what_there_is(home, spec):
    with pytest.raises(Unreadable) as missing:
        contexts.resolve(spec)
    assert "default" in missing.value.failure.why


def test_a_url_names_its_target_safely(home):
    place = contexts.resolve("docker:tcp://10.0.0.1:2375")
    assert place.target == "docker@tcp:%2F%2F10.0.0.1:2375"
    assert place.url == "http://10.0.0.1:2375"


@pytest.mark.parametrize("url", ["ssh://-oProxyCommand=touch", "ssh://-l@host", "ssh://", "ssh://u:secret@host"])
def test_an_ssh_address_cannot_smuggle_options(url):
    with pytest.raises(Unreadable):
        tunnel.arguments(url, "/tmp/x.sock")


def test_ssh_asks_nothing_and_shares_no_connection():
    given = tunnel.arguments("ssh://ops@box:2222/run/user/1000/docker.sock", "/tmp/x.sock")
    assert {"BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ExitOnForwardFailure=yes"} <= set(given)
    assert given[given.index("-L") + 1] == "/tmp/x.sock:/run/user/1000/docker.sock"
    assert given[-2:] == ("--", "box")
    assert given[given.index("-p") + 1] == "2222"
