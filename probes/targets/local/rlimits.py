"""Sets the limit of open files of a running master and its workers, and takes it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probes.intent import RestorePoint, Step
from probes.model import WorkerRole
from probes.procfs import ProcFs
from probes.target import Refused
from probes.targets.local import documents
from probes.targets.local.find import Master

Masters = Callable[[], Mapping[str, Master]]
Processes = tuple[tuple[int, int, WorkerRole], ...]


class Limiter:
    """``set-limits``. The former limits are those of the first process of each role: workers inherit theirs."""

    def __init__(self, procfs: ProcFs, masters: Masters) -> None:
        self._procfs = procfs
        self._masters = masters

    def perform(self, step: Step, progress: Callable[[str], None]) -> RestorePoint:
        """Raises the soft limit of every process, the master first: workers that it forks meanwhile have it already."""
        found = self._processes(step.subject)
        now = documents.limits_text(documents.open_file_limits(found))
        soft = step.arguments.get("soft")
        former = _former(step.arguments)
        if not isinstance(soft, int) or not former:
            raise Refused("The step does not say which limits it sets.")
        expected = documents.sha256(now) in (step.before.version, step.after.version)
        if not expected and not self._is_half_done(found, former, soft):
            raise Refused("The limits were changed since the diff was made; plan again.")
        for _ in range(2):  # a worker that was forked between the two had its master's former limit
            for pid, _, _ in self._processes(step.subject):
                self._set(pid, soft)
        left = documents.limits_text(documents.open_file_limits(self._processes(step.subject)))
        progress(f"the limit is in force for {len(found)} processes")
        data = {"former": {role: list(limits) for role, limits in former.items()}}
        return RestorePoint(action=step.action, subject=step.subject, left=documents.sha256(left), data=data)

    def restore(self, point: RestorePoint, progress: Callable[[str], None]) -> None:
        """Sets the former limits, unless the service was restarted meanwhile: then they are in force already."""
        if self.check(point):
            self._put_back(point.subject, _former(point.data))
        else:
            progress("the service was restarted since, with the limits that it is started with")

    def check(self, point: RestorePoint) -> bool:
        """Whether the service that got the limits still runs; raises as :meth:`restore`, changes nothing."""
        if point.subject not in self._masters():
            return False
        now = documents.limits_text(documents.open_file_limits(self._processes(point.subject)))
        former = _former(point.data)
        if documents.sha256(now) != point.left and not self._is_former(point.subject, former):
            raise Refused("The limits were changed since; they are left as they are.")
        return True

    def abandon(self, step: Step, progress: Callable[[str], None]) -> None:
        """Sets the former limit of the processes that have the wanted one; another one is somebody else's."""
        soft, former = step.arguments.get("soft"), _former(step.arguments)
        if step.subject in self._masters() and isinstance(soft, int):
            progress("setting the former limits")
            self._put_back(step.subject, former, only=soft)

    def _put_back(self, replica: str, former: Mapping[str, tuple[int, int]], only: int | None = None) -> None:
        for pid, start, role in self._processes(replica):
            wanted = former.get(role) or next(iter(former.values()), None)
            if wanted is not None and (only is None or self._has(pid, start, role, only)):
                self._set(pid, wanted[0], lower=True)

    @staticmethod
    def _has(pid: int, start: int, role: WorkerRole, soft: int) -> bool:
        """Whether this process has the limit that was wanted, or as much of it as its hard limit allows."""
        return any(present == min(soft, hard) for _, present, hard in documents.open_file_limits([(pid, start, role)]))

    @staticmethod
    def _is_half_done(found: Processes, former: Mapping[str, tuple[int, int]], soft: int) -> bool:
        """Whether each process has either its former limit or the wanted one: what an interrupted attempt leaves."""
        limits = documents.open_file_limits(found)
        return all(present in (former.get(role, (present,))[0], min(soft, hard)) for role, present, hard in limits)

    def _is_former(self, replica: str, former: Mapping[str, tuple[int, int]]) -> bool:
        found = documents.open_file_limits(self._processes(replica))
        return all(former.get(role, (soft, hard))[0] == soft for role, soft, hard in found)

    def _processes(self, replica: str) -> Processes:
        master = self._masters().get(replica)
        found = () if master is None else documents.processes(self._procfs, self._procfs.tree(), master)
        if not found:
            raise Refused("The service has ended or was restarted since; plan again.")
        return found

    @staticmethod
    def _set(pid: int, soft: int, *, lower: bool = False) -> None:
        """Sets the soft limit, the hard one at most (which is left: only root could raise a lowered one again)."""
        try:
            present, hard = documents.prlimit(pid)
            documents.prlimit(pid, (min(soft, hard) if lower else max(present, min(soft, hard)), hard))
        except ProcessLookupError:
            return
        except (OSError, ValueError) as error:
            raise Refused(f"the limit of process {pid} cannot be set: {error}") from None


def _former(data: Mapping[str, object]) -> dict[str, tuple[int, int]]:
    """Role → soft and hard limit, from data that went through JSON."""
    found = data.get("former")
    if not isinstance(found, Mapping):
        return {}
    return {str(role): (int(pair[0]), int(pair[1])) for role, pair in found.items()}
