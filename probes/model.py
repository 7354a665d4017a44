"""What is running, as plain frozen data.

Nothing in here judges or does anything. ``None`` always means *unknown*; an absent limit is said by
``Limit(limited=False)``. Times are the source's own, aware and in UTC. Every string that came from outside has
passed :mod:`probes.text` before it was stored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from probes.base import DeploymentId, Failure, Frozen, NodeId, ReplicaId, TargetId, Value
from probes.loghits import LogCoverage, LogHit
from probes.orchestrator import Ended, Orchestrated, ProbeSpec, Waiting
from probes.pools import DatabaseServer, Pool

LinkState = Literal["connecting", "live", "stale", "expired", "forbidden", "down"]
DeploymentKind = Literal[
    "container", "compose-service", "process", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod"
]
"""Kubernetes' kinds are written as Kubernetes writes them; a pod of its own, or of a controller of another kind, is a
``Pod``."""
Framework = Literal["fastapi", "unknown"]
Server = Literal["gunicorn", "uvicorn", "hypercorn", "granian"]
ReplicaState = Literal["created", "running", "paused", "restarting", "exited", "dead"]
WorkerRole = Literal["master", "worker", "server"]
"""``master`` manages workers; ``worker`` has a manager; ``server`` is a lone process that serves requests itself."""


class Link(Frozen, frozen=True):
    """The connection to a target."""

    state: LinkState
    since: datetime
    why: str | None = None
    hint: str | None = None
    retry_at: datetime | None = None


class Setting(Frozen, frozen=True):
    """One setting that is in force, and where it was found."""

    value: Value
    source: str
    """For people: ``command line``, ``GUNICORN_CMD_ARGS``, ``/app/gunicorn.conf.py``, ``default``."""


class Limit(Frozen, frozen=True):
    """A limit of the engine. ``limited`` is ``None`` when it could not be read."""

    limited: bool | None = None
    value: float | None = None
    """In the unit of what it limits (bytes, cores); set exactly when ``limited`` is true."""


UNKNOWN_LIMIT = Limit()
UNLIMITED = Limit(limited=False)


class Memory(Frozen, frozen=True):
    """Memory of a replica."""

    used_bytes: int | None = None
    """Working set: cgroup usage less inactive file cache; for local processes the sum of PSS (else RSS)."""
    limit: Limit = UNKNOWN_LIMIT
    peak_bytes: int | None = None
    oom_kills: int | None = None
    """The cgroup's ``oom_kill`` counter since the cgroup was made (for Docker: since the container's start)."""
    source: str | None = None


class Cpu(Frozen, frozen=True):
    """CPU of a replica."""

    used_cores: float | None = None
    limit: Limit = UNKNOWN_LIMIT
    """In cores (quota / period)."""
    periods: int | None = None
    throttled_periods: int | None = None
    """Counters of the cgroup's CPU controller."""
    throttled_ratio: float | None = None
    """Throttled periods over all periods between the two latest samples, 0 … 1."""
    throttled_time_ratio: float | None = None
    """Seconds throttled per second of wall time between the two latest samples (may exceed 1: all threads count)."""
    at: datetime | None = None
    """When it was measured, where that is later than what else was sampled of the replica."""


class Worker(Frozen, frozen=True):
    """One process of a replica that is a server's master, worker or lone server."""

    pid: int
    """As the machine that fastops reads from numbers it (the host's number for a container)."""
    replica: ReplicaId
    role: WorkerRole
    inner_pid: int | None = None
    """As the container itself numbers it: what its log lines say. Equal to ``pid`` without a PID namespace."""
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    anonymous_bytes: int | None = None
    """Anonymous memory (RssAnon): what a leak grows; page cache and shared libraries are not in it."""
    cpu_seconds: float | None = None
    cpu_percent: float | None = None
    """Of one core, between the two latest samples; 200 is two full cores."""
    queued_percent: float | None = None
    """How long its main thread was ready to run and had no CPU, in percent of the time between the two latest samples:
    on a machine that is overloaded what it waits for is the machine."""
    threads: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    """The soft limit (RLIMIT_NOFILE)."""
    open_files_hard_limit: int | None = None
    memory_limit: Limit = UNKNOWN_LIMIT
    """A limit of this process alone (RLIMIT_DATA or RLIMIT_AS), in bytes."""
    started_at: datetime | None = None
    age_seconds: float | None = None
    beside: str | None = None
    """Of another server than the deployment's own: that one, for people (``gunicorn admin:app on :8001``)."""
    peak_rss_bytes: int | None = None
    """The most that ``rss_bytes`` ever was (VmHWM)."""


