"""The container cannot start: what it should run, or what it needs for that, is not there.

What it means. The engine could not run the command (it is not in the image, may not be executed, or was built for
another processor), or could not make the container (a mount, a device, a limit). Kubernetes could not resolve a
ConfigMap or a Secret, which a variable or a volume refers to. Nothing of the service runs, so its log is empty.

What proves it. Exit code 126 or 127 of a container that ended, the engine's own words about a start that failed; on
Kubernetes ``CreateContainerConfigError``, ``CreateContainerError`` or ``RunContainerError`` as the reason for which it
waits, a run that ended as ``StartError``, or a volume's ConfigMap or Secret that is not there.

What it is not. A port that is taken (``address-in-use``), a full disk (``disk-full``). An application that starts and
fails (``worker-boot-failed``). A container that runs by now, and one of a revision that is being replaced.

What to do. Correct the command or the image; create the key that is missing.
"""

from __future__ import annotations

import re

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _kubernetes, _logged, _shared, _wording
from fixes.signatures._shared import At
from probes.model import Replica
from probes.orchestrator import Ended

KUBERNETES = _wording.unquoted(
    "kubernetes/cannot-start",
    r"(?:^|[\s\":=])(?:CreateContainerConfigError|CreateContainerError|RunContainerError)(?:[\s\",:]|$)"
    r"|Error: (?:couldn't find key \S+ in (?:ConfigMap|Secret)|(?:configmap|secret) \"[^\"]+\" not found)",
)
ENGINE = _wording.unquoted(
    "container/runtime",
    r"(?:OCI runtime create failed|failed to create (?:task for container|shim task)): .*"
    r"(?:exec: \\?\"(?P<program>[^\"\\]+)\\?\"|no such file or directory|permission denied|not permitted)",
)
FORMAT = _wording.unquoted("container/format", r"exec (?:user process caused: |/?\S+: )exec format error")
MOUNT = _wording.unquoted(
    "kubernetes/mount",
    r"MountVolume\.SetUp failed for volume .{1,200} : (?P<what>(?:configmap|secret) \"[^\"]+\" not found)",
)
REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        *_kubernetes.NEVER_BEGAN,
    }
)
"""Source: kubelet, pkg/kubelet/container/sync_result.go and pkg/kubelet/kuberuntime (1.20 to 1.34)."""
_CODES = {126: "exit code 126: the command may not be executed", 127: "exit code 127: the command was not found"}
_OTHERS = re.compile(r"port is already allocated|address already in use|no space left on device|marked for removal")
_PROGRAM = re.compile(r"exec: \\?\"(?P<program>[^\"\\]+)\\?\"")
_DOWN = ("created", "exited", "dead", "restarting")


def detect(view: View) -> Verdict:
    """Fires for containers whose process could not even begin."""
    told = [evidence for replica in view.deployment.replicas if (evidence := _told(view, replica)) is not None]
    told += [evidence for _, evidence in _kubernetes.waiting(view, REASONS) if not _OTHERS.search(evidence.text)]
    found = [
        (hit, place)
        for hit, place in _shared.places(view, KUBERNETES, ENGINE, FORMAT, MOUNT)
        if not _OTHERS.search(hit.sample) and not _runs(view, place)
    ]
    if not told and not found:
        return _kubernetes.unseen(view)
    program = next((m["program"] for e in told if (m := _PROGRAM.search(e.text))), None)
    program = program or next((hit.fields["program"] for hit, _ in found if "program" in hit.fields), None)
    mount = next((hit.fields["what"] for hit, _ in found if "what" in hit.fields), None)
    why = f"{program} cannot be run" if program else told[0].text if told else mount or "what it needs is not there"
    return _logged.fires(
        view,
        found,
        "critical",
        f"the container cannot start: {why[:200]}",
        count=max(len(told), 1),
        facts={"program": program} if program else {},
        more=told,
    )


def _told(view: View, replica: Replica) -> Evidence | None:
    """What the engine says of a container that is down since the window's beginning, or was never up."""
    if replica.state not in _DOWN or (replica.finished_at is not None and replica.finished_at < view.start):
        return None
    if _kubernetes.runs(view):
        return None if replica.last_end is None else _of_pod(replica, replica.last_end)
    if replica.error:
        text = None if _OTHERS.search(replica.error) else replica.error
    else:
        text = _CODES.get(replica.exit_code or 0)
    return Evidence("inspect", text, at=replica.finished_at, replica=replica.id) if text else None


