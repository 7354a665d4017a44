"""Each remedy on a real engine: found, planned, fixed, verified, taken back, and found again."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from fixes.model import Outcome, Plan
from probes.base import Value
from probes.target import Refused
from tests.console._fastops import until
from tests.console._places import lasting, named, of_lab, serves
from tests.console._remedies import Remedied, changed_lines, free_port
from tests.console._watching import Watch
from tests.lab.case import Case, Load, Logged, gunicorn, ids
from tests.lab.cases import CASES
from tests.lab.runner import Lab, compose_labels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
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
    verified: frozenset[str] = frozenset({"gone"})


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
            CASES["worker-killed"],
            "worker-sigkill",
            "enable-worker-recycling",
            f"command: {says(CASES['worker-killed'])}",
            (f"command: {says(CASES['worker-killed'])}",),
            (),
            lambda attrs: "max_requests" in str(attrs["Config"]).replace("-", "_"),
            verified=frozenset({"gone", "untested"}),
        ),
        Sick(
            BOOTS_SLOWLY,
            "worker-timeout",
            "set-worker-timeout",
            f'command: {says(BOOTS_SLOWLY)}\nenvironment:\n  BOOT_SECONDS: "8"',
            (f"command: {says(BOOTS_SLOWLY)}",),
            (),
            lambda attrs: "60" in str(attrs["Config"]["Cmd"]) + str(attrs["Config"]["Env"]),
            verified=frozenset({"gone", "untested"}),
        ),
        Sick(
            CASES["descriptors-files"],
            "fd-exhausted",
            "raise-nofile",
            f"command: {says(CASES['descriptors-files'])}\n"
            "ulimits:\n  nofile:\n    soft: 64\n    hard: 64   # forgotten",
            ("    soft: 64", "    hard: 64   # forgotten"),
            ("    soft: 8192", "    hard: 8192   # forgotten"),
            lambda attrs: {u["Name"]: u["Soft"] for u in attrs["HostConfig"]["Ulimits"]}["nofile"] == 8192,
            values=(("limit", 8192),),
            verified=frozenset({"gone", "untested"}),
        ),
    )
}


@pytest.fixture(scope="module")
def watch(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(tmp_path_factory.mktemp("state")))
        patched.setenv("DOCKER_HOST", engine)
        with Watch() as running:
            yield running


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
        self.running = lab.start(sick.case, labels=labels, ports=ports).ready()
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


@pytest.fixture(params=["plain", "compose"])
def scene(
    request: pytest.FixtureRequest, docker_client: Any, lab: Lab, watch: Watch, tmp_path: Path
) -> Callable[[Sick], Scene]:
    folder = tmp_path if request.param == "compose" else None
    return lambda sick: Scene(docker_client, lab, watch, sick, folder)


def shown(plan: Plan, scene: Scene) -> None:
    """The plan's diffs are of what will be written, and of the file's wanted lines alone."""
    assert plan.steps
    assert {step.action for step in plan.steps} == (
        {"recreate" if scene.sick.recreates else "update"} | ({"write-file"} if scene.file else set())
    )
    for step, change in zip(plan.steps, plan.changes, strict=True):
        assert step.before.title == change.document
        removed, added = changed_lines(change.diff)
        assert added, change
        if step.action != "write-file":
            continue
        assert step.before.text.encode() == scene.text
        assert [x.strip() for x in removed] == [x.strip() for x in scene.sick.removed]
        if scene.sick.added:
            assert [x.strip() for x in added] == [x.strip() for x in scene.sick.added]
    assert plan.restart is scene.sick.recreates


@pytest.mark.parametrize("remedy", sorted(SICK))
def test_a_remedy_ends_its_finding_and_can_be_taken_back(scene: Callable[[Sick], Scene], remedy: str) -> None:
    sick = SICK[remedy]
    one = scene(sick)
    one.remedied.await_found()
    plan = one.remedied.plan(remedy, dict(sick.values))
    shown(plan, one)
    assert lasting(one.attrs) == one.before, "a plan changes nothing"
    outcome = one.remedied.apply(plan, plan.confirm and one.name)
    assert outcome.applied, (outcome, one.remedied.said)
    assert outcome.verified in sick.verified, (outcome, one.remedied.said)
    assert sick.now(one.attrs), one.attrs["Config"]
    assert (one.attrs["Id"] != one.old) is sick.recreates
    until("the service", lambda: serves(named(one.client, one.name)))
    if one.file is not None:
        (written,) = [s for s in plan.steps if s.action == "write-file"]
        assert one.file.read_text() == written.after.text != one.text.decode()
    one.remedied.await_gone()
    undone = one.remedied.undo(outcome)
    assert undone.applied, (undone, one.remedied.said)
    one.is_as_before()
    if sick.signature in {"memory-limit-low", "bind-loopback", "single-process"}:
        one.remedied.await_found()
    if sick.signature == "bind-loopback":
        until("the service", lambda: serves(named(one.client, one.name)))


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


def test_a_restart_clears_what_a_start_clears(docker_client: Any, lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["descriptors-silent"]).ready()
    one = Remedied(watch, running.deployment, "fd-exhausted")
    one.await_found()
    before, started = lasting(running.inspect()), running.inspect()["State"]["StartedAt"]
    plan = one.plan("restart")
    assert [step.action for step in plan.steps] == ["restart"]
    assert plan.restart
    outcome = one.apply(plan)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified in {"gone", "untested"}
    assert running.inspect()["State"]["StartedAt"] > started
    assert lasting(running.inspect()) == before
    one.await_gone()


def test_profile_names_the_line_that_blocks_and_changes_nothing(lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["blocked-sleep"]).ready()
    one = Remedied(watch, running.deployment, "event-loop-blocked")
    one.await_found()
    before = lasting(running.inspect())
    advice = watch.session.profile(one.deployment).result(60)
    assert "blocking.py" in advice.text + advice.code
    assert lasting(running.inspect()) == before


def test_advise_shows_what_to_write_and_changes_nothing(lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["wrong-port"]).ready()
    one = Remedied(watch, running.deployment, "port-mismatch")
    one.await_found()
    plan = one.plan("advise")
    assert plan.advice is not None
    assert "8000" in plan.advice.text + plan.advice.code
    assert plan.steps == ()
    with pytest.raises(Refused):
        one.apply(plan)


def test_a_new_container_that_does_not_come_up_gives_its_place_back(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "apply-gunicorn-config")
    one.remedied.await_found()
    plan = one.remedied.plan("apply-gunicorn-config", {"worker_class": "no.such.Worker"})
    outcome = one.remedied.apply(plan, plan.confirm and one.name)
    assert not outcome.applied
    assert outcome.why
    assert "no.such.Worker" in outcome.why or "boot" in outcome.why.lower() or "code" in outcome.why
    one.is_as_before()
    until("the service", lambda: serves(named(docker_client, one.name)))


# Guards.


def test_a_container_started_with_rm_is_not_recreated(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces", auto_remove=True)
    one.remedied.await_found()
    with pytest.raises(Refused, match="--rm"):
        one.remedied.plan("bind-all-interfaces")
    assert named(docker_client, one.name).status == "running"


def test_a_container_whose_network_another_one_shares_is_not_recreated(
    docker_client: Any, lab: Lab, watch: Watch
) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces")
    guest = lab.start(CASES["sleeper"], network_mode=f"container:{one.old}").ready()
    one.remedied.await_found()
    with pytest.raises(Refused, match=guest.names[0]):
        one.remedied.plan("bind-all-interfaces")
    one.is_as_before()


def test_files_changed_inside_a_container_need_its_name_typed(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces")
    assert one.running.container.exec_run(["sh", "-c", "echo 1 > /app/orders.db"]).exit_code == 0
    one.remedied.await_found()
    plan = one.remedied.plan("bind-all-interfaces")
    assert plan.confirm is not None
    assert "/app/orders.db" in plan.confirm
    for wrong in (None, "yes"):
        with pytest.raises(Refused, match=one.name):
            one.remedied.apply(plan, wrong)
    one.is_as_before()
    outcome = one.remedied.apply(plan, one.name)
    assert outcome.applied, outcome
    assert one.remedied.undo(outcome).applied
    one.is_as_before()
    kept = named(docker_client, one.name).exec_run(["cat", "/app/orders.db"])
    assert kept.output == b"1\n"


def test_memory_in_use_is_never_cut_off_by_an_undo(docker_client: Any, lab: Lab, watch: Watch) -> None:
    case = msgspec.structs.replace(CASES["limit-256m"], command=gunicorn("memory:app"))
    running = lab.start(case).ready()
    one = Remedied(watch, running.deployment, "memory-limit-low")
    one.await_found()
    outcome = one.apply(one.plan("set-memory-limit", {"limit": 1024 * MIB}))
    assert outcome.verified == "gone", outcome
    httpx.get(f"http://127.0.0.1:{running.port()}/eat?mb=400", timeout=60, trust_env=False)
    with pytest.raises(Refused, match="256"):
        _applied(one.undo(outcome))
    assert running.inspect()["HostConfig"]["Memory"] == 1024 * MIB
    assert running.inspect()["State"]["Status"] == "running"


def _applied(outcome: Outcome) -> None:
    """A refusal may come as an outcome too."""
    if not outcome.applied:
        raise Refused(outcome.why or "")


def test_what_was_changed_since_is_not_taken_back(docker_client: Any, lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["limit-256m"]).ready()
    one = Remedied(watch, running.deployment, "memory-limit-low")
    one.await_found()
    outcome = one.apply(one.plan("set-memory-limit"))
    assert outcome.applied, outcome
    running.container.update(mem_limit=900 * MIB, memswap_limit=900 * MIB)
    with pytest.raises(Refused, match="changed since"):
        _applied(one.undo(outcome))
    assert running.inspect()["HostConfig"]["Memory"] == 900 * MIB


def test_a_plan_is_refused_when_its_file_was_changed_meanwhile(
    docker_client: Any, lab: Lab, watch: Watch, tmp_path: Path
) -> None:
    one = Scene(docker_client, lab, watch, SICK["set-memory-limit"], tmp_path)
    one.remedied.await_found()
    plan = one.remedied.plan("set-memory-limit")
    assert one.file is not None
    one.file.write_bytes(one.text + b"# somebody was here\n")
    digest = hashlib.sha256(one.file.read_bytes()).hexdigest()
    with pytest.raises(Refused, match="plan again"):
        _applied(one.remedied.apply(plan))
    assert hashlib.sha256(one.file.read_bytes()).hexdigest() == digest
    assert one.attrs["HostConfig"]["Memory"] == 256 * MIB


def test_a_leak_is_bounded_by_recycling(docker_client: Any, lab: Lab, watch: Watch) -> None:
    case = Case(
        "leaks-per-request",
        gunicorn("memory:app"),
        memory="1g",
        drive=(Load("/grow?mb=2", every_seconds=0.25),),
    )
    running = lab.start(case, ports={"8000/tcp": ("127.0.0.1", free_port())}).ready()
    one = Remedied(watch, running.deployment, "memory-leak")
    until("the leak to be found", lambda: one.found, 150)
    plan = one.plan("enable-worker-recycling", {"max_requests": 20, "max_requests_jitter": 5})
    outcome = one.apply(plan)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified in {"gone", "untested"}, outcome
    assert one.undo(outcome).applied
