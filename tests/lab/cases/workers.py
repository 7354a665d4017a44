"""worker-sigkill, worker-timeout, event-loop-blocked, single-process, and what resembles them."""

from __future__ import annotations

from tests.lab.case import Case, InState, Load, Logged, Signal, Stop, gunicorn, ids, uvicorn

LOST = "was sent SIGKILL! Perhaps out of memory?"
TIMED_OUT = "WORKER TIMEOUT (pid:"
BLOCK = Load("/block?seconds=1.5", every_seconds=0.5)
STALL = Load("/block?seconds=30", every_seconds=1, in_flight=2)
LEGACY_WORKER = "uvicorn.workers.UvicornWorker"

KILLED = (
    Case(
        "worker-killed",
        gunicorn("healthy:app"),
        expect=ids("worker-sigkill"),
        drive=(Signal("KILL"),),
        until=(Logged(LOST),),
    ),
    Case(
        "worker-killed-gunicorn-20",
        gunicorn("healthy:app", worker=LEGACY_WORKER),
        image="legacy20",
        expect=ids("worker-sigkill"),
        drive=(Signal("KILL"),),
        until=(Logged("was terminated due to signal 9"),),
    ),
    Case(
        "worker-killed-gunicorn-21",
        gunicorn("healthy:app", worker=LEGACY_WORKER),
        image="legacy21",
        expect=ids("worker-sigkill"),
        drive=(Signal("KILL"),),
        until=(Logged(LOST),),
    ),
    # Blocked workers do not end in time: gunicorn kills them, and says the same words in about half of the stops (its
    # master may be gone before it has looked at their end).
    Case(
        "slow-shutdown",
        gunicorn("blocking:app", "--timeout", "120", "--graceful-timeout", "1", worker="asgi"),
        allow=ids("shutdown-drops-requests", "event-loop-blocked"),  # its loops are held until they are killed
        look_alike_of="worker-sigkill",
        drive=(STALL, Logged("blocking for"), Stop(grace_seconds=20)),
        until=(Logged("Handling signal: term"), InState(status="exited")),
    ),
    Case(
        "killed-while-ending",
        gunicorn("blocking:app", "--timeout", "120", "--graceful-timeout", "4"),
        allow=ids("shutdown-drops-requests", "event-loop-blocked"),
        look_alike_of="worker-sigkill",
        drive=(
            Load("/block?seconds=30", every_seconds=0.05, in_flight=20),
            Logged("blocking for", times=2),
            Signal("TERM", to="main"),
            Logged("Handling signal: term"),
            Signal("KILL"),
        ),
        until=(Logged(LOST), InState(status="exited")),
    ),
    # A worker that misses the ping for 5 s is killed by uvicorn itself.
    Case(
        "uvicorn-missed-ping",
        uvicorn("healthy:app", "--workers", "2"),
        expect=ids("worker-died"),
        look_alike_of="worker-sigkill",
        drive=(Signal("STOP"),),
        until=(Logged("died"),),
    ),
)

