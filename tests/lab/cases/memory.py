"""oom-killed, memory-limit-low, memory-leak, and what resembles them.

Limits of 600 MB and more keep ``memory-limit-low`` out of the cases that are about something else.
"""

from __future__ import annotations

from tests.lab.case import Case, InState, Load, Logged, Stop, gunicorn, ids, uvicorn

EAT = Load("/eat?mb=900", every_seconds=2, in_flight=1)  # touching so much memory holds the loop for a second or more

CASES = (
    Case(
        "oom-lone",
        uvicorn("memory:app"),
        expect=ids("oom-killed"),
        allow=ids("single-process", "event-loop-blocked", "memory-near-limit"),
        memory="600m",
        drive=(EAT,),
        until=(InState(status="exited", oom_killed=True),),
    ),
    # The engine forgets OOMKilled when it starts the container again: the event and the count of restarts remain.
    Case(
        "oom-restarted",
        uvicorn("memory:app"),
        expect=ids("oom-killed"),
        allow=ids("single-process", "event-loop-blocked", "memory-near-limit", "crash-loop"),
        memory="600m",
        restart="always",
        drive=(EAT,),
        until=(InState(restarts=1),),
    ),
    # The master lives on: the container's state says nothing, the cgroup's counter and gunicorn's log do.
    Case(
        "oom-worker",
        gunicorn("memory:app"),
        expect=ids("oom-killed", "worker-sigkill"),
        allow=ids("event-loop-blocked", "memory-near-limit"),
        memory="600m",
        drive=(EAT,),
        until=(Logged("was sent SIGKILL! Perhaps out of memory?"),),
    ),
    Case(
        "oom-uvicorn-worker",
        uvicorn("memory:app", "--workers", "2"),
        expect=ids("oom-killed", "worker-sigkill"),
        allow=ids("event-loop-blocked", "memory-near-limit"),
        memory="600m",
        drive=(EAT,),
        until=(Logged("Child process ["), Logged("died")),
    ),
    # The engine's flag is of any process of the container, and shows once the container has ended.
    Case(
        "helper-killed",
        ("sh", "-c", "head -c 900000000 /dev/zero | tail; exec uvicorn --host 0.0.0.0 --port 8000 healthy:app"),
        allow=ids("single-process"),
        look_alike_of="oom-killed",
        memory="600m",
        drive=(Stop(),),
        until=(InState(status="exited", oom_killed=True, exit_code=0),),
    ),
    Case(
        "killed-from-outside",
        uvicorn("healthy:app"),
        allow=ids("single-process"),
        look_alike_of="oom-killed",
        memory="600m",
        drive=(Stop(grace_seconds=0),),
        until=(InState(status="exited", exit_code=137),),
    ),
    Case("limit-256m", gunicorn("healthy:app"), expect=ids("memory-limit-low"), memory="256m"),
    Case("limit-400m", gunicorn("healthy:app"), expect=ids("memory-limit-low"), memory="400m"),
    Case("limit-512m", gunicorn("healthy:app"), look_alike_of="memory-limit-low", memory="512m"),
    Case("limit-none", gunicorn("healthy:app"), look_alike_of="memory-limit-low"),
    Case(
        "leak",
        gunicorn("memory:app"),
        expect=ids("memory-leak"),
        memory="3g",
        environment={"LEAK_MB_PER_SECOND": "4"},
        observe_seconds=60,
    ),
    Case(
        "leak-sawtooth",
        gunicorn("memory:app", "--max-requests", "15", "--max-requests-jitter", "5"),
        look_alike_of="memory-leak",
        memory="1g",
        drive=(Load("/grow?mb=6", every_seconds=0.2),),
        until=(Logged("Maximum request limit of"),),
        observe_seconds=60,
    ),
    Case(
        "leak-plateau",
        gunicorn("memory:app"),
        look_alike_of="memory-leak",
        memory="1g",
        environment={"WARM_MB": "160"},
        observe_seconds=60,
    ),
    Case(
        "leak-page-cache",
        gunicorn("memory:app"),
        look_alike_of="memory-leak",
        memory="3g",
        environment={"FILE_MB": "600"},
        observe_seconds=60,
    ),
)
