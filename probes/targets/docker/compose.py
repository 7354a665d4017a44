"""Writing settings where Compose has them: in the project's own files, where they are on this machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from probes import splice, text
from probes.base import Frozen
from probes.splicetree import Plain
from probes.target import Refused
from probes.targets.docker.atomic import read_text, why_not_writable
from probes.targets.docker.limits import JSON_FILE, is_bound

_FILES = "com.docker.compose.project.config_files"
_FOLDER = "com.docker.compose.project.working_dir"
_SERVICE = "com.docker.compose.service"
_INTERPOLATED = re.compile(r"(?<!\$)(?:\$\$)*\$(?!\$)")
_MEMORY_UNITS = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
_DEPLOY_MEMORY = ("deploy", "resources", "limits", "memory")


class Command(Frozen, frozen=True):
    """An entry point or a command, as it is and as it shall be."""

    before: tuple[str, ...]
    after: tuple[str, ...]


class Goal(Frozen, frozen=True):
    """What the service shall have; only what is given is written."""

    memory_bytes: int | None = None
    memory_swap_bytes: int | None = None
    """Memory and swap together; written only where the file names it."""
    nofile: tuple[int, int] | None = None
    """Soft and hard."""
    log_options: Mapping[str, str] = {}
    """Of ``json-file``; the driver's name is written, too, where the file names none."""
    entrypoint: Command | None = None
    command: Command | None = None
    environment: Mapping[str, str | None] = {}
    """Variables that change; ``None`` for those that go."""
    in_place: frozenset[str] = frozenset()
    """Those of them that hold a secret: changed where they stand, never written where they do not."""


class FileEdit(Frozen, frozen=True):
    """A Compose file with other settings."""

    path: str
    before: str
    after: str


class Edited(Frozen, frozen=True):
    """What becomes of a project's files."""

    files: tuple[FileEdit, ...] = ()
    notes: tuple[str, ...] = ()


def edit(labels: Mapping[str, str], goal: Goal) -> Edited:
    """The project's files with what is wanted. All or none: what stands in the way is a note for people."""
    paths, service = config_files(labels), labels.get(_SERVICE)
    if not paths or not service:
        return Edited()
    here = [path for path in paths if Path(path).is_file()]
    if not here:
        return Edited(notes=(_left_alone(paths[0], "it is not on this machine"),))
    where = here[0]
    try:
        texts = {path: read_text(path) for path in here}
        files = _Files(texts, service)
        for keys, value, path in _settings(files, goal):
            where = path
            files.set(path, keys, value)
    except Refused as error:
        return Edited(notes=(_left_alone(where, str(error).rstrip(".")),))
    changed = [FileEdit(path, texts[path], after) for path, after in files.texts.items() if after != texts[path]]
    for one in changed:
        why = why_not_writable(one.path)
        if why is not None:
            return Edited(notes=(_left_alone(one.path, why),))
    return Edited(files=tuple(changed))


def config_files(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The paths of the project's files, in the order in which Compose merges them."""
    folder = labels.get(_FOLDER) or "/"
    names = [one.strip() for one in (labels.get(_FILES) or "").split(",")]
    return tuple(str(Path(folder) / name) for name in names if name)


def memory_text(size: int, before: str | None = None) -> str:
    """Bytes as Compose writes them, with the suffix's case of what was there: ``512M``, ``1g``, ``536870913``."""
    small = before is not None and re.search(r"[a-z]", before) is not None
    for unit, letter in _MEMORY_UNITS:
        if size % unit == 0:
            return f"{size // unit}{letter.lower() if small else letter}"
    return f"{size}b" if small or before is None else f"{size}B"


class _Files:
    """The texts of a project's files that name the service, the last one winning."""

    def __init__(self, texts: Mapping[str, str], service: str) -> None:
        self._root = ("services", service)
        self.texts = {path: said for path, said in texts.items() if isinstance(self._at(said, ()), dict)}
        if not self.texts:
            raise Refused(f"it has no service {text.clean(service, 100)}")
        self.first = next(iter(self.texts))

    def having(self, *keys: str) -> str | None:
        """The file whose value is in force."""
        found = [path for path, said in self.texts.items() if self._at(said, keys) is not None]
        return found[-1] if found else None

    def get(self, path: str, *keys: str) -> Plain:
        """What stands there; raises :class:`Refused` where it is interpolated."""
        found = self._at(self.texts[path], keys)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, str) and _INTERPOLATED.search(one):
                raise Refused(f"{'.'.join(keys)} is made from variables there ({text.line(one, 100)})")
        return found

    def raw(self, path: str, *keys: str) -> Plain:
        """What stands there, as it is written."""
        return self._at(self.texts[path], keys)

    def set(self, path: str, keys: tuple[str, ...], value: splice.Value) -> None:
        """Raises :class:`Refused` where that cannot be done safely."""
        service = self._at(self.texts[path], ())
        if isinstance(service, dict) and "extends" in service and keys[0] not in service:
            raise Refused("the service extends another one")
        self.texts[path] = splice.set_value(self.texts[path], (*self._root, *keys), value)

    def _at(self, said: str, keys: tuple[str, ...]) -> Plain:
        return splice.value_at(said, (*self._root, *keys))


