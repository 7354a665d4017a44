"""A file is written whole or not at all, and stays its owner's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probes import atomic
from probes.intent import RestorePoint
from probes.target import Refused
from probes.targets.local import reload


def test_a_file_gets_its_text_and_keeps_its_mode_whatever_was_left_of_an_earlier_write(tmp_path: Path) -> None:
    path, temporary = tmp_path / "conf", tmp_path / "conf.new"
    path.write_text("old")
    path.chmod(0o640)
    temporary.symlink_to(tmp_path / "elsewhere")
    atomic.replace(path, b"new", temporary, like=path)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["conf"]


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "conf", b"new", tmp_path / "conf.new")
    assert (tmp_path / "conf").stat().st_mode & 0o7777 == 0o600


def test_the_folder_is_synced_after_the_file_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "conf.py").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    reload._write(tmp_path / "conf.py", "workers = 2\n", None)
    assert synced == [("conf.py.partial", False), (tmp_path.name, True)]


def test_a_file_whose_owner_cannot_be_kept_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "conf.py"
    path.write_text("workers = 1\n")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(Refused, match="cannot be written: Operation not permitted"):
        reload._write(path, "workers = 2\n", path)
    assert path.read_text() == "workers = 1\n"
    assert os.listdir(tmp_path) == ["conf.py"]


def test_a_configuration_is_put_back_with_the_line_ends_that_it_had(tmp_path: Path) -> None:
    path, backup = tmp_path / "conf.py", tmp_path / "conf.backup"
    path.write_bytes(b"workers = 2\r\n")
    backup.write_bytes(b"workers = 1\r\n")
    reload.Reloader._put_back(RestorePoint("reload", "1:1", "", {"path": str(path), "backup": str(backup)}))
    assert path.read_bytes() == b"workers = 1\r\n"
