"""What a container is joined to: networks with all their settings, and volumes that nobody named."""

from __future__ import annotations

from typing import Any

from probes.base import Frozen

Json = dict[str, Any]
# What a person can ask of an endpoint; the rest of what the engine tells is what came of it.
_ASKED = ("IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority")


class Attachments(Frozen, frozen=True):
    """The networks of a container, as they were asked for."""

    first: tuple[str, Json] | None
    """The one in which it is made: its name and endpoint settings; ``None`` where its mode has none."""
    others: tuple[tuple[str, Json], ...] = ()
    """Those that it is connected to afterwards: name and endpoint settings."""
    leaves: str | None = None
    """The network of its mode, where it was disconnected from that one."""


def attachments(inspect: Json) -> Attachments:
    """The networks of a container."""
    mode = str(inspect["HostConfig"].get("NetworkMode") or "default")
    networks: Json = (inspect.get("NetworkSettings") or {}).get("Networks") or {}
    if mode.startswith("container:") or mode in {"none", "host"}:
        return Attachments(first=None)
    wanted = "bridge" if mode == "default" else mode
    first: tuple[str, Json] | None = None
    others: list[tuple[str, Json]] = []
    short_id = inspect["Id"][:12]
    for name, endpoint in networks.items():
        identity = endpoint.get("NetworkID") or name
        if wanted in {name, identity} or (len(wanted) >= 12 and identity.startswith(wanted)):
            first = (mode if mode != "default" else name, _endpoint(endpoint, short_id))
            # An address of one's own choice belongs to the network in which the container is made.
            mac = endpoint.get("MacAddress")
            if mac and mac == (inspect["Config"].get("MacAddress") or None):
                first[1]["MacAddress"] = mac
        else:
            others.append((name, _endpoint(endpoint, short_id)))
    left = wanted if first is None and networks else None
    return Attachments(first=first, others=tuple(sorted(others, key=lambda one: one[0])), leaves=left)


def _endpoint(endpoint: Json, short_id: str) -> Json:
    kept = {key: endpoint[key] for key in _ASKED if endpoint.get(key)}
    aliases = [one for one in kept.get("Aliases", ()) if one != short_id]
    if aliases:
        kept["Aliases"] = aliases
    else:
        kept.pop("Aliases", None)
    return kept


def carried_volumes(inspect: Json, host: Json) -> None:
    """Names in ``host`` (the ``HostConfig`` to be) the volumes that the engine made for want of a name."""
    named = {one.split(":")[1] for one in host.get("Binds") or [] if ":" in one}
    for mount in host.get("Mounts") or []:
        found = _volume(inspect, mount.get("Target", ""))
        if found is not None and mount.get("Type") == "volume" and not mount.get("Source"):
            mount["Source"] = found["Name"]
        named.add(mount.get("Target", ""))
    extra = [
        f"{one['Name']}:{one['Destination']}{'' if one.get('RW', True) else ':ro'}"
        for one in inspect.get("Mounts") or []
        if one.get("Type") == "volume" and one.get("Name") and one["Destination"] not in named
    ]
    if extra:
        host["Binds"] = [*(host.get("Binds") or []), *sorted(extra)]


def _volume(inspect: Json, target: str) -> Json | None:
    mounts: list[Json] = inspect.get("Mounts") or []
    return next((m for m in mounts if m.get("Destination") == target and m.get("Type") == "volume"), None)
