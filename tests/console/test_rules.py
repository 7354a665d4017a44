"""Silences, severities, thresholds and own signatures, from the configuration to what the commands print."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import msgspec
import pytest

from console import contract
from tests.console._fastops import Done, Fastops
from tests.lab.cases import CASES
from tests.lab.runner import Lab

TIMEOUT = "[2026-11-22 09:21:54 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:17)\n"
SILENT = '[[silence]]\nsignature = "worker-timeout"\nreason = "known, ticket 12"\n'
OWN = """\
id = "gateway-down"
title = "The gateway refuses"
severity = "error"
pattern = 'GatewayError: '
text = "Nobody can pay."
advice = "Call them."
"""


@pytest.fixture
def fastops(tmp_path: Path) -> Fastops:
    return Fastops(tmp_path / "home")


def diagnosed(fastops: Fastops, text: str, *arguments: str) -> Done:
    pasted = fastops.config.parent / "pasted.log"
    pasted.write_text(text)
    return fastops("diagnose", str(pasted), *arguments)


def own(fastops: Fastops, text: str, name: str = "gateway-down.toml") -> None:
    folder = fastops.config.parent / "signatures"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_a_silenced_finding_is_not_shown_and_does_not_count(fastops: Fastops) -> None:
    assert diagnosed(fastops, TIMEOUT).status == 1
    fastops.config.write_text(SILENT)
    done = diagnosed(fastops, TIMEOUT)
    assert done.status == 0, done.said
    assert "worker-timeout" not in done.out
    assert "1 silenced" in done.out
    told = diagnosed(fastops, TIMEOUT, "--format", "json").json
    jsonschema.validate(told, msgspec.json.schema(contract.DiagnoseOut))
    assert (told["files"][0]["findings"], told["files"][0]["silenced"]) == ([], 1)


def test_a_silence_that_has_ended_is_ignored_and_named_by_doctor(fastops: Fastops) -> None:
    fastops.config.write_text(SILENT + "until = 2020-02-29\n")
    assert "worker-timeout" in diagnosed(fastops, TIMEOUT).out
    done = fastops("doctor", "local")
    line = next(line for line in done.out.splitlines() if "worker-timeout" in line)
    assert "2020-02-29" in line
    assert "ticket 12" in line


def test_a_severity_is_what_the_configuration_says(fastops: Fastops) -> None:
    fastops.config.write_text('[signatures.worker-timeout]\nseverity = "info"\n')
    done = diagnosed(fastops, TIMEOUT)
    assert done.status == 0, done.said
    assert done.out.splitlines()[2].startswith("info ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[silence]]\nsignature = "worker-timeuot"\nreason = "x"\n', "worker-timeuot"),
        ('[[silence]]\nsignature = "worker-timeout"\n', "reason"),
        (SILENT + 'until = "soon"\n', "until"),
        (SILENT + 'untill = "x"\n', "untill"),
        ('[signatures.worker-timeout]\nseverity = "mild"\n', "mild"),
        ("[signatures.worker-timeout.thresholds]\nx = 1\n", "it has none"),
        ('[signatures.memory-limit-low.thresholds]\nlimit_bytes = "big"\n', "limit_bytes"),
    ],
)
@pytest.mark.parametrize("command", [("diagnose", "/dev/null"), ("scan", "local")], ids=lambda c: c[0])
def test_what_is_wrong_there_is_one_sentence(fastops: Fastops, text: str, says: str, command: tuple[str, ...]) -> None:
    fastops.config.write_text(text)
    done = fastops(*command)
    assert done.status == 2, done.said
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_own_signature_is_listed_explained_and_found(fastops: Fastops) -> None:
    own(fastops, OWN)
    assert "gateway-down" in fastops("signatures").out
    page = fastops("signatures", "gateway-down").out
    assert "Nobody can pay." in page
    assert "Call them." in page
    done = diagnosed(fastops, "INFO fine\nERROR GatewayError: refused\n")
    assert done.status == 1, done.said
    assert "The gateway refuses" in done.out
    assert "line 2" in done.out


def test_an_own_signature_can_be_silenced_too(fastops: Fastops) -> None:
    own(fastops, OWN)
    fastops.config.write_text(SILENT.replace("worker-timeout", "gateway-down"))
    assert diagnosed(fastops, "ERROR GatewayError: refused\n").status == 0


def test_a_broken_file_is_said_and_hurts_no_other(fastops: Fastops) -> None:
    own(fastops, OWN)
    own(fastops, OWN.replace("GatewayError: ", "(?<=a)b"), "broken.toml")
    done = diagnosed(fastops, "nothing\n")
    assert done.status == 3, done.said
    assert "broken.toml" in done.err
    assert "pattern" in done.err
    assert diagnosed(fastops, "ERROR GatewayError: refused\n").status == 1
    assert "broken.toml" in fastops("doctor", "local").out


def test_scan_says_how_many_are_silenced(lab: Lab, engine: str, tmp_path: Path) -> None:
    fastops = Fastops(tmp_path / "home", engine)
    own(fastops, OWN.replace("title", "titel"))
    running = lab.start(CASES["limit-256m"]).ready()
    fastops.config.write_text(
        f'[[silence]]\nsignature = "memory-limit-low"\ndeployment = "{running.names[0]}"\nreason = "known"\n'
    )
    done = fastops("scan", "docker", "--format", "json")
    jsonschema.validate(done.json, msgspec.json.schema(contract.ScanOut))
    (one,) = (d for d in done.json["deployments"] if d["id"] == running.deployment)
    assert one["silenced"] == 1
    assert "memory-limit-low" not in {f["signature"] for f in one["findings"]}
    assert "gateway-down.toml" in done.err
    assert " silenced, " in fastops("scan", "docker").out.splitlines()[-1]
