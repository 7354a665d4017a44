"""The files of ``KUBECONFIG``, merged by kubectl's rules.

Own code over PyYAML and msgspec, after measuring what there is: the ``kubernetes`` package (37.0) takes the current
context of the *last* file where kubectl takes the first's, runs exec plugins with neither deadline nor typed failure,
leaves inline keys in temporary files until the process ends, and costs 320 ms and 18 MiB of imports (its models) for
this alone; lightkube (1.0) reads one file only; kr8s (0.20) takes the current context of the first file even where that
names none, and needs 590 ms. The rules: "The first file to set a particular value or map key wins", missing files
count for nothing, relative paths are relative to their file
(https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
Unlike kubectl, a broken file or entry hides no other: it is a failure of the contexts that need it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from probes import text, yamlload
from probes.base import Frozen

FILE_LIMIT = 4 << 20
_KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class Entry(Frozen, frozen=True):
    """One named entry and the directory that its paths are relative to."""

    value: dict[str, Any]
    directory: str


class Kubeconfig(Frozen, frozen=True):
    """All files as one."""

    current: str
    clusters: dict[str, Entry]
    users: dict[str, Entry]
    contexts: dict[str, Entry]
    broken: tuple[str, ...]
    """A sentence for each file or entry that could not be read; cleaned."""
    files: tuple[str, ...]
    """Those that were looked for."""


def paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that kubectl would read, in their order."""
    listed = environment.get("KUBECONFIG", "")
    if listed:
        return tuple(dict.fromkeys(Path(one) for one in listed.split(os.pathsep) if one))
    home = environment.get("HOME")
    return ((Path(home) if home else Path.home()) / ".kube" / "config",)


def load(environment: Mapping[str, str]) -> Kubeconfig:
    """Reads and merges. Never raises: what is broken is named in :attr:`Kubeconfig.broken`."""
    found: dict[str, dict[str, Entry]] = {kind: {} for kind in _KINDS}
    broken: list[str] = []
    current = ""
    files = paths(environment)
    for path in files:
        document = _document(path, broken)
        if document is None:
            continue
        named = document.get("current-context")
        current = current or (named if isinstance(named, str) else "")
        for kind, inner in _KINDS.items():
            for name, entry in _entries(document.get(kind), inner, path, broken):
                found[kind].setdefault(name, entry)
    return Kubeconfig(
        current, found["clusters"], found["users"], found["contexts"], tuple(broken), tuple(str(one) for one in files)
    )


def _document(path: Path, broken: list[str]) -> dict[str, Any] | None:
    where = text.clean(str(path), 300)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            broken.append(f"{where} is larger than 4 MiB")
            return None
        document = yamlload.load(data)
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        broken.append(
            f"{where} is no YAML: {text.line(str(getattr(error, 'problem', None) or 'unreadable'), 120)}{line}"
        )
        return None
    except (OSError, ValueError, RecursionError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        broken.append(f"{where} cannot be read: {text.line(reason or type(error).__name__, 200)}")
        return None
    if document is None:
        return None
    if not isinstance(document, dict):
        broken.append(f"{where} is no kubeconfig: it holds no mapping")
        return None
    return document


def _entries(listed: Any, inner: str, path: Path, broken: list[str]) -> list[tuple[str, Entry]]:
    where = text.clean(str(path), 300)
    if listed is None:
        return []
    if not isinstance(listed, list):
        broken.append(f"{where}: {inner}s is no list")
        return []
    found: list[tuple[str, Entry]] = []
    for one in listed:
        name = one.get("name") if isinstance(one, dict) else None
        value = one.get(inner) if isinstance(one, dict) else None
        if not isinstance(name, str) or not (value is None or isinstance(value, dict)):
            broken.append(f"{where}: a {inner} is not understood")
            continue
        given = {key: item for key, item in (value or {}).items() if isinstance(key, str) and item is not None}
        found.append((name, Entry(given, str(path.absolute().parent))))
    return found
