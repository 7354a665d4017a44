"""One process serves everything, and nothing starts another when it ends.

What it means. A lone uvicorn uses one core, stops serving altogether while its event loop is blocked, and when it
dies requests are lost until the engine starts the container again.

What proves it. One replica with one serving process and no master above it; where a pod's processes cannot be seen, one
desired replica whose command starts a single uvicorn. How bad it is follows from the connections that are open: below
10 it is advice; above 50 with a database driver loaded it is an error.

What it is not. Two or more replicas of a service: one process per container is right there. A Job. One of several
servers in a container: what starts them may start them again. A single worker under a master (gunicorn), which is
replaced when it dies. A server that was told to start several and has not yet, or whose workers just died; a service
whose other replicas are still to come.

What to do. On Kubernetes run more replicas; elsewhere run under a worker manager.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.counted import ORCHESTRATED
from fixes.model import (
    SILENT,
    Evidence,
    Example,
    Fires,
    RemedyId,
    Severity,
    Signature,
    SignatureId,
    Undecided,
    Verdict,
    View,
)
from fixes.proof import BY_SETTINGS
from fixes.signatures import _cases
from probes.base import Value
from probes.model import Deployment, Listener, Replica, Worker

FEW_CONNECTIONS = 10
MANY_CONNECTIONS = 50
_RECENT_SECONDS = 60.0
SETTLED = timedelta(seconds=10)
"""So long a server may take to start its workers, and Compose to start the other replicas."""


def detect(view: View) -> Verdict:
    """Fires for a lone server process; its severity follows the connections of the last minute."""
    deployment = view.deployment
    if (
        deployment.kind == "Job"
        or (deployment.desired or len(deployment.replicas)) >= 2
        or len(deployment.running) != 1
    ):
        return SILENT
    replica = deployment.running[0]
    if replica.others:
        return SILENT
    wanted = deployment.setting("workers")
    if isinstance(wanted, (int, float)) and wanted > 1:
        return SILENT
    if not replica.workers and deployment.server == "gunicorn":
        return SILENT
    if not replica.workers and not _is_told_one(deployment):
        return Undecided("the processes of its container")
    lone = [w for w in replica.workers if w.role == "server"]
    if replica.workers and (len(lone) != 1 or len(replica.workers) != 1):
        return SILENT
    if replica.started_at is not None and view.now - replica.started_at < SETTLED:
        return Undecided(f"{SETTLED.seconds} s since its start")
    connections = _connections(view, replica)
    if lone:
        text = "one serving process, no master"
        evidence = [Evidence("proc", text, at=replica.sampled_at, replica=replica.id, worker=lone[0].pid)]
    else:
        setting = deployment.settings["workers"]
        text = (
            f"{deployment.server} with workers {setting.value} ({setting.source}), {deployment.desired} replica desired"
        )
        evidence = [Evidence("settings", text, replica=replica.id)]
    busy = ""
    if connections is not None:
        count = round(connections)
        busy = f", {count} connection{' is' if count == 1 else 's are'} open"
        evidence.append(
            Evidence(
                "proc",
                f"{count} open connection{'' if count == 1 else 's'}",
                at=replica.sampled_at,
                replica=replica.id,
                value=connections,
                unit="connections",
            )
        )
    return Fires(
        severity=_severity(connections, bool(deployment.drivers)),
        title=f"one process serves everything and nothing replaces it{busy}",
        evidence=tuple(evidence),
        facts={
            **({"pid": lone[0].pid} if lone else {}),
            **({"connections": int(connections)} if connections is not None else {}),
        },
    )


def _is_told_one(deployment: Deployment) -> bool:
    """Whether a pod's command starts one process that nobody manages, whatever cannot be seen of it."""
    return (
        deployment.kind in ORCHESTRATED
        and deployment.desired == 1
        and deployment.server == "uvicorn"
        and deployment.setting("workers") == 1
    )


def _connections(view: View, replica: Replica) -> float | None:
    """The most connections that were open within the last minute."""
    since = view.now.timestamp() - _RECENT_SECONDS
    seen = [p.value for p in view.series("established").get(replica.id, ()) if p.at >= since]
    seen += [float(x.established) for x in replica.listeners or () if x.established is not None]
    return max(seen, default=None)


