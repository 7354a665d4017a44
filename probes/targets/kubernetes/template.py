"""A pod's template, read and redacted: what all its pods have in common. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from probes import text
from probes.model import UNLIMITED, Limit
from probes.orchestrator import ProbeRole, ProbeSpec
from probes.targets.kubernetes import objects
from probes.targets.kubernetes.quantities import quantity
from probes.targets.kubernetes.views import ContainerView, TemplateView

_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_WORD_CAP = 300


def template(annotations: objects.Annotations | None, spec: objects.PodSpec) -> TemplateView:
    """What is kept of a template; the environment's secrets end here."""
    grace = spec.termination_grace_period_seconds
    return TemplateView(
        containers=tuple(container(one) for one in spec.containers or ()),
        enable=enabled(annotations),
        default_container=annotations.default_container if annotations else None,
        grace_seconds=None if grace is None else float(grace),
        host_network=bool(spec.host_network),
        restart_policy=word(spec.restart_policy),
    )


def enabled(annotations: objects.Annotations | None) -> bool | None:
    """What ``fastops.io/enable`` says; anything but yes and no says nothing."""
    said = annotations.enable if annotations else None
    return None if said is None else _SWITCH.get(said.strip().lower())


def word(value: str | None, cap: int = _WORD_CAP) -> str | None:
    """A name or the like, cleaned; ``None`` for none."""
    return text.clean(value, cap) or None if value else None


def container(found: objects.Container) -> ContainerView:
    """One container."""
    literal, elsewhere = _environment(found)
    shown_environment = _redacted(literal, elsewhere)
    argv = tuple(expand(one, literal) for one in (*(found.command or ()), *(found.args or ())))
    ports = [one for one in found.ports or () if one.protocol in {None, "TCP"} and one.container_port]
    named = {one.name: one.container_port for one in ports if one.name and one.container_port}
    resources = found.resources or objects.Resources()
    limits, requests = resources.limits or objects.Amounts(), resources.requests or objects.Amounts()
    memory_request = quantity(requests.memory)
    return ContainerView(
        name=text.clean(found.name, _WORD_CAP),
        image=word(found.image),
        argv=argv,
        entry_known=bool(found.command),
        shown=text.arguments(argv),
        working_dir=word(found.working_dir, 500),
        environment=shown_environment,
        environment_from=elsewhere,
        ports=tuple(one.container_port for one in ports if one.container_port),
        named_ports={text.clean(name, 63): port for name, port in named.items()},
        memory_limit=_limit(limits.memory),
        cpu_limit=_limit(limits.cpu),
        memory_request_bytes=None if memory_request is None else round(memory_request),
        cpu_request_cores=quantity(requests.cpu),
        probes=tuple(_probes(found, named)),
    )


