"""Which workloads are FastAPI services, and which of a pod's containers serves: told by what their description says.

Images cannot be looked into through the API. What the command does not tell, the service's own document does
(:mod:`.documents`). The rules are those of :mod:`probes.framework`: an ASGI server's command counts while nothing
contradicts it; a product that starts its server itself counts only where its document, or the annotation, says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from probes import framework, servers, text
from probes.base import Frozen
from probes.model import Server, Setting
from probes.servers import ServerCommand
from probes.targets.kubernetes.views import ContainerView, TemplateView

ENABLE = "fastops.io/enable"
FIRST_DIRECTORY = "/proc/1/cwd"
"""Where relative paths begin in a container whose working directory only its image tells."""
_PORTS_ASKED = 3
_DJANGO = "DJANGO_SETTINGS_MODULE"
_READ_BY_SERVERS = ("UVICORN_", "GUNICORN_", "GRANIAN_", "HYPERCORN_", "WEB_CONCURRENCY", "PORT")
# Programs that are no Python service, by the name of their file or image: nobody needs to ask them.
_FOREIGN = re.compile(
    r"apache2|busybox|caddy|cassandra|celery|clickhouse(-server)?|cloud[-_]sql[-_]proxy|consul|coredns|dotnet|"
    r"elasticsearch|envoy|etcd|fluent-?(bit|d)|grafana|haproxy|httpd|influxd|istio-proxy|java|keycloak|kube-[a-z-]+|"
    r"linkerd2-proxy|mariadbd?|memcached|metrics-server|minio|mongod?|mysqld?|nats(-server)?|nginx|node|np[mx]|"
    r"opensearch|otel-?col(lector)?|pause|pgbouncer|php(-fpm)?|pilot-agent|postgres(ql)?|prometheus|proxyv2|"
    r"rabbitmq(-server)?|redis(-server)?|ruby|rails|sleep|tail|traefik|valkey(-server)?|vault|yarn|zookeeper"
)
# Variables that give a setting, by server; ``*`` is every server.
_BY_VARIABLE: tuple[tuple[Server | Literal["*"], str, tuple[str, ...]], ...] = (
    ("*", "WEB_CONCURRENCY", ("workers",)),
    ("gunicorn", "PORT", ("bind", "host", "port")),
    ("uvicorn", "PORT", ("port",)),
    ("uvicorn", "UVICORN_HOST", ("host",)),
    ("uvicorn", "UVICORN_PORT", ("port",)),
)


class Question(Frozen, frozen=True):
    """A container whose own document may tell what it is."""

    container: str
    ports: tuple[int, ...]
    """Where its command and its description say that it listens; empty where they do not say."""


class Known(Frozen, frozen=True):
    """What a template was recognised as."""

    framework: Literal["fastapi", "other", "unknown"]
    why: str
    container: str | None
    """The one that serves."""
    command: ServerCommand | None = None
    questions: tuple[Question, ...] = ()
    """What may be asked where it cannot be told."""


class Told(Frozen, frozen=True):
    """What was learned beside the description."""

    documented: str | None = None
    """The container that serves FastAPI's document."""
    before: str | None = None
    """The container that served it under a former template: counts until this one is asked."""
    asked: bool = False
    """It was asked for, and answered by something."""
    looked: bool = False
    """The serving container was looked into: what follows is known."""
    packages: Mapping[str, str] = {}
    """Distributions that it can import → version."""
    files: Mapping[str, bytes | None] = {}
    """Its files by absolute path; ``None`` for one that is certainly not there."""

    def joined(self, more: Told) -> Told:
        """With what was learned since."""
        return Told(
            documented=more.documented or self.documented,
            before=more.before or self.before,
            asked=more.asked or self.asked,
            looked=more.looked or self.looked,
            packages=more.packages or self.packages,
            files={**self.files, **more.files},
        )


NOTHING = Told()


