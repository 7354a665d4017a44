"""Runs an exec plugin: no terminal, a deadline, a bound on what it says, and a typed failure with its own words.

The protocol: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from probes import text
from probes.base import Failure, Frozen
from probes.target import Unreadable
from probes.targets.kubernetes.place import Cluster, Plugin

PLUGIN_SECONDS = 60.0
"""One may open a browser and wait for a person; longer than that nobody is there."""
_OUTPUT_LIMIT = 1 << 20
_WORDS_LIMIT = 4096
_DRAIN_SECONDS = 1.0
"""A program that the plugin left behind may hold its pipes open: nobody waits for that."""


class Issued(Frozen, frozen=True):
    """What a plugin printed. Secret: it has no representation."""

    token: str | None
    certificate: bytes | None
    key: bytes | None
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"Issued(expires_at={self.expires_at!r}, …)"


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Printed(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Status | None = None


async def run(plugin: Plugin, cluster: Cluster, timeout_seconds: float = PLUGIN_SECONDS) -> Issued:
    """What the plugin gives.

    Raises :class:`Unreadable`: ``no-command``, ``timeout``, ``expired`` (it failed), ``invalid`` (it printed else).
    """
    what = f"the credentials plugin {text.clean(plugin.command, 200)}"
    if plugin.interactive == "Always":
        why = "it wants a terminal to ask at (interactiveMode: Always), which fastops cannot lend it"
        raise Unreadable(Failure("expired", what, why, "log in with kubectl, or use a plugin that does not ask"))
    extra = {one.name: one.value for one in plugin.environment}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": _request(plugin, cluster)}
    program = shutil.which(plugin.command, path=environment.get("PATH"))
    if program is None:
        raise Unreadable(Failure("no-command", what, "the command is not found", _install(plugin)))
    try:
        code, printed, words = await _run(program, plugin.arguments, environment, timeout_seconds)
    except TimeoutError:
        why = f"it did not end within {timeout_seconds:g} s and was stopped"
        raise Unreadable(Failure("timeout", what, why, "see what it waits for: kubectl get namespaces")) from None
    except (OSError, ValueError) as error:
        why = f"it cannot be started: {text.line(str(error), 200)}"
        raise Unreadable(Failure("no-command", what, why, _install(plugin))) from None
    if code != 0:
        end = f"it ended with {code}" if code > 0 else f"it was ended by signal {-code}"
        said = f"{end}: {words}" if words else f"{end} and said nothing"
        raise Unreadable(Failure("expired", what, said, "log in again as its message says, then it goes on by itself"))
    try:
        return _issued(printed, plugin)
    except (ValueError, RecursionError) as error:
        why = f"what it printed is no ExecCredential: {text.line(str(error), 200)}"
        raise Unreadable(Failure("invalid", what, why, "run it by hand and see what it prints")) from None


def _install(plugin: Plugin) -> str:
    hint = " ".join(text.line(plugin.install_hint, 400).split())
    return hint or "install it, or put its directory into PATH"


def _request(plugin: Plugin, cluster: Cluster) -> str:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.wants_cluster:
        told: dict[str, Any] = {"server": cluster.server, "config": cluster.plugin_config}
        if cluster.server_name:
            told["tls-server-name"] = cluster.server_name
        if not cluster.verify:
            told["insecure-skip-tls-verify"] = True
        authority = cluster.authority
        if authority is None and cluster.authority_file:
            with contextlib.suppress(OSError):
                authority = Path(cluster.authority_file).read_bytes()
        if authority:
            told["certificate-authority-data"] = base64.b64encode(authority).decode()
        if cluster.proxy:
            told["proxy-url"] = cluster.proxy
        if not cluster.compress:
            told["disable-compression"] = True
        spec["cluster"] = told
    document = {"kind": "ExecCredential", "apiVersion": plugin.version, "spec": spec}
    try:
        return msgspec.json.encode(document).decode()
    except (TypeError, ValueError, RecursionError):
        spec["cluster"].pop("config")
        return msgspec.json.encode(document).decode()


async def _run(
    program: str, arguments: tuple[str, ...], environment: dict[str, str], timeout_seconds: float
) -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,  # neither our terminal nor our Ctrl-C is its own
    )
    assert process.stdout is not None
    assert process.stderr is not None
    printed, words = bytearray(), bytearray()
    readers = asyncio.gather(
        _read(process.stdout, printed, _OUTPUT_LIMIT), _read(process.stderr, words, _WORDS_LIMIT, last=True)
    )
    ended = False
    try:
        async with asyncio.timeout(timeout_seconds):
            code = await _exit(process)
            ended = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await asyncio.shield(readers)
    finally:
        if not ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        readers.cancel()
        await asyncio.gather(readers, return_exceptions=True)
        process._transport.close()  # type: ignore[attr-defined]  # pipes that another still holds
    lines = [one for one in bytes(words).decode("utf-8", "replace").splitlines() if one.strip()]
    return code, bytes(printed), text.line(" ".join(lines[-3:]), 500)


async def _exit(process: asyncio.subprocess.Process) -> int:
    """The exit code, though a child of the process holds its pipes: ``wait`` may wait for those, too."""
    while process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await process.wait()
    return process.returncode


async def _read(stream: asyncio.StreamReader, kept: bytearray, limit: int, *, last: bool = False) -> None:
    """Reads to the end, so that the pipe never fills, and keeps the first or the last ``limit`` bytes."""
    while chunk := await stream.read(1 << 16):
        kept += chunk
        if len(kept) > limit:
            del kept[slice(len(kept) - limit) if last else slice(limit, None)]


def _issued(printed: bytes, plugin: Plugin) -> Issued:
    document = msgspec.json.decode(printed, type=_Printed)
    if document.kind != "ExecCredential":
        raise ValueError("its kind is another")
    if document.api_version != plugin.version:
        raise ValueError(f"it speaks {text.clean(document.api_version, 60)!r}, the kubeconfig says {plugin.version!r}")
    status = document.status
    if status is None:
        raise ValueError("it has no status")
    certificate, key = status.client_certificate_data, status.client_key_data
    if not status.token and not (certificate and key):
        raise ValueError("it holds neither a token nor a certificate with its key")
    if bool(certificate) != bool(key):
        raise ValueError("it holds a certificate or a key without the other")
    expires_at = status.expiration_timestamp
    if expires_at is not None and expires_at.tzinfo is None:
        raise ValueError("its expirationTimestamp has no zone")
    return Issued(
        status.token or None, certificate.encode() if certificate else None, key.encode() if key else None, expires_at
    )
