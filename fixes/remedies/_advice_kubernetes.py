"""What to write, or to look at, for findings on objects of Kubernetes: in kubectl's words and the object's own name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fixes.model import Advice, Finding
from fixes.remedies import _facts
from fixes.remedies._advice_service import SERVICE
from probes.model import Deployment
from probes.text import clean

Write = Callable[[Deployment, Finding], Advice]
_LIVENESS = (
    "livenessProbe:  {httpGet: {path: /health, port: 8000}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}"
)
_FACT = re.compile(r"\{fact:(\w+)\}")


def _told(title: str, text: str, code: str, language: str = "sh") -> Write:
    """Advice whose code names the object: ``{of}`` is ``-n NAMESPACE KIND/NAME``, ``{in}`` ``-n NAMESPACE``."""

    def write(deployment: Deployment, finding: Finding) -> Advice:
        space = clean(deployment.namespace or "default", 120)
        kind, name = deployment.kind.lower(), clean(deployment.name, 253)
        facts = {key: clean(str(value), 200) for key, value in finding.facts.items()}
        filled = code
        for key, value in (("in", f"-n {space}"), ("of", f"-n {space} {kind}/{name}"), ("name", name)):
            filled = filled.replace("{" + key + "}", value)
        filled = _FACT.sub(lambda found: facts.get(found[1], found[1].upper()), filled)
        return Advice(title=title, text=text, code=filled, language=language)

    return write


def missing_env(deployment: Deployment, finding: Finding) -> Advice:
    """The variables to set, without a secret on the command line."""
    names = [clean(one, 128) for one in str(finding.facts.get("missing", "")).split(",") if one] or ["NAME"]
    space, kind = clean(deployment.namespace or "default", 120), deployment.kind.lower()
    name = clean(deployment.name, 253)
    lines = "\n".join(f"{one}=…" for one in names)
    return Advice(
        title=f"Set {', '.join(names)}",
        text=(
            "The service ends at its start because a setting is missing. What is secret belongs into a Secret, made of "
            f"a file so that it stands in no history of commands; the rest into a ConfigMap. {_facts.doubt(finding)}"
        ).rstrip(),
        code=f"cat > settings.env    # one line each:\n{lines}\n"
        f"kubectl create secret generic {name}-settings -n {space} --from-env-file=settings.env\n"
        f"kubectl set env -n {space} {kind}/{name} --from=secret/{name}-settings",
        language="sh",
    )


def startup_stalled(deployment: Deployment, finding: Finding) -> Advice:
    """Where an init container is what does not end, its log; else the time-out to write into the application."""
    return (_INIT if "init_container" in finding.facts else SERVICE["startup-stalled"])(deployment, finding)


def pod_unschedulable(deployment: Deployment, finding: Finding) -> Advice:
    """Who has to lift a gate; else what is asked for and what there is."""
    return (_GATED if "gates" in finding.facts else SERVICE["pod-unschedulable"])(deployment, finding)


_INIT = _told(
    "Read what the init container waits for",
    "Its last lines usually name it: a database that does not answer, a lock that a former migration holds. Give the "
    "wait a time-out, so that it fails with a sentence, and run migrations in a Job of their own.",
    "kubectl logs {of} -c {fact:init_container} --tail=50\nkubectl exec {of} -c {fact:init_container} -- ps aux",
)
_GATED = _told(
    "Ask the controller that set the gate",
    "A gate is lifted by who set it: a queue (Kueue) once there is quota, a webhook's controller once it is up. "
    "Nothing is wrong with the pod or the nodes.",
    "kubectl get pods {in} -o custom-columns=NAME:.metadata.name,GATES:.spec.schedulingGates[*].name\n"
    "kubectl get events {in} --sort-by=.lastTimestamp | tail -20",
)

KUBERNETES: Mapping[str, Write] = {
    "missing-env": missing_env,
    "startup-stalled": startup_stalled,
    "pod-unschedulable": pod_unschedulable,
    "crash-loop": _told(
        "Read why it ends",
        "The last lines of the run before say why; the reason and the exit code say how: OOMKilled is memory, Error "
        "with 1 to 4 the application or its server, 137 a kill, 139 a crash. A liveness probe that ends it stands in "
        "the events.",
        "kubectl logs {of} --previous --tail=50\n"
        "kubectl describe {of}\n"
        "kubectl get events {in} --field-selector type=Warning --sort-by=.lastTimestamp | tail -20",
    ),
    "container-cannot-start": _told(
        "Create what it refers to, or correct the command",
        "The message names the ConfigMap or Secret and the key, or the program that is not in the image.",
        "kubectl get pods {in} -o wide\n"
        "kubectl get configmaps,secrets {in}\n"
        "kubectl rollout undo {of}        # what ran before serves meanwhile",
    ),
    "image-pull-failed": _told(
        "Correct the name, or give the credentials",
        "The event's message says whether the tag is missing or access is denied. Going back serves meanwhile.",
        "kubectl get events {in} --field-selector reason=Failed\n"
        "kubectl create secret docker-registry pull {in} --docker-server=REGISTRY --docker-username=USER\n"
        "kubectl rollout undo {of}",
    ),
    "probe-failing": _told(
        "Follow what the check names",
        "The service itself says that it is not well: ask it and read the body, then mend what it names. A liveness "
        "check should not fail for a dependency: that restarts what a restart cannot mend.",
        "kubectl port-forward {of} 8000:8000 &\ncurl -i http://127.0.0.1:8000/ready",
    ),
    "probe-misconfigured": _told(
        "Correct the check",
        "Ask the port on which the server listens, a path that exists, with the time that one slow answer takes; a "
        "slow start gets a startup probe, so that liveness begins after it. Readiness goes on testing what it tests.",
        "startupProbe:   {httpGet: {path: /health, port: 8000}, periodSeconds: 5, failureThreshold: 24}\n"
        "readinessProbe: {httpGet: {path: /ready, port: 8000}, periodSeconds: 10, timeoutSeconds: 2}\n" + _LIVENESS,
        "yaml",
    ),
    "probe-missing": _told(
        "Let the kubelet ask the service",
        "Readiness asks a path that tests what a request needs; liveness one that asks nobody, with patience: it ends "
        "what it takes for dead.",
        "readinessProbe: {httpGet: {path: /ready, port: 8000}, periodSeconds: 10, timeoutSeconds: 2}\n" + _LIVENESS,
        "yaml",
    ),
    "plaintext-secret": _told(
        "Refer to a Secret",
        "Move each value into a Secret and refer to it. Change what has stood in plain text: it has been seen.",
        "env:\n  - name: DATABASE_URL\n    valueFrom:\n      secretKeyRef: {name: {name}-settings, key: DATABASE_URL}",
        "yaml",
    ),
    "port-mismatch": _told(
        "Let the Service lead to the server",
        "A Service's targetPort is the port on which the server listens, or the name of a containerPort that says so.",
        "ports:\n  - {port: 80, targetPort: {fact:listening}}      # of the Service",
        "yaml",
    ),
    "cpu-throttled": _told(
        "Give it more of the CPU, or fewer workers",
        "A limit below what the workers ask for stops all of them until the next period. One and a half times the "
        "peak, or a request without a limit where the cluster's rules allow that.",
        "kubectl set resources {of} --limits=cpu=2 --requests=cpu=500m",
    ),
    "disk-full": _told(
        "Bound what is written, or give it room",
        "Temporary files, uploads and caches count against the pod's ephemeral storage: bound them, write what must "
        "stay to a volume, and ask for as much as is needed.",
        "resources:\n  requests: {ephemeral-storage: 1Gi}\n  limits: {ephemeral-storage: 2Gi}\n"
        "volumes:\n  - name: scratch\n    emptyDir: {sizeLimit: 1Gi}",
        "yaml",
    ),
    "shutdown-drops-requests": _told(
        "Let requests end before the kill",
        "The order is: preStop (so that no new request comes), then longest request < the server's graceful time-out < "
        "terminationGracePeriodSeconds, which counts from the beginning of preStop.",
        "terminationGracePeriodSeconds: 45\n"
        'lifecycle: {preStop: {exec: {command: ["sleep", "5"]}}}\n'
        "# gunicorn --graceful-timeout 30, or uvicorn --timeout-graceful-shutdown 30",
        "yaml",
    ),
    "dependency-unreachable": _told(
        "Find why it cannot be reached",
        "Ask from inside the pod: the name may be unknown there, a NetworkPolicy may forbid it, or nobody listens.",
        "kubectl exec {of} -- python -c \"import socket; socket.create_connection(('{fact:host}', {fact:port}), 3)\"\n"
        "kubectl get networkpolicies,endpointslices {in}",
    ),
    "error-rate": _told(
        "Find what the errors have in common",
        "Count them by route and by exception. Began they with a rollout, go back; began they with nothing of yours, "
        "look at what the service calls.",
        "kubectl logs {of} --since=15m | grep -E '\" 5[0-9]{2}' | awk '{print $5, $6}' | sort | uniq -c\n"
        "kubectl rollout history {of}",
    ),
}
"""By signature."""
