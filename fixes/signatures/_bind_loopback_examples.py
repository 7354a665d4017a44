"""What a server on loopback looks like, and what resembles it."""

from __future__ import annotations

from fixes.model import Example
from fixes.signatures import _cases
from probes.model import HttpSample, Listener, PublishedPort

_ALL = "0.0.0.0"  # noqa: S104 - what servers in containers should listen on
_PORTS = (PublishedPort(8000, _ALL, 8080),)

FIRES = (
    Example(
        "by its sockets",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 8000),), ports=_PORTS),
    ),
    Example("on ::1", deployment=_cases.container(listeners=(Listener("::1", 8000),))),
    Example(
        "metrics are open, the published port is not",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 8000), Listener("::", 9090)), ports=_PORTS),
    ),
    Example(
        "by the start-up line of uvicorn",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
    ),
    Example(
        "by the start-up line of gunicorn",
        "[2026-11-22 09:47:32 +0000] [5338] [INFO] Listening at: http://127.0.0.1:18839 (5338)\n",
    ),
    Example(
        "by the start-up line of gunicorn's asgi worker",
        "[2026-11-22 09:22:36 +0000] [3018] [INFO] ASGI server listening on http://127.0.0.1:18108\n",
    ),
    Example("by its arguments", deployment=_cases.container(settings={"bind": "127.0.0.1:8000"})),
    Example(
        "a pod, by its sockets",
        deployment=_cases.workload(_cases.pod(ready=False, listeners=(Listener("127.0.0.1", 8000),))),
    ),
    Example(
        "a pod, by its start-up line, before anything of it was measured",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
        deployment=_cases.workload(_cases.pod(ready=False, sampled_at=None)),
    ),
    Example("a pod, by its command", deployment=_cases.workload(settings={"host": "127.0.0.1", "port": 8000})),
)
STAYS_SILENT = (
    Example(
        "a local process",
        deployment=_cases.deployment(_cases.replica(listeners=(Listener("127.0.0.1", 8000),)), kind="process"),
    ),
    Example(
        "a Job that tests what it started",
        deployment=_cases.workload(_cases.pod(listeners=(Listener("127.0.0.1", 8000),)), kind="Job"),
    ),
    Example(
        "a cache in the container of a server that takes minutes to import its model",
        deployment=_cases.container(
            listeners=(Listener("127.0.0.1", 6379),),
            ports=_PORTS,
            settings={"host": _ALL, "port": 8000},
            started_at=_cases.ago(120),
        ),
        undecided=True,
    ),
    Example(
        "a debugger beside an application that starts up",
        "INFO:     Waiting for application startup.\n",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 5678),), started_at=_cases.ago(120)),
        undecided=True,
    ),
    Example(
        "a debugger beside a server on a Unix socket",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 5678),), settings={"bind": "unix:/run/app.sock"}),
    ),
    Example(
        "host networking",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 8000),), network_mode="host"),
    ),
    Example(
        "a proxy on the published port",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 9000), Listener(_ALL, 8000)), ports=_PORTS),
    ),
    Example(
        "a proxy that is not there yet",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 9000),), ports=_PORTS, started_at=_cases.ago(3)),
    ),
    Example(
        "sockets that were not read yet",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
        deployment=_cases.container(sampled_at=None),
        undecided=True,
    ),
    Example(
        "a network shared with a proxy",
        deployment=_cases.container(listeners=(Listener("127.0.0.1", 8000),), network_mode="container:abc"),
    ),
    Example(
        "a proxy in the same pod, on the port of the Service",
        deployment=_cases.workload(
            _cases.pod(listeners=(Listener("127.0.0.1", 9000), Listener(_ALL, 8000)), beside=("nginx",))
        ),
    ),
    Example(
        "a container in the same pod that may be a proxy",
        "INFO:     Uvicorn running on http://127.0.0.1:9000 (Press CTRL+C to quit)\n",
        deployment=_cases.workload(_cases.pod(beside=("nginx",))),
        undecided=True,
    ),
    Example(
        "a pod that answers from outside",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
        deployment=_cases.workload(_cases.pod(loop_probes=(HttpSample(_cases.ago(5), "/x", 0.01, 404),))),
    ),
    Example(
        "a pod in the network of its node",
        deployment=_cases.workload(_cases.pod(listeners=(Listener("127.0.0.1", 8000),), network_mode="host")),
    ),
    Example(
        "Docker's resolver",
        deployment=_cases.container(listeners=(Listener(_ALL, 8000), Listener("127.0.0.11", 41233))),
    ),
    Example(
        "sockets outrank what an old line says",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n",
        deployment=_cases.container(listeners=(Listener("::", 8000),)),
    ),
    Example("all interfaces", "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)\n"),
    Example(
        "the latest start counts",
        "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)\n"
        + 'INFO:     10.0.0.2:4 - "GET / HTTP/1.1" 200 OK\n' * 12
        + "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)\n",
    ),
)
