"""A patch does what it says, its way back undoes it, and neither touches anything else."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from probes.targets.kubernetes.patches import (
    Misfit,
    Put,
    applied,
    brief,
    difference,
    digest,
    operations,
    precondition,
    strategic,
    titled,
    value_at,
)
from tests.probes.kubernetes._objects import Json, container, templates, workload

APP = ("spec", "template", "spec", "containers", "[name=app]")


def patched(thing: Json, made: list[Json]) -> Json:
    """JSON Patch as RFC 6902 says it, written without a look at the code under test."""
    result: Any = copy.deepcopy(thing)
    for one in made:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        at = result
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        key: Any = int(last) if isinstance(at, list) else last
        if one["op"] == "test":
            assert at[key] == one["value"]
        elif one["op"] == "remove":
            del at[key]
        elif one["op"] == "add" and isinstance(at, list):
            assert 0 <= key <= len(at)
            at.insert(key, copy.deepcopy(one["value"]))
        else:
            assert one["op"] == "add" or key in at or isinstance(at, list)
            at[key] = copy.deepcopy(one["value"])
    return result


@settings(max_examples=60)
@given(templates(), templates())
def test_the_difference_makes_one_of_the_other_and_back_as_json_patch_does(before: Json, after: Json) -> None:
    puts, back = difference(before, after), difference(after, before)
    assert applied(before, puts) == patched(before, operations(before, puts)) == after
    assert applied(after, back) == patched(after, operations(after, back)) == before
    assert operations(after, puts) == [], "what is as wanted takes no operation"
    assert msgspec.json.decode(msgspec.json.encode(puts), type=tuple[Put, ...]) == puts, "puts survive the journal"


def test_nothing_differs_from_itself() -> None:
    assert difference(workload(), copy.deepcopy(workload())) == ()


def test_a_field_is_found_by_names_though_a_sidecar_came_before_it() -> None:
    before, after = workload(), workload(image="shop:2")
    puts = difference(before, after)
    assert [put.path for put in puts] == [(*APP, "image")]
    injected = workload()
    injected["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "envoy:1"})
    (one,) = operations(injected, puts)
    assert one == {"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "shop:2"}


def test_a_place_that_is_gone_is_said() -> None:
    puts = difference(workload(), workload(image="shop:2"))
    gone = workload()
    gone["spec"]["template"]["spec"]["containers"] = [{"name": "other"}]
    with pytest.raises(Misfit, match="app"):
        operations(gone, puts)


def test_a_place_is_named_for_people_and_what_stands_there_is_told_apart_by_little() -> None:
    path = ("spec", "template", "spec", "containers", "[name=app]", "resources", "limits", "memory")
    assert titled(path) == "spec.template.spec.containers[name=app].resources.limits.memory"
    one, other = (workload(resources={"limits": {"memory": size}}) for size in ("300Mi", "400Mi"))
    assert brief(one, path) == brief(one, path) != brief(other, path)
    assert len(brief(one, path)) == 8, "too little to try secrets with"


def test_the_digest_is_of_the_touched_fields_alone() -> None:
    paths = [(*APP, "image")]
    before, other = workload(), workload(env=[])
    assert digest(before, paths) == digest(other, paths) != digest(workload(image="shop:2"), paths)
    assert value_at(before, (*APP, "env", "[name=MODE]", "value")) == "1"
    assert value_at(before, (*APP, "env", "[name=NONE]", "value")) is None


def test_the_object_and_its_version_are_asserted_first() -> None:
    tests = precondition(workload())
    assert [(one["op"], one["path"], one["value"]) for one in tests] == [
        ("test", "/metadata/uid", "6f1c"),
        ("test", "/metadata/resourceVersion", "41"),
    ]


def test_a_strategic_merge_names_what_it_touches_and_nothing_else() -> None:
    before = workload()
    after = workload(env=[{"name": "MODE", "value": "2"}], args=["x"])
    assert strategic(before, difference(before, after)) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "env": [{"name": "DB_PASSWORD", "$patch": "delete"}, {"name": "MODE", "value": "2"}],
                            "args": ["x"],
                        }
                    ]
                }
            }
        },
    }


def test_variables_that_change_places_are_put_as_a_whole() -> None:
    before = workload()
    turned = workload(env=list(reversed(container()["env"])))
    (put,) = difference(before, turned)
    assert put.path == (*APP, "env")
    assert applied(before, [put]) == turned
