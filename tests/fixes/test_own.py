"""Signatures of the user's own: what a file means, and the one sentence for a file that means nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixes import catalogue, own
from fixes.examples import view_of
from fixes.model import SILENT, Example, Finding, Fires, Signature, Verdict
from fixes.remedies import advise
from fixes.signatures import _cases
from probes.base import DeploymentId
from probes.logs import Matcher

FILE = """\
id = "gateway-down"
title = "The gateway refuses"
severity = "error"
pattern = 'GatewayError: '
text = "Nobody can pay."
"""
LINE = "2026-11-22T09:0{}:00Z ERROR GatewayError: refused\n"
WELL = "2026-11-22T09:0{}:00Z INFO gateway connected\n"


def load(folder: Path, *texts: str) -> own.Own:
    for number, text in enumerate(texts):
        (folder / f"{number}.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    return own.load(folder, catalogue.signatures())


def one(folder: Path, more: str = "") -> Signature:
    (signature,) = load(folder, FILE + more).signatures
    return signature


def verdict(signature: Signature, log: str) -> Verdict:
    return signature.detect(view_of(Example("log", log), Matcher(signature.patterns)))


def test_a_matching_line_is_a_finding(tmp_path: Path) -> None:
    found = verdict(one(tmp_path), LINE.format(1))
    assert isinstance(found, Fires)
    assert (found.severity, found.title, found.count) == ("error", "The gateway refuses", 1)
    assert [e.source for e in found.evidence] == ["log"]
    assert "GatewayError: refused" in found.evidence[0].text
    assert verdict(one(tmp_path), WELL.format(1)) == SILENT


def test_fewer_times_than_asked_for_are_none(tmp_path: Path) -> None:
    signature = one(tmp_path, "at_least = 3\n")
    assert verdict(signature, "".join(map(LINE.format, range(2)))) == SILENT
    found = verdict(signature, "".join(map(LINE.format, range(3))))
    assert isinstance(found, Fires)
    assert found.count == 3


def test_a_later_look_alike_says_that_it_is_over(tmp_path: Path) -> None:
    signature = one(tmp_path, "silent_pattern = 'gateway connected'\n")
    assert verdict(signature, LINE.format(1) + WELL.format(2)) == SILENT
    assert isinstance(verdict(signature, WELL.format(1) + LINE.format(2)), Fires)
    again = verdict(signature, LINE.format(1) + WELL.format(2) + LINE.format(3))
    assert isinstance(again, Fires)
    assert again.count == 1


@pytest.mark.parametrize(("given", "seconds"), [("'5m'", 300), ("90", 90)])
def test_the_quiet_time_is_a_duration(given: str, seconds: int, tmp_path: Path) -> None:
    assert one(tmp_path, f"quiet_after = {given}\n").quiet_after == timedelta(seconds=seconds)


def test_it_is_explained_by_its_own_text(tmp_path: Path) -> None:
    signature = one(tmp_path, 'advice = "Call them."\n')
    assert catalogue.page(signature) == "Nobody can pay.\n\nCall them."
    found = verdict(signature, LINE.format(1))
    assert isinstance(found, Fires)
    finding = Finding("x", DeploymentId("docker/api"), signature.id, "error", "t", _cases.NOW, 1, (), facts=found.facts)
    assert advise.REMEDY.advise is not None
    assert advise.REMEDY.why_not(_cases.deployment(), finding) is None
    assert "Call them." in advise.REMEDY.advise(_cases.deployment(), finding).text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FILE.replace("gateway-down", "oom-killed"), "id: there is a signature oom-killed already"),
        (FILE.replace("gateway-down", "Gateway Down"), "id: write lower-case"),
        (FILE.replace('"error"', '"awful"'), "severity cannot be 'awful': it is one of info, "),
        (FILE.replace("title", "titel"), "titel"),
        (FILE.replace('text = "Nobody can pay."\n', ""), "text"),
        (FILE.replace("Nobody can pay.", " "), "text: it is empty"),
        (FILE.replace("GatewayError: ", "(?<!a)b"), "lookaround"),
        (FILE.replace("GatewayError: ", "("), "pattern: "),
        (FILE.replace("GatewayError: ", "a*"), "pattern: "),
        (FILE + "silent_pattern = '(?=x)'\n", "silent_pattern: "),
        (FILE + "at_least = 0\n", "at_least"),
        (FILE + "quiet_after = 'soon'\n", "quiet_after"),
        (FILE + "#" * own.MOST_BYTES, "64 KiB"),
        ("= = =\n", "0.toml"),
        ("\udcff\n", "0.toml"),
    ],
)
def test_a_broken_file_is_one_sentence_and_hurts_no_other(text: str, says: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, text, FILE.replace("gateway-down", "fine"))
    assert [s.id for s in loaded.signatures] == ["fine"]
    (failure,) = loaded.failures
    assert "0.toml" in failure.what
    assert says in f"{failure.what}: {failure.why}"
    assert "\n" not in failure.why


def test_two_files_cannot_have_one_id(tmp_path: Path) -> None:
    loaded = load(tmp_path, FILE, FILE)
    assert len(loaded.signatures) == len(loaded.failures) == 1


def test_no_folder_is_an_empty_one_and_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    assert own.load(tmp_path / "none", ()) == own.Own()
    (tmp_path / "signatures").write_text("")
    assert len(own.load(tmp_path / "signatures", ()).failures) == 1


@given(st.text(max_size=60))
def test_any_pattern_is_taken_or_refused_with_its_field(pattern: str) -> None:
    file = own.File("mine", "Mine", "error", pattern, "text")
    try:
        found = verdict(own.make(file), "a line\n")
    except ValueError as error:
        found, refused = SILENT, str(error)
    else:
        refused = "pattern: "
    assert refused.startswith("pattern: ")
    assert isinstance(found, (Fires, type(SILENT)))
