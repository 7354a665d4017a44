"""A fix that would be refused when it is planned is not offered: containers say what of their command stays."""

from __future__ import annotations

import json

import msgspec
import pytest

from fixes.catalogue import remedies, signatures
from fixes.model import RemedyId, SignatureId
from fixes.plan import offer
from probes.targets.docker.answers import Inspect
from probes.targets.docker.container import Container
from probes.targets.docker.deployments import capabilities
from probes.targets.docker.files import Reader
from probes.targets.docker.recognition import Recogniser
from tests.fixes.fake import deployment, finding
from tests.probes.docker.fake_engine import inspect

SCRIPT = "a script inside the service's files"
FILES = {
    "/entry.sh": b"#!/bin/sh\nexec gunicorn app:app -k asgi -b ${HOST:-127.0.0.1}:8000\n",
    "/pass.sh": b'#!/bin/sh\nset -e\nexec "$@"\n',
    "/two.sh": b"#!/bin/sh\nuvicorn app:app --port 8000 &\nexec uvicorn admin:app --port 8001\n",
    "/app/main.py": b"import uvicorn\nuvicorn.run('app:app')\n",
}


class InMemory(Reader):
    def __init__(self) -> None:
        super().__init__(60.0)

    def _list(self, path: str) -> list[str] | None:
        return None

    def _read(self, path: str) -> bytes | None:
        return FILES.get(path)


class Everywhere:
    def reader(self, *_: object, **__: object) -> Reader:
        return InMemory()


async def container(*argv: str, **environment: str) -> Container:
    config = {"Env": [f"{name}={value}" for name, value in environment.items()]}
    found = msgspec.json.decode(json.dumps(inspect(Path=argv[0], Args=list(argv[1:]), Config=config)), type=Inspect)
    made = Container(found)
    made.known = await Recogniser().recognise(found, Everywhere(), None)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("argv", "environment", "locked"),
    [
        (("uvicorn", "app:app", "--host", "127.0.0.1"), {}, {}),
        (("/pass.sh", "gunicorn", "app:app", "-b", "127.0.0.1:8000"), {}, {}),
        (("sh", "-c", "uvicorn app:app --host $HOST"), {"HOST": "127.0.0.1"}, {}),
        (("/entry.sh",), {}, {"bind": SCRIPT, "gunicorn": SCRIPT}),
        (("/two.sh",), {}, {"bind": "more than one server", "gunicorn": "more than one server"}),
        (
            ("sh", "-c", "exec gunicorn app:app -b $HOST:8000"),
            {"HOST": "127.0.0.1"},
            {"bind": "computed by the shell: $HOST:8000"},
        ),
    ],
    ids=["options", "a script that runs its arguments", "a variable", "a script", "two servers", "a part of a word"],
)
async def test_what_a_command_does_not_let_be_changed_is_no_capability(argv, environment, locked):
    found = capabilities([await container(*argv, **environment)], {})
    for name in ("bind", "gunicorn"):
        assert (found[name] is None) == (name not in locked), found[name]  # type: ignore[index]
        assert locked.get(name, "") in (found[name] or "")  # type: ignore[index]


async def test_advice_comes_first_where_a_script_starts_the_server():
    one = await container("/entry.sh")
    sick = deployment(server="gunicorn", capabilities=capabilities([one], {}))
    remedy_ids = signatures()[SignatureId("bind-loopback")].remedies
    offers = [offer(remedies()[each], sick, finding("bind-loopback")) for each in remedy_ids]
    assert next(each.id for each in offers if each.applicable) == RemedyId("advise")
    (refused,) = [each.why_not for each in offers if each.id == "bind-all-interfaces"]
    assert refused == f"Its command cannot be changed from here: the server is started by /entry.sh, {SCRIPT}."
