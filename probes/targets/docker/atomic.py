"""Writing a file of this machine whole or not at all, with a backup beside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from probes import text
from probes.atomic import replace
from probes.intent import RestorePoint, Step
from probes.target import Refused
from probes.targets.docker.documents import kept_name

LARGEST = 1 << 20
"""Bytes; what is larger is no configuration that a person edits."""
Progress = Callable[[str], None]


def read_text(path: str) -> str:
    """A file's text, line ends as they are. Raises :class:`Refused` where it cannot be read, or is no UTF-8 text."""
    return decoded(path, _read(Path(path)))


def decoded(path: str, data: bytes) -> str:
    """The bytes as text that encodes to the same bytes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{text.clean(path, 300)} is not UTF-8 text.") from None


def why_not_writable(path: str) -> str | None:
    """Why the file could not be replaced; ``None`` where it can."""
    real = Path(path).resolve()
    if not os.access(real, os.W_OK):
        return f"{text.clean(path, 300)} is not writable for this user"
    if not os.access(real.parent, os.W_OK | os.X_OK):
        return f"the folder of {text.clean(path, 300)} is not writable for this user"
    return None


class FileWriter:
    """Performs ``write-file`` steps; the step's subject is the path, its documents hold the texts' hashes."""

    def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Writes, or completes that. Raises :class:`Refused` when the file is not what the change was made for."""
        path, backup = _places(step.subject, change)
        data = _read(path)
        found = _hash(data)
        if found == step.before.version:
            if _hash(step.after.text.encode()) != step.after.version:
                raise Refused(f"The new text of {_shown(path)} is not at hand. Nothing was changed: plan it again.")
            progress(f"writing {_shown(path)}")
            with _sentences(path):
                replace(backup, data, _temporary(backup))
                replace(path, step.after.text.encode(), _temporary(backup), like=path)
        elif found != step.after.version or not backup.exists():
            raise Refused(f"{_shown(path)} was changed since the diff was made; plan again.")
        return RestorePoint(
            action="write-file",
            subject=step.subject,
            left=step.after.version,
            data={"backup": str(backup), "before": step.before.version},
        )

    def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Puts the former text back, where it was written over."""
        path, backup = _places(step.subject, change)
        if not backup.exists() and _hash(_read(path)) != step.after.version:
            _temporary(backup).unlink(missing_ok=True)
            return  # the backup is written first: without it nothing was begun, whoever changed the file since
        self._back(path, backup, step.before.version, step.after.version, progress)

    def restore(self, point: RestorePoint, progress: Progress) -> None:
        """Puts the former text back; raises :class:`Refused` when the file is not what the step left."""
        self._back(*_left(point), progress)

    def check(self, point: RestorePoint) -> None:
        """Raises as :meth:`restore`, changes nothing."""
        path, backup, before, left = _left(point)
        if self._kept(path, backup, before, left) is not None and (why := why_not_writable(str(path))) is not None:
            raise Refused(f"{why[0].upper()}{why[1:]}.")

    def discard(self, point: RestorePoint) -> None:
        """Removes the backup."""
        Path(str(point.data["backup"])).unlink(missing_ok=True)

    def _back(self, path: Path, backup: Path, before: str, left: str, progress: Progress) -> None:
        kept = self._kept(path, backup, before, left)
        if kept is not None:
            progress(f"restoring {_shown(path)}")
            with _sentences(path):
                replace(path, kept, _temporary(backup), like=path)
        _temporary(backup).unlink(missing_ok=True)
        backup.unlink(missing_ok=True)

    def _kept(self, path: Path, backup: Path, before: str, left: str) -> bytes | None:
        """What has to be put back; ``None`` where it is there. Raises :class:`Refused` where neither can be said."""
        found = _hash(_read(path))
        if found == left != before:
            kept = _read(backup)
            if _hash(kept) != before:
                raise Refused(f"The backup {_shown(backup)} is not what was saved; {_shown(path)} is left as it is.")
            return kept
        if found != before:
            raise Refused(
                f"{_shown(path)} was changed since; it is left as it is, its former text is {_shown(backup)}."
            )
        return None


def _places(subject: str, change: str) -> tuple[Path, Path]:
    """The file that a link leads to, and the backup beside it."""
    path = Path(subject).resolve()
    return path, path.parent / kept_name(f".{path.name}", change)


def _left(point: RestorePoint) -> tuple[Path, Path, str, str]:
    """The file, its backup, and the hashes of the texts: the former one, and the one that the step left."""
    return (
        Path(point.subject).resolve(),
        Path(str(point.data["backup"])),
        str(point.data["before"]),
        point.left,
    )


def _temporary(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}-new")


def _read(path: Path) -> bytes:
    with _sentences(path):
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise Refused(f"{_shown(path)} is larger than a configuration should be.")
        return data


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What the system refuses becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise Refused(f"{_shown(path)}: {error.strerror or error}.") from None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shown(path: Path) -> str:
    return text.clean(str(path), 300)
