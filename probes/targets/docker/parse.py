"""What the engine says about a container, read into a :class:`Replica`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from probes import text
from probes.base import Frozen, ReplicaId
from probes.model import UNLIMITED, Cpu, HealthCheck, Limit, Memory, PublishedPort, Replica, ReplicaState
from probes.targets.docker.documents import UNLIMITED_BYTES

_STATES: Mapping[str, ReplicaState] = {
    "created": "created",
    "running": "running",
    "paused": "paused",
    "restarting": "restarting",
    "exited": "exited",
    "dead": "dead",
    "removing": "dead",
}
_HealthStatus = Literal["starting", "healthy", "unhealthy"]
_HEALTH: Mapping[str, _HealthStatus] = {one: one for one in get_args(_HealthStatus)}


class Listed(Frozen, frozen=True, rename="pascal"):
    """One row of ``/containers/json``."""

    id: str
    created: int = 0
    state: str = ""
    status: str = ""
    names: tuple[str, ...] | None = None

    @property
    def called(self) -> str:
        """Its name, for people."""
        return text.clean((self.names or ("",))[0].lstrip("/"), 200) or self.id[:12]


class HealthAnswer(Frozen, frozen=True, rename="pascal"):
    """One run of the engine's health check."""

    exit_code: int = 0
    output: str = ""
    end: str = ""


class Health(Frozen, frozen=True, rename="pascal"):
    """``State.Health``."""

    status: str = ""
    failing_streak: int = 0
    log: tuple[HealthAnswer, ...] | None = None


class State(Frozen, frozen=True, rename="pascal"):
    """``State``."""

    status: str = ""
    oom_killed: bool | None = msgspec.field(default=None, name="OOMKilled")
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: Health | None = None


class HealthTest(Frozen, frozen=True, rename="pascal"):
    """``Config.Healthcheck``."""

    test: tuple[str, ...] | None = None


class Config(Frozen, frozen=True, rename="pascal"):
    """``Config``. The environment still has its secrets: it goes no further than recognition."""

    env: tuple[str, ...] | None = None
    image: str = ""
    working_dir: str = ""
    labels: dict[str, str] | None = None
    healthcheck: HealthTest | None = None
    exposed_ports: dict[str, Any] | None = None
    tty: bool = False
    stop_timeout: int | None = None


class Ulimit(Frozen, frozen=True, rename="pascal"):
    """One of ``HostConfig.Ulimits``."""

    name: str = ""
    soft: int = 0
    hard: int = 0


class LogConfig(Frozen, frozen=True, rename="pascal"):
    """``HostConfig.LogConfig``."""

    type: str = ""
    config: dict[str, str] | None = None


class RestartPolicy(Frozen, frozen=True, rename="pascal"):
    """``HostConfig.RestartPolicy``."""

    name: str = ""
    maximum_retry_count: int = 0


class HostConfig(Frozen, frozen=True, rename="pascal"):
    """``HostConfig``."""

    network_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    volumes_from: tuple[str, ...] | None = None
    auto_remove: bool = False
    memory: int = 0
    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    ulimits: tuple[Ulimit, ...] | None = None
    log_config: LogConfig = LogConfig()
    restart_policy: RestartPolicy | None = None


class Network(Frozen, frozen=True, rename="pascal"):
    """One of ``NetworkSettings.Networks``."""

    ip_address: str = msgspec.field(default="", name="IPAddress")
    global_ipv6_address: str = msgspec.field(default="", name="GlobalIPv6Address")
    aliases: tuple[str, ...] | None = None
    dns_names: tuple[str, ...] | None = msgspec.field(default=None, name="DNSNames")


class Binding(Frozen, frozen=True, rename="pascal"):
    """Where a port of the container is published."""

    host_ip: str = ""
    host_port: str = ""


class NetworkSettings(Frozen, frozen=True, rename="pascal"):
    """``NetworkSettings``."""

    networks: dict[str, Network] | None = None
    ports: dict[str, tuple[Binding, ...] | None] | None = None


class Mount(Frozen, frozen=True, rename="pascal"):
    """One of ``Mounts``."""

    type: str = ""
    source: str = ""
    destination: str = ""


class Inspect(Frozen, frozen=True, rename="pascal"):
    """``/containers/ID/json``, what of it is used."""

    id: str
    created: str = ""
    path: str = ""
    args: tuple[str, ...] | None = None
    name: str = ""
    image: str = ""
    restart_count: int | None = None
    log_path: str = ""
    state: State = State()
    config: Config = Config()
    host_config: HostConfig = HostConfig()
    network_settings: NetworkSettings = NetworkSettings()
    mounts: tuple[Mount, ...] | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run, secrets included."""
        return (self.path, *(self.args or ())) if self.path else ()

    @property
    def environment(self) -> dict[str, str]:
        """The environment, secrets included."""
        pairs = (one.partition("=") for one in self.config.env or ())
        return {name: value for name, found, value in pairs if found}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the container."""
        return self.config.labels or {}


