"""A container is made again from what the engine tells of it, and the two cannot be told apart."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Any

import docker.errors
import pytest

from probes.targets.docker.client import EngineClient
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import (
    CannotReproduce,
    create_body,
    environment,
    is_kept,
    kept_name,
    staged_name,
    version_of,
    with_environment,
)
from probes.targets.docker.joins import attachments
from probes.targets.docker.rendering import document
from probes.transport import Endpoint

PREFIX = f"fastops-dw-{os.getpid()}"
BLOCK = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
"""A block of addresses for static ones; another test process on this engine most likely takes another."""
NETWORKS = {f"{PREFIX}-one": f"{BLOCK}.0/25", f"{PREFIX}-two": f"{BLOCK}.128/25"}
ONE, TWO = NETWORKS

# What `docker create` is given, in the API's words; each is one way in which containers differ.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "limits": {
        "HostConfig": {
            "Memory": 64 << 20,
            "MemorySwap": 96 << 20,
            "MemoryReservation": 32 << 20,
            "NanoCpus": 500_000_000,
            "PidsLimit": 50,
            "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}, {"Name": "core", "Soft": 0, "Hard": 0}],
            "OomScoreAdj": 100,
            "ShmSize": 32 << 20,
        }
    },
    "ports": {
        "ExposedPorts": {"8000/tcp": {}, "53/udp": {}},
        "HostConfig": {
            "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}], "53/udp": [{"HostPort": ""}]},
            "PublishAllPorts": True,
        },
    },
    "volumes": {
        "Volumes": {"/anonymous": {}},
        "HostConfig": {
            "Binds": [f"{PREFIX}-named:/named", "/etc/hostname:/host:ro"],
            "Mounts": [
                {"Type": "volume", "Target": "/also-anonymous"},
                {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 1 << 20}},
                {"Type": "bind", "Source": "/etc/hosts", "Target": "/seen", "ReadOnly": True},
            ],
            "Tmpfs": {"/t": "size=1m"},
        },
    },
    "health": {
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "Timeout": 2 * 10**9, "Retries": 4},
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
    },
    "no-health": {"Healthcheck": {"Test": ["NONE"]}},
    "environment": {"Env": ["A=1", "EMPTY=", "SPACE=a b", "QUOTE=\"'", "EQ=a=b", "UNSET", "UNI=é☃"]},
    "labels": {
        "Labels": {
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "empty": "",
            "fastops.change": "an-older-one",
        }
    },
    "restart": {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}}},
    "security": {
        "User": "1000:1000",
        "HostConfig": {
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["MKNOD"],
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges"],
            "GroupAdd": ["20"],
        },
    },
    "host-names": {"HostConfig": {"PidMode": "host", "UTSMode": "host", "IpcMode": "host"}},
    "names": {
        "Hostname": "own",
        "Domainname": "example.test",
        "WorkingDir": "/tmp",
        "HostConfig": {
            "Dns": ["127.0.0.1"],
            "DnsSearch": ["example.test"],
            "DnsOptions": ["ndots:2"],
            "ExtraHosts": ["db:10.0.0.9"],
        },
    },
    "terminal": {"Tty": True, "OpenStdin": True, "StdinOnce": True, "AttachStdin": True},
    "log": {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}}},
    "devices": {
        "HostConfig": {
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "rwm"}],
            "Sysctls": {"net.ipv4.ip_local_port_range": "1024 60000"},
            "Init": True,
        }
    },
    "entrypoint": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["sleep 300"]},
    "host-network": {"HostConfig": {"NetworkMode": "host"}},
    "no-network": {"HostConfig": {"NetworkMode": "none"}},
    "mac": {"MacAddress": "02:42:0a:d5:01:77", "HostConfig": {"NetworkMode": ONE}},
    "networks": {
        "HostConfig": {"NetworkMode": ONE},
        "NetworkingConfig": {
            "EndpointsConfig": {ONE: {"IPAMConfig": {"IPv4Address": f"{BLOCK}.50"}, "Aliases": ["web", "api"]}}
        },
        "+connect": {TWO: {"IPAMConfig": {"IPv4Address": f"{BLOCK}.160"}, "Aliases": ["inner"]}},
    },
}

# What differs between any two containers, whatever they were made from.
_OWN = {"Id", "Created", "Name", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver"}
_ENDPOINT_OWN = {"EndpointID", "NetworkID", "DNSNames"}


def comparable(inspect: dict[str, Any]) -> dict[str, Any]:
    """An inspect without what is of this one container alone, its volumes without order."""
    left = {key: value for key, value in inspect.items() if key not in _OWN}
    short_id = inspect["Id"][:12]
    config = dict(left["Config"])
    if config.get("Hostname") == short_id:
        config["Hostname"] = "(short id)"
    config["Labels"] = {k: v for k, v in (config["Labels"] or {}).items() if not k.startswith("fastops.")}
    config["Env"] = config["Env"]
    networks = {
        name: {
            key: sorted(set(value or ()) - {short_id}) if key == "Aliases" else value
            for key, value in one.items()
            if key not in _ENDPOINT_OWN
        }
        for name, one in left.pop("NetworkSettings")["Networks"].items()
    }
    mounts = sorted((one["Type"], one.get("Name", ""), one["Destination"], one["RW"]) for one in left.pop("Mounts"))
    host = dict(left["HostConfig"])
    # An anonymous volume is carried over as a named one: the same volume at the same place, seen in ``Mounts``.
    host.pop("Binds"), host.pop("Mounts", None)
    return {**left, "Config": config, "HostConfig": host, "Networks": networks, "Mounts": mounts}


@pytest.fixture(scope="module")
def sdk(docker_client: Any) -> Iterator[Any]:
    """The SDK's low-level client, with two networks to join."""
    import docker

    try:
        for name, subnet in NETWORKS.items():
            ipam = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
            docker_client.networks.create(name, ipam=ipam)
        yield docker_client.api
    finally:
        _remove_all(docker_client)


