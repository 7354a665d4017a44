"""Workloads that cannot be told from their description, and whom to ask; changed by the target's event loop alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from probes.base import DeploymentId
from probes.targets.kubernetes.group import Group
from probes.targets.kubernetes.recognition import Question
from probes.targets.kubernetes.views import PodView, ServiceView, TemplateView

_GUESSED_PORTS = (8000, 80)
"""Where nothing names a port: uvicorn's and gunicorn's default, and that of images which listen as web servers do."""
_PORTS = 3


class Asked(NamedTuple):
    """A question and the pod that may answer it."""

    deployment: DeploymentId
    template: TemplateView
    pod: PodView
    questions: tuple[Question, ...]


class Questions:
    """The questions of all workloads."""

    def __init__(self) -> None:
        self._open: dict[Group, tuple[Question, ...]] = {}
        self.version = 0
        """Rises when there may be something else to ask."""

    def put(self, group: Group, services: Sequence[ServiceView]) -> None:
        """Takes a workload's questions, with the ports that Services lead to where its description names none."""
        led = [target for one in services for _, target in one.ports if isinstance(target, int)]
        ports = tuple(dict.fromkeys(led or _GUESSED_PORTS))[:_PORTS]
        self.version += 1
        self._open[group] = tuple(one if one.ports else Question(one.container, ports) for one in group.known.questions)

    def drop(self, group: Group) -> None:
        """It is told, or gone."""
        self._open.pop(group, None)

    def pending(self) -> Iterator[Asked]:
        """Those that a running pod may answer, a ready one first."""
        for group, questions in list(self._open.items()):
            template = group.template
            running = [one for one in group.pods.values() if _answers(one)]
            if running:
                yield Asked(group.id, template, min(running, key=_order), questions)


def _answers(pod: PodView) -> bool:
    return not pod.over and not pod.terminating and any(one.running for one in pod.statuses)


def _order(pod: PodView) -> tuple[bool, str]:
    return not all(one.ready for one in pod.statuses), pod.name
