"""What would be done on Docker to make a wish true: the steps with their documents. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from probes import text
from probes.intent import Desired, Document, Intent, Restart, Step
from probes.model import Deployment, Replica
from probes.target import Refused, Unreadable
from probes.targets.docker.client import EngineClient
from probes.targets.docker.compose import Command, Edited, Goal, edit
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import environment, is_kept, name_of, version_of
from probes.targets.docker.former import run_as
from probes.targets.docker.guards import layer_confirmation, refuse_joined, refuse_owned, refuse_recreate
from probes.targets.docker.limits import (
    former_values,
    known_hard_limit,
    limited,
    memory_values,
    needs_recreate,
    refuse_memory,
)
from probes.targets.docker.ready import answering
from probes.targets.docker.remake import Remade, remake
from probes.targets.docker.rendering import amount

Json = dict[str, Any]
# A container that a person stopped (docker stop, also past its grace period, or Ctrl-C) is left stopped.
_STOPPED_ON_PURPOSE = frozenset({0, 130, 137, 143})

_UNDONE = (
    "The former container has no files that were changed inside the new one since: "
    "where there are any, that one is kept, stopped, under a name that ends in -undone."
)


class DockerDrafter:
    """Drafts steps; see :class:`probes.target.Drafter`."""

    def __init__(self, client: EngineClient, *, local: bool = True) -> None:
        """``local``: the engine's machine is this one, so that its containers' addresses mean something here."""
        self._client = client
        self._containers = Containers(client)
        self._local = local

    async def draft(self, deployment: Deployment, want: Intent) -> Sequence[Step]:
        """The steps in order: files, then one replica after the other. Raises :class:`Refused` and ``Unreadable``."""
        replicas = [(r, i) for r in deployment.replicas if (i := await self._containers.inspect(r.id)) is not None]
        replicas = [(r, i) for r, i in replicas if not is_kept(name_of(i))]
        if not replicas:
            raise Refused(f"No container of {text.clean(deployment.name, 200)} is there any more.")
        if isinstance(want, Restart):
            return [await self._restart(deployment, replica, inspect) for replica, inspect in replicas]
        if not isinstance(want, Desired):
            raise Refused("Containers are neither scaled nor rolled back from here.")
        steps: list[Step] = []
        edited = Edited()
        for number, (replica, inspect) in enumerate(replicas):
            made = await remake(self._client, inspect, want, deployment.packages, known_hard_limit(deployment))
            if number == 0:
                edited = edit(inspect["Config"].get("Labels") or {}, _goal(made, want))
            if made.before.text != made.after.text:
                steps += await self._change(deployment, replica, made, want)
        files = [_file_step(one.path, one.before, one.after) for one in edited.files]
        if steps and edited.notes:
            steps[0] = _noted(steps[0], edited.notes)
        return [*files, *steps]

    async def _change(self, deployment: Deployment, replica: Replica, made: Remade, want: Desired) -> list[Step]:
        inspect = made.inspect
        name, host = text.clean(name_of(inspect), 200), inspect["HostConfig"]
        if want.memory_limit_bytes is not None:
            live = inspect["State"].get("Running") and not needs_recreate(host, want)
            used = await self._containers.memory_used(inspect["Id"]) if live else None
            node = (await self._containers.info()).get("MemTotal")
            refuse_memory(name, want.memory_limit_bytes, limited(host.get("Memory")), used, node)
        if needs_recreate(host, want):
            return [await self._recreate(deployment, replica, made, want)]
        assert want.memory_limit_bytes is not None
        refuse_owned(inspect)
        values = memory_values(host, want.memory_limit_bytes)
        shown = [
            f"--{flag} {_flag(values[key])}" for flag, key in (("memory", "Memory"), ("memory-swap", "MemorySwap"))
        ]
        step = Step(
            action="update",
            summary=f"docker update {' '.join(shown)} {name}",
            before=made.before,
            after=made.after,
            subject=inspect["Id"],
            arguments={"values": values, "former": former_values(host), "resumable": True},
        )
        return [step, await self._restart(deployment, replica, inspect)] if _died(inspect) else [step]

    async def _recreate(self, deployment: Deployment, replica: Replica, made: Remade, want: Desired) -> Step:
        inspect = made.inspect
        refuse_recreate(inspect)
        await refuse_joined(self._containers, inspect)
        try:
            confirm = await layer_confirmation(self._containers, inspect)
        except Unreadable as error:
            confirm = f"It could not be told whether files were changed inside the container ({error.failure.why})."
        running = bool(inspect["State"].get("Running"))
        arguments: dict[str, object] = {
            "name": name_of(inspect),
            "want": msgspec.json.decode(msgspec.json.encode(want)),  # plain data, as it comes back from a journal
            "packages": dict(deployment.packages),
            "known_hard": known_hard_limit(deployment),
            "start": running or _died(inspect),
            "former": msgspec.to_builtins(run_as(inspect)),
            "resumable": True,
            "notes": [*made.notes, *_beside_compose(inspect)],
            "undo_notes": [_UNDONE],
            **await self._expected(deployment, replica, inspect),
        }
        return Step(
            action="recreate",
            summary=f"recreate {text.clean(name_of(inspect), 200)} with {_what(want, made)}",
            before=made.before,
            after=made.after,
            subject=inspect["Id"],
            arguments=arguments if confirm is None else {**arguments, "confirm": confirm},
            restarts=running,
        )

    async def _restart(self, deployment: Deployment, replica: Replica, inspect: Json) -> Step:
        name = text.clean(name_of(inspect), 200)
        refuse_owned(inspect)
        if inspect["HostConfig"].get("AutoRemove"):
            raise Refused(f"{name} was started with --rm: a restart would remove it.")
        nothing = Document(
            id=f"restart:{name}", kind="none", title=f"container {name}", text="", version=version_of("")
        )
        return Step(
            action="restart",
            summary=f"restart {name}" if inspect["State"].get("Running") else f"start {name}",
            before=nothing,
            after=nothing,
            subject=inspect["Id"],
            arguments={
                "started_at": inspect["State"].get("StartedAt") or "",
                "resumable": True,
                **await self._expected(deployment, replica, inspect),
            },
            restarts=True,
        )

    async def _expected(self, deployment: Deployment, replica: Replica, inspect: Json) -> dict[str, object]:
        """What the container does now, and must do again afterwards."""
        ports = {one.port for one in replica.listeners or ()}
        port = deployment.setting("port")
        ports |= {port} if isinstance(port, int) else set()
        running = self._local and inspect["State"].get("Running")
        found = await answering(inspect, sorted(ports)[:8]) if running else ()
        health = (inspect["State"].get("Health") or {}).get("Status")
        return {"answers": list(found), "healthy": health != "unhealthy"}


def _beside_compose(inspect: Json) -> tuple[str, ...]:
    """Compose finds containers by their labels, which the engine cannot take off the one that is kept."""
    labels: Json = inspect["Config"].get("Labels") or {}
    service = text.clean(str(labels.get("com.docker.compose.service") or ""), 100)
    if not service:
        return ()
    note = (
        f"The former container is kept, stopped, with its labels of Compose: until it is removed, Compose counts two "
        f"containers of {service}, and `docker compose up` may remove either. Run it only when no undo is wanted, "
        f"after `docker rm` of the kept one."
    )
    return (note,)


def _goal(made: Remade, want: Desired) -> Goal:
    """What the Compose file shall say."""
    was, body = made.was, made.body
    files = next((u for u in body["HostConfig"].get("Ulimits") or [] if u.get("Name") == "nofile"), None)
    old, new = environment(was.get("Env")), environment(body.get("Env"))
    return Goal(
        memory_bytes=want.memory_limit_bytes,
        memory_swap_bytes=body["HostConfig"].get("MemorySwap") if want.memory_limit_bytes is not None else None,
        nofile=(int(files["Soft"]), int(files["Hard"])) if files and want.open_files_limit is not None else None,
        log_options=want.log_options,
        entrypoint=_changed(was, body, "Entrypoint"),
        command=_changed(was, body, "Cmd"),
        in_place=frozenset(want.database_tls),
        environment={name: new.get(name) for name in {**old, **new} if old.get(name) != new.get(name)},
    )


def _changed(was: Mapping[str, Any], body: Mapping[str, Any], key: str) -> Command | None:
    before, after = tuple(was.get(key) or ()), tuple(body.get(key) or ())
    return None if before == after else Command(before, after)


def _file_step(path: str, before: str, after: str) -> Step:
    shown = text.clean(path, 300)

    def document(said: str) -> Document:
        return Document(id=f"file:{path}", kind="compose", title=shown, text=said, version=version_of(said))

    return Step(
        action="write-file",
        summary=f"write {shown}",
        before=document(before),
        after=document(after),
        subject=path,
        arguments={"resumable": True},
    )


def _noted(step: Step, notes: Sequence[str]) -> Step:
    held = step.arguments.get("notes")
    said = [*(held if isinstance(held, list) else []), *notes]
    return msgspec.structs.replace(step, arguments={**step.arguments, "notes": said})


def _died(inspect: Json) -> bool:
    state = inspect["State"]
    over = state.get("Status") in {"exited", "dead"}
    return bool(over and (state.get("OOMKilled") or state.get("ExitCode") not in _STOPPED_ON_PURPOSE))


def _what(want: Desired, made: Remade) -> str:
    said = []
    if want.memory_limit_bytes is not None:
        said.append(f"{amount(want.memory_limit_bytes)} of memory")
    if want.open_files_limit is not None:
        said.append(f"{want.open_files_limit} open files")
    if want.log_options:
        said.append("a bounded log")
    if any(made.was.get(key) != made.body.get(key) for key in ("Entrypoint", "Cmd")):
        said.append("another command")
    if made.was.get("Env") != made.body.get("Env"):
        said.append("another environment")
    return " and ".join(said)


def _flag(size: int) -> str:
    for unit, letter in ((1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")):
        if size > 0 and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
