"""Finds documents in pasted text: ``docker inspect``, ``kubectl get -o json|yaml``, ``kubectl describe``."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from probes.model import Deployment
from probes.pasteddescribe import described
from probes.pastedinspect import container, served
from probes.pastedpods import pod
from probes.targets.docker.answers import Inspect

PODS = 200
"""Of one text; more is a list of a cluster, of which the logs say nothing."""
_ITEMS = 2000
_JSON_START = re.compile(r"(?m)^[\[{](?=\s*(?:$|[\"{\[]))")  # and not gunicorn's `[2026-…`
_YAML_START = re.compile(r"(?m)^(?:- )?apiVersion: ?\S+")
_YAML_CHARACTERS = 4 << 20
_DESCRIBED = re.compile(r"(?m)^Containers:[ \t]*$")


def documents(head: bytes) -> tuple[Deployment, ...]:
    """The deployments that the documents in a text tell of; none where there are no documents."""
    if not any(word in head for word in (b'"HostConfig"', b"apiVersion", b"\nContainers:")):
        return ()
    plain = head.decode("utf-8", "replace").replace("\r\n", "\n")
    found = list(_json(plain))
    if not found and _YAML_START.search(plain):
        found = list(_yaml(plain))
    pods = [one for doc in found for one in _pods(doc)]
    if not pods and _DESCRIBED.search(plain):
        pods = described(plain)
    return (*served(list(_containers(found))), *(deployment for one in pods[:PODS] if (deployment := pod(one))))


def _containers(found: list[Any]) -> Iterator[Deployment]:
    for doc in found:
        for one in doc[:_ITEMS] if isinstance(doc, list) else [doc]:
            if isinstance(one, dict) and isinstance(one.get("HostConfig"), dict) and "State" in one:
                try:
                    yield container(msgspec.convert(one, Inspect, strict=False))
                except (msgspec.ValidationError, ValueError, OverflowError):  # no answer of an engine after all
                    continue


def _json(plain: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    start = 0
    for _ in range(64):
        found = _JSON_START.search(plain, start)
        if found is None:
            return
        try:
            value, start = decoder.raw_decode(plain, found.start())
        except (ValueError, RecursionError):
            start = found.end()
            continue
        if isinstance(value, (dict, list)):
            yield value


def _yaml(plain: str) -> Iterator[Any]:
    import yaml

    from probes import yamlload

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    first = _YAML_START.search(plain)
    assert first is not None
    cut = plain[first.start() : first.start() + _YAML_CHARACTERS]
    with contextlib.suppress(yaml.YAMLError):  # what comes before the error counts
        try:
            yamlload.check(cut)
        except ValueError:  # no text of an object
            return
    try:
        yield from yaml.load_all(cut, loader)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError):  # what was read until then counts
        return


def _pods(doc: Any) -> Iterator[dict[str, Any]]:
    """The pods of a document, of a list of documents and of a Kubernetes list."""
    if isinstance(doc, list):
        for one in doc[:_ITEMS]:
            if isinstance(one, dict):
                yield from _pods(one)
    elif isinstance(doc, dict):
        items = doc.get("items")
        if isinstance(items, list):
            kind = "Pod" if doc.get("kind") == "PodList" else ""
            yield from (one for one in items[:_ITEMS] if isinstance(one, dict) and one.get("kind", kind) == "Pod")
        elif doc.get("kind") == "Pod":
            yield doc