TIMED = (
    Case(
        "timeout",
        gunicorn("blocking:app", "--timeout", "3"),
        expect=ids("worker-timeout"),
        allow=ids("event-loop-blocked"),
        drive=(STALL,),
        until=(Logged(TIMED_OUT),),
    ),
    # gunicorn's own worker is killed a second after the time-out: not memory, and not somebody else's kill.
    Case(
        "timeout-asgi",
        gunicorn("blocking:app", "--timeout", "3", worker="asgi"),
        expect=ids("worker-timeout"),
        allow=ids("event-loop-blocked"),
        look_alike_of="worker-sigkill",
        drive=(STALL,),
        until=(Logged(TIMED_OUT), Logged(LOST)),
    ),
    Case(
        "timeout-gunicorn-20",
        gunicorn("blocking:app", "--timeout", "3", worker=LEGACY_WORKER),
        image="legacy20",
        expect=ids("worker-timeout"),
        allow=ids("event-loop-blocked"),
        drive=(STALL,),
        until=(Logged(TIMED_OUT),),
    ),
    Case(
        "graceful-stop",
        gunicorn("healthy:app"),
        look_alike_of="worker-timeout",
        drive=(Stop(),),
        until=(InState(status="exited", exit_code=0),),
    ),
    Case(
        "graceful-stop-gunicorn-21",
        gunicorn("healthy:app", worker=LEGACY_WORKER),
        image="legacy21",
        look_alike_of="worker-timeout",
        drive=(Stop(),),
        until=(Logged("was sent SIGTERM!"), InState(status="exited")),
    ),
    Case(
        "recycling",
        gunicorn("healthy:app", "--max-requests", "10", "--max-requests-jitter", "5"),
        look_alike_of="worker-timeout",
        drive=(Load("/", every_seconds=0.1),),
        until=(Logged("Maximum request limit of", times=2),),
    ),
    Case(
        "slow-awaited",
        gunicorn("healthy:app", "--timeout", "2", worker="asgi"),
        look_alike_of="worker-timeout",
        drive=(Load("/slow?seconds=5", every_seconds=0.5, in_flight=20),),
        observe_seconds=10,
    ),
)

BLOCKED = (
    Case(
        "blocked-sleep",
        gunicorn("blocking:app", "--timeout", "120"),
        expect=ids("event-loop-blocked"),
        drive=(BLOCK,),
        observe_seconds=10,
    ),
    Case(
        "blocked-uvicorn-workers",
        uvicorn("blocking:app", "--workers", "2"),
        expect=ids("event-loop-blocked"),
        drive=(BLOCK,),
        observe_seconds=10,
    ),
    Case(
        "blocked-requests",
        uvicorn("blocking:app"),
        expect=ids("event-loop-blocked", "single-process"),
        environment={"SUPPLIER": "1"},
        drive=(Load("/price", every_seconds=0.5),),
        observe_seconds=10,
    ),
    # asyncio itself says so in its debug mode (uvicorn switches that off, gunicorn's own worker does not).
    Case(
        "blocked-debug",
        gunicorn("blocking:app", "--timeout", "120", worker="asgi"),
        expect=ids("event-loop-blocked"),
        environment={"PYTHONASYNCIODEBUG": "1"},
        drive=(BLOCK,),
        until=(Logged("Executing <"),),
        observe_seconds=10,
    ),
    Case(
        "slow-endpoint",
        uvicorn("healthy:app"),
        expect=ids("single-process"),
        look_alike_of="event-loop-blocked",
        drive=(Load("/slow?seconds=3", every_seconds=0.25, in_flight=20),),
        observe_seconds=10,
    ),
    Case(
        "threads-busy",
        gunicorn("threads:app"),
        expect=ids("threadpool-exhausted"),
        look_alike_of="event-loop-blocked",
        drive=(Load("/report?seconds=4", every_seconds=0.02, in_flight=160),),
        observe_seconds=10,
    ),
    Case(
        "throttled",
        gunicorn("cpu:app"),
        expect=ids("cpu-throttled"),
        look_alike_of="event-loop-blocked",
        cpus=0.1,
        drive=(Load("/digest", every_seconds=0.5),),
        observe_seconds=10,
    ),
)

SINGLE = (
    Case("lone", uvicorn("healthy:app"), expect=ids("single-process"), memory="1g"),
    Case(
        "lone-busy",
        uvicorn("healthy:app"),
        expect=ids("single-process"),
        drive=(Load("/slow?seconds=3", every_seconds=0.1, in_flight=30),),
    ),
    Case("compose-pair", uvicorn("healthy:app"), look_alike_of="single-process", compose=True, replicas=2),
    Case("two-workers", gunicorn("healthy:app"), look_alike_of="single-process"),
)

CASES = KILLED + TIMED + BLOCKED + SINGLE