def recognise(template: TemplateView, enable: bool | None = None, told: Told = NOTHING) -> Known:
    """Tells FastAPI from others; never raises. The template's annotation outranks ``enable``, the workload's own."""
    enable = template.enable if template.enable is not None else enable
    found = [_container(one, told) for one in template.containers]
    if enable is not None:
        return _annotated(template, found, enable=enable)
    for one in found:
        if one.framework == "fastapi":
            return one
    questions = tuple(each for one in found for each in one.questions)
    unknown = [one for one in found if one.framework == "unknown"]
    if unknown:
        first = next((one for one in unknown if one.container == template.default_container), unknown[0])
        return msgspec.structs.replace(first, questions=questions)
    return found[0] if found else Known("other", "it has no containers", None)


def _annotated(template: TemplateView, found: list[Known], *, enable: bool) -> Known:
    why = f"the annotation {ENABLE} is {str(enable).lower()}"
    order = {"fastapi": 0, "unknown": 1, "other": 2}
    serving = min(
        found, key=lambda one: (order[one.framework], one.container != template.default_container), default=None
    )
    if serving is None:
        return Known("other", "it has no containers", None)
    return Known("fastapi" if enable else "other", why, serving.container, serving.command)


def _container(found: ContainerView, told: Told) -> Known:
    known = _judged(found, told)
    if known.framework == "unknown" and told.before == found.name and not told.asked:
        # A new image that does not even start must not take its service off the list.
        why = "it served FastAPI's document at /openapi.json before its template was changed"
        return msgspec.structs.replace(known, framework="fastapi", why=why)
    return known


def _judged(found: ContainerView, told: Told) -> Known:
    documented = told.documented == found.name
    command = _command(found, told)
    if not found.argv:
        if documented:
            return Known("fastapi", "it serves FastAPI's document at /openapi.json", found.name)
        return _open(found, None, "its command stands in its image", told)
    if documented:
        under = f" under {command.server}" if command else ""
        return Known("fastapi", f"it serves FastAPI's document at /openapi.json{under}", found.name, command)
    if command is None:
        return _open(found, None, f"what {_program(found)} serves cannot be told from here", told)
    taken, why = framework.by_command(command)
    if taken != "fastapi":
        return _open(found, command, why, told)
    against = _contradiction(found, command, told)
    if against is None:
        return Known("fastapi", why, found.name, command)
    if told.packages:
        return Known("other", against, found.name, command)
    return _open(found, command, against, told)


def _open(found: ContainerView, command: ServerCommand | None, why: str, told: Told) -> Known:
    """It cannot be told: unless it is known to be something else, its document may."""
    if command is None and _FOREIGN.fullmatch(_program(found)):
        return Known("other", f"{_program(found)} is no Python service", found.name)
    if told.asked:
        return Known("unknown", f"{why}, and it serves no FastAPI document at /openapi.json", found.name, command)
    question = Question(found.name, _ports(found, command))
    return Known("unknown", why, found.name, command, (question,))


def _program(found: ContainerView) -> str:
    """The file that is run, or the image's name where that is not known."""
    if found.entry_known and found.argv:
        return text.clean(posixpath.basename(found.argv[0]), 100)
    name = posixpath.basename(found.image or "").partition("@")[0].partition(":")[0]
    return name or "its image"


def _contradiction(found: ContainerView, command: ServerCommand, told: Told) -> str | None:
    """What speaks against FastAPI although an ASGI server runs."""
    if told.packages and command.server in told.packages and not {"fastapi", "fastapi-slim"} & told.packages.keys():
        return f"fastapi is not installed beside {command.server}"
    if _DJANGO in found.environment or _DJANGO in found.environment_from:
        return f"{_DJANGO} is set"
    if (command.app or "").endswith("asgi:application"):
        return f"{command.app} is what Django calls its application"
    return None


def _ports(found: ContainerView, command: ServerCommand | None) -> tuple[int, ...]:
    bound = [port for _, port in command.binds()] if command is not None else []
    return tuple(dict.fromkeys([*bound, *found.ports]))[:_PORTS_ASKED]


