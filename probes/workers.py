"""The processes of a replica that serve requests: who they are and what they use."""

from __future__ import annotations

from probes.model import ReplicaId, Server, Worker
from probes.procfs import ProcFs, Tree


class CpuMeter:
    """CPU of processes between two samples, keyed by pid and start so that a reused pid begins anew."""

    def percent(self, pid: int, start_ticks: int, cpu_seconds: float, at: float) -> float | None:
        """Percent of one core since the previous sample of the same process; ``at`` is monotonic seconds. ``None`` the first time."""
        raise NotImplementedError

    def forget(self, alive: Tree) -> None:
        """Drops what no longer lives."""
        raise NotImplementedError


def find_server(tree: Tree, procfs: ProcFs, root: int) -> int | None:
    """The server's process at or below ``root`` (a container's first process): past shells, tini and the like."""
    raise NotImplementedError


def measure(
    procfs: ProcFs,
    tree: Tree,
    root: int,
    replica: ReplicaId,
    meter: CpuMeter,
    server: Server | None = None,
    *,
    detailed: bool = True,
) -> tuple[Worker, ...]:
    """The master (first) and workers, or the lone server, at or below ``root``; empty when it has vanished.

    ``detailed`` reads PSS and open files too; without it a worker costs three small reads.
    """
    raise NotImplementedError
