"""What is listed and watched of a cluster, and how an answer about it becomes what is kept.

A list is decoded into typed structs at once; where one object in it is odd, each is decoded alone, and the odd ones are
left out and counted. Called in a thread: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from probes.targets.kubernetes import apps, around, objects, objects_apps, objects_around, parse
from probes.targets.kubernetes.failures import Gone
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ObjectView

KindName = Literal[
    "pods",
    "deployments",
    "statefulsets",
    "daemonsets",
    "replicasets",
    "jobs",
    "services",
    "events",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "controllerrevisions",
    "nodes",
    "verticalpodautoscalers",
]
_ODD = (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError, TypeError, RecursionError)
"""What an answer of unexpected shape raises: :class:`msgspec.ValidationError` is one of the first."""
_T = TypeVar("_T")


class Listing(objects.Part, Generic[_T], frozen=True):
    """A page of a list."""

    metadata: objects_around.ListMetadata | None = None
    items: tuple[_T, ...] | None = None


class Watched(objects.Part, Generic[_T], frozen=True):
    """One event of a watch."""

    object: _T
    type: str = ""


class Page(NamedTuple):
    """What a page of a list told."""

    views: Sequence[ObjectView]
    version: str | None
    """The list's ``resourceVersion``: where a watch goes on from."""
    left_out: int = 0
    """Objects that could not be understood."""


class Change(NamedTuple):
    """What an event of a watch told."""

    type: str
    """``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``."""
    view: ObjectView | None
    version: str | None
    left_out: int = 0


class Listed:
    """One kind of object."""

    def __init__(
        self,
        name: KindName,
        group: str,
        type_: type,
        keep: Callable[[Any, Sharing], ObjectView | None],
        *,
        version: str = "v1",
        namespaced: bool = True,
        watched: bool = True,
        kept: bool = True,
        added: bool = False,
    ) -> None:
        self.name: KindName = name
        self.namespaced = namespaced
        self.watched = watched
        """Followed once it is listed; else listed again now and then."""
        self.kept = kept
        """Held in memory; else passed on."""
        self.added = added
        """Of an API that few clusters have: what is not there is not asked for, whoever may ask."""
        self.base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        self._keep = keep
        self._list = msgspec.json.Decoder(Listing[type_], strict=True)  # type: ignore[valid-type]
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_, strict=True)
        self._event = msgspec.json.Decoder(Watched[type_], strict=True)  # type: ignore[valid-type]

    def path(self, namespace: str | None) -> str:
        """The path of its list, in one namespace or in all."""
        if namespace is None or not self.namespaced:
            return f"{self.base}/{self.name}"
        return f"{self.base}/namespaces/{namespace}/{self.name}"

    def page(self, body: bytes, share: Sharing) -> Page:
        """A page of its list. Raises :class:`ValueError` for what is no list."""
        try:
            page = self._list.decode(body)
        except _ODD:
            return self._piecewise(body, share)
        views = [view for one in page.items or () if (view := self._keep(one, share)) is not None]
        return Page(views, page.metadata.resource_version if page.metadata else None)

    def change(self, body: bytes, share: Sharing) -> Change:
        """An event of its watch. Raises :class:`Gone` where the server says 410, ``ValueError`` for what is none."""
        try:
            event = self._event.decode(body)
            if event.type in {"ADDED", "MODIFIED", "DELETED"}:
                return Change(event.type, self._keep(event.object, share), _version(event.object))
        except _ODD:
            pass
        try:
            raw = msgspec.json.decode(body, type=objects_around.RawEvent)
        except _ODD as error:
            raise ValueError("no event of a watch") from error
        if raw.type == "ERROR":
            raise _failed(bytes(raw.object))
        try:
            meta = msgspec.json.decode(bytes(raw.object), type=_OnlyVersion).metadata
        except _ODD:
            meta = None
        return Change(raw.type, None, meta.resource_version if meta else None, int(raw.type != "BOOKMARK"))

    def _piecewise(self, body: bytes, share: Sharing) -> Page:
        try:
            page = _RAW_LIST.decode(body)
        except _ODD as error:
            raise ValueError("no list of objects") from error
        views: list[ObjectView] = []
        odd = 0
        for raw in page.items or ():
            try:
                view = self._keep(self._one.decode(bytes(raw)), share)
            except _ODD:
                odd += 1
            else:
                views += [view] if view is not None else []
        return Page(views, page.metadata.resource_version if page.metadata else None, odd)


_RAW_LIST = msgspec.json.Decoder(objects_around.RawList)
"""Made here, as it is used by several threads at once: msgspec crashes where two get to know a type together."""


class _Version(objects.Part, frozen=True):
    resource_version: str | None = None


class _OnlyVersion(objects.Part, frozen=True):
    metadata: _Version | None = None


def _version(found: Any) -> str | None:
    return found.metadata.resource_version if found.metadata is not None else None


def _failed(body: bytes) -> Exception:
    try:
        status = msgspec.json.decode(body, type=objects_around.Status)
    except _ODD:
        return ValueError("an error without a status")
    if status.code == 410 or status.reason in {"Expired", "Gone"}:
        return Gone(status.message or "too old")
    return ValueError(status.message or status.reason or "an error")


PODS = Listed("pods", "", objects.Pod, parse.pod)
KINDS: tuple[Listed, ...] = (
    PODS,
    Listed("deployments", "apps", objects_apps.Controller, partial(apps.workload, "Deployment")),
    Listed("replicasets", "apps", objects_apps.Controller, partial(apps.workload, "ReplicaSet")),
    Listed("statefulsets", "apps", objects_apps.Controller, partial(apps.workload, "StatefulSet")),
    Listed("daemonsets", "apps", objects_apps.Controller, partial(apps.workload, "DaemonSet")),
    Listed("services", "", objects_around.Service, around.service),
    Listed("events", "", objects_around.Event, around.happening, kept=False),
    Listed("jobs", "batch", objects_apps.Controller, partial(apps.workload, "Job")),
    Listed(
        "horizontalpodautoscalers", "autoscaling", objects_around.HorizontalPodAutoscaler, around.scaler, version="v2"
    ),
    Listed("poddisruptionbudgets", "policy", objects_around.PodDisruptionBudget, around.budget),
    Listed("nodes", "", objects_around.Node, around.node, namespaced=False, watched=False),
    Listed("controllerrevisions", "apps", objects_apps.ControllerRevision, apps.revision, watched=False),
    Listed(
        "verticalpodautoscalers",
        "autoscaling.k8s.io",
        objects_around.VerticalPodAutoscaler,
        around.vertical,
        watched=False,
        added=True,
    ),
)
"""In the order of what a first picture needs."""
