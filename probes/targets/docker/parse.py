"""What the engine says about a container, read into a :class:`Replica`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

from probes import text
from probes.base import ReplicaId
from probes.model import UNLIMITED, Cpu, HealthCheck, Limit, Memory, PublishedPort, Replica, ReplicaState
from probes.targets.docker.answers import Binding, Health, HealthTest, HostConfig, Inspect, Network, RestartPolicy
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