def _remove_all(docker_client: Any) -> None:
    """A container that a failed test left behind would keep its network, and the network its addresses."""
    for container in docker_client.containers.list(all=True, filters={"name": PREFIX}):
        container.remove(force=True, v=True)
    for network in docker_client.networks.list(names=[PREFIX]):
        network.remove()
    for volume in docker_client.volumes.list():
        if volume.name.startswith(PREFIX):
            volume.remove()


def make(sdk: Any, image: str, name: str, kind: dict[str, Any]) -> str:
    """A container through the raw API."""
    body = {"Image": image, "Cmd": ["sleep", "300"], **{k: v for k, v in kind.items() if not k.startswith("+")}}
    answer = sdk._post_json(sdk._url("/containers/create"), data=body, params={"name": name})
    assert answer.status_code == 201, answer.text
    for network, endpoint in kind.get("+connect", {}).items():
        url = sdk._url("/networks/{0}/connect", network)
        joined = sdk._post_json(url, data={"Container": name, "EndpointConfig": endpoint})
        assert joined.status_code == 200, joined.text
    return str(answer.json()["Id"])


async def again(address: str, old: str, name: str) -> None:
    """Makes a container again, by the functions under test."""
    client = EngineClient(Endpoint(address), read_only=False)
    try:
        await client.open()
        containers = Containers(client)
        inspect = await containers.inspect(old)
        assert inspect is not None
        body = create_body(inspect, await containers.image(inspect["Image"]))
        new = await containers.create(name, body)
        for network, endpoint in attachments(inspect).others:
            await containers.connect(new, network, endpoint)
    finally:
        await client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_made_again_cannot_be_told_from_the_first(engine: str, sdk: Any, lab_image: str, kind: str):
    first, second = f"{PREFIX}-{kind}", f"{PREFIX}-{kind}-again"
    old = make(sdk, lab_image, first, KINDS[kind])
    try:
        sdk.start(old)
        asyncio.run(again(engine, old, second))
        sdk.stop(old, timeout=0)  # its addresses and ports are the other's now
        sdk.start(second)
        sdk.stop(second, timeout=0)
        one, other = sdk.inspect_container(old), sdk.inspect_container(second)
        assert comparable(other) == comparable(one)
        image = sdk.inspect_image(lab_image)
        before, after = document(one, image), document(other, image, name=first)
        if kind != "volumes":
            assert create_body(other, image) == create_body(one, image)
        assert after.text == before.text
        assert before.version == version_of(before.text)
    finally:
        volumes = {m["Name"] for m in sdk.inspect_container(old)["Mounts"] if m["Type"] == "volume"}
        for name in (first, second):
            sdk.remove_container(name, force=True, v=True)
        for volume in volumes:
            with contextlib.suppress(docker.errors.NotFound):
                sdk.remove_volume(volume)