def joined(mode: str) -> str | None:
    """The container (id or name) whose namespace a mode joins: ``container:ID``."""
    return mode.removeprefix("container:") or None if mode.startswith("container:") else None


def when(stamp: str) -> datetime | None:
    """The engine's RFC 3339 with nanoseconds; its year 1 means never."""
    if not stamp or stamp.startswith("0001-"):
        return None
    head, dot, tail = stamp.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    try:
        found = datetime.fromisoformat(f"{head}.{tail[: min(digits, 6)]:0<6}{tail[digits:]}" if dot else stamp)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def replica(found: Inspect) -> Replica:
    """All that ``inspect`` tells, cleaned and redacted; measurements are added by others."""
    host, state, config = found.host_config, found.state, found.config
    status = _STATES.get(state.status, "dead")
    health = _health(state.health, config.healthcheck)
    finished = when(state.finished_at)
    ended = status in {"exited", "dead"} or (status == "restarting" and finished is not None)
    return Replica(
        id=ReplicaId(found.id),
        name=text.clean(found.name.removeprefix("/"), 200),
        state=status,
        ready=status == "running" and (health is None or health.status == "healthy"),
        started_at=when(state.started_at),
        finished_at=finished,
        created_at=when(found.created),
        exit_code=state.exit_code if ended or state.error else None,
        oom_killed=state.oom_killed,
        restarts=found.restart_count,
        restart_policy=_policy(host.restart_policy) if host.restart_policy else None,
        stop_signal_timeout_seconds=10.0 if config.stop_timeout is None else float(config.stop_timeout),
        error=text.line(state.error, 600) if state.error else None,
        image=text.clean(config.image, 300) or None,
        image_id=text.clean(found.image, 100) or None,
        command=text.arguments(found.argv),
        working_dir=text.clean(config.working_dir, 500) or None,
        environment=text.environment(found.environment),
        memory=Memory(limit=_positive(host.memory)),
        cpu=Cpu(limit=_cores(host)),
        ports=tuple(_ports(found.network_settings.ports or {})),
        network_mode=text.clean(host.network_mode, 200) or None,
        addresses=_addresses(found.network_settings.networks or {}),
        ulimits={text.clean(one.name, 40): (one.soft, one.hard) for one in host.ulimits or ()},
        log_driver=text.clean(host.log_config.type, 60) or None,
        log_options=text.environment(host.log_config.config or {}) if host.log_config.type else None,
        health=health,
    )


def _health(found: Health | None, test: HealthTest | None) -> HealthCheck | None:
    status = _HEALTH.get(found.status) if found is not None else None
    if found is None or status is None:
        return None
    answers = [f"exit {one.exit_code}: {text.line(one.output.strip(), 400)}" for one in found.log or ()]
    words = text.line(" ".join(text.arguments((test.test if test else None) or ())), 400)
    return HealthCheck(
        status=status,
        failing_streak=found.failing_streak,
        test=words or None,
        answers=tuple(answers[-5:]),
    )


def _policy(policy: RestartPolicy) -> str:
    name = text.clean(policy.name, 40) or "no"
    return f"{name}:{policy.maximum_retry_count}" if policy.maximum_retry_count else name


def _positive(value: int) -> Limit:
    return Limit(limited=True, value=float(value)) if 0 < value < UNLIMITED_BYTES else UNLIMITED


def _cores(host: HostConfig) -> Limit:
    if host.nano_cpus > 0:
        return Limit(limited=True, value=host.nano_cpus / 1e9)
    if host.cpu_quota > 0:
        return Limit(limited=True, value=host.cpu_quota / (host.cpu_period or 100_000))
    return UNLIMITED


def _ports(found: Mapping[str, Sequence[Binding] | None]) -> list[PublishedPort]:
    ports: list[PublishedPort] = []
    for name, bindings in found.items():
        number, _, protocol = name.partition("/")
        if protocol not in {"", "tcp"} or not number.isdecimal():
            continue
        ports += [
            PublishedPort(container_port=int(number), host_ip=text.clean(one.host_ip, 64), host_port=int(one.host_port))
            for one in bindings or ()
            if one.host_port.isdecimal()
        ]
    return sorted(set(ports), key=lambda one: (one.container_port, one.host_port, one.host_ip))


def _addresses(found: Mapping[str, Network]) -> dict[str, str]:
    return {
        text.clean(name, 200): text.clean(one.ip_address or one.global_ipv6_address, 64)
        for name, one in sorted(found.items())
        if one.ip_address or one.global_ipv6_address
    }