def _severity(connections: float | None, database: bool) -> Severity:
    if connections is None:
        return "warning"
    if connections < FEW_CONNECTIONS:
        return "info"
    return "error" if connections > MANY_CONNECTIONS and database else "warning"


def _lone() -> tuple[Worker, ...]:
    return (_cases.worker(role="server"),)


_COMMAND = ("uvicorn", "app:app", "--host", "0.0.0.0")  # noqa: S104 - what servers in containers listen on
_SETTINGS: dict[str, Value] = {"app": "app:app", "host": "0.0.0.0", "port": 8000, "workers": 1}  # noqa: S104
_PACKAGES = {"gunicorn": "23.0.0", "uvicorn": "0.34.0", "uvicorn-worker": "0.3.0"}


def _service(established: int, *drivers: str) -> Deployment:
    """A lone uvicorn with so many open connections, in an image that has gunicorn too."""
    listeners = (Listener("0.0.0.0", 8000, established),)  # noqa: S104
    return _cases.deployment(
        _cases.replica(workers=_lone(), listeners=listeners, command=_COMMAND),
        settings=_SETTINGS,
        server="uvicorn",
        drivers=drivers,
        packages=_PACKAGES,
    )


def _pods(*pods: Replica, **changes: object) -> Deployment:
    """Pods with a lone uvicorn each, in an image that has gunicorn too."""
    plain: dict[str, object] = {"server": "uvicorn", "packages": _PACKAGES}
    return _cases.workload(*pods, settings=_SETTINGS, **(plain | changes))


SIGNATURE = Signature(
    id=SignatureId("single-process"),
    title="A single process without a manager",
    severity="error",
    detect=detect,
    remedies=(RemedyId("scale"), RemedyId("apply-gunicorn-config"), RemedyId("set-workers")),
    proof=BY_SETTINGS,
    source="fastapi.tiangolo.com/deployment/concepts (replication, restarts); uvicorn.org deployment",
    fires=(
        Example("hardly used", deployment=_service(2)),
        Example("busy", deployment=_service(20)),
        Example("very busy with a database", deployment=_service(80, "asyncpg")),
        Example("a pod", deployment=_pods(_cases.pod(workers=_lone(), command=_COMMAND))),
        Example("a pod whose processes cannot be seen", deployment=_pods(_cases.pod(command=_COMMAND))),
    ),
    silent=(
        Example(
            "another server beside it, under a supervisor",
            deployment=_cases.container(
                workers=(Worker(7, _cases.REPLICA, "server"),),
                others=(Worker(8, _cases.REPLICA, "server", beside="uvicorn admin:app on :8001"),),
            ),
        ),
        Example(
            "a worker under a master",
            deployment=_cases.container(workers=(_cases.worker(1, role="master"), _cases.worker())),
        ),
        Example(
            "two replicas",
            deployment=_cases.deployment(
                _cases.replica(workers=_lone()), _cases.replica(id="c0ffee2", workers=_lone()), desired=2
            ),
        ),
        Example("two are wanted", deployment=_cases.deployment(_cases.replica(workers=_lone()), desired=2)),
        Example("two pods", deployment=_pods(_cases.pod(workers=_lone()), _cases.pod(id="b"))),
        Example(
            "two pods are wanted, one runs",
            deployment=_pods(_cases.pod(workers=_lone()), _cases.waiting("CrashLoopBackOff", id="b")),
        ),
        Example(
            "a pod that is told to go, while its follower runs",
            deployment=_pods(
                _cases.pod(workers=_lone(), started_at=_cases.ago(4)), _cases.pod(id="b", terminating=True), desired=1
            ),
            undecided=True,
        ),
        Example("a Job", deployment=_pods(_cases.pod(workers=_lone()), kind="Job")),
        Example(
            "a pod of which neither processes nor command are known",
            deployment=_cases.workload(server="uvicorn"),
            undecided=True,
        ),
        Example("it does not run", deployment=_cases.container(state="exited", workers=())),
        Example(
            "several are wanted", deployment=_cases.deployment(_cases.replica(workers=_lone()), settings={"workers": 2})
        ),
        Example("it starts", deployment=_cases.container(workers=_lone(), started_at=_cases.ago(4)), undecided=True),
        Example("its processes cannot be seen", deployment=_cases.container(workers=()), undecided=True),
    ),
)
