"""Objects that name one workload as theirs, such as autoscalers, by that workload; changed by the event loop alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from probes.targets.kubernetes.views import ScalerView, VerticalView

Key = tuple[str, str, str]
"""Namespace, kind and name of a workload."""


_V = TypeVar("_V", ScalerView, VerticalView)


class Targeting(Generic[_V]):
    """Those of one kind."""

    def __init__(self) -> None:
        self._known: dict[str, _V] = {}
        self._of: dict[Key, dict[str, _V]] = {}

    def take(self, view: _V, *, gone: bool) -> Iterator[Key]:
        """One came, changed or went: the workloads that it names, or did."""
        before = self._known.pop(view.key, None)
        if before is not None:
            key = _key(before)
            there = self._of[key]
            del there[view.key]
            if not there:
                del self._of[key]
            yield key
        if not gone:
            self._known[view.key] = view
            self._of.setdefault(_key(view), {})[view.key] = view
            yield _key(view)

    def of(self, key: Key) -> _V | None:
        """The one that names this workload; the first by name where there are several."""
        there = self._of.get(key)
        return there[min(there)] if there else None


def _key(one: ScalerView | VerticalView) -> Key:
    return one.namespace, one.kind, one.target
