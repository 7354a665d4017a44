"""Reads stack samples of a worker's loop: which line of the application holds it, and in which call."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from probes.model import Frame, StackSample

_LIBRARY = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|lib(?:64)?/python\d[\w.]*)/|^<|^[\w/]+\.pyx$"
    # The scripts that installers write for servers: below every stack of a worker.
    r"|(?:^|/)bin/(?:gunicorn|uvicorn|hypercorn|granian|fastapi)$"
)
_INSTALLED = re.compile(r"(?:site|dist)-packages/([^/]+)")
_FRAMEWORK = re.compile(
    r"(?:^|/)(?:starlette|fastapi|uvicorn|uvicorn_worker|gunicorn|hypercorn|granian|anyio|asyncio|uvloop|rloop)/"
)
_RUNS = re.compile(
    r"(?:^|/)(?:asyncio/(?:runners|base_events)\.py$|(?:uvicorn|uvicorn_worker|gunicorn|hypercorn|granian|uvloop)/)"
)
_RUNNING = ("run", "run_forever", "run_until_complete", "_run_once", "asyncio_run")
_NOT_A_LOOP = re.compile(r"gunicorn/workers/(?:sync|gthread|ggevent|geventlet)\.py$")
_STARTING = ("load_app", "import_from_string", "import_app", "load_wsgi", "load_target", "_find_and_load")
_CALLS = (
    # What a frame of a library says of the call that the application made: file, and the call's usual name.
    (re.compile(r"(?:^|/)requests/"), "requests"),
    (re.compile(r"(?:^|/)httpx/_client\.py$"), "httpx.Client"),
    (re.compile(r"(?:^|/)urllib3/"), "urllib3"),
    (re.compile(r"(?:^|/)urllib/request\.py$"), "urllib.request.urlopen"),
    (
        re.compile(
            r"(?:^|/)(psycopg2|pymysql|MySQLdb|pymongo|redis|botocore|boto3|sqlite3|psycopg|grpc|subprocess)(?:/|\.py$)"
        ),
        "",
    ),
    (re.compile(r"(?:^|/)sqlalchemy/"), "sqlalchemy"),
    (re.compile(r"(?:^|/)(?:concurrent/futures/\w+|threading|queue)\.py$"), "a wait for a thread"),
    (re.compile(r"(?:^|/)socket\.py$"), "socket"),
    (re.compile(r"(?:^|/)ssl\.py$"), "ssl"),
)


class Place(NamedTuple):
    """Where the loop stands: the innermost line of the application, and the call below it."""

    file: str
    line: int
    function: str
    call: str | None
    """The blocking call by name; ``None`` where it is made by C code straight from the application's line."""

    @property
    def text(self) -> str:
        """``orders.py:52 in read_order (requests)``."""
        inside = f" ({self.call})" if self.call else ""
        return f"{self.file}:{self.line} in {self.function}{inside}"


class Held(NamedTuple):
    """A place, and in how many samples the loop stood there."""

    place: Place
    times: int
    sample: StackSample


def place_of(sample: StackSample) -> Place | None:
    """The application's line on which a loop's thread stands; ``None`` while it waits for events or starts."""
    if sample.idle or not sample.frames:
        return None
    if any(f.function in _STARTING or _NOT_A_LOOP.search(f.file) for f in sample.frames):
        return None
    frames = _within_loop(sample.frames)
    index = _application(frames)
    if index is None:
        return None
    frame = frames[index]
    return Place(frame.file, frame.line, frame.function, _call(frames[:index]))


def own_frame(sample: StackSample) -> Frame | None:
    """The innermost frame of the application itself that the loop called; ``None`` when there are only libraries'."""
    frames = _within_loop(sample.frames)
    index = _application(frames)
    return None if index is None else frames[index]


def _within_loop(frames: Sequence[Frame]) -> Sequence[Frame]:
    """What the loop itself called: a script that started the server stands below every stack, and blocks nothing."""
    ends = (i for i, one in enumerate(frames) if _last(one.function) in _RUNNING and _RUNS.search(one.file))
    return frames[: next(ends, len(frames))]


def _last(function: str) -> str:
    """The function's own name: newer interpreters qualify it (``Runner.run``)."""
    return function.rpartition(".")[2]


def _application(frames: Sequence[Frame]) -> int | None:
    """The innermost frame of the application: outside of libraries, else in the package that the framework calls."""
    for index, frame in enumerate(frames):
        if not _LIBRARY.search(frame.file):
            return index
    below = next((i for i, frame in enumerate(frames) if _FRAMEWORK.search(frame.file)), 0)
    if below == 0:
        return None
    package = _package(frames[below - 1].file)
    return next((i for i in range(below) if package is not None and _package(frames[i].file) == package), None)


def _package(file: str) -> str | None:
    """The distribution's top package of an installed file; ``None`` for the standard library."""
    found = _INSTALLED.search(file)
    return found[1] if found else None


def _call(below: Sequence[Frame]) -> str | None:
    """The call that the frames below the application's line belong to, the one nearest to the application first."""
    for frame in reversed(below):
        for expression, name in _CALLS:
            found = expression.search(frame.file)
            if found:
                return name or found[1]
    if not below:
        return None
    nearest = below[-1]
    module = nearest.file.rsplit("/", 1)[-1].removesuffix(".py").removesuffix(".pyx")
    return f"{module}.{nearest.function}"


def held_at(samples: Sequence[StackSample]) -> Held | None:
    """The place that most samples of one worker agree in; the latest sample of it."""
    seen: Counter[tuple[int, str, int]] = Counter()
    latest: dict[tuple[int, str, int], tuple[Place, StackSample]] = {}
    for sample in samples:
        place = place_of(sample)
        if place is not None:
            key = (sample.pid, place.file, place.line)
            seen[key] += 1
            latest[key] = (place, sample)
    if not seen:
        return None
    key, times = seen.most_common(1)[0]
    return Held(latest[key][0], times, latest[key][1])
