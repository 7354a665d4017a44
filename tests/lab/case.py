"""What a case of the lab says: one container or Compose service, what is done to it, and what must be found.

A case is data. ``runner.py`` makes it real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

PORT = 8000  # where the services listen unless a case says otherwise


class Load(Struct, frozen=True):
    """GET ``path`` again and again until the case is stopped; answers and failures are of no interest."""

    path: str
    every_seconds: float = 0.5
    in_flight: int = 4  # when so many wait for an answer, the next one is left out


class Hold(Struct, frozen=True):
    """Keep TCP connections open that say nothing, until the case is stopped; one that is closed is opened again."""

    connections: int


class Signal(Struct, frozen=True):
    """Send a signal from inside the container: to the main process, or to the child that was born last."""

    name: str  # KILL, STOP, TERM …
    to: Literal["main", "worker"] = "worker"


class Stop(Struct, frozen=True):
    """``docker stop``: TERM, and KILL after so many seconds."""

    grace_seconds: int = 10


class Logged(Struct, frozen=True):
    """The fact has happened when this text stands in the container's log, at least so many times."""

    text: str
    times: int = 1


class InState(Struct, frozen=True):
    """The fact has happened when ``inspect`` shows this state; ``None`` does not matter."""

    status: str | None = None
    oom_killed: bool | None = None
    exit_code: int | None = None
    restarts: int | None = None  # at least


class Answers(Struct, frozen=True):
    """The fact has happened when this path of the published port answers, with whatever status."""

    path: str = "/health"


Fact = Logged | InState | Answers
Step = Load | Hold | Signal | Stop | Fact  # a fact as a step: go on when it has happened


class Case(Struct, frozen=True):
    """One service of the lab.

    ``expect`` are the ids that must be found, ``allow`` those that may be (effects, and what depends
    on the moment of looking); any other one is an invention. ``look_alike_of`` names what the case must not be taken
    for. ``observe_seconds`` is how long a trend has to be watched before it can be judged.
    """

    name: str
    command: tuple[str, ...]
    expect: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    look_alike_of: str | None = None
    listed: bool = True
    image: str = "app"
    up: Fact | None = Answers()  # what tells that it has started; None when it never does
    drive: tuple[Step, ...] = ()  # begun once it is up
    until: tuple[Fact, ...] = ()  # what the drive brings about
    observe_seconds: float = 0
    memory: str | None = None
    cpus: float | None = None
    nofile: int | None = None  # soft and hard
    publish: tuple[int, ...] = (PORT,)  # each on a free port of 127.0.0.1
    network: Literal["bridge", "host"] = "bridge"
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    restart: str = "no"
    healthcheck: str | None = None  # a shell command, run every second
    compose: bool = False  # labelled as a service of a Compose project, of so many replicas
    replicas: int = 1


def ids(*names: str) -> frozenset[str]:
    """Signature ids, shorter to read in a table."""
    return frozenset(names)


def gunicorn(app: str, *arguments: str, worker: str = "uvicorn_worker.UvicornWorker") -> tuple[str, ...]:
    """gunicorn with two ASGI workers on all interfaces."""
    return ("gunicorn", "-k", worker, "-w", "2", "-b", f"0.0.0.0:{PORT}", *arguments, app)


def uvicorn(app: str, *arguments: str) -> tuple[str, ...]:
    """One uvicorn process on all interfaces."""
    return ("uvicorn", "--host", "0.0.0.0", "--port", str(PORT), *arguments, app)


def advised(case: Case) -> frozenset[str]:
    """What the configuration of a case itself calls for, beside the failure that it is about: no limit, no check."""
    wanted = {
        "memory-unlimited": case.memory is None,
        "probe-missing": case.healthcheck is None,
        "fd-limit-low": case.nofile is not None and case.nofile <= 1024,
    }
    return advised_by(case.command) | ids(*(name for name, wants in wanted.items() if wants))


def advised_by(command: tuple[str, ...]) -> frozenset[str]:
    """What a server's command calls for, wherever it runs."""
    words = " ".join(command).split()
    several = "-w" in words or "--workers" in words
    wanted = {
        "unstructured-logs": True,  # the servers' own format
        "worker-died": "gunicorn" not in words and several,  # on a busy machine uvicorn gives up children that start
        "no-worker-recycling": several and "--max-requests" not in words,
        "deprecated-worker-class": "uvicorn.workers.UvicornWorker" in words,
    }
    return ids(*(name for name, wants in wanted.items() if wants))