class Listener(Frozen, frozen=True):
    """A listening TCP socket inside the replica's network namespace."""

    address: str
    """``0.0.0.0``, ``::``, ``127.0.0.1``, …"""
    port: int
    established: int | None = None
    """Connections open to this port: an upper bound of the requests in flight."""


class PublishedPort(Frozen, frozen=True):
    """A port of the container that the engine publishes on the host."""

    container_port: int
    host_ip: str
    host_port: int


class HealthCheck(Frozen, frozen=True):
    """The engine's health check: its state and its latest answers (newest last, five at most)."""

    status: Literal["starting", "healthy", "unhealthy"]
    failing_streak: int = 0
    test: str | None = None
    answers: tuple[str, ...] = ()


class Event(Frozen, frozen=True):
    """What the engine or the kernel said happened to a replica."""

    at: datetime
    kind: Literal["start", "die", "oom", "kill", "stop", "restart", "health"]
    exit_code: int | None = None
    signal: int | None = None
    text: str | None = None


class HttpSample(Frozen, frozen=True):
    """One request that fastops made to a replica."""

    at: datetime
    path: str
    took_seconds: float
    """Wall time until the answer's head, or until the time-out."""
    status: int | None = None
    error: str | None = None
    """``timeout``, ``refused``, ``reset``, ``unreachable``, …; ``None`` when there is a status."""
    said: str | None = None
    """The beginning of an answer of 5xx, in one line, secrets redacted: services name there what they miss."""


class Latency(Frozen, frozen=True):
    """How the requests of a deployment's users fare, as somebody else counted them."""

    at: datetime
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    """Interpolated within the buckets of a histogram; ``None`` where they lie beyond its last bound."""
    requests_per_second: float | None = None
    error_ratio: float | None = None
    """Answers of 500 and above, over all."""
    source: str = ""
    probed: bool = False
    """The percentiles are of requests that fastops made itself: nobody tells those of the users."""


class Frame(Frozen, frozen=True):
    """One frame of a Python stack."""

    file: str
    line: int
    function: str


class StackSample(Frozen, frozen=True):
    """The stack of the thread that runs a worker's event loop, innermost frame first (32 at most)."""

    at: datetime
    pid: int
    frames: tuple[Frame, ...]
    idle: bool
    """True when the loop waits for events: the selector's own call is innermost."""


class Heartbeat(Frozen, frozen=True):
    """How long ago a worker's event loop gave its master a sign of life, as the master told."""

    at: datetime
    """When it was told."""
    pid: int
    """:attr:`Worker.pid`."""
    silent_seconds: float
    every_seconds: float
    """A loop that turns gives one at least so often."""

    @property
    def late(self) -> bool:
        """Whether a loop that turns would have given one since; two seconds more: it looks at the clock seldom."""
        return self.silent_seconds > self.every_seconds + 2.0


