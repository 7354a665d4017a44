"""Services, autoscalers, budgets and revisions, and which workloads each concerns; changed by the event loop alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from probes.targets.kubernetes.build import Around
from probes.targets.kubernetes.selecting import Labelled, Selecting, covers
from probes.targets.kubernetes.targeting import Key, Targeting
from probes.targets.kubernetes.views import (
    BudgetView,
    ObjectView,
    RevisionView,
    ScalerView,
    ServiceView,
    VerticalView,
    WorkloadView,
)

_T = TypeVar("_T")


class Surroundings(Generic[_T]):
    """What stands around workloads; ``_T`` is what stands for one."""

    def __init__(self) -> None:
        self._services: Selecting[ServiceView] = Selecting(lambda one: one.selector or None)
        self._budgets: Selecting[BudgetView] = Selecting(lambda one: one.selector)
        self._known: dict[tuple[str, str], ServiceView | BudgetView] = {}
        self._scalers: Targeting[ScalerView] = Targeting()
        self._verticals: Targeting[VerticalView] = Targeting()
        self._revisions: dict[str, dict[str, WorkloadView | RevisionView]] = {}
        self._labelled: Labelled[_T] = Labelled()
        self._by_key: dict[Key, _T] = {}
        self._keepers: dict[str, _T] = {}

    def labelled(self, thing: _T, namespace: str, labels: Mapping[str, str]) -> None:
        """Takes note of the labels of a workload's pods."""
        self._labelled.put(thing, namespace, labels)

    def keeps(self, thing: _T, uid: str, *, gone: bool) -> None:
        """Takes note of the uid of a workload's object."""
        if gone:
            self._keepers.pop(uid, None)
        else:
            self._keepers[uid] = thing

    def forget(self, thing: _T, key: Key) -> None:
        """A workload is gone, and its object with it."""
        self._labelled.drop(thing, key[0])
        self._by_key.pop(key, None)

    def take(self, view: ObjectView, *, gone: bool) -> Iterable[_T]:
        """An object came, changed or went: the workloads that it concerns, or did."""
        if isinstance(view, RevisionView):
            return self.revised(view, gone=gone)
        if isinstance(view, ScalerView | VerticalView):
            keys = tuple(
                self._scalers.take(view, gone=gone)
                if isinstance(view, ScalerView)
                else self._verticals.take(view, gone=gone)
            )
            return dict.fromkeys(self._by_key[key] for key in keys if key in self._by_key)
        if not isinstance(view, ServiceView | BudgetView):
            return ()
        name = (type(view).__name__, view.key)
        before = self._known.pop(name, None)
        if not gone:
            self._known[name] = view
        selecting: Selecting[ServiceView] | Selecting[BudgetView]
        selecting = self._services if isinstance(view, ServiceView) else self._budgets
        if gone:
            selecting.drop(view.key)
        else:
            selecting.put(view)  # type: ignore[arg-type]
        concerned: dict[_T, None] = {}
        for one in (before, view):
            wanted = one.selector if isinstance(one, ServiceView | BudgetView) else None
            if wanted is not None and (wanted or isinstance(one, BudgetView)):
                concerned.update(dict.fromkeys(self._labelled.matching(view.namespace, wanted)))
        return concerned

    def revised(self, view: WorkloadView | RevisionView, *, gone: bool) -> Iterable[_T]:
        """A ReplicaSet or ControllerRevision came, changed or went."""
        if view.owner_uid is None:
            return ()
        kept = self._revisions.setdefault(view.owner_uid, {})
        if gone:
            kept.pop(view.uid, None)
            if not kept:
                del self._revisions[view.owner_uid]
        else:
            kept[view.uid] = view
        keeper = self._keepers.get(view.owner_uid)
        return () if keeper is None else (keeper,)

    def services(self, namespace: str, labels: Mapping[str, str]) -> list[ServiceView]:
        """The Services that lead to pods with these labels."""
        return self._services.of(namespace, labels)

    def of(self, thing: _T, key: Key, labels: Mapping[str, str], workload: WorkloadView | None) -> Around:
        """What stands around a workload."""
        namespace = key[0]
        self._by_key[key] = thing
        vertical = self._verticals.of(key)
        return Around(
            services=self.services(namespace, labels),
            scaler=self._scalers.of(key),
            vertical=vertical if vertical is not None and vertical.owns else None,
            budgets=[one for one in self._budgets.of(namespace, labels) if covers(one, labels)],
            revisions=tuple(self._revisions.get(workload.uid, {}).values()) if workload is not None else (),
        )
