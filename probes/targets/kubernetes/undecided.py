"""Workloads that only their files can tell; changed by the target's event loop alone.

What is new and has nothing but a server's command to speak for it is kept off the list for a moment while it can be
looked into: another framework's service would come and go. What is in trouble is shown at once, and so is all that was
there before anybody could look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from probes.base import DeploymentId
from probes.targets.kubernetes.choice import FEW
from probes.targets.kubernetes.group import Group
from probes.targets.kubernetes.views import ContainerView, PodView, StatusView, TemplateView

STARTING_SECONDS = 30.0
"""So long all is waited for at most, what has no running container yet among it."""
LOOK_SECONDS = 12.0
"""So long what runs is waited for: a look that takes longer than a second is rare, and on a busy node."""
_BENIGN = frozenset({"ContainerCreating", "PodInitializing"})


class Unseen(NamedTuple):
    """A running container that nobody looked into, of the present template."""

    deployment: DeploymentId
    template: TemplateView
    pod: PodView
    container: ContainerView


class _Wait:
    """How long one has been kept off the list."""

    __slots__ = ("over", "running", "since", "template")

    def __init__(self, template: TemplateView, now: float) -> None:
        self.template = template
        self.since = now
        self.running: float | None = None
        self.over = False

    def spent(self, now: float) -> bool:
        """Whether it must not wait any longer."""
        if self.over or now - self.since > STARTING_SECONDS:
            return True
        return self.running is not None and now - self.running > LOOK_SECONDS


class Undecided:
    """Those of a whole fleet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.looking = False
        """Somebody looks into containers now, and gets to these soon."""
        self._groups: dict[Group, None] = {}
        self._waits: dict[DeploymentId, _Wait] = {}
        self._clock = clock

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def waiting(self) -> bool:
        """Whether something is kept off the list."""
        return any(not one.over for one in self._waits.values())

    def take(self, group: Group, *, listed: bool) -> bool:
        """Takes note of what a workload is recognised as now; true where it has to wait before it is listed."""
        held = not listed and self._waits_for(group)
        if not held and group.id in self._waits:
            self._waits[group.id].over = True
        if held or group.known.framework == "unknown":
            self._groups[group] = None
        else:
            self._groups.pop(group, None)
        return held

    def drop(self, group: Group) -> None:
        """It is gone."""
        self._groups.pop(group, None)
        self._waits.pop(group.id, None)

    def release(self, deployment: DeploymentId) -> bool:
        """It was tried, or cannot be: it need not wait. Whether it did."""
        wait = self._waits.get(deployment)
        waited = wait is not None and not wait.over
        if wait is not None:
            wait.over = True
        return waited

    def spent(self) -> list[DeploymentId]:
        """Those that waited long enough, or that nobody looks into any more; told once."""
        now = self._clock()
        found = [key for key, one in self._waits.items() if not one.over and (one.spent(now) or not self.looking)]
        for key in found:
            self._waits[key].over = True
        return found

    def unseen(self) -> Iterator[Unseen]:
        """What may be looked into: what is waited for first."""
        for group in sorted(self._groups, key=lambda one: self._waits[one.id].over if one.id in self._waits else True):
            found = group.unseen()
            if found is not None:
                yield Unseen(group.id, group.template, *found)

    def _waits_for(self, group: Group) -> bool:
        if not self.looking or not group.known.assumed or _shown_at_once(group):
            return False
        now = self._clock()
        wait = self._waits.get(group.id)
        if wait is None or wait.template is not group.template:
            if sum(not one.over for one in self._waits.values()) >= FEW:
                return False
            wait = self._waits[group.id] = _Wait(group.template, now)
        if wait.running is None and group.unseen() is not None:
            wait.running = now
        return not wait.spent(now)


def _shown_at_once(group: Group) -> bool:
    """In trouble, scaled to nothing, or looked into already."""
    workload = group.workload
    if workload is not None and (workload.trouble is not None or workload.desired == 0):
        return True
    if group.known.container in group.told_now.inside:
        return True
    return any(_troubled(one) for one in group.pods.values())


def _troubled(pod: PodView) -> bool:
    if pod.over or pod.unscheduled is not None or pod.starting is not None:
        return True
    return any(_failed(one) for one in pod.statuses)


def _failed(status: StatusView) -> bool:
    if status.restarts or status.ended is not None or status.before is not None:
        return True
    return status.waiting is not None and status.waiting.reason not in _BENIGN
