"""A server's settings in a container's description: in its command, in variables, or in a file that is mounted.

* The template has the command: it is edited there, word by word.
* The image has it: variables are the smaller change (``GUNICORN_CMD_ARGS``, ``UVICORN_*``). They yield to options of
  the command itself; where such a one is known to be given, the command as it was seen to run is written out instead.
* A service that moves from uvicorn to gunicorn gets its settings as a file: a ConfigMap, mounted, by ``--config``.

Pure. ``command`` and ``args`` stand for an image's entry point and command
(kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from probes import text
from probes.base import Frozen, Value
from probes.command import CannotRewrite, Rewritten, rewrite
from probes.intent import Desired
from probes.target import Refused
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.variables import literals, set_literal

Json = dict[str, Any]
FOLDER = "/etc/fastops"
FILE = "gunicorn.conf.py"
VOLUME = "fastops-gunicorn"
_ON_COMMAND = frozenset({"bind", "worker_class", "keepalive", "accesslog", "preload_app"})
"""What a service that moves to gunicorn gets on its command line in any case: there it would outrank the file."""
_UVICORN = {
    "workers": "WEB_CONCURRENCY",
    "max_requests": "UVICORN_LIMIT_MAX_REQUESTS",
    "max_requests_jitter": "UVICORN_LIMIT_MAX_REQUESTS_JITTER",
    "keepalive": "UVICORN_TIMEOUT_KEEP_ALIVE",
    "graceful_timeout": "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN",
}


class Commanded(Frozen, frozen=True):
    """What else belongs to a container whose server was given other settings."""

    notes: tuple[str, ...] = ()
    config: str | None = None
    """The text of the configuration file that has to be mounted as :data:`FILE` in :data:`FOLDER`."""


def recommand(container: Json, want: Desired, facts: Facts) -> Commanded:
    """Gives the container's server what ``want`` says; raises :class:`Refused` where it cannot be said safely."""
    try:
        if container.get("command"):
            words = [*container["command"], *(container.get("args") or [])]
            return _written(container, words, want, facts)
        if container.get("args"):
            return _arguments(container, want, facts)
        return _image_command(container, want, facts)
    except CannotRewrite as error:
        raise Refused(f"The command cannot be rewritten: {text.line(str(error), 400)}.") from None


def mount(spec: Json, container: Json, config_map: str) -> None:
    """Mounts a ConfigMap's file where the server's command names it."""
    volumes = [v for v in spec.get("volumes") or [] if v["name"] != VOLUME]
    spec["volumes"] = [*volumes, {"name": VOLUME, "configMap": {"name": config_map}}]
    mounts = [m for m in container.get("volumeMounts") or [] if m["mountPath"] != FOLDER]
    container["volumeMounts"] = [*mounts, {"name": VOLUME, "mountPath": FOLDER, "readOnly": True}]


def _written(container: Json, words: Sequence[str], want: Desired, facts: Facts) -> Commanded:
    """The command stands in full: rewritten, and put back where its words stood."""
    said, config = _moved(words, literals(container), want, facts)
    _put(container, list(said.argv))
    _put_environment(container, said.environment)
    return Commanded(notes=said.notes, config=config)


def _moved(
    words: Sequence[str], environment: Mapping[str, str], want: Desired, facts: Facts
) -> tuple[Rewritten, str | None]:
    """The command with what is wanted; what of it stands in a file, where the service moves to gunicorn."""
    if want.server != "gunicorn" or facts.server == "gunicorn" or "gunicorn" not in facts.packages:
        return rewrite(words, environment, want, facts.packages), None
    in_file = {name: value for name, value in want.gunicorn.items() if name not in _ON_COMMAND}
    on_command = {name: value for name, value in want.gunicorn.items() if name in _ON_COMMAND}
    said = rewrite(words, environment, replace(want, gunicorn=on_command), facts.packages)
    if not in_file:
        return said, None
    source = _source(in_file)
    path = f"{FOLDER}/{FILE}"
    held: Mapping[str, Value] = {"config": path}
    named = rewrite(said.argv, said.environment, Desired(gunicorn=held), facts.packages)
    return replace(named, notes=said.notes), source


def _source(settings: Mapping[str, Value]) -> str:
    lines = [f"{name} = {value!r}" for name, value in sorted(settings.items())]
    return "\n".join(["# Settings of gunicorn; options of its command line outrank them.", *lines, ""])


