"""A pod's variables as the kubelet sets them: in its order, of databases alone, and what may not be read is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from probes.base import Failure, ReplicaId
from probes.target import Unreadable, Variables
from probes.targets.kubernetes import podenvironment
from probes.targets.kubernetes.failures import Forbidden
from probes.targets.kubernetes.rules import rule

APP = ReplicaId("shop/web-1/app")
SECRETS = "/api/v1/namespaces/shop/secrets"


class Server:
    """Holds one pod, Secrets and ConfigMaps; refuses what is named."""

    def __init__(self, *forbidden: str, env: Any = (), env_from: Any = (), **objects: Mapping[str, str]) -> None:
        self.pod = {
            "metadata": {"name": "web-1"},
            "spec": {"containers": [{"name": "side"}, {"name": "app", "env": env, "envFrom": env_from}]},
        }
        self.objects = objects
        self.forbidden = forbidden
        self.asked: list[str] = []

    async def get(self, path: str, params: Any = None, *, limit: int = 0) -> bytes:
        self.asked.append(path)
        if path.endswith("/pods"):
            assert params == {"fieldSelector": "metadata.name=web-1"}
            return json.dumps({"items": [self.pod]}).encode()
        kind, name = path.split("/")[-2:]
        if path.startswith(self.forbidden or ("-",)):
            raise Forbidden(Failure("forbidden", path, "403", ""), rule("GET", path))
        if name not in self.objects:
            raise Unreadable(Failure("not-found", path, "404", ""))
        held = self.objects[name]
        if kind == "secrets":
            held = {key: base64.b64encode(value.encode()).decode() for key, value in held.items()}
        return json.dumps({"data": held}).encode()

    async def read(self) -> Variables:
        return await podenvironment.read(self, APP)


def taken(name: str, place: str, kind: str = "secret") -> dict[str, Any]:
    source, key = place.split("/")
    return {"name": name, "valueFrom": {f"{kind}KeyRef": {"name": source, "key": key}}}


async def test_a_url_is_put_together_of_what_stands_before_it() -> None:
    server = Server(
        env=[
            {"name": "UNUSED", "value": "$(LATER)"},
            taken("WHO", "shop/user"),
            taken("HOST_OF_IT", "settings/host", "configMap"),
            taken("API_KEY", "stripe/key"),
            {"name": "ORDERS", "value": "postgresql://$(WHO):a$$b@$(HOST_OF_IT)/$(LATER)"},
            {"name": "LATER", "value": "x"},
        ],
        shop={"user": "me", "more": "not asked for"},
        settings={"host": "db"},
    )
    read = await server.read()
    assert read["ORDERS"] == "postgresql://me:a$b@db/$(LATER)"
    assert not read.unread
    assert "API_KEY" not in read
    assert f"{SECRETS}/stripe" not in server.asked, "nothing says that it is a database's"


async def test_of_all_variables_of_an_object_those_of_databases_are_taken_and_later_ones_count() -> None:
    server = Server(
        env_from=[
            {"secretRef": {"name": "one"}},
            {"prefix": "DB_", "configMapRef": {"name": "two"}},
            {"secretRef": {"name": "gone", "optional": True}},
        ],
        env=[{"name": "PGUSER", "value": "literal"}, {"name": "DSN", "value": "$(TOKEN)"}],
        one={"PGUSER": "secret", "PGPASSWORD": "pw", "TOKEN": "t", "KEY": "sk_live"},
        two={"PORT": "5432"},
    )
    assert await server.read() == {
        "PGUSER": "literal",
        "PGPASSWORD": "pw",
        "TOKEN": "t",
        "DB_PORT": "5432",
        "DSN": "t",
    }


async def test_what_may_not_be_read_is_named_and_so_is_what_is_made_of_it() -> None:
    server = Server(
        SECRETS,
        env_from=[{"secretRef": {"name": "all"}}],
        env=[
            taken("DB_PASSWORD", "shop/password"),
            {"name": "DATABASE_URL", "value": "postgresql://me:$(DB_PASSWORD)@db/shop"},
            {"name": "OTHER_URL", "value": "postgresql://me:$(SOMEWHERE)@db/shop"},
            {"name": "WHOLE_URL", "value": "postgresql://me:pw@db/whole"},
        ],
    )
    read = await server.read()
    assert set(read.unread) == {"*", "DB_PASSWORD", "DATABASE_URL", "OTHER_URL"}
    assert read == {"WHOLE_URL": "postgresql://me:pw@db/whole"}
    why = read.unread["DATABASE_URL"]
    assert why.what == "the Secret shop/shop"
    assert why.why == "the right `get secrets` is missing"
    assert "resources: [secrets], verbs: [get]" in why.hint
    assert "in the namespace shop" in why.hint


async def test_values_that_a_secret_cannot_have_break_nothing() -> None:
    server = Server(env_from=[{"secretRef": {"name": "odd"}}], odd={"PGUSER": "me"})
    sound = server.get

    async def odd(path: str, params: Any = None, *, limit: int = 0) -> bytes:
        body = json.loads(await sound(path, params, limit=limit))
        if path == f"{SECRETS}/odd":
            body["data"] |= {"PGHOST": None, "PGPASSWORD": "ä", "PGPORT": "%"}
        return json.dumps(body).encode()

    server.get = odd  # type: ignore[method-assign]
    assert await server.read() == {"PGUSER": "me", "PGHOST": "", "PGPASSWORD": "", "PGPORT": ""}


async def test_a_value_that_is_no_text_names_nothing() -> None:
    server = Server(env=[taken("PGHOST", "settings/host", "configMap")], settings={})
    assert await server.read() == {}
    with pytest.raises(Unreadable, match="gone"):
        await podenvironment.read(server, ReplicaId("shop/web-1/other"))
