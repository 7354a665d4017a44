"""pool-exhausted, what a database out of reach or full says, fd-exhausted, and what resembles them."""

from __future__ import annotations

from tests.lab.case import Case, Hold, Load, Logged, gunicorn, ids, uvicorn

CASES = (
    Case(
        "pool",
        gunicorn("pool:app"),
        allow=ids("unhandled-exceptions", "error-rate"),
        expect=ids("pool-exhausted"),
        drive=(Load("/orders?seconds=3", every_seconds=0.2, in_flight=10),),
        until=(Logged("QueuePool limit of size 1 overflow 0 reached"),),
    ),
    Case(
        "database-full",
        gunicorn("refused:app"),
        allow=ids("unhandled-exceptions", "error-rate", "db-connections-exhausted"),
        look_alike_of="pool-exhausted",
        drive=(Load("/orders"),),
        until=(Logged("sorry, too many clients already"),),
    ),
    Case(
        "database-away",
        gunicorn("away:app"),
        expect=ids("db-unreachable"),
        allow=ids("health-ignores-dependencies", "unhandled-exceptions"),
        drive=(Load("/orders"),),
        until=(Logged("ConnectionRefusedError"),),
    ),
    # uvloop says nothing: libuv accepts and closes at once. Only the count of open files tells.
    Case(
        "descriptors-silent",
        uvicorn("healthy:app"),
        expect=ids("fd-exhausted", "single-process"),
        nofile=64,
        drive=(Hold(connections=90),),
    ),
    # asyncio's own loop writes tens of thousands of lines a second.
    Case(
        "descriptors-flood",
        uvicorn("healthy:app", "--loop", "asyncio"),
        allow=ids("unhandled-exceptions"),
        expect=ids("fd-exhausted", "single-process"),
        nofile=64,
        drive=(Hold(connections=90),),
        until=(Logged("Too many open files"),),
    ),
    Case(
        "descriptors-files",
        gunicorn("descriptors:app"),
        allow=ids("unhandled-exceptions", "error-rate"),
        expect=ids("fd-exhausted"),
        nofile=64,
        drive=(Load("/template", every_seconds=0.05),),
        until=(Logged("Too many open files"),),
    ),
)
