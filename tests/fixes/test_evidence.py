"""Evidence is saved redacted, bounded, and for the user alone."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from fixes import evidence


async def test_files_are_written_redacted_and_private(tmp_path: Path) -> None:
    async def read() -> dict[str, bytes]:
        return {"logs.txt": b"\x1b[31mDB_PASSWORD=hunter2\n", "../../etc/x": b"1\n", "a/b:c": b"2\n"}

    folder = await evidence.save(tmp_path / "evidence", "20261122-a1b2c3", read)
    assert folder == tmp_path / "evidence" / "20261122-a1b2c3"
    assert sorted(p.name for p in folder.iterdir()) == ["_.._etc_x", "a_b_c", "logs.txt"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = (folder / "logs.txt").read_text()
    assert "hunter2" not in text
    assert "\x1b" not in text


async def test_the_end_of_what_is_too_large_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_BYTES", 100)

    async def read() -> dict[str, bytes]:
        return {"logs.txt": b"first\n" * 100 + b"the last line", "more": b"x" * 500}

    folder = await evidence.save(tmp_path, "c", read)
    assert folder is not None
    assert (folder / "logs.txt").read_text().endswith("the last line")
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 120


async def test_old_evidence_is_forgotten_and_the_newest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_FOLDERS", 3)

    async def read() -> dict[str, bytes]:
        return {"a": b"1"}

    for number in range(6):
        await evidence.save(tmp_path, f"2026010{number}-aaaaaa", read)
    assert sorted(p.name[:8] for p in tmp_path.iterdir()) == ["20260103", "20260104", "20260105"]


async def test_reading_that_hangs_ends_by_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "WITHIN_SECONDS", 0.05)

    async def read() -> dict[str, bytes]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(TimeoutError):
        await evidence.save(tmp_path, "c", read)
    assert not (tmp_path / "c").exists()


async def test_no_evidence_leaves_no_folder(tmp_path: Path) -> None:
    async def read() -> dict[str, bytes]:
        return {}

    assert await evidence.save(tmp_path / "evidence", "c", read) is None
    assert not (tmp_path / "evidence").exists()
