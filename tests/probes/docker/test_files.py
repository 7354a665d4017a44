"""Where the files of a container on this machine are read, and when the engine is asked for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from probes.procfs import ProcFs
from probes.target import Unreadable
from probes.targets.docker.files import Files

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")


class Asked(Exception):
    """The engine was asked."""


class Engine:
    """Answers nothing."""

    def stream(self, *_: Any, **__: Any) -> Any:
        raise Asked


def _files(procfs: ProcFs) -> Files:
    return Files(Engine(), procfs, local=True)  # type: ignore[arg-type]


async def test_the_engine_is_not_asked_for_a_file_that_is_seen_not_to_be_there(tmp_path: Path) -> None:
    here = _files(ProcFs())
    (tmp_path / "app.py").write_text("app = 1")
    assert await here.read("c" * 64, os.getpid(), f"{tmp_path}/app.py") == b"app = 1"
    with pytest.raises(Unreadable) as raised:
        await here.read("c" * 64, os.getpid(), f"{tmp_path}/config/settings.toml")
    assert raised.value.failure.code == "not-found"


async def test_the_engine_is_asked_for_what_may_be_there(tmp_path: Path) -> None:
    with pytest.raises(Asked):
        await _files(ProcFs(str(tmp_path))).read("c" * 64, 1, "/app.py")  # it is gone, or not ours to look into
    with pytest.raises(Asked):
        await _files(ProcFs()).read("c" * 64, None, "/app.py")
    with pytest.raises(Asked):
        await _files(ProcFs()).read("c" * 64, os.getpid(), str(tmp_path))  # there, but no file: its own words for it
