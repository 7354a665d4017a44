"""The journal: one file per change, written before and after every step, so that a crash loses nothing.

``FOLDER/ID.json`` holds one :class:`fixes.model.Entry`. It is replaced atomically (temporary file, fsync, rename,
fsync of the folder); folders are 0700 and files 0600. No document's text ever enters: steps are stored with hashes
and with texts blanked. Locks (``flock``) keep two programs from changing the same deployment; the kernel drops them
with their holder, so an open change without a lock is one that was interrupted.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fixes.model import ChangeId, Entry
from probes import atomic
from probes.base import DeploymentId, Failure
from probes.intent import Step
from probes.target import Refused
from probes.text import clean

MOST_ENTRIES = 1000
OPEN_STATES = ("applying", "undoing")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TICKS_PER_DAY = 36**4
_SETTLED_SECONDS = 1.0
"""A folder whose time of change is younger may be written again without a later one: file systems count in ticks."""
_ENTRY = msgspec.json.Decoder(Entry)
"""Made when this is imported: msgspec gets to know a type at its first use, and a thread that decodes one of which
another thread gets to know just then crashes the program."""


class Journal:
    """The changes made from this account on this machine."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` defaults to ``fastops/journal`` in the user's state directory; it is made when first written."""
        self.folder = default_folder() if folder is None else folder
        self._open: tuple[Entry, ...] = ()
        self._read_at: int | None = None
        self._all_read: tuple[int, tuple[Entry, ...]] | None = None

    @property
    def evidence(self) -> Path:
        """Where the evidence of changes is saved: beside the journal."""
        return self.folder.parent / "evidence"

    def write(self, entry: Entry) -> None:
        """Stores an entry, durably, in place of what was known of this change; raises :class:`Refused`."""
        path = self.folder / f"{entry.id}.json"
        temporary = path.with_suffix(".new")
        try:
            self._make()
            atomic.replace(path, msgspec.json.format(msgspec.json.encode(entry), indent=1), temporary)
        except OSError as error:
            said = f"The journal in {self.folder} cannot be written ({_why(error)}): nothing goes on without it."
            raise Refused(said) from error

    def read(self, change: ChangeId) -> Entry | None:
        """One change; ``None`` when it is not known or its file cannot be read."""
        found = self._load(self.folder / f"{change}.json") if _is_id(change) else None
        return found if isinstance(found, Entry) else None

    def entries(self) -> tuple[Entry, ...]:
        """All changes, the latest first; files that cannot be read are left out (see :meth:`failures`).

        They are read again only where the folder was changed since.
        """
        changed_at = self._changed_at()
        if changed_at is None or self._all_read is None or self._all_read[0] != changed_at:
            found = tuple(one for one in self._all() if isinstance(one, Entry))
            self._all_read = None if changed_at is None else (changed_at, found)
            return found
        return self._all_read[1]

    def failures(self) -> tuple[Failure, ...]:
        """The journal's files that cannot be read."""
        return tuple(found for found in self._all() if isinstance(found, Failure))

    def pending(self) -> tuple[Entry, ...]:
        """Changes that were begun and are neither finished nor being worked on by a living program.

        The files are read again only where the folder was changed since: each write replaces a file in it. Who works
        on a change is asked each time.
        """
        changed_at = self._changed_at()
        if changed_at is None or changed_at != self._read_at:
            self._open = tuple(e for e in self.entries() if e.state in OPEN_STATES)
            self._read_at = changed_at
        return tuple(e for e in self._open if not self._is_locked(_change_lock(e.id)))

    def latest_undoable(self, deployment: DeploymentId | None = None) -> Entry | None:
        """The latest change that can be taken back, of one deployment or of all."""
        return next((e for e in self.entries() if deployment in {None, e.deployment} and undoable(e)), None)

    def prune(self) -> None:
        """Forgets the oldest finished changes beyond the bound; changes that could be undone stay longest."""
        entries = self.entries()
        spare = [e for e in reversed(entries) if e.state not in OPEN_STATES]
        spare.sort(key=undoable)
        for entry in spare[: max(0, len(entries) - MOST_ENTRIES)]:
            (self.folder / f"{entry.id}.json").unlink(missing_ok=True)
            (self.folder / "locks" / _change_lock(entry.id)).unlink(missing_ok=True)

    @contextmanager
    def lock(self, change: ChangeId, deployment: DeploymentId) -> Iterator[None]:
        """Holds the change and its deployment; raises :class:`Refused` when another program has one of them."""
        with (
            self._locked(_deployment_lock(deployment), f"{clean(deployment, 200)} is being changed by another fastops"),
            self._locked(_change_lock(change), f"The change {clean(change, 40)} is being worked on by another fastops"),
        ):
            yield

    @contextmanager
    def _locked(self, name: str, busy: str) -> Iterator[None]:
        try:
            self._make()
            handle = os.open(self.folder / "locks" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Refused(f"No lock can be taken in {self.folder} ({_why(error)}).") from error
        try:
            if not _acquired(handle):
                raise Refused(f"{busy}; wait until it is done.")
            yield
        finally:
            os.close(handle)

    def _is_locked(self, name: str) -> bool:
        try:
            handle = os.open(self.folder / "locks" / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _changed_at(self) -> int | None:
        """When the folder was changed last, in nanoseconds; ``None`` where that may not tell the next change apart."""
        try:
            changed_at = self.folder.stat().st_mtime_ns
        except OSError:
            return None
        return changed_at if time.time_ns() - changed_at > _SETTLED_SECONDS * 1e9 else None

    def _all(self) -> Iterator[Entry | Failure]:
        try:
            paths = sorted(self.folder.glob("*.json"), reverse=True)
        except OSError:
            return
        for path in paths:
            if (found := self._load(path)) is not None:
                yield found

    def _load(self, path: Path) -> Entry | Failure | None:
        try:
            return _ENTRY.decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Failure(
                code="journal-unreadable",
                what=f"the journal's file {clean(str(path), 300)}",
                why=_why(error),
                hint="The change that it held can be neither undone nor resumed; move the file away to silence this.",
            )

    def _make(self) -> None:
        for folder in (self.folder, self.folder / "locks"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def default_folder() -> Path:
    """``fastops/journal`` in the user's state directory."""
    import platformdirs

    return Path(platformdirs.user_state_dir("fastops")) / "journal"


def new_id(now: datetime | None = None) -> ChangeId:
    """An id for a change: short, sorts by time (to 0.05 s), fit for names of containers: ``20261122-a1b2c3``."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = int((moment - midnight).total_seconds() * _TICKS_PER_DAY / 86_400)
    tail = "".join(_DIGITS[ticks // 36**place % 36] for place in (3, 2, 1, 0))
    return ChangeId(f"{moment:%Y%m%d}-{tail}{secrets.choice(_DIGITS)}{secrets.choice(_DIGITS)}")


def blanked(step: Step) -> Step:
    """The step without its texts; hashes stand in ``version``: what was there, and what was wanted.

    A drafter that has hashed what it wants itself (the engine's view of it, say) keeps its own hash.
    """
    told = step.after.version != step.before.version or step.after.text == step.before.text
    return msgspec.structs.replace(
        step,
        before=msgspec.structs.replace(step.before, text=""),
        after=msgspec.structs.replace(
            step.after, text="", version=step.after.version if told else sha256(step.after.text)
        ),
    )


def sha256(text: str) -> str:
    """SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def undoable(entry: Entry) -> bool:
    """Whether the change is in force and all that its way back needs is kept."""
    return entry.state == "applied" and bool(entry.steps) and all(s.point is not None for s in entry.steps)


def _is_id(change: str) -> bool:
    return change.replace("-", "").isalnum()


def _change_lock(change: str) -> str:
    return f"change-{change}"


def _deployment_lock(deployment: str) -> str:
    return f"deployment-{hashlib.sha256(deployment.encode()).hexdigest()[:16]}"


def _acquired(handle: int) -> bool:
    """Takes the lock; tries for a tenth of a second, since who asks for interrupted changes holds it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _why(error: Exception) -> str:
    return clean((error.strerror if isinstance(error, OSError) else None) or str(error), 200)
