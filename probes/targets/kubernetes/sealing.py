"""The way back of a change without the secrets in it: they stay in the cluster, in a Secret beside the workload. Pure.

A journal holds no secret. Where a former value is one (a literal password, an argument), the put of the way back holds
a mark in its place, and the value is kept in a Secret: in the one that the variable moved into, or in one of the change
alone, ``NAME-fastops-CHANGE``, which goes when the change can be undone no more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from probes.base import Frozen
from probes.target import Refused
from probes.targets.kubernetes.patches import Put
from probes.targets.kubernetes.rendering import CHANGE, holds_secret
from probes.targets.kubernetes.variables import key_of

Json = dict[str, Any]
_KEPT, _MOVED = "fastops.kept", "fastops.moved"


class Sealed(Frozen, frozen=True):
    """A way back that may be journalled, and what has to be kept for it."""

    puts: tuple[Put, ...]
    kept: Mapping[str, str] = {}
    """By key: the values as JSON."""


def seal(puts: Sequence[Put], moved: Sequence[str] = ()) -> Sealed:
    """Marks in place of secrets; ``moved`` are variables whose value stands in the workload's own Secret."""
    made: list[Put] = []
    kept: dict[str, str] = {}
    for put in puts:
        name = _variable(put.path)
        if name is not None and name in moved and isinstance(put.value, str):
            made.append(Put(put.path, {_MOVED: key_of(name)}, index=put.index))
        elif not put.absent and _is_secret(put, name):
            key = f"value-{len(kept)}"
            kept[key] = json.dumps(put.value)
            made.append(Put(put.path, {_KEPT: key}, index=put.index))
        else:
            made.append(put)
    return Sealed(tuple(made), kept)


def unseal(puts: Sequence[Put], kept: Json | None, moved: Json | None) -> tuple[Put, ...]:
    """The way back with its values, from the Secrets; raises :class:`Refused` where one is gone."""
    return tuple(Put(p.path, _value(p.value, kept, moved), p.absent, p.index) for p in puts)


def needs(puts: Sequence[Put]) -> tuple[bool, bool]:
    """Whether the way back takes values from the change's own Secret, and from the workload's."""
    marks = [next(iter(p.value)) for p in puts if isinstance(p.value, dict) and len(p.value) == 1]
    return _KEPT in marks, _MOVED in marks


def open_puts(puts: Sequence[Put]) -> tuple[Put, ...]:
    """The part of the way back that holds its values itself."""
    return tuple(put for put in puts if not needs((put,))[0] and not needs((put,))[1])


def secret(namespace: str, name: str, values: Mapping[str, str], change: str) -> Json:
    """A Secret as it is sent."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "annotations": {CHANGE: change}},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _variable(path: Sequence[str]) -> str | None:
    """The name of the variable whose ``value`` stands there."""
    if len(path) > 2 and path[-1] == "value" and path[-3] == "env":
        return path[-2].removeprefix("[name=").removesuffix("]")
    return None


def _is_secret(put: Put, name: str | None) -> bool:
    return holds_secret({"name": name, "value": put.value}) if name is not None else holds_secret(put.value)


def _value(value: Any, kept: Json | None, moved: Json | None) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return value
    if _KEPT in value:
        return json.loads(_read(kept, str(value[_KEPT])))
    if _MOVED in value:
        return _read(moved, str(value[_MOVED]))
    return value


def _read(thing: Json | None, key: str) -> str:
    data = (thing or {}).get("data") or {}
    if key not in data:
        raise Refused("The Secret that holds the former value is gone, or has it no more: it cannot be put back.")
    return base64.b64decode(data[key]).decode()
