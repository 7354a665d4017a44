"""Environment variables in a container's description. Pure."""

from __future__ import annotations

import re
from typing import Any

from probes import text, tls_url
from probes.target import Refused

Json = dict[str, Any]
_REFERENCE = re.compile(r"(?P<what>secret|configmap) (?P<name>[a-z0-9][a-z0-9.\-]*)/(?P<key>[\-._a-zA-Z0-9]+)")
_FIELDS = {"secret": "secretKeyRef", "configmap": "configMapKeyRef"}
_KEY = re.compile(r"[^\-._a-zA-Z0-9]")


def literals(container: Json) -> dict[str, str]:
    """The variables that have a value of their own."""
    return {one["name"]: one.get("value") or "" for one in container.get("env") or [] if "valueFrom" not in one}


def set_literal(container: Json, name: str, value: str) -> None:
    """Gives a variable this value, in its place where it has one."""
    _set(container, {"name": name, "value": value} if value else {"name": name})


def set_reference(container: Json, name: str, reference: str) -> None:
    """Lets a variable take its value from ``secret NAME/KEY`` or ``configmap NAME/KEY``; raises :class:`Refused`."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise Refused(f"{text.clean(reference, 100)} is neither `secret NAME/KEY` nor `configmap NAME/KEY`.")
    source = {_FIELDS[found["what"]]: {"name": found["name"], "key": found["key"]}}
    _set(container, {"name": name, "valueFrom": source})


def set_database_tls(container: Json, name: str, mode: str) -> None:
    """Lets a database URL ask for another mode of TLS; raises :class:`Refused` where it is no literal value."""
    value = literals(container).get(name)
    if not value:
        raise Refused(f"{text.clean(name, 100)} has no literal value in this container any more.")
    set_literal(container, name, tls_url.with_mode(text.clean(name, 100), value, mode))


def move(container: Json, name: str, secret: str) -> None:
    """Lets a variable with a literal value take it from a Secret; raises :class:`Refused` where that would differ."""
    value = literals(container).get(name)
    shown = text.clean(name, 100)
    moved = {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key_of(name)}}}
    if moved in (container.get("env") or []):
        return
    if not value:
        raise Refused(f"{shown} has no literal value in this container any more.")
    if "$(" in value:
        raise Refused(f"{shown} is made of other variables ($(…)), which a Secret's value is not: write it by hand.")
    _set(container, moved)


def key_of(name: str) -> str:
    """The key of a Secret for a variable."""
    return _KEY.sub("_", name)


def _set(container: Json, wanted: Json) -> None:
    items: list[Json] = container.setdefault("env", [])
    there = [number for number, one in enumerate(items) if one["name"] == wanted["name"]]
    if there:
        items[there[-1]] = wanted  # the last of one name is the one in force
    else:
        items.append(wanted)
