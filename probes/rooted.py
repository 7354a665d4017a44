"""Files below a root that is not ours: symbolic links are resolved inside it and can never lead out of it.

``/proc/PID/root/etc/x`` alone would follow an absolute link of the container into the reader's own files.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

_LINKS = 40  # what Linux itself follows (path_resolution(7))
_DEPTH = 256
_NAMES = 20_000
_BASE = os.O_CLOEXEC | os.O_NOFOLLOW
_ONLY_PATH = getattr(os, "O_PATH", os.O_RDONLY)


def _parts(path: str) -> list[str]:
    """The components of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _close(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)


@contextlib.contextmanager
def _resolved(root: str, path: str) -> Iterator[tuple[int, str]]:
    """The descriptor of the directory that holds ``path``'s last component, and that component (``.`` for the root)."""
    stack = [os.open(root, _ONLY_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        todo = _parts(path)
        links = 0
        name = "."
        while todo:
            if len(stack) > _DEPTH or len(todo) > _DEPTH:
                raise OSError("path too deep")
            name = todo.pop()
            if name == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                name = "."
                continue
            fd = os.open(name, _ONLY_PATH | _BASE, dir_fd=stack[-1])
            mode = os.fstat(fd).st_mode
            if stat.S_ISLNK(mode):
                os.close(fd)
                links += 1
                if links > _LINKS:
                    raise OSError("too many links")
                target = os.readlink(name, dir_fd=stack[-1])
                if target.startswith("/"):
                    _close(stack[1:])
                    del stack[1:]
                todo.extend(_parts(target))
                name = "."
            elif todo or stat.S_ISDIR(mode):
                stack.append(fd)
                if not todo:
                    name = "."
            else:
                os.close(fd)
        yield stack[-1], name
    finally:
        _close(stack)


@contextlib.contextmanager
def opened(root: str, path: str) -> Iterator[int]:
    """A descriptor that stands for what is at ``path``, whatever it is, and reads nothing of it (``O_PATH``)."""
    with _resolved(root, path) as (parent, name):
        fd = os.open(name, _ONLY_PATH | _BASE, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def read_file(root: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """A regular file, cut off at ``limit`` bytes; ``None`` when it is absent, no regular file or unreadable."""
    try:
        with _resolved(root, path) as (parent, name):
            fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _BASE, dir_fd=parent)
            with os.fdopen(fd, "rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                chunks: list[bytes] = []
                while limit > 0 and (chunk := file.read(min(limit, 1 << 16))):
                    chunks.append(chunk)
                    limit -= len(chunk)
                return b"".join(chunks)
    except (OSError, ValueError):
        return None


def list_dir(root: str, path: str) -> list[str] | None:
    """The names in a directory, sorted; ``None`` when it is absent or unreadable."""
    try:
        with _resolved(root, path) as (parent, name):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _BASE, dir_fd=parent)
            try:
                return sorted(os.listdir(fd)[:_NAMES])  # noqa: PTH208 - by descriptor, which Path cannot
            finally:
                os.close(fd)
    except (OSError, ValueError):
        return None


def is_absent(root: str, path: str) -> bool:
    """Whether nothing is at ``path``, for certain: ``root`` was there, and nothing was refused on the way."""
    try:
        os.close(os.open(root, _ONLY_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError:
        return False
    try:
        with _resolved(root, path) as (parent, name):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False
