"""An object of the API as a text for people: YAML without noise, without secrets. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from probes import text
from probes.intent import Document
from probes.targets.kubernetes.kinds import subject_at

Json = dict[str, Any]
CHANGE = "fastops.change"
"""The annotation on what a fix touched: the change's id."""
_NOISE = (
    "managedFields",
    "generation",
    "resourceVersion",
    "uid",
    "selfLink",
    "creationTimestamp",
    "deletionTimestamp",
)
_NOISY_ANNOTATIONS = (
    CHANGE,
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
)


def documents(before: Json, after: Json) -> tuple[Document, Document]:
    """An object before and after a change; a secret that changes shows as such."""
    return document(before), document(after, before)


def document(thing: Json, former: Json | None = None) -> Document:
    """An object as a document; ``version`` is of all that is no noise, secrets included."""
    subject = subject_at(thing)
    return Document(
        id=f"object:{subject.path}",
        kind="object",
        title=text.clean(subject.title, 300),
        text=_yaml(_hidden(lasting(thing), None if former is None else lasting(former))),
        version=version(thing),
    )


def lasting(thing: Json) -> Json:
    """The object without what the server and its controllers keep to themselves."""
    made = deepcopy({key: value for key, value in thing.items() if key != "status"})
    for metadata in (made.get("metadata"), _at(made, "spec", "template", "metadata")):
        if not isinstance(metadata, dict):
            continue
        for key in _NOISE:
            metadata.pop(key, None)
        held = metadata.pop("annotations", None) or {}
        kept = {key: value for key, value in held.items() if key not in _NOISY_ANNOTATIONS}
        if kept:
            metadata["annotations"] = kept
    return made


def version(thing: Json) -> str:
    """SHA-256 (hex) of an object without noise."""
    return hashlib.sha256(json.dumps(lasting(thing), sort_keys=True).encode()).hexdigest()


def manifest(thing: Json) -> str:
    """An object, or a patch of one, as YAML that ``kubectl`` takes."""
    return _yaml(thing)


def holds_secret(value: Any) -> bool:
    """Whether a part of an object (a field, a variable, a container, a template) holds what looks like a secret."""
    if isinstance(value, str):
        return text.redact(value) != value
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
            return _is_secret(value["name"], value["value"])
        return any(holds_secret(one) for one in value.values())
    if isinstance(value, list):
        words = [one for one in value if isinstance(one, str)]
        cleaned = text.arguments(words)
        return text.HIDDEN in "".join(cleaned) or any(holds_secret(one) for one in value if not isinstance(one, str))
    return False


def _is_secret(name: str, value: str) -> bool:
    return bool(value) and (text.is_secret_name(name) or text.redact(value) != value)


def _hidden(thing: Json, former: Json | None) -> Json:
    """Hides secrets among variables and arguments; what reads the same and is not, is marked."""
    spec = _at(thing, "spec", "template", "spec") or thing.get("spec") or {}
    old = (_at(former, "spec", "template", "spec") or former.get("spec") or {}) if former is not None else {}
    for field in ("initContainers", "containers"):
        held = {one.get("name"): one for one in old.get(field) or []}
        for container in spec.get(field) or []:
            _hide(container, held.get(container.get("name"), {}) if former is not None else None)
    if thing.get("kind") == "Secret":
        for field in ("data", "stringData"):
            thing[field] = dict.fromkeys(thing.get(field) or {}, text.HIDDEN)
    return thing


def _hide(container: Json, former: Json | None) -> None:
    was = {one["name"]: one.get("value") for one in (former or {}).get("env") or []}
    for one in container.get("env") or []:
        value = one.get("value")
        if isinstance(value, str) and _is_secret(one["name"], value):
            same = former is None or was.get(one["name"]) in {value, None}
            redacted = text.redact(value)
            shown = text.HIDDEN if redacted == value else redacted
            one["value"] = shown if same else f"{shown} (changed, hidden)"
    for field in ("command", "args"):
        if container.get(field):
            container[field] = list(text.arguments([str(one) for one in container[field]]))


def _at(thing: Any, *path: str) -> Any:
    for key in path:
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(thing: Json) -> str:
    said = yaml.dump(thing, Dumper=_Dumper, allow_unicode=True, default_flow_style=False, sort_keys=True, width=1 << 30)
    assert isinstance(said, str)
    return said
