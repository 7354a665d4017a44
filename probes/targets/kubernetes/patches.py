"""What differs between two states of an object, as JSON Patch (RFC 6902), as its way back and as a strategic merge.

Everything is pure. A :class:`Put` names its place by the names of list items (``[name=web]``), not by their numbers,
so that the way back still finds its place where somebody added a sidecar or a variable meanwhile.

Why JSON Patch: it says exactly what becomes of each field, lists' order included, so that the way back is exact too.
A strategic merge merges what it finds (a probe's ``httpGet`` beside a new ``tcpSocket``), and an apply would take over
fields of other managers. A ``test`` of ``/metadata/resourceVersion`` stands before the first operation: the object that
was read is the one that is changed, or the server refuses (422) and nothing is overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from probes.base import Frozen

Json = dict[str, Any]

# Lists whose items have an identity, and the field that is it (x-kubernetes-patch-merge-key of the API's schema).
_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "port",
}


class Misfit(Exception):
    """The object has not the place that a put names; the text is one sentence."""


class Put(Frozen, frozen=True):
    """One field, or one item of a list, as it shall be."""

    path: tuple[str, ...]
    """Field names and ``[key=value]`` for items of lists."""
    value: Any = None
    absent: bool = False
    """It shall not be there."""
    index: int | None = None
    """Where an item that is new belongs in its list."""


def difference(before: Json, after: Json) -> tuple[Put, ...]:
    """The puts that make ``after`` of ``before``: applied in order, and only what differs."""
    return tuple(_of_objects((), before, after))


def applied(thing: Json, puts: Sequence[Put]) -> Json:
    """The object with the puts in it; raises :class:`Misfit`."""
    made = deepcopy(thing)
    for put in puts:
        _operation(made, put)
    return made


def operations(thing: Json, puts: Sequence[Put]) -> list[Json]:
    """JSON Patch operations that do the same to ``thing``; what is as wanted already takes none. Raises ``Misfit``."""
    made = deepcopy(thing)
    return [operation for put in puts if (operation := _operation(made, put)) is not None]


def precondition(thing: Json) -> list[Json]:
    """The operations that make a server refuse all others where it has another object, or another state of this one."""
    metadata = thing["metadata"]
    return [{"op": "test", "path": f"/metadata/{key}", "value": metadata[key]} for key in ("uid", "resourceVersion")]


def value_at(thing: Any, path: Sequence[str]) -> Any:
    """What stands at a path; ``None`` where nothing does."""
    at = thing
    for token in path:
        if isinstance(at, dict):
            at = at.get(token)
        elif isinstance(at, list):
            number = _find(at, token)
            at = None if number is None else at[number]
        else:
            return None
    return at


def digest(thing: Json, paths: Sequence[Sequence[str]]) -> str:
    """SHA-256 (hex) of what stands at these paths."""
    said = json.dumps([value_at(thing, path) for path in paths], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def brief(thing: Json, path: Sequence[str]) -> str:
    """Enough of the SHA-256 of what stands at one path to tell that it changed, and too little to try secrets with."""
    return digest(thing, [path])[:8]


def titled(path: Sequence[str]) -> str:
    """A path for people: ``spec.template.spec.containers[name=web].image``."""
    return ".".join(path).replace(".[", "[")


def strategic(thing: Json, puts: Sequence[Put]) -> Json:
    """The same as a strategic merge patch of ``thing``, as ``kubectl patch`` and kustomize take it."""
    metadata = {key: thing["metadata"][key] for key in ("name", "namespace") if key in thing["metadata"]}
    made: Json = {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "metadata": metadata}
    for put in puts:
        *parents, last = put.path
        at: Any = made
        for token, following in zip(parents, [*parents[1:], last], strict=True):
            at = _descend(at, token, following)
        if isinstance(at, list):
            key, name = _item(last)
            at.append({key: name, "$patch": "delete"} if put.absent else deepcopy(put.value))
        else:
            at[last] = None if put.absent else deepcopy(put.value)
    return made


def _descend(at: Any, token: str, following: str) -> Any:
    if isinstance(at, dict):
        return at.setdefault(token, [] if following.startswith("[") else {})
    key, name = _item(token)
    found = next((one for one in at if str(one.get(key)) == name), None)
    if found is None:
        found = {key: int(name) if key == "port" else name}
        at.append(found)
    return found


def _of_objects(path: tuple[str, ...], before: Json, after: Json) -> Iterator[Put]:
    for key in before:
        if key not in after:
            yield Put((*path, key), absent=True)
    for key, value in after.items():
        if key not in before:
            yield Put((*path, key), value=value)
        else:
            yield from _of_values((*path, key), before[key], value)


def _of_values(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Put]:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(path, before, after)
        return
    key = _KEYS.get(path[-1])
    if key is not None and _is_keyed(before, key) and _is_keyed(after, key):
        yield from _of_lists(path, key, before, after)
        return
    yield Put(path, value=after)


def _of_lists(path: tuple[str, ...], key: str, before: list[Json], after: list[Json]) -> Iterator[Put]:
    """By the items' names; a list whose items changed places is put as a whole."""
    old = {str(one[key]): one for one in before}
    new = {str(one[key]): one for one in after}
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield Put(path, value=after)
        return
    for name in old:
        if name not in new:
            yield Put((*path, f"[{key}={name}]"), absent=True)
    for name, one in old.items():
        if name in new:
            yield from _of_objects((*path, f"[{key}={name}]"), one, new[name])
    for index, (name, one) in enumerate(new.items()):
        if name not in old:
            yield Put((*path, f"[{key}={name}]"), value=one, index=index)


