"""Which nodes' kubelets answer: one that does not is left alone for a while, whatever is asked of it."""

from __future__ import annotations

import time

from probes.base import Failure, NodeId, ReplicaId
from probes.target import Unreadable

_SILENT = frozenset({"timeout", "unreachable", "server-error", "too-busy"})
_STRANGER = "could not find the requested resource"
_PAUSE_SECONDS = (30.0, 600.0)
_TRIES = 2
_LONE_TRIES = 4
"""Where it is always the same container that does not answer: that may be its own fault, not the node's."""
_NODES = 3
"""With so many silent nodes and none that ever answered, none is taken to answer."""


class Kubelets:
    """What was seen of them."""

    def __init__(self) -> None:
        self._failures: dict[NodeId | None, tuple[int, ReplicaId | None]] = {}
        """How often it was asked in vain since it answered last, and of which container, if always the same."""
        self._until: dict[NodeId | None, float] = {}
        self._answered = False
        self._why = ""

    @property
    def heard(self) -> bool:
        """Whether it is known by now if any of them answers."""
        return self._answered or bool(self._failures)

    def silent(self, node: NodeId | None) -> str | None:
        """Why nothing is asked of this node now; ``None`` where it may be asked."""
        now = time.monotonic()
        waiting = [until for until in self._until.values() if until > now]
        if self._until.get(node, 0.0) > now or (not self._answered and len(waiting) >= _NODES):
            return self._why or "its kubelet does not answer"
        return None

    def answered(self, node: NodeId | None) -> None:
        """It does."""
        self._answered = True
        self._failures.pop(node, None)
        self._until.pop(node, None)

    def failed(self, node: NodeId | None, error: Unreadable | TimeoutError, of: ReplicaId | None = None) -> None:
        """It did not, where that is what the error says; ``of`` is the container in which a program had to answer."""
        if isinstance(error, Unreadable) and not _is_silence(error.failure):
            return
        self._why = _reason(error)
        count, lone = self._failures.get(node, (0, of))
        count, lone = count + 1, of if lone == of else None
        self._failures[node] = (count, lone)
        tries = _TRIES if lone is None else _LONE_TRIES
        if count >= tries or (not self._answered and len(self._failures) >= _NODES):
            low, high = _PAUSE_SECONDS
            self._until[node] = time.monotonic() + min(high, low * 2 ** min(count - 1, 8))


def _reason(error: Unreadable | TimeoutError) -> str:
    """What holds for the whole node: the server's words for a stranger name the one pod that was asked for."""
    if not isinstance(error, Unreadable):
        return "its kubelet did not answer in time"
    return "its node's kubelet does not answer" if error.failure.code == "not-found" else error.failure.why


def _is_silence(failure: Failure) -> bool:
    """Whether the node did not answer, or something else did in its place: that knows no containers."""
    return failure.code in _SILENT or (failure.code == "not-found" and _STRANGER in failure.why)
