"""What is asked of an API server: one table, printed as roles and asked for right by right."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from console.commands.rbac import document
from probes.targets.kubernetes.review import Denied, denied
from probes.targets.kubernetes.rights import RIGHTS, needed


class Server:
    """Grants all but what is named: ``VERB GROUP/RESOURCE[/PART]``."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.namespaces: set[str | None] = set()

    async def send(self, method: str, path: str, body: bytes | None) -> bytes:
        assert method == "POST"
        assert path.endswith("/selfsubjectaccessreviews")
        asked = msgspec.json.decode(body or b"")["spec"]["resourceAttributes"]
        self.namespaces.add(asked.get("namespace"))
        name = "/".join(filter(None, (asked["group"], asked["resource"], asked.get("subresource"))))
        return msgspec.json.encode({"status": {"allowed": f"{asked['verb']} {name}" not in self.refused}})


def test_no_two_rules_grant_the_same() -> None:
    granted = [(r.group, one, verb) for r in RIGHTS for one in r.resources for verb in r.verbs]
    assert len(granted) == len(set(granted))


def test_reading_needs_no_verb_that_writes() -> None:
    assert {verb for right in needed(read_only=True, namespaced=False) for verb in right.verbs} <= {
        "get",
        "list",
        "watch",
    }


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("namespace", [None, "shop"])
def test_a_role_grants_what_the_table_says_and_says_what_for(read_only: bool, namespace: str | None) -> None:
    text = document(read_only=read_only, namespace=namespace)
    role = yaml.safe_load(text)
    assert role["kind"] == ("ClusterRole" if namespace is None else "Role")
    assert role["metadata"].get("namespace") == namespace
    rights = [r for r in needed(read_only=read_only, namespaced=namespace is not None) if r.optional is None]
    assert [(r["apiGroups"], r["resources"], r["verbs"]) for r in role["rules"]] == [
        ([r.group], list(r.resources), list(r.verbs)) for r in rights
    ]
    plain = " ".join(text.replace("#", " ").split())
    for right in rights:
        assert right.why in plain
        assert right.cost in plain
    if namespace is not None:
        assert "nodes" not in {one for rule in role["rules"] for one in rule["resources"]}


def test_what_allows_more_than_is_asked_is_not_granted_and_says_so() -> None:
    text = document(read_only=True, namespace=None)
    assert "nodes/proxy" in text
    assert not [rule for rule in yaml.safe_load(text)["rules"] if "nodes/proxy" in rule["resources"]]


async def test_each_right_is_asked_for_and_what_is_not_granted_is_named() -> None:
    rights = needed(read_only=False, namespaced=True)
    assert await denied(Server(), rights, "shop") == ()
    server = Server("get pods/log", "watch apps/replicasets", "patch apps/deployments")
    found = await denied(server, rights, "shop")
    assert [one.missing for one in found] == [
        ("watch apps/replicasets",),
        ("get pods/log",),
        ("patch apps/deployments",),
    ]
    assert all(isinstance(one, Denied) and one.right in rights for one in found)
    assert server.namespaces == {"shop"}


async def test_what_is_of_no_namespace_is_asked_of_the_cluster() -> None:
    server = Server("list nodes")
    (found,) = await denied(server, [r for r in RIGHTS if r.resources == ("nodes",)], "shop")
    assert found.right.cluster
    assert server.namespaces == {None}
