"""Tells apart the servers that run side by side in one container: a script or a supervisor started more than one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from probes import servers, text
from probes.model import Replica
from probes.procfs import ProcFs
from probes.servers import TITLE, ServerCommand


def is_another(argv: Sequence[str], above: Sequence[str]) -> bool:
    """Whether a process right below a server's is a server of its own: what is forked shares its command line.

    A script that starts a server in the background and becomes another one by ``exec`` leaves them so.
    """
    if not argv or tuple(argv) == tuple(above) or not servers.is_server_process(argv):
        return False
    one, other = servers.parse(argv, {}), servers.parse(above, {})
    if one is None or other is None:
        return False
    # gunicorn's titles below gunicorn are its own workers'.
    return one.server != other.server or one.via != TITLE


def told_apart(tops: Sequence[int], procfs: ProcFs, command: ServerCommand | None) -> tuple[int, Mapping[int, str]]:
    """Of several servers' processes the one that ``command`` describes (else the first), and the others' names.

    A process that serves the same application at the same port is no other server: what a master left behind, or one
    that shares the port. It is in neither.
    """
    found = {pid: _parsed(procfs.argv(pid) or (), procfs.environ(pid)) for pid in tops}
    own = max(tops, key=lambda pid: _likeness(found[pid], command)) if command is not None else tops[0]
    return own, {pid: name(one) for pid, one in found.items() if pid != own and not _same(one, found[own])}


def _parsed(argv: Sequence[str], environment: Mapping[str, str] | None) -> ServerCommand | None:
    """The server; where its environment may not be read, without an address that could be another one for it."""
    command = servers.parse(argv, environment or {})
    if command is None or environment is not None:
        return command
    known = {key: value for key, value in command.settings.items() if value.source == "command line"}
    return replace(command, settings=known)


def name(command: ServerCommand | None) -> str:
    """``gunicorn admin:app on :8001``."""
    if command is None:
        return "another server"
    port = _port(command)
    words = (command.server, command.app, f"on :{port}" if port is not None else None)
    return text.line(" ".join(word for word in words if word), 120)


def also(replicas: Iterable[Replica]) -> str:
    """What else serves in the containers of a deployment, as the end of why it is listed; empty where nothing does."""
    names = dict.fromkeys(one.beside for replica in replicas for one in replica.others if one.beside)
    return text.line(f"; in the same container: {', '.join(list(names)[:4])}", 300) if names else ""


def _likeness(one: ServerCommand | None, command: ServerCommand) -> tuple[bool, bool, bool]:
    if one is None:
        return (False, False, False)
    here = {port for _, port in command.binds()}
    return (one.app == command.app, _port(one) in here, one.server == command.server)


def _same(one: ServerCommand | None, other: ServerCommand | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.server, one.app, _port(one)) == (other.server, other.app, _port(other))


def _port(command: ServerCommand) -> int | None:
    found = command.settings.get("port")
    return found.value if found is not None and isinstance(found.value, int) else None
