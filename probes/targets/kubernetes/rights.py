"""What fastops asks of a Kubernetes API server, right by right: what each is for, and what is lost without it.

The one table behind ``fastops rbac``, which prints it as roles, and ``fastops doctor``, which asks the server for each.
"""

from __future__ import annotations

from typing import Literal

from probes.base import Frozen

Use = Literal["read", "fix"]


class Right(Frozen, frozen=True):
    """A rule of a role: verbs upon resources of one API group."""

    group: str
    """``""`` is the core group."""
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    """What it is for."""
    cost: str
    """What is lost without it, as the end of ``without it …``."""
    use: Use = "read"
    cluster: bool = False
    """It is of no namespace: a Role cannot grant it."""
    optional: str | None = None
    """Why it is not granted by default."""

    @property
    def name(self) -> str:
        """For people: ``list, watch on apps/deployments``."""
        group = f"{self.group}/" if self.group else ""
        return f"{', '.join(self.verbs)} on {', '.join(f'{group}{one}' for one in self.resources)}"


_FOLLOW = ("list", "watch")

RIGHTS: tuple[Right, ...] = (
    Right("", ("pods",), _FOLLOW, "What runs, and how it stands.", "nothing can be listed"),
    Right(
        "apps",
        ("deployments", "statefulsets", "daemonsets", "replicasets"),
        _FOLLOW,
        "What pods belong to, and how it is rolled out.",
        "pods are listed one by one, and rollouts, revisions and fixes are unknown",
    ),
    Right(
        "apps",
        ("controllerrevisions",),
        ("list",),
        "The former revisions of StatefulSets and DaemonSets.",
        "a StatefulSet or DaemonSet cannot be rolled back",
    ),
    Right(
        "batch",
        ("jobs",),
        _FOLLOW,
        "Jobs that serve, and what their pods belong to.",
        "pods of jobs are listed one by one",
    ),
    Right(
        "",
        ("events",),
        _FOLLOW,
        "The kubelet's and the scheduler's own words: failed probes, images, evictions, no node.",
        "what only events tell is not found (failed probes, refused images, evictions)",
    ),
    Right(
        "",
        ("services",),
        _FOLLOW,
        "Which ports traffic is sent to.",
        "a Service that leads to a wrong port is not found",
    ),
    Right(
        "autoscaling",
        ("horizontalpodautoscalers",),
        _FOLLOW,
        "Who else decides the number of replicas.",
        "an autoscaler is not seen, and scaling may work against it",
    ),
    Right(
        "autoscaling.k8s.io",
        ("verticalpodautoscalers",),
        ("list",),
        "Who else decides requests and limits, in clusters that have such autoscalers.",
        "a vertical autoscaler is not seen, and a limit may be changed against it",
    ),
    Right(
        "policy",
        ("poddisruptionbudgets",),
        _FOLLOW,
        "How many replicas may be away at once.",
        "a disruption budget that stands in the way is not named",
    ),
    Right(
        "",
        ("pods/log",),
        ("get",),
        "Logs: most failures say their name there.",
        "failures that only a log names are not found",
    ),
    Right(
        "",
        ("pods/proxy",),
        ("get",),
        "Health, metrics and openapi.json of a service, asked through the API server by GET.",
        "services are asked only where their pods' addresses can be reached from here: else no latency, no health, no "
        "blocked event loops, and recognition by command alone",
    ),
    Right(
        "metrics.k8s.io",
        ("pods",),
        ("list",),
        "Memory and CPU of pods (metrics-server).",
        "memory and CPU are unknown, unless the kubelet or Prometheus can be asked",
    ),
    Right(
        "",
        ("nodes",),
        ("list",),
        "How large the machines are: what a limit may be raised to.",
        "the size of nodes is unknown to limits that are proposed",
        cluster=True,
    ),
    Right(
        "",
        ("nodes/proxy",),
        ("get",),
        "CPU throttling, and fresher figures than metrics-server's, from the kubelet.",
        "throttling is unknown unless Prometheus has it",
        cluster=True,
        optional="Granted, it allows far more than fastops asks: whoever may GET nodes/proxy can run commands in pods.",
    ),
    Right(
        "",
        ("services/proxy",),
        ("get",),
        "How long users wait, from a Prometheus server that the cluster runs; memory, CPU and throttling where other "
        "sources do not tell them.",
        "a Prometheus server is asked only where the configuration names its address: else latency is that of services "
        "which tell it themselves",
        optional="Granted, it allows to GET from every Service.",
    ),
    Right(
        "",
        ("pods/exec",),
        ("get", "create"),
        "Figures and stacks of each worker, and what a service's source says: small programs in the pod read /proc and "
        "files. Never in read-only mode.",
        "memory, descriptors and stacks of single workers are unknown, other ASGI frameworks may be listed, and "
        "services that start their server in their own code may be missed",
        use="fix",
    ),
    Right(
        "apps",
        ("deployments", "statefulsets", "daemonsets", "replicasets"),
        ("get", "patch"),
        "Limits, probes, commands, variables, restarts and rollbacks: the template of what runs.",
        "nothing can be fixed",
        use="fix",
    ),
    Right(
        "",
        ("pods",),
        ("get",),
        "What a pod was like before a fix replaced it: kept as evidence.",
        "pods' descriptions are not kept before a fix",
        use="fix",
    ),
    Right(
        "",
        ("pods",),
        ("delete",),
        "A StatefulSet's pod that never gets ready: its controller waits for it and would not replace it.",
        "a StatefulSet that waits for a broken pod is healed only once somebody deletes that pod",
        use="fix",
    ),
    Right(
        "",
        ("pods/resize",),
        ("patch",),
        "Limits of running pods, without a restart, where the server can.",
        "a limit is changed by a rollout alone",
        use="fix",
    ),
    Right(
        "",
        ("services",),
        ("get", "patch"),
        "Ports that lead nowhere (align-ports).",
        "align-ports cannot be applied",
        use="fix",
    ),
    Right(
        "",
        ("configmaps",),
        ("get", "create", "patch", "delete"),
        "The gunicorn configuration that fastops writes, and its undo. A service's own database, for --database own.",
        "apply-gunicorn-config works by variables alone, and `--database own` knows no database that a ConfigMap names",
        use="fix",
    ),
    Right(
        "",
        ("secrets",),
        ("get", "create", "patch", "delete"),
        "The Secret that a plain value moves into (use-secret), and its undo. A service's own credentials for its "
        "database, which are read for --database own alone.",
        "use-secret cannot be applied, and `--database own` has no credentials that stand in a Secret",
        use="fix",
    ),
    Right(
        "",
        ("limitranges", "resourcequotas"),
        ("list",),
        "What a namespace allows: named before a change meets it.",
        "a quota that stands in the way is only known when the server refuses",
        use="fix",
    ),
)