def expand(value: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced where it is known, ``$$`` by one dollar.

    kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables
    """
    if "$" not in value:
        return value
    return _REFERENCE.sub(lambda m: known.get(m["name"], m[0]) if m["name"] else "$", value)


def _environment(found: objects.Container) -> tuple[dict[str, str], dict[str, str]]:
    """The literal values, references among them filled in; and where the others are taken from."""
    literal: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for each in found.env_from or ():
        source = _named("secret", each.secret_ref) or _named("configmap", each.config_map_ref)
        name = text.clean(f"{each.prefix or ''}*", _WORD_CAP)
        if source is not None:
            elsewhere[name] = f"{elsewhere[name]}, {source}" if name in elsewhere else source
    for one in found.env or ():
        literal.pop(one.name, None)
        elsewhere.pop(one.name, None)
        if one.value_from is not None:
            elsewhere[text.clean(one.name, 256)] = _source(one.value_from)
        elif one.name:
            value = expand(one.value or "", literal)
            reference = _REFERENCE.fullmatch(value)
            if reference is not None and reference["name"] in elsewhere:
                elsewhere[text.clean(one.name, 256)] = elsewhere[reference["name"]]
            else:
                literal[one.name] = value
    return literal, elsewhere


def _source(found: objects.ValueFrom) -> str:
    if found.field_ref is not None:
        return f"field {word(found.field_ref.field_path) or ''}".strip()
    if found.resource_field_ref is not None:
        return f"resource {word(found.resource_field_ref.resource) or ''}".strip()
    return _named("secret", found.secret_key_ref) or _named("configmap", found.config_map_key_ref) or "elsewhere"


def _named(kind: str, found: objects.KeyRef | None) -> str | None:
    if found is None:
        return None
    return f"{kind} {text.clean('/'.join(one for one in (found.name, found.key) if one), _WORD_CAP)}"


def _redacted(literal: Mapping[str, str], elsewhere: Mapping[str, str]) -> dict[str, str]:
    """The values without secrets. A reference in a secret's place is none: it is shown as it stands."""
    shown = text.environment(literal)
    for name, value in literal.items():
        references = [one[0] for one in _REFERENCE.finditer(value) if one["name"] in elsewhere]
        clean = text.clean(name, 256)
        if not references or text.HIDDEN not in shown[clean] or shown[clean] == text.HIDDEN:
            continue
        # What was hidden: between the parts of the redacted value that are still there.
        kept = [re.escape(part) for part in shown[clean].split(text.HIDDEN)]
        hidden = re.fullmatch("(.*?)".join(kept), text.clean(value), re.DOTALL)
        if hidden is not None and all(one in references for one in hidden.groups()):
            shown[clean] = text.clean(value)
    return shown


def _limit(value: object) -> Limit:
    found = quantity(value)
    return UNLIMITED if not found else Limit(limited=True, value=found)


def _probes(found: objects.Container, named: Mapping[str, int]) -> list[ProbeSpec]:
    roles: dict[ProbeRole, objects.Probe | None] = {
        "readiness": found.readiness_probe,
        "liveness": found.liveness_probe,
        "startup": found.startup_probe,
    }
    made = (_probe(role, one, named) for role, one in roles.items() if one is not None)
    return [one for one in made if one is not None]


def _probe(role: ProbeRole, found: objects.Probe, named: Mapping[str, int]) -> ProbeSpec | None:
    """With the defaults of the API (k8s.io/api/core/v1 Probe): the server fills them in, a pasted manifest has none."""
    path = host = None
    scheme = "HTTP"
    port: objects.Port | None = None
    command: tuple[str, ...] = ()
    if found.http_get is not None:
        handler = "http"
        path, host, port = found.http_get.path or "/", found.http_get.host, found.http_get.port
        scheme = "HTTPS" if (found.http_get.scheme or "").upper() == "HTTPS" else "HTTP"
    elif found.tcp_socket is not None:
        handler, host, port = "tcp", found.tcp_socket.host, found.tcp_socket.port
    elif found.grpc is not None:
        handler, port = "grpc", found.grpc.port
    elif found.exec is not None:
        handler, command = "exec", text.arguments(found.exec.command or ())
    else:
        return None
    return ProbeSpec(
        role=role,
        handler=handler,  # type: ignore[arg-type]
        path=None if path is None else text.line(path, 1000),
        port=number(port, named),
        scheme=scheme,  # type: ignore[arg-type]
        host=word(host),
        command=command,
        timeout_seconds=float(_or(found.timeout_seconds, 1)),
        period_seconds=float(_or(found.period_seconds, 10)),
        initial_delay_seconds=float(found.initial_delay_seconds or 0),
        failure_threshold=_or(found.failure_threshold, 3),
        success_threshold=_or(found.success_threshold, 1),
    )


def number(port: objects.Port | None, named: Mapping[str, int]) -> int | None:
    """A port as a number; ``None`` where it has a name that no port of the container has."""
    if isinstance(port, str):
        return named.get(port) or (int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else None)
    return port


def _or(value: int | None, default: int) -> int:
    """Zero stands for the default, as in the API's own defaulting."""
    return value or default