def _of_pod(replica: Replica, end: Ended) -> Evidence | None:
    """What Kubernetes says of a run that was none."""
    if end.reason in _kubernetes.NEVER_BEGAN:
        text = None if _OTHERS.search(end.message or "") else f"{end.reason}: {end.message or 'no message'}"
    else:
        text = _CODES.get(end.exit_code or 0)
    return Evidence("inspect", text, at=end.at, replica=replica.id) if text else None


def _runs(view: View, place: At) -> bool:
    """Whether the container of a line runs by now, or did, or is gone with its pod."""
    if _kubernetes.runs(view):
        replica = _shared.replica_of(view, place.replica)
        return _kubernetes.is_gone(view, place) or (replica is not None and replica.state in ("running", "paused"))
    return _shared.latest_line(view, place.replica, None, _wording.STARTED) is not None


_EXEC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "gunicorn": executable file not found in $PATH: unknown'
)

SIGNATURE = Signature(
    id=SignatureId("container-cannot-start"),
    title="Container cannot start",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="docs.docker.com/reference/cli/docker/container/run (exit status); kubelet (kuberuntime_container.go)",
    patterns=(KUBERNETES, ENGINE, FORMAT, MOUNT, _wording.STARTED),
    explains=(SignatureId("crash-loop"),),
    fires=(
        Example("exit code 127", deployment=_cases.container(state="exited", exit_code=127, finished_at=_cases.ago(9))),
        Example(
            "the engine's words",
            deployment=_cases.container(state="created", exit_code=127, error=_EXEC),
        ),
        Example("docker run", f"docker: Error response from daemon: {_EXEC}.\n"),
        Example("another processor", "exec /usr/local/bin/uvicorn: exec format error\n"),
        Example("kubectl get pods", "api-7d4b9c-x2x1z   0/1     CreateContainerConfigError   0     2m\n"),
        Example(
            "a key that is missing", "Warning  Failed  2s  kubelet  Error: couldn't find key U in Secret shop/db\n"
        ),
        Example(
            "a pod that lacks a key",
            deployment=_cases.workload(
                _cases.waiting("CreateContainerConfigError", 60, "couldn't find key URL in ConfigMap shop/api")
            ),
        ),
        Example(
            "a pod whose command is not in the image",
            deployment=_cases.workload(
                _cases.waiting(
                    "CrashLoopBackOff", 20, last_end=_cases.ended("StartError", 128, 21, 0, message=_EXEC), restarts=3
                )
            ),
        ),
        Example(
            "a volume whose Secret is not there",
            'Warning  FailedMount  kubelet  MountVolume.SetUp failed for volume "tls" : secret "api-tls" not found\n',
            deployment=_cases.workload(_cases.waiting("ContainerCreating", 60)),
        ),
    ),
    silent=(
        Example(
            "the application failed",
            "INFO: up\n",
            deployment=_cases.container(state="exited", exit_code=3, finished_at=_cases.ago(9)),
        ),
        Example(
            "the port is taken",
            "INFO: up\n",
            deployment=_cases.container(
                state="created", exit_code=128, error="Bind for 0.0.0.0:80 failed: port is already allocated"
            ),
        ),
        Example(
            "long ago",
            "INFO: up\n",
            deployment=_cases.container(state="exited", exit_code=127, finished_at=_cases.ago(9000)),
        ),
        Example("it runs", "INFO: up\n", deployment=_cases.container(exit_code=127)),
        Example(
            "a pod of a former revision",
            deployment=_cases.workload(
                _cases.pod(), _cases.waiting("CreateContainerConfigError", id="b", revision="5f6d7e")
            ),
        ),
        Example(
            "a volume whose Secret came later",
            'Warning  FailedMount  kubelet  MountVolume.SetUp failed for volume "tls" : secret "api-tls" not found\n',
            deployment=_cases.workload(_cases.pod(started_at=_cases.ago(20))),
        ),
        Example(
            "a pod that was evicted",
            deployment=_cases.workload(
                _cases.pod(
                    state="exited",
                    ready=False,
                    finished_at=_cases.ago(20),
                    last_end=_cases.ended("Error", 137, 20),
                    error="Evicted: The node was low on resource: memory.",
                ),
                _cases.pod(id="b"),
            ),
        ),
        Example(
            "a pod whose application failed",
            deployment=_cases.workload(
                _cases.waiting("CrashLoopBackOff", 20, last_end=_cases.ended("Error", 3, 21, 2), restarts=3)
            ),
        ),
        Example("a test's name", "test_k8s.py::test[1-CreateContainerError] PASSED\n"),
    ),
)
