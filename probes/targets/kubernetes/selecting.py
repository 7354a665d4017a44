"""Selectors and labels: which Services and budgets cover which workloads, without comparing all with all. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from probes.targets.kubernetes.views import BudgetView, ObjectView

_V = TypeVar("_V", bound=ObjectView)
_T = TypeVar("_T")
_Pair = tuple[str, str, str]
"""Namespace, label and value."""


class Selecting(Generic[_V]):
    """Objects that select pods by labels, found by the labels: each is kept under one pair of its selector."""

    def __init__(self, selector: Callable[[_V], Mapping[str, str] | None]) -> None:
        """``selector`` gives the labels that must agree; ``None`` where an object covers nothing."""
        self._selector = selector
        self._buckets: dict[_Pair, dict[str, _V]] = {}
        self._place: dict[str, _Pair] = {}

    def put(self, view: _V) -> None:
        """Takes an object as it is now."""
        self.drop(view.key)
        wanted = self._selector(view)
        if wanted is None:
            return
        pairs = [(view.namespace, *one) for one in wanted.items()] or [(view.namespace, "", "")]
        place = min(pairs, key=lambda pair: len(self._buckets.get(pair, ())))
        self._buckets.setdefault(place, {})[view.key] = view
        self._place[view.key] = place

    def drop(self, key: str) -> None:
        """Forgets an object."""
        place = self._place.pop(key, None)
        if place is not None:
            bucket = self._buckets[place]
            del bucket[key]
            if not bucket:
                del self._buckets[place]

    def of(self, namespace: str, labels: Mapping[str, str]) -> list[_V]:
        """Those whose labels all agree, by name."""
        found = [
            view
            for pair in ((namespace, "", ""), *((namespace, *one) for one in labels.items()))
            for view in self._buckets.get(pair, {}).values()
            if (self._selector(view) or {}).items() <= labels.items()
        ]
        return sorted(found, key=lambda view: view.name) if len(found) > 1 else found


class Labelled(Generic[_T]):
    """Things with labels, found by a selector."""

    def __init__(self) -> None:
        self._by_pair: dict[_Pair, dict[_T, Mapping[str, str]]] = {}
        self._all: dict[str, dict[_T, Mapping[str, str]]] = {}

    def put(self, thing: _T, namespace: str, labels: Mapping[str, str]) -> None:
        """Takes a thing with its labels as they are now."""
        before = self._all.get(namespace, {}).get(thing)
        if before is labels or before == labels:
            return
        self.drop(thing, namespace)
        self._all.setdefault(namespace, {})[thing] = labels
        for one in labels.items():
            self._by_pair.setdefault((namespace, *one), {})[thing] = labels

    def drop(self, thing: _T, namespace: str) -> None:
        """Forgets a thing."""
        labels = self._all.get(namespace, {}).pop(thing, {})
        for one in labels.items():
            bucket = self._by_pair[(namespace, *one)]
            del bucket[thing]
            if not bucket:
                del self._by_pair[(namespace, *one)]

    def matching(self, namespace: str, wanted: Mapping[str, str]) -> list[_T]:
        """The things of a namespace that have all these labels."""
        buckets: Iterable[dict[_T, Mapping[str, str]]] = [
            self._by_pair.get((namespace, *one), {}) for one in wanted.items()
        ] or [self._all.get(namespace, {})]
        smallest = min(buckets, key=len)
        return [thing for thing, labels in smallest.items() if wanted.items() <= labels.items()]


def covers(budget: BudgetView, labels: Mapping[str, str]) -> bool:
    """Whether a budget's expressions hold, too: kubernetes.io/docs/concepts/overview/working-with-objects/labels."""
    return all(_holds(one, labels) for one in budget.expressions)


def _holds(expression: tuple[str, str, tuple[str, ...]], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator == "NotIn":
        return labels.get(key) not in values
    return operator == "In" and labels.get(key) in values
