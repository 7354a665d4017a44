"""YAML from outside, read with the fast parser, which crashes the process on what nests too deep: looked at first."""

from __future__ import annotations

from typing import Any

import yaml

DEPTH_LIMIT = 100
"""No kubeconfig and no object of Kubernetes nests half as deep."""
NODES_LIMIT = 4_000_000
"""Of a document with its aliases written out: a few lines can stand for more than fits into memory."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(data: bytes | str) -> Any:
    """The one document in ``data``. Raises ``yaml.YAMLError``, and ``ValueError`` where it is too deep or too large."""
    check(data)
    return yaml.load(data, Loader=_LOADER)  # noqa: S506 - it is a safe loader


def check(data: bytes | str) -> None:
    """Raises ``yaml.YAMLError``, and ``ValueError`` where the documents in ``data`` are too deep or too large."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(data, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            if len(open_nodes) > DEPTH_LIMIT:
                raise ValueError(f"it nests deeper than {DEPTH_LIMIT} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", 0)
        elif isinstance(event, yaml.ScalarEvent) and event.anchor:
            sizes[event.anchor] = 1
        count += 1
        if count > NODES_LIMIT:
            raise ValueError("its aliases stand for more than can be read")