def _arguments(container: Json, want: Desired, facts: Facts) -> Commanded:
    """The image has the entry point, the template its arguments: a script that runs them, or the server itself."""
    words = [str(one) for one in container["args"]]
    environment = literals(container)
    try:
        said, config = _moved(words, environment, want, facts)
    except CannotRewrite:
        if facts.server is None:
            raise
        program = "fastapi" if facts.server == "uvicorn" and words[0] in {"run", "dev"} else facts.server
        said, config = _moved([program, *words], environment, want, facts)
        if said.argv[:1] != (program,):
            container["command"] = [said.argv[0]]
        said = replace(said, argv=said.argv[1:])
    container["args"] = list(said.argv)
    _put_environment(container, said.environment)
    return Commanded(notes=said.notes, config=config)


def _image_command(container: Json, want: Desired, facts: Facts) -> Commanded:
    """The command stands in the image."""
    wanted = {*want.gunicorn, *(("bind", "host") if want.bind_host else ())}
    moves = want.server == "gunicorn" and facts.server != "gunicorn"
    edited = moves or want.production or bool(wanted & facts.given)
    if not edited and facts.server in {"gunicorn", "uvicorn"}:
        return _in_variables(container, want, facts)
    if not facts.command or text.HIDDEN in " ".join(facts.command):
        raise Refused(
            "Its command stands in the image, where it cannot be read from here: "
            "write it into the template (`command`), then fix it."
        )
    before = literals(container)
    made = _written(container, facts.command, want, facts)
    if container["command"] == list(facts.command):
        del container["command"]  # nothing of it changes: a variable is all that is written
        return made if literals(container) != before else Commanded()
    return replace(made, notes=(*made.notes, "The image's command is written out as it was seen to run."))


def _in_variables(container: Json, want: Desired, facts: Facts) -> Commanded:
    environment = literals(container)
    taken = {one["name"] for one in container.get("env") or [] if "valueFrom" in one}
    variables = _gunicorn(environment, want, facts) if facts.server == "gunicorn" else _uvicorn(want)
    for name, value in variables.items():
        if name in taken:
            raise Refused(f"{name} is taken from elsewhere (valueFrom): change it there.")
        set_literal(container, name, value)
    if facts.command or not variables:
        return Commanded()
    names = " and ".join(variables)
    return Commanded(notes=(f"Its command stands in the image: where that gives the same options, {names} yields.",))


def _gunicorn(environment: Mapping[str, str], want: Desired, facts: Facts) -> dict[str, str]:
    """``GUNICORN_CMD_ARGS`` with what is wanted; its other options stay."""
    try:
        held = shlex.split(environment.get("GUNICORN_CMD_ARGS", ""))
    except ValueError:
        raise Refused("GUNICORN_CMD_ARGS cannot be read: a quote is not closed.") from None
    settings = dict(want.gunicorn)
    if want.bind_host and "bind" not in settings:
        host = f"[{want.bind_host}]" if ":" in want.bind_host else want.bind_host
        settings["bind"] = f"{host}:{facts.port or 8000}"
    rest = {name: value for name, value in environment.items() if name != "GUNICORN_CMD_ARGS"}
    said = rewrite(["gunicorn", *held], rest, Desired(gunicorn=settings), facts.packages)
    made = shlex.join(said.argv[1:])
    changed = {name: value for name, value in said.environment.items() if rest.get(name) != value}
    return changed if made == shlex.join(held) else {**changed, "GUNICORN_CMD_ARGS": made}


def _uvicorn(want: Desired) -> dict[str, str]:
    unknown = sorted(set(want.gunicorn) - set(_UVICORN))
    if unknown:
        raise Refused(f"uvicorn has no variable for {', '.join(unknown)}.")
    made = {_UVICORN[name]: str(value) for name, value in want.gunicorn.items()}
    return {"UVICORN_HOST": want.bind_host, **made} if want.bind_host else made


def _put(container: Json, argv: list[str]) -> None:
    """The words stay divided between ``command`` and ``args`` as they were."""
    held, rest = container.get("command") or [], container.get("args") or []
    if held and rest:
        at = len(held) if argv[: len(held)] == held or argv[-len(rest) :] != rest else len(argv) - len(rest)
        container["command"], container["args"] = argv[:at], argv[at:]
    else:
        container["command"] = argv


def _put_environment(container: Json, environment: Mapping[str, str]) -> None:
    had = literals(container)
    for name, value in environment.items():
        if had.get(name) != value:
            set_literal(container, name, value)