def test_static_addresses_work_while_they_are_used_again(engine: str, sdk: Any, lab_image: str):
    first, second = f"{PREFIX}-static", f"{PREFIX}-static-again"
    old = make(sdk, lab_image, first, KINDS["networks"])
    try:
        sdk.start(old)
        asyncio.run(again(engine, old, second))
        sdk.stop(old, timeout=0)
        sdk.start(second)
        networks = sdk.inspect_container(second)["NetworkSettings"]["Networks"]
        assert {name: one["IPAddress"] for name, one in networks.items()} == {ONE: f"{BLOCK}.50", TWO: f"{BLOCK}.160"}
        assert {"web", "api"} <= set(networks[ONE]["Aliases"])
    finally:
        for name in (first, second):
            sdk.remove_container(name, force=True, v=True)


def test_an_entrypoint_that_was_taken_away_stays_away(engine: str, docker_client: Any, sdk: Any, lab_image: str):
    base = sdk.create_container(lab_image, ["sleep", "1"])["Id"]
    image = sdk.commit(base, f"{PREFIX}-entry", "1", changes=['ENTRYPOINT ["/bin/false"]', 'CMD ["x"]'])["Id"]
    first, second = f"{PREFIX}-entry", f"{PREFIX}-entry-again"
    try:
        old = make(sdk, f"{PREFIX}-entry:1", first, {"Entrypoint": [""], "Cmd": ["sleep", "300"]})
        sdk.start(old)
        asyncio.run(again(engine, old, second))
        sdk.stop(old, timeout=0)
        sdk.start(second)
        sdk.stop(second, timeout=0)
        assert not sdk.inspect_container(second)["Config"]["Entrypoint"]
        assert comparable(sdk.inspect_container(second)) == comparable(sdk.inspect_container(old))
        # The tag now means another image: the container's own is named by its id.
        sdk.tag(lab_image, f"{PREFIX}-entry", "1")
        body = create_body(sdk.inspect_container(old), sdk.inspect_image(image))
        assert body["Image"] == image
    finally:
        for name in (first, second, base):
            sdk.remove_container(name, force=True)
        sdk.remove_image(f"{PREFIX}-entry:1")
        with contextlib.suppress(docker.errors.ImageNotFound):  # whoever prunes this engine may have been faster
            sdk.remove_image(image, force=True)


def test_the_text_names_no_defaults_and_shows_sizes_for_people(sdk: Any, lab_image: str):
    name = f"{PREFIX}-text"
    body = {"HostConfig": {"Memory": 256 << 20, "MemorySwap": 512 << 20}, "Env": ["A=1", "PASSWORD=x: y"]}
    old = make(sdk, lab_image, name, body)
    try:
        shown = document(sdk.inspect_container(old), sdk.inspect_image(lab_image))
    finally:
        sdk.remove_container(old)
    assert shown.title == f"container {name}"
    assert "  Memory: 268435456   # 256 MiB\n" in shown.text
    assert "Env:\n  A: '1'\n  PASSWORD: 'x: y'\n" in shown.text
    for noise in ("MaskedPaths", "ConsoleSize", "PYTHONUNBUFFERED", "Hostname", "WorkingDir", "false", "null"):
        assert noise not in shown.text


def test_an_image_that_is_another_is_refused():
    inspect = {"Id": "a" * 64, "Image": "sha256:1", "Config": {"Image": "x"}, "HostConfig": {}}
    with pytest.raises(CannotReproduce):
        create_body(inspect, {"Id": "sha256:2"})


def test_kept_and_staged_containers_are_known_by_their_names():
    assert is_kept(kept_name("shop-web-1", "20261122-abc"))
    assert is_kept(staged_name("shop-web-1", "20261122-abc"))
    assert not is_kept("shop-web-1")
    assert not is_kept("fastops-lab-leak")
    assert kept_name("web", "a/b c") == "web.fastops-a-b-c"


def test_an_environment_changes_in_place():
    env = ["A=1", "BARE", "B=2"]
    assert environment(env) == {"A": "1", "B": "2"}
    assert with_environment(env, {"A": "1", "B": "x=y", "C": "3"}) == ["A=1", "BARE", "B=x=y", "C=3"]
    assert with_environment(env, {"A": "1"}) == ["A=1", "BARE"]
