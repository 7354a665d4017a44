"""The engine's answers about containers, what of them is used."""

from __future__ import annotations

from typing import Any

import msgspec

from probes import text
from probes.base import Frozen


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
