"""One container, recognised by its files: what is known of them so far, and what has to be asked for next. Pure.

The same rules as for other targets (:mod:`probes.framework`) are applied again and again to what was read so far; what
they ask for and is not known makes the next round, until nothing unknown is asked for, or a bound is met. What was not
seen then proves nothing: only FastAPI that was found counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from probes import framework, packages, servers, text
from probes.framework import Recognition
from probes.targets.kubernetes import lookprogram
from probes.targets.kubernetes.lookprogram import Request, Seen
from probes.targets.kubernetes.startcommand import FIRST_DIRECTORY, config_path, shown
from probes.targets.kubernetes.told import Looked, Told
from probes.targets.kubernetes.views import ContainerView

ROUNDS = 6
"""Most services are told by one: a module that imports its application from elsewhere takes one more."""
_PATHS = 300
"""Asked for in one round."""
_PATH_LENGTH = 1000
_READ_BYTES = 8 << 20
"""Of all files of one container."""
_NO_COMMAND: tuple[str, ...] = ()

T = TypeVar("T")


class Look:
    """What is known of one container."""

    def __init__(self, found: ContainerView) -> None:
        self._found = found
        self._files: dict[str, bytes | None] = {}
        self._unreadable: set[str] = set()
        self._lists: dict[str, list[str] | None] = {}
        self._seen: Seen | None = None
        """What the first round told."""
        self._rounds = 0
        self._size = 0
        self._recognition: Recognition | None = None
        self._missing = False

    def request(self) -> Request | None:
        """What to ask next; ``None`` when it is told, or the bounds are met."""
        asked = _Asked()
        self._recognition = self._recognise(asked)
        self._missing = bool(asked.files or asked.lists)
        if self._seen is None:
            return Request(
                files=self._named(asked.files),
                lists=tuple(asked.lists),
                prefixes=packages.prefixes(self._found.argv, self._found.environment, self._directory),
            )
        if not self._missing or self._rounds >= ROUNDS or self._size >= _READ_BYTES:
            return None
        return Request(files=tuple(asked.files), lists=tuple(asked.lists), cwd=self._cwd)

    def take(self, output: bytes) -> None:
        """What the program printed. Raises ``ValueError`` where it is not what it prints."""
        seen = lookprogram.read(output)
        self._rounds += 1
        if self._seen is None:
            self._seen = msgspec.structs.replace(seen, files={}, lists={})
        for path, one in seen.files.items():
            data = None if one.text is None else one.text.encode("latin-1", "replace")
            self._files[path] = data
            self._size += len(data or b"")
            if one.unreadable:
                self._unreadable.add(path)
        self._lists.update(seen.lists)

    def told(self) -> Told:
        """What it is, as far as it can be told; after :meth:`request` had nothing more to ask."""
        known = self._recognition
        if known is None or self._seen is None:
            return nothing(self._found, "its files could not be read")
        kind, by_source = known.framework, known.by_source
        if kind == "other" and (self._missing or any(one.endswith(".py") for one in self._unreadable)):
            kind, by_source = "unknown", False
        looked = Looked(
            framework=kind, why=text.line(known.why, 300), by_source=by_source, command=shown(known.command)
        )
        installed = {text.clean(name, 100): text.clean(version, 50) for name, version in known.packages.items()}
        return Told(packages=installed, files=self._config(), inside={self._found.name: looked})

    @property
    def _cwd(self) -> str:
        return (self._seen.cwd if self._seen is not None else None) or FIRST_DIRECTORY

    @property
    def _directory(self) -> str:
        """The working directory, by the best name that is known."""
        return self._found.working_dir or self._cwd

    def _recognise(self, asked: _Asked) -> Recognition:
        seen, found = self._seen, self._found
        # The image's own variables count as far as the description gives no others; secrets end here.
        inherited = text.environment(seen.environment) if seen is not None else {}
        environment = {**inherited, **found.environment}
        argv = found.argv if found.entry_known else seen.argv if seen is not None else _NO_COMMAND

        def read_file(path: str) -> bytes | None:
            return _known(path, self._files, asked.files)

        def list_dir(path: str) -> list[str] | None:
            return _known(path, self._lists, asked.lists)

        try:
            command = servers.parse(argv, environment, read_file, self._directory)
            return framework.recognise(command, argv, environment, self._directory, list_dir, read_file)
        except RecursionError:  # source that parses, and is nested too deep to be gone through
            return Recognition(framework="unknown", why="its source is nested too deep to be read")

    def _named(self, files: Mapping[str, None]) -> tuple[str, ...]:
        """With gunicorn's own file, which decides more than what it is."""
        config = config_path(self._found)
        return tuple(files) if config is None else tuple(dict.fromkeys([config, *files]))

    def _config(self) -> dict[str, bytes | None]:
        """That file, by the path under which it is known without a look."""
        config = config_path(self._found)
        if config is None:
            return {}
        path = config
        if config.startswith(f"{FIRST_DIRECTORY}/"):
            path = self._cwd.rstrip("/") + config.removeprefix(FIRST_DIRECTORY)
        return {config: self._files[path]} if path in self._files and path not in self._unreadable else {}


class _Asked:
    """What was asked for and is not known; in order."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.lists: dict[str, None] = {}


def _known(path: str, among: Mapping[str, T | None], asked: dict[str, None]) -> T | None:
    """What is known of a path; what is not is noted, as far as it can be asked for."""
    if path in among:
        return among[path]
    if path.startswith("/") and len(path) <= _PATH_LENGTH and len(asked) < _PATHS and path.isprintable():
        asked[path] = None
    return None


def nothing(found: ContainerView, why: str) -> Told:
    """Of a container that cannot be looked into: nobody needs to try again."""
    return Told(inside={found.name: Looked(framework="unknown", why=why)})
