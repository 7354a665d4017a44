"""A sick container, and a fastops that is killed while it makes it again: what must be so afterwards."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from console.exits import PARTIAL, UNVERIFIED
from tests.console._fastops import Begun, Done, Fastops, until
from tests.console._mended import SICK
from tests.console._places import lasting, named, of_lab, serves
from tests.console._remedies import free_port
from tests.lab.runner import Lab, Running, compose_labels
from tests.proxy import Moment, Proxy, Request

Place = Literal["networks", "compose"]
"""Started by hand, in two networks; of a Compose project, in one, with a file that is rewritten in the same change."""
Ending = Literal["take back", "finish"]
"""What is done about an interrupted fix."""
REMEDY = "bind-all-interfaces"
SIGNATURE = SICK[REMEDY].signature
COMMAND_SECONDS = 400
"""The deadline of each command: several run at once, beside whatever else the machine does."""
ATTEMPTS = 6
POLICY = "unless-stopped"
ALIAS = "shop"
IS_BOUND, WAS_BOUND = b'["uvicorn", "healthy:app", "--host", "0.0.0.0"]', b'["uvicorn", "healthy:app"]'
COMPOSE = (
    b"# the shop\r\nservices:\n  web:\n    image: 'shop:1'  \n    command: %s   # one worker\n\n  db: {image: x}\n"
)
"""With line ends and spaces that only a careless writer would tidy up."""


class Scene:
    """A sick container, a fastops with a journal of its own, and the proxy between it and the engine."""

    def __init__(self, client: Any, lab: Lab, engine: str, folder: Path, place: Place, network: str) -> None:
        folder.mkdir()
        self.client = client
        self.proxy = Proxy(engine, folder / "engine.sock")
        self.fastops = Fastops(folder, self.proxy.url)
        self.file = folder / "shop" / "compose.yaml" if place == "compose" else None
        labels, project = {}, f"shop{free_port()}"
        if self.file is not None:
            self.file.parent.mkdir()
            self.file.write_bytes(COMPOSE % WAS_BOUND)
            labels = compose_labels(project, "web", 1, file=str(self.file))
        self.running: Running = lab.start(SICK[REMEDY].case, restart_policy={"Name": POLICY}, labels=labels)
        if place == "networks":
            client.networks.get(network).connect(self.running.container, aliases=[ALIAS])
        self.running.ready()
        self.deployment = self.running.deployment if self.file is None else f"docker/{project}/web"
        self.name = self.running.names[0]
        self.before = lasting(self.running.inspect())
        self.old = str(self.running.container.id)

    @property
    def fix(self) -> tuple[str, ...]:
        return ("fix", self.deployment, SIGNATURE, "--remedy", REMEDY, "--yes")

    @property
    def containers(self) -> dict[str, str]:
        """Name → id of all there is of this service."""
        return {str(one.name): str(one.id) for one in of_lab(self.client, self.running)}

    @property
    def files(self) -> dict[str, bytes]:
        """What stands in the folder of the Compose file."""
        return {} if self.file is None else {one.name: one.read_bytes() for one in self.file.parent.iterdir()}

    def killed_at(self, number: int, moment: Moment) -> bool:
        """Whether the fix was killed at its N-th write to the engine; false when it ended before that."""

        def fix() -> Done:
            begun: list[Begun] = []

            def kill(_request: Request) -> None:
                begun[0].kill()
                begun[0].process.wait()

            self.proxy.forget()
            self.proxy.at(number, moment, kill)
            with self.fastops.begin(*self.fix) as running:
                begun.append(running)
                return running.wait(COMMAND_SECONDS)

        return _was_killed(self._patiently(fix))

    def killed_writing(self, number: int, moment: Moment) -> bool:
        """Whether the fix was killed at its N-th rename in the folder of the Compose file."""
        assert self.file is not None
        arguments = (str(self.file.parent), str(number), moment, *self.fix)
        command = [sys.executable, "-m", "tests.console._mortal", *arguments]

        def fix() -> Done:
            self.proxy.forget()
            with Begun(command, self.fastops.env, self.fastops.state.parent) as running:
                return running.wait(COMMAND_SECONDS)

        return _was_killed(self._patiently(fix))

    def _patiently(self, fix: Callable[[], Done]) -> Done:
        """Where a busy engine does not answer in time, nothing is begun, and it is asked again."""
        for _ in range(ATTEMPTS):
            done = fix()
            if done.status != PARTIAL:
                break
            assert not self.proxy.writes, done.said
            assert self.containers == {self.name: self.old}, done.said
        return done

    def ends_well(self, ending: Ending, at: str) -> None:
        """The interrupted fix is named, and ended so: nothing is ever lost."""
        at = f"{at}; there are {self.containers} and {self.files}"
        assert self.old in self.containers.values(), f"the former container is lost; {at}"
        told = self.fastops("history", timeout=COMMAND_SECONDS)
        assert "fastops resume" in told.err, f"the interrupted fix is not named; {at}\n{told.said}"
        assert self.deployment in told.err, told.said
        how = ("--take-back",) if ending == "take back" else ()
        resumed = self.fastops("resume", "--yes", *how, timeout=COMMAND_SECONDS)
        for _ in range(ATTEMPTS):  # it stays open, and is named, where a busy engine did not answer
            if resumed.status not in (PARTIAL, UNVERIFIED):
                break
            assert "fastops resume" in self.fastops("history", timeout=COMMAND_SECONDS).err, resumed.said
            resumed = self.fastops("resume", "--yes", *how, timeout=COMMAND_SECONDS)
        after = f"{at}\nthen {self.containers} and {self.files}\n{resumed.said}"
        assert resumed.status == 0, after
        until(f"the service; {after}", lambda: serves(named(self.client, self.name)))
        if ending == "finish":
            self.is_mended(after)
        else:
            self.is_as_before(after)
        quiet = self.fastops("history", "--format", "json", timeout=COMMAND_SECONDS)
        assert "fastops resume" not in quiet.err, quiet.said
        assert quiet.json["changes"][0]["state"] == ("applied" if ending == "finish" else "undone"), quiet.said

    def is_as_before(self, after: str) -> None:
        """The former container, with nothing beside it, and the file as it was."""
        assert self.containers == {self.name: self.old}, after
        assert lasting(named(self.client, self.name).attrs) == self.before, after
        assert self.files == ({} if self.file is None else {self.file.name: COMPOSE % WAS_BOUND}), after

    def is_mended(self, after: str) -> None:
        """A new container that differs in its command alone; the former one and the former text are kept."""
        now = lasting(named(self.client, self.name).attrs)
        assert "0.0.0.0" in now["Config"]["Cmd"], after
        assert now["HostConfig"]["RestartPolicy"]["Name"] == POLICY, after
        assert now["NetworkSettings"] == self.before["NetworkSettings"], after
        assert len(self.containers) == 2, after
        if self.file is not None:
            kept = {name: text for name, text in self.files.items() if name != self.file.name}
            assert self.file.read_bytes() == COMPOSE % IS_BOUND, after
            assert list(kept.values()) == [COMPOSE % WAS_BOUND], after


def _was_killed(done: Done) -> bool:
    if done.status == -signal.SIGKILL:
        return True
    assert done.status in (0, 5), done.said
    return False
