"""``fastops record`` on real processes: a session comes back as it was, kill -9 costs a moment, secrets stay out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from console.config import Config
from console.recording.form import Unusable
from console.recording.player import Player
from console.recording.read import Reader
from console.recording.write import Recording
from console.session import Session
from fixes.model import Report
from probes.base import DeploymentId
from tests.console._fastops import Fastops, until
from tests.console.recording.files import everything, story, written
from tests.probes.local import servers

SECRET = "hunter2-planted-secret"
MADE_UP_KEY = "sk-plantedplantedplanted1234567890"
LOGGED = b"connecting to postgresql://shop:"
"""Of the line that the service logs: the line is recorded, the secrets that stand behind this are not."""
APP = f"""
import logging
from fastapi import FastAPI

logging.basicConfig(level="INFO")
app = FastAPI()


@app.get("/health")
async def health():
    logging.getLogger("shop").info("connecting to postgresql://shop:{SECRET}@db/shop with api_key={MADE_UP_KEY}")
    return "ok"
"""


@pytest.fixture
def service(tmp_path: Path):
    """A service with one worker, whose log, environment and command line have secrets in them."""
    folder, port = tmp_path / servers.unique("recorded"), servers.free_port()
    folder.mkdir()
    (folder / "main.py").write_text(APP)
    argv = servers.uvicorn(port, "--header", f"x-api-token:{MADE_UP_KEY}")
    with servers.running(argv, folder, port, DB_PASSWORD=SECRET, CACHE_URL=f"redis://:{SECRET}@cache"):
        yield DeploymentId(f"local/{folder.name}")


def recorded(path: Path, deployment: DeploymentId) -> Report | None:
    """The newest report of a recording in which this is found to have a failure."""
    with contextlib.suppress(Unusable):
        reader = Reader(path)
        with contextlib.closing(reader):
            player = Player(reader)
            player.go(reader.last.at)
            return player.report if player.report.of(deployment) else None
    return None


def test_a_session_on_real_processes_comes_back_as_it_was(tmp_path: Path, service: DeploymentId) -> None:
    path, reports = tmp_path / "a", list[Report]()
    recording = Recording(path, 64 << 20)
    with contextlib.closing(recording), Session(("local",), Config(), read_only=True) as session:
        assert session.wait(60, lambda r: bool(r.of(service)))
        while len(reports) < 4:
            last = session.report
            reports.append(last)
            recording.add(last, {service: session.lines(service)})
            assert session.wait(60, lambda r, last=last: r is not last)  # type: ignore[misc]
        live = session.series(service, "memory-used")
    assert any(r.of(service) for r in reports)
    with contextlib.closing(Reader(path)) as reader:
        player = Player(reader)
        for was in (reports[2], reports[0], reports[3], reports[1]):
            player.go(was.snapshot.taken_at.timestamp())
            assert player.report.findings == was.findings
            assert player.report.undecided == was.undecided
            assert player.report.snapshot.deployments() == was.snapshot.deployments()
        player.go(reports[3].snapshot.taken_at.timestamp())
        for label, points in player.series(service, "memory-used", 0.0).items():
            assert set(points) <= set(live[label])


def test_kill_9_in_the_middle_costs_nothing_that_was_written_and_no_secret_is_in_it(
    tmp_path: Path, service: DeploymentId
) -> None:
    path, fastops = tmp_path / "incident", Fastops(tmp_path / "fastops")
    with fastops.begin("record", str(path), "local") as running:
        until("a finding in the recording", lambda: recorded(path, service) is not None, 90)
        until("its log in the recording", lambda: any(LOGGED in piece for piece in everything(path)), 90)
        running.kill()
        running.wait(30)
    report = recorded(path, service)
    assert report is not None
    found = report.snapshot.find(service)
    assert found is not None
    assert found.server == "uvicorn"
    said = list(everything(path))
    assert any(service.encode() in piece for piece in said)
    assert any(LOGGED in piece for piece in said)
    for secret in (SECRET, MADE_UP_KEY):
        assert not [piece for piece in said if secret.encode() in piece]


def test_it_ends_by_itself_or_in_order_with_ctrl_c_and_says_how_it_is_shown(
    tmp_path: Path, service: DeploymentId
) -> None:
    fastops, path = Fastops(tmp_path / "fastops"), tmp_path / "a"
    done = fastops("record", str(path), "local", "--for", "3s")
    assert done.status == 0, done.said
    assert f"`fastops tui --replay {path}` shows it" in done.err
    assert done.out == ""
    with fastops.begin("record", str(tmp_path / "b"), "local") as running:
        until("a finding in the recording", lambda: recorded(tmp_path / "b", service) is not None, 90)
        running.interrupt()
        done = running.wait(60)
    assert done.status == 0, done.said
    assert "Traceback" not in done.err
    assert sorted(one.name for one in tmp_path.glob("[ab]*")) == ["a", "b"]
    assert recorded(tmp_path / "b", service) is not None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("record", "{there}", "local"), "replaces nothing"),
        (("record", "{there}/a", "local"), "cannot be written: Not a directory"),
        (("record", "{new}", "nonsense:x"), "nonsense:x"),
        (("record", "{new}", "local", "--for", "soon"), "is not a duration"),
        (("record", "{new}", "local", "--size", "1KiB"), "--size"),
        (("tui", "--replay", "{there}"), "is no recording: it is no database"),
        (("tui", "--replay", "{new}"), "No such file"),
        (("tui", "--replay", "{good}", "local"), "takes no target"),
        (("tui", "--replay", "{good}", "--no-read-only"), "takes no target and no other option"),
        (("tui", "--replay", "{good}"), "needs a terminal"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_no_file(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    fastops, there = Fastops(tmp_path / "fastops"), tmp_path / "there"
    there.write_text("INFO: started\n" * 20)
    good = written(tmp_path / "good", story(2))
    names = {"{there}": str(there), "{new}": str(tmp_path / "new"), "{good}": str(good)}
    for name, path in names.items():
        arguments = tuple(part.replace(name, path) for part in arguments)
    done = fastops(*arguments)
    assert done.status == 2, done.said
    assert says in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err
    assert not (tmp_path / "new").exists()
    assert there.read_text() == "INFO: started\n" * 20