def _command(found: ContainerView, told: Told) -> ServerCommand | None:
    """The server's command with the settings that are certain: much that decides the others is not seen from here."""
    directory = found.working_dir or FIRST_DIRECTORY
    if told.files:
        known = {path: body for path, body in told.files.items() if body is not None}
        command = _shown(servers.parse(found.argv, found.environment, known.get, directory))
    else:
        command = _parsed(found.argv, _relevant(found), directory)
    if command is None:
        return None
    certain = command.server != "gunicorn" or _config(found, command) in told.files
    unknown = _by_other_variables(found, command)
    settings = {
        name: setting
        for name, setting in command.settings.items()
        if not (setting.source == "default" and (name in unknown or not certain))
        and not (isinstance(setting.value, str) and "$(" in setting.value)
    }
    return _without_directory(msgspec.structs.replace(command, settings=settings))


def _without_directory(command: ServerCommand) -> ServerCommand:
    """Paths in a directory that is not known by name, as they are given."""
    if not any(one and one.startswith(FIRST_DIRECTORY) for one in (command.config_file, command.app_dir)):
        return command
    head = f"{FIRST_DIRECTORY}/"
    settings = {
        name: Setting(str(one.value).removeprefix(head), one.source.removeprefix(head))
        if isinstance(one.value, str)
        else Setting(one.value, one.source.removeprefix(head))
        for name, one in command.settings.items()
    }
    config = command.config_file.removeprefix(head) if command.config_file else None
    app_dir = command.app_dir.removeprefix(head) if command.app_dir else None
    return msgspec.structs.replace(command, settings=settings, config_file=config, app_dir=app_dir)


@lru_cache(maxsize=2048)
def _parsed(argv: tuple[str, ...], environment: tuple[tuple[str, str], ...], directory: str) -> ServerCommand | None:
    """Many services start by the same words."""
    return _shown(servers.parse(argv, dict(environment), servers.no_files, directory))


def _relevant(found: ContainerView) -> tuple[tuple[str, str], ...]:
    """The variables that a command may read: all of them where a shell fills them in."""
    items = found.environment.items()
    if any("$" in one for one in found.argv):
        return tuple(items)
    return tuple(one for one in items if one[0].startswith(_READ_BY_SERVERS))


def _shown(command: ServerCommand | None) -> ServerCommand | None:
    """Cleaned and redacted."""
    if command is None:
        return None
    settings = {
        name: Setting(text.line(one.value, 500), one.source) if isinstance(one.value, str) else one
        for name, one in command.settings.items()
    }
    app = text.line(command.app, 300) if command.app is not None else None
    return msgspec.structs.replace(command, settings=settings, app=app)


def config_path(found: ContainerView) -> str | None:
    """The configuration file that decides gunicorn's settings, by absolute path; ``None`` for other servers.

    Where only the image tells the working directory, it is that of the container's first process.
    """
    command = _parsed(found.argv, _relevant(found), found.working_dir or FIRST_DIRECTORY)
    return _config(found, command) if command is not None and command.server == "gunicorn" else None


def _config(found: ContainerView, command: ServerCommand) -> str:
    return command.config_file or posixpath.join(found.working_dir or FIRST_DIRECTORY, "gunicorn.conf.py")


def _by_other_variables(found: ContainerView, command: ServerCommand) -> set[str]:
    """Settings whose default does not hold for certain: a variable gives them whose value is not seen from here."""
    elsewhere = found.environment_from.keys()
    unseen = {name for name in elsewhere if not name.endswith("*")}
    if any(name.endswith("*") for name in elsewhere):
        unseen |= {"WEB_CONCURRENCY", "PORT", "GUNICORN_CMD_ARGS"} - found.environment.keys()
    names: set[str] = set()
    for server, variable, given in _BY_VARIABLE:
        if variable in unseen and server in {"*", command.server}:
            names.update(given)
    if command.server == "gunicorn" and "GUNICORN_CMD_ARGS" in unseen:
        names.update(command.settings)
    return names
