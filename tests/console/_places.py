"""Small helpers over the engine, for what fastops must have done and must have left alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.runner import LABEL, Running

# What differs between two runs of one container, or two containers made from one description.
PASSING = frozenset(
    [
        "Id",
        "Created",
        "State",
        "LogPath",
        "HostnamePath",
        "HostsPath",
        "ResolvConfPath",
        "RestartCount",
        "GraphDriver",
        "Image",
        "ExecIDs",
    ]
)
PASSING_NETWORK = frozenset(
    [
        "EndpointID",
        "Gateway",
        "GlobalIPv6Address",
        "IPAddress",
        "MacAddress",
        "SandboxID",
        "SandboxKey",
        "NetworkID",
        "Ports",
        "IPPrefixLen",
        "LinkLocalIPv6Address",
        "SecondaryIPAddresses",
        "SecondaryIPv6Addresses",
        "GlobalIPv6PrefixLen",
        "IPv6Gateway",
    ]
)


def lasting(inspect: Mapping[str, Any]) -> dict[str, Any]:
    """What ``inspect`` says of a container, without what changes with each start and each copy."""
    kept = {name: value for name, value in inspect.items() if name not in PASSING}
    own = str(inspect["Id"])[:12]
    networks = {
        name: {
            key: [alias for alias in value or [] if alias != own] if key == "Aliases" else value
            for key, value in network.items()
            if key not in PASSING_NETWORK
        }
        for name, network in inspect["NetworkSettings"]["Networks"].items()
    }
    kept["NetworkSettings"] = {"Networks": networks}
    return json.loads(json.dumps(kept, sort_keys=True))


def of_lab(client: Any, running: Running) -> list[Any]:
    """Every container that carries the label of this container's lab and its case's name, also what a fix made."""
    run = running.container.labels[LABEL]
    every = client.containers.list(all=True, filters={"label": f"{LABEL}={run}"}, ignore_removed=True)
    return [one for one in every if one.name.startswith(running.names[0])]


def named(client: Any, name: str) -> Any:
    """The container that has this name now."""
    return client.containers.get(name)


def serves(container: Any, port: int = 8000) -> bool:
    """Whether the service answers, asked from inside its container."""
    container.reload()
    if container.status != "running":
        return False
    program = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/health', timeout=3)"
    return bool(container.exec_run(["python3", "-c", program]).exit_code == 0)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
