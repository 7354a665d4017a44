"""One object for what many pods agree in: templates, labels and the names that stand in each of them.

A pod of a large fleet is its template and little else. Threads may use it at once: at worst something is kept twice.
Every store has a bound, beyond which it begins anew (what was shared stays shared).
"""

from __future__ import annotations

from collections.abc import Mapping

from probes.targets.kubernetes import objects
from probes.targets.kubernetes.template import template
from probes.targets.kubernetes.views import TemplateView

_MOST = 50_000
_NO_LABELS: Mapping[str, str] = {}


class Sharing:
    """What was read before, to be used again."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._templates: dict[tuple[int, int, str | None], TemplateView] = {}
        self._labels: dict[str, Mapping[str, str]] = {}

    def text(self, value: str | None) -> str | None:
        """The same text, once."""
        if value is None:
            return None
        _bound(self._texts)
        return self._texts.setdefault(value, value)

    def template(self, annotations: objects.Annotations | None, spec: objects.PodSpec | None) -> TemplateView:
        """The template of a pod's description. Descriptions are told apart by their hash: they hold secrets."""
        spec = spec or objects.PodSpec()
        containers = spec.containers or ()
        told = (
            containers,
            spec.restart_policy,
            spec.host_network,
            spec.termination_grace_period_seconds,
            (annotations.enable, annotations.default_container) if annotations else (None, None),
        )
        # 64 bits, salted anew in each process, beside the first image: two descriptions do not meet by accident.
        key = (hash(told), len(containers), containers[0].image if containers else None)
        found = self._templates.get(key)
        if found is None:
            _bound(self._templates)
            found = self._templates[key] = template(annotations, spec)
        return found

    def labels(self, owner: str | None, labels: dict[str, str] | None) -> Mapping[str, str]:
        """The labels, shared with the siblings of the same owner where they are the same."""
        if not labels:
            return _NO_LABELS
        found = self._labels.get(owner) if owner is not None else None
        if found == labels and found is not None:
            return found
        made = {name: self.text(value) or "" for name, value in labels.items()}
        if owner is not None:
            _bound(self._labels)
            self._labels[owner] = made
        return made


def _bound(
    store: dict[str, str] | dict[tuple[int, int, str | None], TemplateView] | dict[str, Mapping[str, str]],
) -> None:
    if len(store) >= _MOST:
        store.clear()
