"""What a container was made from, as the body that would make it again and as a text that a person can read.

All of it is pure: ``GET /containers/ID/json`` and ``GET /images/ID/json`` in, data out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from probes.targets.docker.joins import attachments, carried_volumes

Json = dict[str, Any]
"""Decoded JSON of the engine."""

CHANGE_LABEL = "fastops.change"
"""On a container that a fix made: the change's id."""
REPLACES_LABEL = "fastops.replaces"
"""On the same: the full id of the container that it was made from."""
FORMER_LABEL = "fastops.former"
"""On the same: how that one was run, as JSON (see :mod:`probes.targets.docker.recreate`)."""
_OWN_LABELS = (CHANGE_LABEL, REPLACES_LABEL, FORMER_LABEL)
_KEPT = re.compile(r"\.fastops-[A-Za-z0-9][A-Za-z0-9_-]*$")
UNLIMITED_BYTES = 1 << 62
"""A memory limit from here on is none: the engine cannot be told 0 afterwards, and control groups say 2^63 - 4096."""


class CannotReproduce(Exception):
    """The container cannot be made again as it is; the text is one sentence."""


def is_kept(name: str) -> bool:
    """Whether a container of this name is not in service: kept for an undo, or made and not yet put in place."""
    return _KEPT.search(name) is not None


def kept_name(name: str, change: str) -> str:
    """The name under which the container that was ``name`` is kept while ``change`` can be undone."""
    return f"{name}.fastops-{_word(change)}"


def staged_name(name: str, change: str) -> str:
    """The name of the container that ``change`` made, until it takes the place of ``name``."""
    return f"{kept_name(name, change)}-new"


def name_of(inspect: Json) -> str:
    """The container's name, without the engine's slash."""
    return str(inspect.get("Name", "")).lstrip("/")


def create_body(inspect: Json, image_inspect: Json) -> Json:
    """The body of ``POST /containers/create`` that makes this container again, with the network that it is made in.

    Further networks are joined afterwards (:func:`probes.targets.docker.joins.attachments`): engines before 25 take
    one endpoint at creation. Raises :class:`CannotReproduce`.
    """
    config: Json = deepcopy(inspect["Config"])
    host: Json = deepcopy(inspect["HostConfig"])
    image_config: Json = image_inspect.get("Config") or {}
    if inspect.get("Image") != image_inspect.get("Id"):
        raise CannotReproduce("the image that it was made from is not the one at hand.")
    config["Image"] = _image(config.get("Image") or "", image_inspect)
    if config.get("Hostname") == inspect["Id"][:12]:
        config.pop("Hostname")  # the engine's own default: the short id
    mode = str(host.get("NetworkMode") or "default")
    if mode.startswith("container:"):
        # Both belong to the joined container; the engine refuses them here and takes the ports from the image.
        for key in ("Hostname", "Domainname", "ExposedPorts"):
            config.pop(key, None)
    if not config.get("Entrypoint") and image_config.get("Entrypoint"):
        config["Entrypoint"] = [""]  # `--entrypoint ""`: a null would bring the image's back
    config["Labels"] = {k: v for k, v in (config.get("Labels") or {}).items() if k not in _OWN_LABELS}
    for key in ("Memory", "MemorySwap"):
        if (host.get(key) or 0) >= UNLIMITED_BYTES:
            host[key] = 0
    host["Links"] = [_link(one) for one in host.get("Links") or []] or None
    carried_volumes(inspect, host)
    first = attachments(inspect).first
    return {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": dict([first] if first else [])}}


def version_of(text: str) -> str:
    """The SHA-256 of a document's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def environment(env: list[str] | None) -> dict[str, str]:
    """``NAME=value`` items as a mapping; a bare ``NAME`` (it unsets) is left out."""
    return dict(one.partition("=")[::2] for one in env or [] if "=" in one)


def with_environment(env: list[str] | None, wanted: Mapping[str, str]) -> list[str]:
    """``env`` as ``wanted`` (the whole of it) says; order and bare names stay, new variables come last."""
    left = dict(wanted)
    made: list[str] = []
    for one in env or []:
        name, equals, _ = one.partition("=")
        if not equals:
            made.append(one)
        elif name in left:
            made.append(f"{name}={left.pop(name)}")
    return made + [f"{name}={value}" for name, value in left.items()]


def _image(name: str, image: Json) -> str:
    """The name that the container was made with, where it still means this image; else the image's id."""
    identity = str(image["Id"])
    known = {_familiar(one) for one in [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])]}
    return name if _familiar(name) in known else identity


def _familiar(name: str) -> str:
    short = name.removeprefix("docker.io/").removeprefix("index.docker.io/").removeprefix("library/")
    return short if "@" in short or ":" in short.rpartition("/")[2] else f"{short}:latest"


def _link(link: str) -> str:
    """``/db:/web/alias``, as the engine tells it, to ``db:alias``, as it takes it."""
    source, _, target = link.partition(":")
    return f"{source.lstrip('/')}:{target.rpartition('/')[2]}"


def _word(change: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", change).lstrip("-_") or "x"