def _is_keyed(items: Any, key: str) -> bool:
    if not isinstance(items, list) or not all(isinstance(one, dict) and key in one for one in items):
        return False
    names = [str(one[key]) for one in items]
    return len(set(names)) == len(names)


def _item(token: str) -> tuple[str, str]:
    key, equals, name = token[1:-1].partition("=")
    if not (token.startswith("[") and token.endswith("]") and equals):
        raise Misfit(f"{token} is no item of a list")
    return key, name


def _find(items: list[Any], token: str) -> int | None:
    key, name = _item(token)
    return next((n for n, one in enumerate(items) if isinstance(one, dict) and str(one.get(key)) == name), None)


def _operation(thing: Json, put: Put) -> Json | None:
    """Puts it into ``thing``; the operation that does so, ``None`` where it was so already."""
    *parents, last = put.path
    at: Any = thing
    pointer = ""
    for token in parents:
        step: str | int | None = token
        if isinstance(at, list):
            step = _find(at, token)
        elif not isinstance(at, dict) or token not in at:
            step = None
        if step is None:
            if put.absent:
                return None
            raise Misfit(f"there is no {'.'.join(put.path)} any more")
        at = at[step]
        pointer += f"/{_escaped(step)}"
    if isinstance(at, list):
        return _in_list(at, pointer, last, put)
    if not isinstance(at, dict):
        raise Misfit(f"{'.'.join(put.path)} is not what it was")
    pointer += f"/{_escaped(last)}"
    known = last in at
    if put.absent:
        at.pop(last, None)
        return {"op": "remove", "path": pointer} if known else None
    if known and at[last] == put.value:
        return None
    at[last] = deepcopy(put.value)
    return {"op": "replace" if known else "add", "path": pointer, "value": deepcopy(put.value)}


def _in_list(items: list[Any], pointer: str, token: str, put: Put) -> Json | None:
    number = _find(items, token)
    if put.absent:
        if number is None:
            return None
        del items[number]
        return {"op": "remove", "path": f"{pointer}/{number}"}
    if number is not None:
        if items[number] == put.value:
            return None
        items[number] = deepcopy(put.value)
        return {"op": "replace", "path": f"{pointer}/{number}", "value": deepcopy(put.value)}
    number = len(items) if put.index is None else min(put.index, len(items))
    items.insert(number, deepcopy(put.value))
    return {"op": "add", "path": f"{pointer}/{number}", "value": deepcopy(put.value)}


def _escaped(token: str | int) -> str:
    return str(token).replace("~", "~0").replace("/", "~1")