class Replica(Frozen, frozen=True):
    """One running instance: a container, a pod's serving container, or a local master with its workers."""

    id: ReplicaId
    name: str
    state: ReplicaState
    ready: bool | None = None
    """Running and, where there is a health check, healthy; of a pod, whether it takes traffic at all."""
    held_by: str | None = None
    """Why a pod takes no traffic although its serving container is well: another container, a gate, a silent node."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    created_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    """The engine's ``State.OOMKilled``; what it means depends on the engine's version."""
    restarts: int | None = None
    restart_policy: str | None = None
    stop_signal_timeout_seconds: float | None = None
    error: str | None = None
    """The engine's own words about a start that failed; of a pod, its own about what went wrong or why it has to go."""
    image: str | None = None
    image_id: str | None = None
    command: tuple[str, ...] = ()
    """Entry point and arguments as they are run, secrets redacted."""
    working_dir: str | None = None
    environment: Mapping[str, str] = {}
    """Literal values; secrets redacted at the door."""
    environment_from: Mapping[str, str] = {}
    """Variables that are taken from elsewhere: name → ``secret NAME/KEY``, ``configmap NAME/KEY``, ``field PATH``."""
    memory: Memory = Memory()
    cpu: Cpu = Cpu()
    workers: tuple[Worker, ...] = ()
    others: tuple[Worker, ...] = ()
    """Processes of other servers in the same container: the deployment's settings, application and probes are not
    theirs, so nothing is judged of the two together."""
    listeners: tuple[Listener, ...] | None = None
    ports: tuple[PublishedPort, ...] = ()
    network_mode: str | None = None
    addresses: Mapping[str, str] = {}
    """Network name → the replica's address in it."""
    ulimits: Mapping[str, tuple[int, int]] = {}
    open_files_most: int | None = None
    """The highest hard limit of open files that the engine on this machine may give; ``None`` where unknown."""
    log_driver: str | None = None
    log_options: Mapping[str, str] | None = None
    """Of the log driver, as it is in force (``max-size``, ``max-file``); ``None`` where they are not known."""
    log_bytes: int | None = None
    """What the engine keeps of its output in one file, where that file is on this machine."""
    health: HealthCheck | None = None
    events: tuple[Event, ...] = ()
    """Within the look-back, oldest first, 64 at most."""
    loop_probes: tuple[HttpSample, ...] = ()
    """Requests to a path that no route answers, newest last, 12 at most: the honest probe of the event loop."""
    health_probes: tuple[HttpSample, ...] = ()
    """Requests to the health path, newest last, 12 at most."""
    stacks: tuple[StackSample, ...] = ()
    """Taken while the loop probe was slow or a heartbeat late, newest last, 6 at most."""
    heartbeats: tuple[Heartbeat, ...] = ()
    """Of its workers, as gunicorn's control socket told them last."""
    waiting: Waiting | None = None
    """Why it, or a container beside it, does not run, where an orchestrator says so."""
    last_end: Ended | None = None
    """How its previous run ended, where an orchestrator says so."""
    probes: tuple[ProbeSpec, ...] | None = None
    """The checks that an orchestrator makes; ``None`` where there is no orchestrator that makes any."""
    node: NodeId | None = None
    """Where it differs between the replicas of a deployment."""
    terminating: bool = False
    """It was told to go: what it fails from then on is no failure."""
    revision: str | None = None
    """The template that it was made from (``pod-template-hash``)."""
    declared_ports: tuple[int, ...] = ()
    """Ports that its description names; declarative only."""
    beside: tuple[str, ...] | None = None
    """Names of the other containers that share its network and its fate (a pod's); they may be proxies."""
    memory_request_bytes: int | None = None
    cpu_request_cores: float | None = None
    sampled_at: datetime | None = None
    """When memory, CPU and workers were read."""
    unreadable: tuple[Failure, ...] = ()

    @property
    def processes(self) -> tuple[Worker, ...]:
        """All servers' processes: its own, then those of others."""
        return (*self.workers, *self.others) if self.others else self.workers


Capability = Literal[
    "memory-limit",
    "nofile",
    "gunicorn",
    "bind",
    "restart",
    "profile",
    "cpu-limit",
    "probes",
    "ports",
    "environment",
    "secret",
    "scale",
    "rollback",
    "command",
    "log-rotation",
    "variables",
]


