"""What the demo is made of: each service with its illness, its command, its limits and its load."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from probes.base import Frozen

MIB = 1 << 20
LOOPBACK = "127.0.0.1"
PREFIX = "fastops-demo-"
"""Of the temporary directory that holds everything."""
MEMORY_BYTES = 512 * MIB
"""Of each container: what nobody meant to be ill has a limit."""
OPEN_FILES_HARD = 4096
"""Hard RLIMIT_NOFILE of a container that has a soft one of its own: no engine allows less."""
REGISTRY = "services.json"
"""In the demo's directory: what runs, for the parent should the supervisor itself be killed."""
SOCKET = "control.sock"

_CONF = """\
bind = "{host}:{port}"
workers = 2
worker_class = "uvicorn_worker.UvicornWorker"
timeout = {timeout}
graceful_timeout = 2
"""
_HEALTHY_CONF = _CONF + "keepalive = 5\nmax_requests = 1000\nmax_requests_jitter = 100\n"


class DemoError(Exception):
    """The demo cannot run; the text is one sentence for people."""


class Load(Frozen, frozen=True):
    """The requests that a service gets."""

    path: str
    clients: int
    """Connections at a time."""
    pause_seconds: float
    """Between two requests of one client."""
    hold: bool = False
    """The answer never ends: each client keeps its connection."""


class Service(Frozen, frozen=True):
    """One service of the demo; its module stands in :mod:`console.demo.services`."""

    name: str
    illness: str
    """One line for people."""
    signature: str | None
    """What fastops should find; ``None`` for the healthy one."""
    server: Literal["gunicorn", "uvicorn"]
    load: Load
    arguments: tuple[str, ...] = ()
    """Of uvicorn, after application and address."""
    config: str = _CONF
    """``gunicorn.conf.py``, with ``{host}``, ``{port}`` and ``{timeout}``."""
    timeout_seconds: int = 60
    open_files: int | None = None
    """Soft RLIMIT_NOFILE."""
    data_bytes: int | None = None
    """RLIMIT_DATA of each process."""

    def command(self, port: int, host: str = LOOPBACK, python: str = sys.executable) -> tuple[str, ...]:
        """What is run, in the service's own directory."""
        if self.server == "gunicorn":
            return (python, "-m", "gunicorn", "main:app")
        address = ("--host", host, "--port", str(port))
        return (python, "-m", "uvicorn", "main:app", *address, *self.arguments)

    def lay_out(self, folder: Path, port: int, host: str = LOOPBACK) -> None:
        """Writes the service's files into its directory."""
        folder.mkdir()
        source = Path(__file__).parent / "services" / f"{self.name}.py"
        (folder / "main.py").write_bytes(source.read_bytes())
        if self.server == "gunicorn":
            text = self.config.format(host=host, port=port, timeout=self.timeout_seconds)
            (folder / "gunicorn.conf.py").write_text(text, encoding="utf-8")


class Running(Frozen, frozen=True):
    """A service as it was started."""

    name: str
    illness: str
    port: int
    pid: int
    """Also the number of its process group."""


SERVICES: tuple[Service, ...] = (
    Service(
        name="catalog",
        illness="leaks memory with every request",
        signature="memory-leak",
        server="gunicorn",
        # So fast that 1000 requests, the usual life of a worker that is recycled, take less than a minute, also where
        # the machine is busy less than the two in which a leak is proven; and about 1 MiB/s in all.
        load=Load("/products", clients=9, pause_seconds=0.2),
        data_bytes=512 * MIB,
    ),
    Service(
        name="search",
        illness="blocks its event loop in an async endpoint",
        signature="event-loop-blocked",
        server="uvicorn",
        load=Load("/search", clients=4, pause_seconds=0.2),
        arguments=("--workers", "2", "--timeout-graceful-shutdown", "2"),
    ),
    Service(
        name="reports",
        illness="is killed by its own worker time-out",
        signature="worker-timeout",
        server="gunicorn",
        load=Load("/report", clients=1, pause_seconds=8.0),
        timeout_seconds=4,
    ),
    Service(
        name="frontdesk",
        illness="serves everybody from a single process",
        signature="single-process",
        server="uvicorn",
        load=Load("/visit", clients=14, pause_seconds=0.1),
        arguments=("--timeout-graceful-shutdown", "2"),
    ),
    Service(
        name="gateway",
        illness="runs out of file descriptors",
        signature="fd-exhausted",
        server="uvicorn",
        load=Load("/events", clients=110, pause_seconds=2.0, hold=True),
        # The loop of asyncio says that it is out of descriptors once per place in the backlog and second: a short one
        # keeps the log small.
        arguments=("--workers", "2", "--loop", "asyncio", "--backlog", "4", "--timeout-graceful-shutdown", "2"),
        open_files=64,
    ),
    Service(
        name="orders",
        illness="waits for a connection pool that is too small",
        signature="pool-exhausted",
        server="gunicorn",
        load=Load("/orders", clients=6, pause_seconds=0.5),
    ),
    Service(
        name="accounts",
        illness="is healthy",
        signature=None,
        server="gunicorn",
        load=Load("/accounts", clients=1, pause_seconds=0.5),
        config=_HEALTHY_CONF,
    ),
)