_OWN = "Only --database own needs it."
OWN_DATABASES: tuple[Right, ...] = (
    Right(
        "",
        ("configmaps",),
        ("get",),
        "Variables of pods that stand in a ConfigMap: where a service's own database is.",
        "`--database own` knows no database that a ConfigMap names",
        optional=_OWN,
    ),
    Right(
        "",
        ("secrets",),
        ("get",),
        "Variables of pods that stand in a Secret: the service's own credentials for its database.",
        "`--database own` has no credentials that stand in a Secret",
        optional=f"{_OWN} Granted, it allows to read every Secret; fastops reads those that such variables name.",
    ),
    Right(
        "discovery.k8s.io",
        ("endpointslices",),
        ("list",),
        "Where a Service without a selector leads to.",
        "`--database own` finds no server behind a Service without a selector",
        optional=_OWN,
    ),
    Right(
        "",
        ("pods/portforward",),
        ("get", "create"),
        "The way to a database that runs in the cluster, from outside of it. Never in read-only mode.",
        "`--database own` asks only servers that are reached from where fastops runs",
        use="fix",
        optional=f"{_OWN} Granted, it allows to reach every port of the pods.",
    ),
)
"""What a person's own wish takes on top: in no role as it is printed."""


def needed(*, read_only: bool, namespaced: bool) -> tuple[Right, ...]:
    """The rights of a role, optional ones included; ``namespaced``: without what only a cluster can grant."""
    found = [right for right in RIGHTS if not (read_only and right.use == "fix") and not (namespaced and right.cluster)]
    granted = {(right.group, one, verb) for right in found for one in right.resources for verb in right.verbs}
    own = (
        right
        for right in OWN_DATABASES
        if not (read_only and right.use == "fix")
        and not granted.issuperset((right.group, one, verb) for one in right.resources for verb in right.verbs)
    )
    return (*found, *own)
