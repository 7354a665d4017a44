"""What a held event loop looks like, and what resembles it."""

from __future__ import annotations

from fixes.model import Example
from fixes.signatures import _cases
from probes.model import Cpu, Frame, Heartbeat, HttpSample, Limit, StackSample


def _probes(*took: float, error: str | None = None) -> tuple[HttpSample, ...]:
    count = len(took)
    return tuple(
        HttpSample(_cases.ago(5.0 * (count - i)), "/fastops-loop", seconds, None if error else 404, error)
        for i, seconds in enumerate(took)
    )


def _stack(seconds_ago: float, line: int, *below: Frame, idle: bool = False) -> StackSample:
    frames = (
        *below,
        Frame("/srv/app/main.py", line, "block"),
        Frame("/opt/venv/lib/python3.11/site-packages/fastapi/routing.py", 212, "run_endpoint_function"),
        Frame("/usr/lib/python3.11/asyncio/runners.py", 118, "run"),
    )
    return StackSample(_cases.ago(seconds_ago), 17, frames, idle)


def _beats(*silent: float, seconds_ago: float = 6.0) -> tuple[Heartbeat, ...]:
    return tuple(Heartbeat(_cases.ago(seconds_ago), 17 + i, seconds, 15.0) for i, seconds in enumerate(silent))


_IDLE = (_cases.worker(cpu_percent=2.0),)
_BUSY = (_cases.worker(cpu_percent=98.0),)
_REQUESTS = Frame("/opt/venv/lib/python3.11/site-packages/requests/sessions.py", 703, "send")
_RECV = Frame("/usr/lib/python3.11/socket.py", 706, "readinto")
_PYDEV = "[2026-11-22 09:35:18 +0000] [7] [WARNING] "

