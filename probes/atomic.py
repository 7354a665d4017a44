"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, data: bytes, temporary: Path, *, like: Path | None = None, reader: int | None = None) -> None:
    """Writes ``temporary``, in the same folder, and renames it over ``path``; durable when it returns.

    ``like`` gives the mode and the owner; without it only the owner may read: this user, or, where root writes, the
    user with the id ``reader``. Raises :class:`OSError`, also where the owner cannot be kept; ``path`` is then as it
    was, unless the folder alone could not be synced.
    """
    temporary.unlink(missing_ok=True)  # what an interrupted write left
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if like is not None:
                status = like.stat()
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
                os.fchmod(file.fileno(), status.st_mode & 0o7777)
            elif reader is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), reader, -1)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
