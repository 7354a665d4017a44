"""What a local service is called: by the directory it runs in, or where that says nothing, its module."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from probes.base import DeploymentId
from probes.text import clean

# Directories whose name says nothing about the service: the next one above is asked.
_GENERIC = frozenset(
    {"", "app", "src", "current", "code", "backend", "service", "server", "api", "root", "tmp", "home", "opt"}
)
_GENERIC_MODULES = frozenset({"", "main", "app", "asgi", "server", "api", "application", "src", "run", "wsgi"})


class Key(NamedTuple):
    """What makes a service the same one across restarts: who runs what where."""

    uid: int | None
    directory: str | None
    app: str | None
    binds: tuple[str, ...]


class Names:
    """Gives each service a name that stays its own while this is kept."""

    def __init__(self) -> None:
        self._given: dict[Key, str] = {}

    def name(self, keys: Iterable[Key]) -> Mapping[Key, str]:
        """Names for these services. Where several would have one name, each gets its port or a number."""
        wanted = list(dict.fromkeys(keys))
        new = [key for key in wanted if key not in self._given]
        plain: dict[str, list[Key]] = {}
        for key in new:
            plain.setdefault(base(key), []).append(key)
        taken = set(self._given.values())
        for text, claimants in sorted(plain.items()):
            for key in sorted(claimants, key=repr):
                alone = len(claimants) == 1 and text not in taken
                self._given[key] = text if alone else _free(text, key, taken)
                taken.add(self._given[key])
        return {key: self._given[key] for key in wanted}

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops services that are gone for good."""
        for key in keys:
            self._given.pop(key, None)


def base(key: Key) -> str:
    """The name without what tells it from others."""
    home = str(Path.home())
    directory = key.directory or ""
    while directory not in ("", "/", home):
        folder = posixpath.basename(directory)
        if folder.lower() not in _GENERIC:
            return clean(folder, 80)
        directory = posixpath.dirname(directory)
    parts = (key.app or "").partition(":")[0].split(".")
    telling = [part for part in parts if part.lower() not in _GENERIC_MODULES]
    return clean((telling or parts)[0] or "service", 80)


def _free(text: str, key: Key, taken: set[str]) -> str:
    port = key.binds[0].rpartition(":")[2] if key.binds else ""
    candidate = f"{text}-{clean(port, 8)}" if port.isdigit() else text
    number = 2
    found = candidate
    while found in taken:
        found = f"{candidate}-{number}"
        number += 1
    return found


def deployment_id(name: str) -> DeploymentId:
    """``local/NAME``, with what is not a letter, digit or one of ``.-_@:`` percent-encoded."""
    return DeploymentId("local/" + quote(name, safe="@:").replace("~", "%7E"))