FIRES = (
    Example(
        "time-outs alone, of an application that said that it had started",
        "[2026-11-22 11:58:00 +0000] [7] [INFO] Booting worker with pid: 17\n"
        "[2026-11-22 11:58:01 +0000] [17] [INFO] Application startup complete.\n",
        deployment=_cases.container(
            workers=_IDLE, started_at=_cases.ago(600), loop_probes=_probes(4, 4, 4, error="timeout")
        ),
    ),
    Example(
        "an unknown path is slow while the CPU is idle",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 2.1, 1.4)),
    ),
    Example(
        "time-outs, one of two workers",
        deployment=_cases.container(
            workers=(*_IDLE, _cases.worker(18, cpu_percent=5.0)), loop_probes=_probes(0.01, 3, 0.01, 0.01, 3, 0.01)
        ),
    ),
    Example(
        "two samples on the same line",
        deployment=_cases.container(
            workers=_IDLE, stacks=(_stack(9, 52, _RECV, _REQUESTS), _stack(4, 52, _RECV, _REQUESTS))
        ),
    ),
    Example(
        "one of two workers gives gunicorn no sign of life and stands in a call: the other one answers",
        deployment=_cases.container(
            workers=(*_IDLE, _cases.worker(18, cpu_percent=1.0)),
            loop_probes=_probes(0.01, 0.01, 0.01),
            heartbeats=_beats(19.3, 0.4),
            stacks=(_stack(5, 52, _RECV, _REQUESTS),),
        ),
    ),
    Example(
        "a worker without a sign of life, and one slow answer",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 0.01, 3.0), heartbeats=_beats(18.0)),
    ),
    Example(
        "asyncio's debug mode",
        "Executing <Task finished name='Task-5' coro=<RequestResponseCycle.run_asgi() done, defined at "
        "/opt/venv/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py:364> result=None> "
        "took 0.506 seconds\n",
    ),
    Example(
        "the same with a logger's prefix",
        _PYDEV + "Executing <Handle BaseSelectorEventLoop._read_ready() created at x.py:1> took 3.500 seconds\n",
    ),
)
STAYS_SILENT = (
    Example(
        "slow endpoints that await: the unknown path is fast",
        deployment=_cases.container(
            workers=_IDLE, loop_probes=_probes(0.001, 0.002, 0.001), health_probes=_probes(6.0, 6.0, 6.0)
        ),
    ),
    Example(
        "signs of life in time",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 0.01, 0.01), heartbeats=_beats(16.9)),
    ),
    Example(
        "no sign of life, and nothing else that is known",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 0.01, 0.01), heartbeats=_beats(20.0)),
        undecided=True,
    ),
    Example(
        "a worker that ends serves its last requests: its loop waits for them",
        deployment=_cases.container(
            workers=_IDLE,
            loop_probes=_probes(0.01, 0.01, 0.01),
            heartbeats=_beats(20.0),
            stacks=(_stack(5, 52, idle=True),),
        ),
    ),
    Example(
        "no sign of life of a worker that computes",
        deployment=_cases.container(workers=_BUSY, loop_probes=_probes(0.01, 0.01, 0.01), heartbeats=_beats(20.0)),
    ),
    Example(
        "no sign of life of one that has ended since",
        deployment=_cases.container(
            workers=(_cases.worker(18, cpu_percent=1.0),), loop_probes=_probes(0.01, 0.01), heartbeats=_beats(20.0)
        ),
    ),
    Example(
        "one slow answer, the latest",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 0.01, 2.0)),
        undecided=True,
    ),
    Example(
        "one slow answer, and quick ones since",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(2.0, 0.01, 0.01, 0.01)),
    ),
    Example(
        "a first answer that came late",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.6)),
        undecided=True,
    ),
    Example(
        "one late answer of a busy worker",
        deployment=_cases.container(workers=_BUSY, loop_probes=_probes(0.01, 0.01, 2.0)),
    ),
    Example(
        "a middleware awaits before each answer",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(*[0.4] * 8)),
    ),
    Example("the CPU is busy", deployment=_cases.container(workers=_BUSY, loop_probes=_probes(2.0, 2.0, 2.0))),
    Example(
        "the machine has no CPU for it",
        deployment=_cases.container(
            workers=(_cases.worker(cpu_percent=6.0, queued_percent=71.0),), loop_probes=_probes(2.0, 2.0, 2.0)
        ),
    ),
    Example(
        "the CPU was read when it was not slow yet",
        deployment=_cases.container(workers=_IDLE, sampled_at=_cases.ago(60), loop_probes=_probes(0.01, 2.0, 2.0)),
        undecided=True,
    ),
    Example(
        "the CPU is throttled",
        deployment=_cases.container(workers=_IDLE, cpu=Cpu(throttled_ratio=0.6), loop_probes=_probes(2.0, 2.0, 2.0)),
    ),
    Example(
        "workers at a quota of a tenth of a core",
        deployment=_cases.container(
            workers=(_cases.worker(cpu_percent=5.0), _cases.worker(18, cpu_percent=4.0)),
            cpu=Cpu(used_cores=0.02, limit=Limit(limited=True, value=0.1)),
            loop_probes=_probes(1.1, 1.6, 1.3),
        ),
    ),
    Example(
        "it starts",
        deployment=_cases.container(workers=_IDLE, started_at=_cases.ago(12), loop_probes=_probes(2.0, 2.0)),
    ),
    Example(
        "gunicorn's master listens, and its workers still import the application",
        "[2026-11-22 11:58:00 +0000] [7] [INFO] Booting worker with pid: 17\n",
        deployment=_cases.container(
            workers=_IDLE, started_at=_cases.ago(600), loop_probes=_probes(4, 4, 4, error="timeout")
        ),
        undecided=True,
    ),
    Example(
        "a server that tells nothing of its start, in its second minute",
        deployment=_cases.container(
            workers=_IDLE, started_at=_cases.ago(90), loop_probes=_probes(4, 4, 4, error="timeout")
        ),
        undecided=True,
    ),
    Example(
        "no descriptors are left",
        "socket.accept() out of system resource\n",
        deployment=_cases.container(workers=_IDLE, loop_probes=_probes(5, 5, 5, error="timeout")),
    ),
    Example(
        "nothing listens", deployment=_cases.container(workers=_IDLE, loop_probes=_probes(5, 5, 5, error="refused"))
    ),
    Example(
        "workers are being replaced",
        deployment=_cases.container(
            workers=(_cases.worker(cpu_percent=2.0, started_at=_cases.ago(20)), _cases.worker(18, cpu_percent=1.0)),
            loop_probes=_probes(4.8, 4.8, 4.8),
        ),
    ),
    Example(
        "two slow answers, and all workers were replaced between them",
        deployment=_cases.container(
            workers=(_cases.worker(cpu_percent=2.0, started_at=_cases.ago(60)),),
            loop_probes=(HttpSample(_cases.ago(120), "/x", 3.3, 404), HttpSample(_cases.ago(27), "/x", 2.5, 404)),
        ),
        undecided=True,
    ),
    Example(
        "samples of a worker that has just been born",
        deployment=_cases.container(
            workers=(_cases.worker(started_at=_cases.ago(12)),), stacks=(_stack(9, 52), _stack(4, 52))
        ),
    ),
    Example(
        "samples of a worker that is gone",
        deployment=_cases.container(workers=(_cases.worker(99),), stacks=(_stack(9, 52), _stack(4, 52))),
    ),
    Example("one stack sample", deployment=_cases.container(workers=_IDLE, stacks=(_stack(4, 52),))),
    Example(
        "a loop that waits for events",
        deployment=_cases.container(workers=_IDLE, stacks=(_stack(9, 52, idle=True), _stack(4, 52, idle=True))),
    ),
    Example(
        "asyncio's debug mode about the server's own start",
        "Executing <Task pending name='Task-1' coro=<Server.serve() running at /x/uvicorn/server.py:71>> "
        "took 0.900 seconds\n",
    ),
    Example("a short step", "Executing <Task finished name='T' coro=<f()>> took 0.104 seconds\n"),
    Example(
        "neither CPU nor stack is known",
        deployment=_cases.container(loop_probes=_probes(2.0, 2.0, 2.0)),
        undecided=True,
    ),
)
