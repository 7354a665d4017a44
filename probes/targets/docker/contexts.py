"""Which engine is meant: ``docker``, ``docker:CONTEXT``, ``docker:URL``, and the environment of the docker command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from probes import text
from probes.base import Failure, Frozen, TargetId
from probes.target import Unreadable
from probes.transport import Endpoint

DEFAULT_URL = "unix:///var/run/docker.sock"
DEFAULT = "default"
"""The name that the docker command gives to what its environment or its built-in default says."""
_SCHEMES = ("unix://", "tcp://", "http://", "https://", "ssh://")
_METADATA_LIMIT = 1 << 20
T = TypeVar("T")


class Place(Frozen, frozen=True):
    """An engine, named and located."""

    target: TargetId
    context: str
    """The context's name, or the URL where it was named by one."""
    url: str
    """``unix://``, ``http://``, ``https://`` or ``ssh://``."""
    endpoint: Endpoint | None
    """How to reach it; ``None`` for ssh, whose socket has to be forwarded first."""


class _Metadata(Frozen, frozen=True):
    name: str = msgspec.field(default="", name="Name")


class _Config(Frozen, frozen=True):
    current: str = msgspec.field(default="", name="currentContext")


def list_contexts(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The names of the contexts that exist, ``default`` first. One that is broken hides no other."""
    directory = _directory(os.environ if environment is None else environment) / "contexts" / "meta"
    found = {_decoded(one, _Metadata()).name for one in directory.glob("*/meta.json")}
    return (DEFAULT, *sorted(found - {"", DEFAULT}))


def current_context(environment: Mapping[str, str] | None = None) -> str:
    """The context in force, in the order of the docker command: DOCKER_HOST, DOCKER_CONTEXT, ``docker context use``."""
    environment = os.environ if environment is None else environment
    if environment.get("DOCKER_HOST"):
        return DEFAULT
    return (
        environment.get("DOCKER_CONTEXT")
        or _decoded(_directory(environment) / "config.json", _Config()).current
        or DEFAULT
    )


def resolve(spec: str = "docker", environment: Mapping[str, str] | None = None) -> Place:
    """The engine that a target's name means. Raises :class:`Unreadable` where there is none."""
    environment = os.environ if environment is None else environment
    wanted = spec.removeprefix("docker").removeprefix(":").removeprefix("@")
    current = current_context(environment)
    if wanted in ("", current):
        return _in_context(TargetId("docker"), current, environment)
    name = TargetId(f"docker@{quote(wanted, safe='.-_@:')}")
    if wanted in list_contexts(environment):
        return _in_context(name, wanted, environment)
    if wanted.startswith(_SCHEMES):
        return _at(name, wanted, wanted, environment)
    known = ", ".join(text.clean(one, 80) for one in list_contexts(environment)[:12])
    raise Unreadable(
        Failure(
            "not-found",
            f"the docker context {text.clean(wanted, 120)}",
            f"there is none of that name; there are: {known}",
            "name one of these, or a URL: unix://, tcp:// or ssh://",
        )
    )


def _in_context(target: TargetId, name: str, environment: Mapping[str, str]) -> Place:
    if name == DEFAULT:
        return _at(target, name, environment.get("DOCKER_HOST") or DEFAULT_URL, environment)
    from docker.context import ContextAPI

    what = f"the docker context {text.clean(name, 120)}"
    try:
        found: Any = ContextAPI.get_context(name)
    except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception for a broken meta.json
        raise Unreadable(Failure("invalid", what, text.line(str(error), 200), "see docker context inspect")) from None
    if found is None or not found.Host:
        raise Unreadable(
            Failure(
                "not-found",
                what,
                "it does not exist or names no host",
                "see docker context ls; docker context use NAME",
            )
        )
    tls = found.TLSConfig
    if tls is None:
        return _at(target, name, found.Host, {})
    cert, key = _pair(tls.cert)
    skip = bool(found.endpoints.get("docker", {}).get("SkipTLSVerify", False))
    url = _http(found.Host, secure=True)
    return Place(target, name, url, Endpoint(url=url, ca=tls.ca_cert, cert=cert, key=key, verify=not skip))


def _pair(files: Any) -> tuple[str | None, str | None]:
    """Certificate and key, which the SDK's types promise and its code does not."""
    return (str(files[0]), str(files[1])) if isinstance(files, tuple) and len(files) == 2 else (None, None)


def _at(target: TargetId, context: str, url: str, environment: Mapping[str, str]) -> Place:
    """An engine at a URL, with the TLS that ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` ask for."""
    if url.startswith("ssh://"):
        return Place(target, context, url, None)
    if url.startswith("/"):
        url = f"unix://{url}"
    if url.startswith("unix://"):
        return Place(target, context, url, Endpoint(url=url))
    if not url.startswith(_SCHEMES):
        raise Unreadable(
            Failure(
                "invalid", f"the engine at {text.line(url, 200)}", "only unix://, tcp:// and ssh:// are understood", ""
            )
        )
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    secure = verify or bool(environment.get("DOCKER_TLS")) or url.startswith("https://")
    url = _http(url, secure=secure)
    if not secure:
        return Place(target, context, url, Endpoint(url=url))
    certificates = Path(environment.get("DOCKER_CERT_PATH") or _directory(environment))
    ca, cert, key = (
        str(one) if one.is_file() else None for one in (certificates / f"{n}.pem" for n in ("ca", "cert", "key"))
    )
    return Place(
        target,
        context,
        url,
        Endpoint(url=url, ca=ca, cert=cert, key=key, verify=verify or not environment.get("DOCKER_TLS")),
    )


def _http(url: str, *, secure: bool) -> str:
    """``tcp://host`` as HTTP speaks it, with the port of the docker command where none is named."""
    address = url.split("://", 1)[1].rstrip("/")
    host = address.rsplit("]", 1)[-1]
    port = "" if ":" in host else (":2376" if secure else ":2375")
    return f"{'https' if secure else 'http'}://{address}{port}"


def _directory(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _decoded(path: Path, default: T) -> T:
    """A small JSON file; ``default`` when it is absent, unreadable or something else."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_METADATA_LIMIT), type=type(default))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return default
