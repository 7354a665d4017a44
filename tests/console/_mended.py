"""Sick cases of the lab, each with the remedy that is right for it and what that changes, here and in Compose."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from probes.base import Value
from tests.console._places import lasting, named, of_lab
from tests.console._remedies import Remedied, free_port
from tests.console._watching import Watch
from tests.lab.case import Case, Logged, ids
from tests.lab.cases import CASES
from tests.lab.runner import Lab, compose_labels

MIB = 1 << 20

BOOTS_SLOWLY = Case(
    "boots-slowly",
    ("gunicorn", "-k", "uvicorn.workers.UvicornWorker", "-b", "0.0.0.0:8000", "--timeout", "3", "slow_boot:app"),
    expect=ids("worker-timeout"),
    image="legacy21",
    environment={"BOOT_SECONDS": "8"},
    up=None,
    until=(Logged("WORKER TIMEOUT"),),
)
"""gunicorn 21 kills a worker whose start takes longer than the time-out, again and again; one, for its own port."""


class Sick(NamedTuple):
    """A case to be mended: how it is described in Compose, and what the remedy changes there."""

    case: Case
    signature: str
    remedy: str
    service: str
    """Its lines in the Compose file, below the service's name."""
    removed: tuple[str, ...]
    """Lines of the file that the remedy replaces, and what it puts there; empty where it only adds."""
    added: tuple[str, ...]
    now: Callable[[Any], bool]
    """Whether ``inspect`` of the mended container shows what was wanted."""
    values: tuple[tuple[str, Value], ...] = ()
    recreates: bool = True
    connections: float = 0.0
    """Of the load: they must be on record before the fix, to be compared with those after it."""
    run: Mapping[str, Any] = {}
    """Other options of ``docker run``."""


def command(*words: str) -> Callable[[Any], bool]:
    """Whether the container runs a command with these words."""
    return lambda attrs: set(words) <= {*(attrs["Config"]["Entrypoint"] or []), *attrs["Config"]["Cmd"]}


def says(case: Case) -> str:
    """A case's command as YAML in one line."""
    return msgspec.json.encode(list(case.command)).decode().replace('","', '", "')


SICK = {
    one.remedy: one
    for one in (
        Sick(
            CASES["limit-256m"],
            "memory-limit-low",
            "set-memory-limit",
            f"command: {says(CASES['limit-256m'])}\nmem_limit: 256m   # was enough in March\nmemswap_limit: 256m",
            ("mem_limit: 256m   # was enough in March", "memswap_limit: 256m"),
            ("mem_limit: 1g   # was enough in March", "memswap_limit: 1g"),
            lambda attrs: attrs["HostConfig"]["Memory"] == 1024 * MIB,
            recreates=False,
        ),
        Sick(
            CASES["loopback"],
            "bind-loopback",
            "bind-all-interfaces",
            f"command: {says(CASES['loopback'])}   # one worker",
            (f"command: {says(CASES['loopback'])}   # one worker",),
            (),
            command("uvicorn", "healthy:app", "0.0.0.0"),
        ),
        Sick(
            CASES["lone"],
            "single-process",
            "apply-gunicorn-config",
            f"command: {says(CASES['lone'])}\nmem_limit: 1g",
            (f"command: {says(CASES['lone'])}",),
            (),
            command("gunicorn", "healthy:app"),
        ),
        Sick(
            CASES["two-workers"],
            "no-worker-recycling",
            "enable-worker-recycling",
            f"command: {says(CASES['two-workers'])}",
            (f"command: {says(CASES['two-workers'])}",),
            (),
            lambda attrs: "max_requests" in str(attrs["Config"]).replace("-", "_"),
        ),
        Sick(
            BOOTS_SLOWLY,
            "worker-timeout",
            "set-worker-timeout",
            f'command: {says(BOOTS_SLOWLY)}\nenvironment:\n  BOOT_SECONDS: "8"',
            (f"command: {says(BOOTS_SLOWLY)}",),
            (),
            lambda attrs: "60" in str(attrs["Config"]["Cmd"]) + str(attrs["Config"]["Env"]),
        ),
        Sick(
            CASES["descriptors-silent"],  # 90 listeners who come back
            "fd-exhausted",
            "raise-nofile",
            f"command: {says(CASES['descriptors-silent'])}\n"
            "ulimits:\n  nofile:\n    soft: 64\n    hard: 64   # forgotten",
            ("    soft: 64", "    hard: 64   # forgotten"),
            ("    soft: 8192", "    hard: 8192   # forgotten"),
            lambda attrs: {u["Name"]: u["Soft"] for u in attrs["HostConfig"]["Ulimits"]}["nofile"] == 8192,
            values=(("limit", 8192),),
            connections=8.0,
        ),
    )
}


class Scene:
    """A running sick container, plain or of a Compose project, and its finding."""

    def __init__(self, client: Any, lab: Lab, watch: Watch, sick: Sick, folder: Path | None) -> None:
        labels: dict[str, str] = {}
        self.file: Path | None = None
        project = f"shop{free_port()}"
        if folder is not None:
            self.file = folder / "compose.yaml"
            body = textwrap.indent(sick.service, "    ")
            self.file.write_text(
                f"# the shop\nservices:\n  web:\n    image: 'shop:1'  \n{body}\n\n  db: {{image: x}}\n"
            )
            labels = compose_labels(project, "web", 1, file=str(self.file))
        ports = {f"{port}/tcp": ("127.0.0.1", free_port()) for port in sick.case.publish}
        self.running = lab.start(sick.case, labels=labels, ports=ports, **sick.run).ready()
        self.client, self.sick = client, sick
        self.name = self.running.names[0]
        self.before, self.old = lasting(self.running.inspect()), str(self.running.container.id)
        self.text = self.file.read_bytes() if self.file else b""
        deployment = f"docker/{project}/web" if folder is not None else self.running.deployment
        self.remedied = Remedied(watch, deployment, sick.signature)

    @property
    def attrs(self) -> Any:
        """What the engine says of the container that has the service's name."""
        return named(self.client, self.name).attrs

    @property
    def kept(self) -> list[str]:
        """The names of all containers of this service."""
        return sorted(str(one.name) for one in of_lab(self.client, self.running))

    def is_as_before(self) -> None:
        assert self.attrs["Id"] == self.old
        assert lasting(self.attrs) == self.before
        assert self.kept == [self.name]
        assert self.file is None or self.file.read_bytes() == self.text


def plain(docker_client: Any, lab: Lab, watch: Watch, remedy: str, **options: Any) -> Scene:
    """A plain container of a sick case with other options of ``docker run``."""
    sick = SICK[remedy]
    made = Scene.__new__(Scene)
    made.running = lab.start(sick.case, **options).ready()
    made.client, made.sick, made.file, made.text = docker_client, sick, None, b""
    made.name = made.running.names[0]
    made.before, made.old = lasting(made.running.inspect()), str(made.running.container.id)
    made.remedied = Remedied(watch, made.running.deployment, sick.signature)
    return made


@pytest.fixture(scope="module")
def watch(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """A session on the engine with a journal of its own; test files import it by name."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(tmp_path_factory.mktemp("state")))
        patched.setenv("DOCKER_HOST", engine)
        with Watch() as running:
            yield running
