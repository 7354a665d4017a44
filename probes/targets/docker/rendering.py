"""The create configuration of a container as a text: YAML, sorted, without noise and without the image's defaults."""

from __future__ import annotations

import re
from typing import Any

import yaml

from probes import text
from probes.intent import Document
from probes.targets.docker.documents import create_body, environment, name_of, version_of
from probes.targets.docker.joins import attachments

Json = dict[str, Any]
# What the engine fills in by itself; only another value says something.
_USUAL: Json = {
    "ShmSize": 64 << 20,
    "Runtime": "runc",
    "IpcMode": "private",
    "NetworkMode": "default",
    "CgroupnsMode": {"host", "private"},
    "LogConfig": {"Type": "json-file", "Config": {}},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
}
_NOISE = frozenset({"ConsoleSize", "ContainerIDFile", "MaskedPaths", "ReadonlyPaths", "Isolation", "OnBuild"})
_FROM_IMAGE = ("ExposedPorts", "Volumes", "WorkingDir", "User", "Healthcheck", "StopSignal", "Shell")
_BYTES = re.compile(r"^(\s*(?:Memory|MemorySwap|MemoryReservation|ShmSize): )(\d+)$", re.MULTILINE)
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def document(inspect: Json, image_inspect: Json, body: Json | None = None, name: str | None = None) -> Document:
    """The document of a container; ``body`` is what it shall be made from instead (of today's own)."""
    called = name or name_of(inspect)
    said = render(create_body(inspect, image_inspect) if body is None else body, inspect, image_inspect)
    return Document(
        id=f"container:{called}",
        kind="container",
        title=f"container {text.clean(called, 200)}",
        text=said,
        version=version_of(said),
    )


def render(body: Json, inspect: Json, image_inspect: Json) -> str:
    """The text: what will be sent, in the engine's own words."""
    image: Json = image_inspect.get("Config") or {}
    shown: Json = {
        key: value
        for key, value in body.items()
        if key not in _NOISE and not (key in _FROM_IMAGE and value == image.get(key))
    }
    shown["ImageID"] = image_inspect.get("Id")
    defaults = image.get("Env") or []
    environ = environment([one for one in body.get("Env") or [] if one not in defaults])
    labels = image.get("Labels") or {}
    own_labels = {k: v for k, v in (body.get("Labels") or {}).items() if labels.get(k) != v}
    for key in ("ExposedPorts", "Volumes"):
        shown[key] = sorted(shown.get(key) or {})
    shown["HostConfig"] = {
        key: value for key, value in body["HostConfig"].items() if key not in _NOISE and not _usual(key, value)
    }
    joined = attachments(inspect)
    endpoints = dict(body.get("NetworkingConfig", {}).get("EndpointsConfig") or {})
    shown["NetworkingConfig"] = {**endpoints, **dict(joined.others)}
    pruned = {**_pruned(shown), "Env": environ, "Labels": own_labels}
    said = yaml.safe_dump(
        {k: v for k, v in pruned.items() if v},
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=True,
        width=1 << 30,
    )
    return _BYTES.sub(lambda m: f"{m[1]}{m[2]}   # {amount(int(m[2]))}", said)


def amount(size: int) -> str:
    """Bytes for people: ``512 MiB``, exact where it is a whole number of a unit, else with one digit."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size // unit} {name}" if size % unit == 0 else f"{size / unit:.1f} {name}"
    return f"{size} B"


def _usual(key: str, value: object) -> bool:
    usual = _USUAL.get(key)
    return value in usual if isinstance(usual, set) and isinstance(value, str) else value == usual


def _pruned(values: Json) -> Json:
    """Without what is empty, zero or false: the engine means the same by leaving it out."""
    kept = {str(k): _pruned(v) if isinstance(v, dict) and k != "Healthcheck" else v for k, v in values.items()}
    return {k: v for k, v in kept.items() if v not in (None, "", 0, [], {}) and v is not False}
