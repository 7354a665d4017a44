"""Which workloads are FastAPI services, and which of a pod's containers serves: told by what their description says.

What that leaves open the service's own document tells (:mod:`.documents`), and the files in its containers where
programs may be run there (:mod:`.contents`). The rules are those of :mod:`probes.framework`: the annotation wins over
all; then what the application's own source says; then the document; an ASGI server's command counts while nothing
contradicts it; a product that starts its server itself counts only where one of the former says so.
"""

from __future__ import annotations

import posixpath
import re
from typing import Literal

import msgspec

from probes import framework, text
from probes.base import Frozen
from probes.servers import ServerCommand
from probes.targets.kubernetes import startcommand
from probes.targets.kubernetes.told import NOTHING, Told
from probes.targets.kubernetes.views import ContainerView, TemplateView

ENABLE = "fastops.io/enable"
_PORTS_ASKED = 3
_DJANGO = "DJANGO_SETTINGS_MODULE"
# Programs that are no Python service, by the name of their file or image: nobody needs to ask them.
_FOREIGN = re.compile(
    r"apache2|busybox|caddy|cassandra|celery|clickhouse(-server)?|cloud[-_]sql[-_]proxy|consul|coredns|dotnet|"
    r"elasticsearch|envoy|etcd|fluent-?(bit|d)|grafana|haproxy|httpd|influxd|istio-proxy|java|keycloak|kube-[a-z-]+|"
    r"linkerd2-proxy|mariadbd?|memcached|metrics-server|minio|mongod?|mysqld?|nats(-server)?|nginx|node|np[mx]|"
    r"opensearch|otel-?col(lector)?|pause|pgbouncer|php(-fpm)?|pilot-agent|postgres(ql)?|prometheus|proxyv2|"
    r"rabbitmq(-server)?|redis(-server)?|ruby|rails|sleep|tail|traefik|valkey(-server)?|vault|yarn|zookeeper"
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
    candidates: tuple[str, ...] = ()
    """The containers whose files may tell more."""
    assumed: bool = False
    """A server's command is all that speaks for it: its files may say otherwise."""


def recognise(template: TemplateView, enable: bool | None = None, told: Told = NOTHING) -> Known:
    """Tells FastAPI from others; never raises. The template's annotation outranks ``enable``, the workload's own."""
    enable = template.enable if template.enable is not None else enable
    found = [_container(one, told) for one in template.containers]
    if enable is not None:
        return _annotated(template, found, enable=enable)
    for one in sorted(found, key=lambda one: one.assumed):
        if one.framework == "fastapi":
            return one
    questions = tuple(each for one in found for each in one.questions)
    unknown = [one for one in found if one.framework == "unknown"]
    if unknown:
        first = next((one for one in unknown if one.container == template.default_container), unknown[0])
        candidates = tuple(dict.fromkeys([*first.candidates, *(each for one in unknown for each in one.candidates)]))
        return msgspec.structs.replace(first, questions=questions, candidates=candidates)
    return found[0] if found else Known("other", "it has no containers", None)


def _annotated(template: TemplateView, found: list[Known], *, enable: bool) -> Known:
    why = f"the annotation {ENABLE} is {str(enable).lower()}"
    order = {"fastapi": 0, "unknown": 1, "other": 2}
    serving = min(
        found, key=lambda one: (order[one.framework], one.container != template.default_container), default=None
    )
    if serving is None:
        return Known("other", "it has no containers", None)
    candidates = (serving.container,) if enable and serving.container is not None else ()
    return Known("fastapi" if enable else "other", why, serving.container, serving.command, candidates=candidates)


def _container(found: ContainerView, told: Told) -> Known:
    known = _judged(found, told)
    fresh = not told.asked and found.name not in told.inside
    if known.framework == "unknown" and told.before == found.name and fresh:
        # A new image that does not even start must not take its service off the list.
        why = "it was known to serve FastAPI before its template was changed"
        known = msgspec.structs.replace(known, framework="fastapi", why=why)
    if known.framework == "other":
        return known
    return msgspec.structs.replace(known, candidates=(found.name,))


def _judged(found: ContainerView, told: Told) -> Known:
    inside = told.inside.get(found.name)
    command = startcommand.command(found, told)
    if inside is not None and inside.by_source and inside.framework != "unknown":
        return Known(inside.framework, inside.why, found.name, command)
    if told.documented == found.name:
        under = f" under {command.server}" if command else ""
        return Known("fastapi", f"it serves FastAPI's document at /openapi.json{under}", found.name, command)
    if inside is not None and inside.framework != "fastapi" and (command is None or command is inside.command):
        return _open(found, command, inside.why, told)
    if command is None:
        known = f"what {_program(found)} serves cannot be told from here"
        return _open(found, None, known if found.argv else "its command stands in its image", told)
    taken, why = framework.by_command(command)
    if taken != "fastapi":
        return _open(found, command, why, told)
    against = _contradiction(found, command, told)
    if against is None:
        return Known("fastapi", why, found.name, command, assumed=True)
    if _packages(found, told):
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
    installed = _packages(found, told)
    if command.server in installed and not {"fastapi", "fastapi-slim"} & installed:
        return f"fastapi is not installed beside {command.server}"
    if _DJANGO in found.environment or _DJANGO in found.environment_from:
        return f"{_DJANGO} is set"
    if (command.app or "").endswith("asgi:application"):
        return f"{command.app} is what Django calls its application"
    return None


def _packages(found: ContainerView, told: Told) -> frozenset[str]:
    """What the container can import; empty where nobody looked into it last."""
    return frozenset(told.packages) if list(told.inside)[-1:] == [found.name] else frozenset()


def _ports(found: ContainerView, command: ServerCommand | None) -> tuple[int, ...]:
    bound = [port for _, port in command.binds()] if command is not None else []
    return tuple(dict.fromkeys([*bound, *found.ports]))[:_PORTS_ASKED]
