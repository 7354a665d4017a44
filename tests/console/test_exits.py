"""Every end of the program is one sentence and one status."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from console import exits
from probes.base import Failure
from probes.target import Refused, Unreadable


def test_a_defect_leaves_its_details_in_a_file_and_no_traceback_on_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    try:
        raise ZeroDivisionError("password=hunter2 \x1b[31m")
    except ZeroDivisionError as error:
        status = exits.explain(error)
    said = capsys.readouterr().err
    (written,) = (tmp_path / "crash").iterdir()
    assert status == exits.DEFECT
    assert said.count("\n") == 1
    assert str(written) in said
    assert "Traceback" not in said
    details = written.read_text()
    assert "ZeroDivisionError" in details
    assert "hunter2" not in details
    assert written.stat().st_mode & 0o077 == 0


def test_a_defect_where_nothing_can_be_written_still_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTOPS_STATE", "/proc/nowhere")
    assert exits.explain(ValueError("x")) == exits.DEFECT
    assert "ValueError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (Refused("it is a swarm task"), exits.REFUSED, "it is a swarm task"),
        (Unreadable(Failure("timeout", "inspect", "no answer", "is it busy?")), exits.PARTIAL, "is it busy?"),
        (KeyboardInterrupt(), exits.INTERRUPTED, "interrupted"),
        (exits.Stop("say which", exits.USAGE), exits.USAGE, "say which"),
        (click.UsageError("unexpected (\x1b[31mred)"), exits.USAGE, "Error: unexpected (red)"),
    ],
)
def test_what_ends_the_program_is_told(
    error: BaseException, status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.explain(error) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_reader_that_left_does_not_make_it_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.explain(BrokenPipeError()) == exits.FINDINGS
    assert capsys.readouterr().err == ""
