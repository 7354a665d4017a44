"""A log without a bound gets one, in the container and in the Compose file, and every way back is exact."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fixes.catalogue import remedies
from fixes.model import RemedyId
from fixes.plan import refusal
from fixes.values import settle
from probes.intent import Desired, Document, Step
from probes.model import Deployment
from probes.target import Refused
from probes.targets.docker.atomic import FileWriter
from probes.targets.docker.compose import Goal, edit
from probes.targets.docker.documents import version_of
from probes.targets.docker.limits import log_config, needs_recreate
from probes.targets.kubernetes import guards
from tests.fixes.fake import deployment, finding, replica

ROTATE = remedies()[RemedyId("rotate-logs")]
OPTIONS = {"max-size": "10m", "max-file": "3"}
FOUND = finding("log-unbounded")


def logging(driver: str | None = "json-file", size: int | None = 12_000_000, **options: str) -> Deployment:
    held = {name.replace("_", "-"): value for name, value in options.items()}
    one = replica(log_driver=driver, log_options=held, log_bytes=size)
    return deployment(replicas=(one,), capabilities={"log-rotation": None})


def test_ten_megabytes_and_three_files_unless_told_otherwise() -> None:
    one = logging()
    assert refusal(ROTATE, one, FOUND) is None
    assert ROTATE.intend is not None
    assert ROTATE.intend(one, FOUND, settle(ROTATE.parameters(one, FOUND, None), {})) == Desired(log_options=OPTIONS)
    told = settle(ROTATE.parameters(one, FOUND, None), {"max_size": "20", "max_file": 2})
    assert ROTATE.intend(one, FOUND, told) == Desired(log_options={"max-size": "20m", "max-file": "2"})
    assert "12 MB" in ROTATE.cautions(one, FOUND, told)[0]


def beside(unbounded: dict[str, str], *bounded: dict[str, str]) -> Deployment:
    options = (unbounded, *bounded)
    them = tuple(replica(log_driver="json-file", log_options=held, log_bytes=50_000_000) for held in options)
    return deployment(replicas=them, capabilities={"log-rotation": None})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (logging(max_file="5"), (10, 5)),
        (logging(max_file="1"), (10, 3)),
        (beside({}, {"max-size": "100m", "max-file": "10"}), (100, 10)),
        (beside({}, {"max-size": "1g"}), (1000, 3)),
        (beside({}, {"max-size": "20m"}, {"max-size": "30m"}), (10, 3)),
        (beside({}, {"max-size": "900"}), (10, 3)),
    ],
)
def test_what_stands_there_already_is_the_default(one: Deployment, expected: tuple[int, int]) -> None:
    values = settle(ROTATE.parameters(one, FOUND, None), {})
    assert (values["max_size"], values["max_file"]) == expected


def test_a_bounded_log_beside_one_without_a_bound_stays_as_it_is() -> None:
    held = {"Type": "json-file", "Config": {"max-size": "100m", "max-file": "10"}}
    host, want = {"LogConfig": held}, Desired(log_options=OPTIONS)
    assert not needs_recreate(host, want)
    assert log_config(host, OPTIONS) == held
    one = beside({}, {"max-size": "100m", "max-file": "10"})
    assert refusal(ROTATE, one, FOUND) is None
    said = ROTATE.cautions(one, FOUND, {})
    assert "with its log of 50 MB" in said[0]
    assert "1 of 2 containers has a bound and stays as it is" in said[-1]
    for value, bounded in (("-1", False), ("", False), (" -1 ", False), ("11", True)):
        assert needs_recreate({"LogConfig": {"Type": "json-file", "Config": {"max-size": value}}}, want) is not bounded
        assert (refusal(ROTATE, logging(max_size=value), FOUND) is not None) is bounded


def test_a_bound_in_the_compose_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("services:\n  web:\n    image: a\n    logging:\n      options:\n        max-size: 100m\n")
    labels = {
        "com.docker.compose.project.config_files": str(path),
        "com.docker.compose.project.working_dir": str(tmp_path),
        "com.docker.compose.service": "web",
    }
    assert edit(labels, Goal(log_options=OPTIONS)).files == ()


@pytest.mark.parametrize(
    ("one", "signature", "why"),
    [
        (logging("local"), "log-unbounded", "rotates its log by itself"),
        (logging("fluentd"), "log-unbounded", "bound the log where it goes to"),
        (logging(None), "log-unbounded", "not known"),
        (logging(max_size="5m"), "log-unbounded", "a bound already"),
        (logging(size=4_000), "disk-full", "something else"),
        (logging(size=None), "disk-full", "something else"),
        (
            deployment(kind="Deployment", capabilities=guards.capabilities("Deployment")),
            "log-unbounded",
            "kubelet rotates",
        ),
    ],
)
def test_what_rotates_or_goes_elsewhere_is_said(one: Deployment, signature: str, why: str) -> None:
    assert why in str(refusal(ROTATE, one, finding(signature)))


def test_only_the_options_of_the_driver_change() -> None:
    host: dict[str, Any] = {"LogConfig": {"Type": "json-file", "Config": {"labels": "a", "max-file": "9"}}}
    assert log_config(host, OPTIONS) == {"Type": "json-file", "Config": {"labels": "a", **OPTIONS}}
    assert needs_recreate(host, Desired(log_options=OPTIONS))
    assert not needs_recreate({"LogConfig": log_config(host, OPTIONS)}, Desired(log_options=OPTIONS))
    with pytest.raises(Refused, match="journald"):
        log_config({"LogConfig": {"Type": "journald"}}, OPTIONS)


HEADS = st.sampled_from(["# shop\nservices:\n  web:  # front\n    image: a\n", "services:\n  web:\n    image: 'a'\n"])
HELD = st.sampled_from(
    [
        "",
        "    logging:\n      driver: json-file   # here\n",
        "    logging:\n      options:\n        max-file: 9\n",
        '    logging: {driver: json-file, options: {max-size: "-1"}}\n',
        "    logging:\n      driver: json-file\n      options:\n        labels: a\n",
    ]
)
TAILS = st.sampled_from(["", "  db: {image: x}\n", "    ports:\n      - 80:80  # all\n  db:\n    image: x\n\n"])


@given(HEADS, HELD, TAILS)
@settings(max_examples=60)
def test_the_compose_file_says_the_same_and_comes_back_byte_for_byte(head: str, held: str, tail: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compose.yaml"
        before = head + held + tail
        path.write_bytes(before.encode())
        labels = {
            "com.docker.compose.project.config_files": str(path),
            "com.docker.compose.project.working_dir": folder,
            "com.docker.compose.service": "web",
        }
        done = edit(labels, Goal(log_options=OPTIONS))
        assert done.notes == ()
        (one,) = done.files
        said, was = yaml.safe_load(one.after), yaml.safe_load(before)
        kept = ((was["services"]["web"].get("logging") or {}).get("options") or {}).items()
        assert said["services"]["web"].pop("logging") == {"driver": "json-file", "options": {**dict(kept), **OPTIONS}}
        was["services"]["web"].pop("logging", None)
        assert said == was
        documents = [Document("file:x", "compose", "x", text, version_of(text)) for text in (before, one.after)]
        step = Step("write-file", "write x", *documents, str(path), {"resumable": True})
        point = FileWriter().perform(step, "20261123-logs", str)
        assert path.read_text() == one.after
        FileWriter().restore(point, str)
        assert path.read_bytes() == before.encode()


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ("    logging: {driver: syslog}\n", "log driver there is syslog"),
        ("    logging:\n      driver: ${DRIVER}\n", "made from variables"),
    ],
)
def test_a_file_that_says_something_else_is_left_alone(tmp_path: Path, held: str, why: str) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    image: a\n" + held)
    labels = {
        "com.docker.compose.project.config_files": str(tmp_path / "compose.yaml"),
        "com.docker.compose.project.working_dir": str(tmp_path),
        "com.docker.compose.service": "web",
    }
    done = edit(labels, Goal(log_options=OPTIONS))
    assert done.files == ()
    assert why in done.notes[0]
