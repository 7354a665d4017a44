"""Whether a container that was started is in service: healthy, or answering as the former one did, and staying up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from probes import text
from probes.base import Frozen
from probes.target import Unreadable
from probes.targets.docker.containers import Containers

Json = dict[str, Any]
READY_SECONDS = 180.0
"""Until a container must be in service; a health check's own start period comes on top."""
SETTLE_SECONDS = 5.0
"""It must stay up so long: a server binds its port before its workers have imported the application."""
_ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.2
_NANO = 1e-9


class NotReady(Exception):
    """The container is not in service; the text is one clause that says why."""


class Expected(Frozen, frozen=True):
    """What the former container did, so that the new one must do it too."""

    ports: tuple[int, ...] = ()
    """On which it answered HTTP, seen from here."""
    healthy: bool = True
    """False where its health check failed already: then only staying up is asked for."""


async def wait_ready(
    containers: Containers,
    container: str,
    expected: Expected,
    progress: Callable[[str], None],
    ready_seconds: float = READY_SECONDS,
    settle_seconds: float = SETTLE_SECONDS,
) -> None:
    """Waits until the container is in service; raises :class:`NotReady` when it is not in time, or cannot be."""
    begun = time.monotonic()
    deadline = begun + ready_seconds
    waiting = ""
    while True:
        with contextlib.suppress(Unreadable):  # an engine that is busy is asked again until the deadline
            inspect = await containers.inspect(container)
            if inspect is None:
                raise NotReady("it vanished")
            _refuse_dead(inspect, expected)
            still = await _missing(inspect, expected)
            now = time.monotonic()
            if still is None and now - begun >= settle_seconds:
                return
            if still is not None and still != waiting:
                waiting = still
                progress(f"waiting: {still}")
            deadline = max(deadline, begun + ready_seconds + _start_period(inspect))
        if time.monotonic() >= deadline:
            raise NotReady(f"{waiting or 'the engine did not answer'} for {time.monotonic() - begun:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


async def answering(inspect: Json, ports: Sequence[int]) -> tuple[int, ...]:
    """Those of the container's ports on which something answers HTTP, as this machine can reach it."""
    answers = await asyncio.gather(*(_any_answers(inspect, port) for port in ports))
    return tuple(port for port, answer in zip(ports, answers, strict=True) if answer)


def _refuse_dead(inspect: Json, expected: Expected) -> None:
    state: Json = inspect["State"]
    if state.get("OOMKilled") and not state.get("Running"):
        raise NotReady("the kernel killed it for memory")
    if state.get("Restarting") or inspect.get("RestartCount"):
        code = f" with code {state['ExitCode']}" if state.get("ExitCode") else ""
        raise NotReady(f"it ended{code} and is restarted again and again")
    if not state.get("Running"):
        said = text.line(str(state.get("Error") or ""), 300)
        raise NotReady(f"it ended with code {state.get('ExitCode')}{': ' if said else ''}{said}")
    health: Json = state.get("Health") or {}
    if expected.healthy and health.get("Status") == "unhealthy":
        log = health.get("Log") or [{}]
        raise NotReady(f"its health check fails: {text.line(str(log[-1].get('Output', '')).strip(), 300)}")


async def _missing(inspect: Json, expected: Expected) -> str | None:
    """What is still awaited; ``None`` when nothing is."""
    health = (inspect["State"].get("Health") or {}).get("Status", "none")
    if expected.healthy and health not in {"none", "healthy"}:
        return "its health check has not passed yet"
    found = await answering(inspect, expected.ports)
    silent = [str(port) for port in expected.ports if port not in found]
    return f"nothing answers on port {', '.join(silent)}" if silent else None


def _start_period(inspect: Json) -> float:
    check: Json = inspect["Config"].get("Healthcheck") or {}
    return min(900.0, float(check.get("StartPeriod") or 0) * _NANO + float(check.get("Interval") or 0) * _NANO)


async def _any_answers(inspect: Json, port: int) -> bool:
    for host, number in _addresses(inspect, port):
        if await _answers(host, number):
            return True
    return False


def _addresses(inspect: Json, port: int) -> list[tuple[str, int]]:
    if str(inspect["HostConfig"].get("NetworkMode")) == "host":
        return [("127.0.0.1", port)]
    settings: Json = inspect.get("NetworkSettings") or {}
    found = [(str(n["IPAddress"]), port) for n in (settings.get("Networks") or {}).values() if n.get("IPAddress")]
    for one in (settings.get("Ports") or {}).get(f"{port}/tcp") or []:
        host = one.get("HostIp") or "127.0.0.1"
        found.append(("127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host, int(one["HostPort"])))  # noqa: S104
    return found


async def _answers(host: str, port: int) -> bool:
    """Whether HTTP is spoken there: any answer will do, also to a path that no route has."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /-/fastops HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return (await reader.read(5)).startswith(b"HTTP/")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