Setting = tuple[tuple[str, ...], splice.Value, str]


def _settings(files: _Files, goal: Goal) -> Iterator[Setting]:
    """Keys below the service, the value, and the file to write it in."""
    if goal.memory_bytes is not None:
        yield from _memory(files, goal.memory_bytes, goal.memory_swap_bytes)
    if goal.nofile is not None:
        yield from _nofile(files, *goal.nofile)
    if goal.log_options:
        yield from _logging(files, goal.log_options)
    if goal.entrypoint is not None:
        yield _words(files, "entrypoint", goal.entrypoint)
    if goal.command is not None:
        yield _words(files, "command", goal.command)
    for name, value in goal.environment.items():
        yield _variable(files, name, value, in_place=name in goal.in_place)


def _memory(files: _Files, size: int, swap: int | None) -> Iterator[Setting]:
    places = [keys for keys in (("mem_limit",), _DEPLOY_MEMORY) if files.having(*keys)]
    for keys in places or [_DEPLOY_MEMORY]:
        path = files.having(*keys) or files.first
        yield keys, memory_text(size, _string(files.get(path, *keys))), path
    holder = files.having("memswap_limit")
    if holder is not None and swap is not None:
        before = _string(files.get(holder, "memswap_limit"))
        if before not in {"0", "-1"}:
            yield ("memswap_limit",), memory_text(swap, before), holder


def _nofile(files: _Files, soft: int, hard: int) -> Iterator[Setting]:
    path = files.having("ulimits", "nofile")
    if path is not None and isinstance(files.get(path, "ulimits", "nofile"), str):
        yield ("ulimits", "nofile"), max(soft, hard), path
        return
    for key, value in (("soft", soft), ("hard", hard)):
        holder = files.having("ulimits", "nofile", key) or path or files.first
        if files.get(holder, "ulimits", "nofile", key) != str(value):
            yield ("ulimits", "nofile", key), value, holder


def _logging(files: _Files, options: Mapping[str, str]) -> Iterator[Setting]:
    path = files.having("logging") or files.first
    bounded = files.having("logging", "options", "max-size")
    if bounded is not None and is_bound(files.get(bounded, "logging", "options", "max-size")):
        return
    holder = files.having("logging", "driver")
    if holder is None:
        yield ("logging", "driver"), JSON_FILE, path
    elif (named := files.get(holder, "logging", "driver")) != JSON_FILE:
        raise Refused(f"its log driver there is {text.clean(str(named), 60)}, which is not the container's")
    for name, value in options.items():
        place = files.having("logging", "options", name) or path
        if files.get(place, "logging", "options", name) != value:
            yield ("logging", "options", name), value, place


def _words(files: _Files, key: str, command: Command) -> Setting:
    path = files.having(key)
    after = [one.replace("$", "$$") for one in command.after]
    if path is None:
        return (key,), after, files.first
    found = files.get(path, key)
    said = _split(found) if isinstance(found, str) else found
    if said != [one.replace("$", "$$") for one in command.before]:
        raise Refused(f"its {key} is not what the container runs")
    return (key,), shlex.join(after) if isinstance(found, str) else after, path


def _variable(files: _Files, name: str, value: str | None, *, in_place: bool = False) -> Setting:
    holders = [path for path in files.texts if _holds(files.raw(path, "environment"), name)]
    path = holders[-1] if holders else files.having("environment") or files.first
    if value is None:
        raise Refused(f"{text.clean(name, 100)} has to be removed from its environment by hand")
    if in_place and not holders:
        raise Refused(f"{text.clean(name, 100)} does not stand in its environment there")
    held, escaped = files.raw(path, "environment"), value.replace("$", "$$")
    if not isinstance(held, list):
        files.get(path, "environment", name)
        return ("environment", name), escaped, path
    for item in held:
        if _is(name, item) and _INTERPOLATED.search(str(item)):
            raise Refused(f"{text.clean(name, 100)} is made from variables there")
    items = [f"{name}={escaped}" if _is(name, item) else str(item) for item in held]
    return ("environment",), items if holders else [*items, f"{name}={escaped}"], path


def _holds(held: Plain, name: str) -> bool:
    return name in held if isinstance(held, dict) else any(_is(name, item) for item in held or ())


def _is(name: str, item: object) -> bool:
    return isinstance(item, str) and item.partition("=")[0] == name


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        raise Refused("its command cannot be taken apart") from None


def _string(value: Plain) -> str | None:
    return value if isinstance(value, str) else None


def _left_alone(path: str, why: str) -> str:
    return (
        f"{text.clean(path, 300)} is left as it is: {why}. "
        "Change it by hand, or the next `docker compose up` takes this fix back."
    )
