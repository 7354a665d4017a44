"""``kubectl describe pod`` read back into the shape of the API: what of it a pod's containers are judged by. Pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

_POD = re.compile(r"(?m)^Name:[ \t]+(?P<name>\S+)")
_ENTRY = re.compile(r"(?P<indent> *)(?P<key>[^\s:][^:]*):(?:\s+(?P<value>.*))?$")
_LINES = 5000


def described(plain: str) -> list[dict[str, Any]]:
    """The pods of a text, a dictionary each."""
    starts = [found.start() for found in _POD.finditer(plain)] or [0]
    found = [_pod(plain[start:end]) for start, end in zip(starts, [*starts[1:], len(plain)], strict=True)]
    return [one for one in found if one["spec"]["containers"]]


def _pod(plain: str) -> dict[str, Any]:
    tree = _tree(plain.split("\n", _LINES)[:_LINES])
    specs, statuses = [], []
    containers = tree.get("Containers")
    for name, told in containers.items() if isinstance(containers, dict) else ():
        if not isinstance(told, dict):
            continue
        state = {**_state(told.get("State"), told.get("State/"))}
        limits = told.get("Limits/")
        specs.append(
            {
                "name": name.removesuffix("/"),
                "image": told.get("Image"),
                "resources": {"limits": limits if isinstance(limits, dict) else {}},
            }
        )
        count = told.get("Restart Count")
        statuses.append(
            {
                "name": name.removesuffix("/"),
                "state": state,
                "lastState": _state(told.get("Last State"), told.get("Last State/")),
                "ready": told.get("Ready") == "True",
                "restartCount": int(count[:9]) if isinstance(count, str) and count.isdecimal() else None,
            }
        )
    metadata = {"name": tree.get("Name"), "namespace": tree.get("Namespace")}
    return {"metadata": metadata, "spec": {"containers": specs}, "status": {"containerStatuses": statuses}}


def _tree(lines: list[str]) -> dict[str, Any]:
    """Entries by indentation. What stands below an entry that has a value itself is kept under its name and a slash."""
    root: dict[str, Any] = {}
    open_at: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    for line in lines:
        found = _ENTRY.match(line.rstrip().expandtabs(4))
        if found is None:
            continue
        depth = len(found["indent"])
        while open_at[-1][0] >= depth:
            open_at.pop()
        parent = open_at[-1][1]
        key, value = found["key"].strip(), (found["value"] or "").strip()
        if value:
            parent.setdefault(key, value)
            key += "/"
        elif len(open_at) > 2:
            key += "/"
        if len(open_at) < 8:
            below: dict[str, Any] = {}
            parent.setdefault(key, below)
            open_at.append((depth, below))
    return root


def _state(value: object, below: object) -> dict[str, Any]:
    if not isinstance(value, str):
        return {}
    told = below if isinstance(below, dict) else {}
    code = told.get("Exit Code")
    facts = {
        "reason": told.get("Reason"),
        "message": told.get("Message"),
        "exitCode": int(code[:9]) if isinstance(code, str) and code.isdecimal() else None,
        "startedAt": _time(told.get("Started")),
        "finishedAt": _time(told.get("Finished")),
    }
    return {value.lower(): {name: fact for name, fact in facts.items() if fact is not None}}


def _time(value: object) -> Any:
    """``Sun, 22 Nov 2026 09:21:50 +0000``: RFC 1123, as kubectl prints it in the time zone where it runs."""
    if not isinstance(value, str):
        return None
    try:
        return parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
