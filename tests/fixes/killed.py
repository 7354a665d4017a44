"""Fixes documents in a folder and kills itself at the N-th moment: ``python -m tests.fixes.killed FOLDER N``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from fixes.apply import Fixer
from fixes.journal import Journal
from tests.fixes.fake import World, plan_of


class Folder(MutableMapping[str, str]):
    """Texts in files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, name: str) -> str:
        try:
            return (self.path / name.replace("/", "%")).read_text()
        except FileNotFoundError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, text: str) -> None:
        temporary = self.path.parent / "temporary"
        temporary.write_text(text)
        temporary.replace(self.path / name.replace("/", "%"))

    def __delitem__(self, name: str) -> None:
        (self.path / name.replace("/", "%")).unlink()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(p.name.replace("%", "/") for p in self.path.iterdir()))

    def __len__(self) -> int:
        return len(list(self.path.iterdir()))


def world_in(folder: Path) -> World:
    """A world whose documents and backups outlive the program."""
    world = World({}, resumable=True)
    world.texts = Folder(folder / "texts")  # type: ignore[assignment]
    world.backups = Folder(folder / "backups")  # type: ignore[assignment]
    return world


def main() -> None:
    folder, last = Path(sys.argv[1]), int(sys.argv[2])
    moments = 0

    def moment(_name: str) -> None:
        nonlocal moments
        moments += 1
        if moments == last:
            os.kill(os.getpid(), signal.SIGKILL)

    world = world_in(folder)
    world.hook = moment
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        moment("fsync")
        real_fsync(handle)

    def replace(self: Path, target: Path) -> Path:
        moment("replace")
        return real_replace(self, target)

    async def go() -> None:
        await Fixer(Journal(folder / "journal"), lambda _id: world).apply(await plan_of(world), lambda _said: None)

    os.fsync = fsync
    Path.replace = replace  # type: ignore[method-assign, assignment]
    asyncio.run(go())


if __name__ == "__main__":
    main()
