"""Stack samples: the line of the application that holds the loop, and the call that it makes."""

from __future__ import annotations

import pytest

from fixes.signatures._blocking import held_at, own_frame, place_of
from fixes.signatures._cases import ago
from probes.model import Frame, StackSample

LIB = "/usr/lib/python3.11"
SITE = "/opt/venv/lib/python3.11/site-packages"
LOOP = (
    Frame(f"{SITE}/starlette/routing.py", 73, "app"),
    Frame(f"{LIB}/asyncio/base_events.py", 1922, "_run_once"),
    Frame(f"{LIB}/asyncio/runners.py", 118, "run"),
)


def sample(*frames: Frame, idle: bool = False, pid: int = 17) -> StackSample:
    return StackSample(ago(5), pid, (*frames, *LOOP), idle)


@pytest.mark.parametrize(
    ("below", "call"),
    [
        ((), None),
        ((Frame(f"{LIB}/socket.py", 706, "readinto"), Frame(f"{SITE}/requests/sessions.py", 703, "send")), "requests"),
        ((Frame(f"{SITE}/sqlalchemy/engine/default.py", 952, "do_execute"),), "sqlalchemy"),
        ((Frame(f"{SITE}/psycopg2/extras.py", 236, "execute"),), "psycopg2"),
        ((Frame(f"{LIB}/threading.py", 320, "wait"),), "a wait for a thread"),
        ((Frame(f"{LIB}/subprocess.py", 548, "run"),), "subprocess"),
        ((Frame(f"{SITE}/somelib/core.py", 5, "work"),), "core.work"),
    ],
)
def test_the_innermost_line_of_the_application_and_its_call_are_named(
    below: tuple[Frame, ...], call: str | None
) -> None:
    place = place_of(sample(*below, Frame("/srv/app/main.py", 52, "block")))
    assert place is not None
    assert (place.file, place.line, place.function, place.call) == ("/srv/app/main.py", 52, "block", call)


def test_the_script_that_starts_the_server_is_no_line_of_the_application() -> None:
    frames = (
        Frame(f"{SITE}/gunicorn/arbiter.py", 226, "run"),
        Frame("/usr/local/bin/gunicorn", 8, "<module>"),
    )
    assert place_of(StackSample(ago(5), 17, (Frame(f"{LIB}/asyncio/events.py", 80, "_run"), *frames), False)) is None


def test_a_script_that_runs_the_server_in_its_code_blocks_nothing() -> None:
    below = (Frame(f"{SITE}/uvicorn/main.py", 580, "run"), Frame("/app/serve.py", 22, "<module>"))
    assert place_of(StackSample(ago(5), 1, (*LOOP, *below), False)) is None
    view = Frame("/app/views.py", 9, "read")
    place = place_of(StackSample(ago(5), 1, (view, *LOOP, *below), False))
    assert place is not None
    assert place.file == "/app/views.py"


def test_an_application_that_is_installed_as_a_package_is_found_too() -> None:
    place = place_of(
        sample(Frame(f"{LIB}/socket.py", 706, "readinto"), Frame(f"{SITE}/shop/api/orders.py", 9, "read_order"))
    )
    assert place is not None
    assert (place.file, place.line) == (f"{SITE}/shop/api/orders.py", 9)


@pytest.mark.parametrize(
    "one",
    [
        sample(Frame("/srv/app/main.py", 52, "block"), idle=True),
        sample(),
        sample(
            Frame("/srv/app/main.py", 1, "<module>"), Frame(f"{SITE}/uvicorn/importer.py", 19, "import_from_string")
        ),
        sample(Frame("/srv/app/main.py", 52, "view"), Frame(f"{SITE}/gunicorn/workers/sync.py", 178, "handle_request")),
    ],
    ids=["idle", "the framework alone", "starting", "a synchronous worker"],
)
def test_what_is_no_blocked_loop_has_no_place(one: StackSample) -> None:
    assert place_of(one) is None


def test_samples_of_one_worker_agree_on_the_line_that_most_of_them_show() -> None:
    line = Frame("/srv/app/main.py", 52, "block")
    held = held_at([sample(line), sample(Frame("/srv/app/main.py", 9, "other")), sample(line), sample(line, pid=18)])
    assert held is not None
    assert (held.place.line, held.times, held.sample.pid) == (52, 2, 17)
    assert held_at([]) is None


def test_a_script_below_the_loop_is_no_line_of_the_application() -> None:
    loop = Frame(f"{LIB}/asyncio/runners.py", 118, "Runner.run")
    script = Frame("/srv/serve.py", 8, "<module>")
    assert own_frame(StackSample(ago(5), 17, (loop, script), idle=False)) is None
    assert own_frame(StackSample(ago(5), 17, (Frame("/srv/app/main.py", 52, "block"), loop, script), False)) is not None
