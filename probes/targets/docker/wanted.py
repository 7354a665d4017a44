"""The body of a container as a wish wants it: pure but for reading the service's own configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from probes import text, tls_url
from probes.base import Frozen
from probes.command import CannotRewrite, Rewritten, rewrite
from probes.intent import Desired
from probes.target import Refused, Unreadable
from probes.targets.docker import archive, readable
from probes.targets.docker.client import EngineClient
from probes.targets.docker.documents import environment, with_environment
from probes.targets.docker.limits import log_config, memory_values, ulimits

Json = dict[str, Any]
_FILES = 8
"""Files of the service that may be read to understand its command."""
_FILE_BYTES = 1 << 18


class Wanted(Frozen, frozen=True):
    """What a container shall be made from."""

    body: Json
    notes: tuple[str, ...] = ()


async def wanted(
    client: EngineClient,
    container: str,
    body: Json,
    want: Desired,
    packages: Mapping[str, str],
    known_hard: int | None,
) -> Wanted:
    """``body`` (of ``container``) with all that is wanted; raises :class:`Refused` where it cannot be had."""
    made = deepcopy(body)
    host: Json = made["HostConfig"]
    if want.memory_limit_bytes is not None:
        host.update(memory_values(host, want.memory_limit_bytes))
    if want.open_files_limit is not None:
        host["Ulimits"] = ulimits(host, want.open_files_limit, known_hard)
    if want.log_options:
        host["LogConfig"] = log_config(host, want.log_options)
    if want.database_ca is not None:
        await _check_certificate(client, container, made, want.database_ca)
    if want.environment or want.database_tls:
        made["Env"] = with_environment(made.get("Env"), _variables(environment(made.get("Env")), want))
    if not (want.bind_host or want.gunicorn or want.server or want.production):
        return Wanted(made)
    said = await _rewritten(client, container, made, want, packages)
    _set_command(made, list(said.argv))
    made["Env"] = with_environment(made.get("Env"), said.environment)
    return Wanted(made, said.notes)


def argv_of(body: Json) -> list[str]:
    """What the engine runs: entry point and command."""
    entrypoint = [one for one in body.get("Entrypoint") or [] if one]
    return [*entrypoint, *(body.get("Cmd") or [])]


def _variables(held: Mapping[str, str], want: Desired) -> dict[str, str]:
    """The whole environment; raises :class:`Refused` where a database URL is not there any more."""
    changed = {}
    for name, mode in want.database_tls.items():
        if name not in held:
            raise Refused(f"{text.clean(name, 100)} is not in its environment any more.")
        changed[name] = tls_url.with_mode(text.clean(name, 100), held[name], mode)
    return {**held, **want.environment, **changed}


async def _check_certificate(client: EngineClient, container: str, body: Json, path: str) -> None:
    shown = text.clean(path, 200)
    try:
        file = await archive.file(client, container, path, _FILE_BYTES)
    except Unreadable:
        raise Refused(f"{shown} is not in the container, or cannot be read there: mount it first.") from None
    if b"-----BEGIN CERTIFICATE-----" not in file.data and b"-----BEGIN TRUSTED CERTIFICATE-----" not in file.data:
        raise Refused(f"{shown} holds no certificate (PEM).")
    if not await readable.by_its_user(client, container, body, file):
        user = text.clean(str(body.get("User")), 100)
        raise Refused(f"{shown} cannot be read by the container's user ({user}): make it readable first (chmod o+r).")


async def _rewritten(
    client: EngineClient, container: str, body: Json, want: Desired, packages: Mapping[str, str]
) -> Rewritten:
    """Rewrites, reading each file that is asked for and beginning anew until none is missing."""
    files: dict[str, bytes | None] = {}
    while True:
        asked: set[str] = set()

        def read_file(path: str, asked: set[str] = asked) -> bytes | None:
            if path not in files:
                asked.add(path)
            return files.get(path)

        try:
            said = rewrite(
                argv_of(body),
                environment(body.get("Env")),
                want,
                packages,
                read_file,
                str(body.get("WorkingDir") or "/"),
            )
        except CannotRewrite as error:
            if not asked or len(files) >= _FILES:
                raise Refused(str(error)) from None
        else:
            if not asked or len(files) >= _FILES:
                return said
        for path in sorted(asked)[: _FILES - len(files)]:
            files[path] = await _read(client, container, path)


async def _read(client: EngineClient, container: str, path: str) -> bytes | None:
    if not path.startswith("/"):
        return None
    try:
        return await archive.read(client, container, path, _FILE_BYTES)
    except Unreadable:
        return None


def _set_command(body: Json, argv: list[str]) -> None:
    """The entry point stays where the new command begins with it."""
    entrypoint = body.get("Entrypoint") or []
    if entrypoint in ([], [""]):
        body["Cmd"] = argv
    elif argv[: len(entrypoint)] == entrypoint:
        body["Cmd"] = argv[len(entrypoint) :]
    else:
        body["Entrypoint"], body["Cmd"] = argv[:1], argv[1:]
