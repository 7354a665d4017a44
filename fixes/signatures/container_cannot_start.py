"""The container cannot start: what it should run, or what it needs for that, is not there.

What it means. The engine could not run the command (it is not in the image, may not be executed, or was built for
another processor), or could not make the container (a mount, a device, a limit). Kubernetes could not resolve a
ConfigMap or a Secret. Nothing of the service runs, so its log is empty.

What proves it. Exit code 126 or 127 of a container that ended, the engine's own words about a start that failed, or
``CreateContainerConfigError``, ``CreateContainerError`` and ``RunContainerError`` of Kubernetes.

What it is not. A port that is taken (``address-in-use``), a full disk (``disk-full``). An application that starts and
fails (``worker-boot-failed``). A container that runs by now.

What to do. Correct the command or the image; create the key that is missing.
"""

from __future__ import annotations

import re

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording
from probes.model import Replica

KUBERNETES = _wording.pattern(
    "kubernetes/cannot-start",
    r"(?:^|[\s\":=])(?:CreateContainerConfigError|CreateContainerError|RunContainerError)(?:[\s\",:]|$)"
    r"|Error: (?:couldn't find key \S+ in (?:ConfigMap|Secret)|(?:configmap|secret) \"[^\"]+\" not found)",
)
ENGINE = _wording.pattern(
    "container/runtime",
    r"(?:OCI runtime create failed|failed to create (?:task for container|shim task)): .*"
    r"(?:exec: \\?\"(?P<program>[^\"\\]+)\\?\"|no such file or directory|permission denied|not permitted)",
)
FORMAT = _wording.pattern("container/format", r"exec (?:user process caused: |/?\S+: )exec format error")
_CODES = {126: "exit code 126: the command may not be executed", 127: "exit code 127: the command was not found"}
_OTHERS = re.compile(r"port is already allocated|address already in use|no space left on device|marked for removal")
_PROGRAM = re.compile(r"exec: \\?\"(?P<program>[^\"\\]+)\\?\"")
_DOWN = ("created", "exited", "dead", "restarting")


def detect(view: View) -> Verdict:
    """Fires for containers whose process could not even begin."""
    told = [evidence for replica in view.deployment.replicas if (evidence := _told(view, replica)) is not None]
    found = [
        (hit, place)
        for hit, place in _shared.places(view, KUBERNETES, ENGINE, FORMAT)
        if not _OTHERS.search(hit.sample) and _shared.latest_line(view, place.replica, None, _wording.STARTED) is None
    ]
    if not told and not found:
        return _shared.unseen(view)
    program = next((m["program"] for e in told if (m := _PROGRAM.search(e.text))), None)
    program = program or next((hit.fields["program"] for hit, _ in found if "program" in hit.fields), None)
    why = f"{program} cannot be run" if program else told[0].text if told else "what it needs is not there"
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
    if replica.error:
        text = None if _OTHERS.search(replica.error) else replica.error
    else:
        text = _CODES.get(replica.exit_code or 0)
    return Evidence("inspect", text, at=replica.finished_at, replica=replica.id) if text else None


_EXEC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "gunicorn": executable file not found in $PATH: unknown'
)

SIGNATURE = Signature(
    id=SignatureId("container-cannot-start"),
    title="Container cannot start",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="docs.docker.com/reference/cli/docker/container/run (exit status); kubelet (kuberuntime_container.go)",
    patterns=(KUBERNETES, ENGINE, FORMAT, _wording.STARTED),
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
        Example("a test's name", "test_k8s.py::test[1-CreateContainerError] PASSED\n"),
    ),
)