class Deployment(Frozen, frozen=True):
    """Replicas that run the same service."""

    id: DeploymentId
    target: TargetId
    name: str
    kind: DeploymentKind
    framework: Framework
    recognised_by: str
    """Why it is taken for FastAPI (or cannot be told), for people: ``uvicorn app:app, fastapi 0.115 installed``."""
    replicas: tuple[Replica, ...]
    desired: int | None = None
    server: Server | None = None
    server_version: str | None = None
    namespace: str | None = None
    origin: str | None = None
    """Local processes: the systemd unit or the container that they belong to; Compose: the project."""
    node: NodeId | None = None
    restarts: int | None = None
    settings: Mapping[str, Setting] = {}
    """By the names of :mod:`probes.servers`: ``app``, ``bind``, ``host``, ``port``, ``workers``, ``worker_class``, …"""
    packages: Mapping[str, str] = {}
    """Distributions on the service's import path that matter here (fastapi, gunicorn, sqlalchemy, …) → version."""
    drivers: tuple[str, ...] = ()
    """Database drivers that are loaded (mapped into a worker) – not merely installed."""
    files: tuple[str, ...] = ()
    """Files on this machine that define it: a Compose file, gunicorn's configuration."""
    capabilities: Mapping[Capability, str | None] = {}
    """What fixes can be made here: ``None`` means yes, a sentence says why not; what is absent cannot be."""
    orchestrated: Orchestrated | None = None
    """``None`` where no orchestrator runs it."""
    hits: tuple[LogHit, ...] = ()
    logs: LogCoverage = LogCoverage(state="unread")
    latency: Latency | None = None
    pool: Pool | None = None
    """Its database connections, of all replicas together."""
    unreadable: tuple[Failure, ...] = ()

    @property
    def ready(self) -> int:
        """How many replicas are ready; one that was told to go gets no new requests."""
        return sum(one.ready is True and not one.terminating for one in self.replicas)

    @property
    def running(self) -> tuple[Replica, ...]:
        """The replicas that run now."""
        return tuple(r for r in self.replicas if r.state == "running")

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The processes that serve requests, of all replicas: no masters."""
        return tuple(w for r in self.replicas for w in r.workers if w.role != "master")

    def setting(self, name: str) -> Value | None:
        """The value of a setting, or ``None`` where it is not known."""
        found = self.settings.get(name)
        return None if found is None else found.value


class Node(Frozen, frozen=True):
    """A machine that runs replicas."""

    id: NodeId
    name: str
    cpus: int | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None


class TargetState(Frozen, frozen=True):
    """All that one target knows, as of one moment."""

    target: TargetId
    link: Link
    as_of: datetime
    version: str | None = None
    nodes: Mapping[NodeId, Node] = {}
    failures: tuple[Failure, ...] = ()
    deployments: Mapping[DeploymentId, Deployment] = {}
    changed: frozenset[DeploymentId] = frozenset()
    """Those that differ from the state published before, removed ones included."""
    complete: bool = False
    """Every deployment was listed and measured at least once since the link came up: what ``scan`` waits for."""
    listed: bool = True
    """What there is was listed to its end: until then deployments may lack replicas, and others may be missing."""


class Snapshot(Frozen, frozen=True):
    """The board at one moment."""

    taken_at: datetime
    targets: Mapping[TargetId, TargetState]
    databases: tuple[DatabaseServer, ...] = ()
    """The database servers that were asked, by name."""

    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments, by target and id."""
        return tuple(d for t in self.targets.values() for _, d in sorted(t.deployments.items()))

    def find(self, deployment: DeploymentId) -> Deployment | None:
        """One deployment by its full id."""
        for state in self.targets.values():
            if deployment in state.deployments:
                return state.deployments[deployment]
        return None


class Interest(Frozen, frozen=True):
    """What is looked at and what is in trouble: it is read first and more often."""

    focused: DeploymentId | None = None
    visible: frozenset[DeploymentId] = frozenset()
    troubled: frozenset[DeploymentId] = frozenset()
    observed: bool = False
    """Somebody watches for a while and then judges: all services of a small fleet are asked often."""
