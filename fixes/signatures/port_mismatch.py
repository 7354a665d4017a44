"""A published port leads nowhere: the server listens on another one.

What it means. The engine forwards the host's port to a port of the container on which nothing listens; clients are
refused, or reset behind Docker's own proxy. Often the image's default changed, or ``PORT`` was set without the
mapping.

On Kubernetes a Service's ``targetPort`` does the same.

What proves it. The listening sockets of a replica that has been up for 30 s: none on a published container port, or on
any that a Service leads to, while the server listens on another port on all interfaces. That it is the server's: its
settings name the port, or its log says that it listens or that the application started. Where the sockets of a pod of
one container cannot be read, the server's own word of where it listens. A ``containerPort`` that nobody listens on is
declarative: it is advice.

What it is not. A server that is still starting: it has no listener yet, whatever metrics listen on already; nor is a
look at its sockets from that time a proof later. A server on loopback (``bind-loopback``). A second published port, of
a debugger or of metrics, while the server's own port is reachable. A proxy in the same pod, to which the Service leads.

What to do. Publish the port on which it listens, or listen on the one that is published.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_SETTINGS
from fixes.signatures import _cases, _kubernetes, _services, _shared, _wording
from fixes.signatures.bind_loopback import RESOLVER, configured_ports, is_loopback
from probes.model import Listener, PublishedPort, Replica
from probes.orchestrator import Orchestrated, ServicePort

STARTING = timedelta(seconds=30)
"""So long a replica may take to listen."""


def detect(view: View) -> Verdict:
    """Fires for running replicas whose published ports all lead nowhere while their server listens elsewhere."""
    if _kubernetes.runs(view):
        return _of_pods(view)
    found: list[tuple[int, int, Evidence]] = []
    needs = None
    for replica in view.deployment.running:
        if not replica.ports or _starting(view, replica):
            continue
        if replica.listeners is None:
            needs = "the listening sockets of its containers"
            continue
        seen = _mismatch(view, replica)
        if isinstance(seen, Undecided):
            needs = needs or seen.needs
        elif seen is not None:
            found.append(seen)
    if not found:
        return Undecided(needs) if needs else SILENT
    published, listening, _ = found[0]
    host_port = next(
        (p.host_port for r in view.deployment.running for p in r.ports if p.container_port == published), 0
    )
    return Fires(
        severity="critical",
        title=f"port {published} is published, but the server listens on {listening}",
        evidence=tuple(evidence for _, _, evidence in found[:8]),
        count=len(found),
        facts={"published": published, "listening": listening, **({"host_port": host_port} if host_port else {})},
    )


def _of_pods(view: View) -> Verdict:
    """By the Services around the pods: the worst that is known."""
    found: list[_services.Astray] = []
    needs = None
    for replica in view.deployment.running:
        if _starting(view, replica):
            continue
        if _looked_too_early(view, replica):
            needs = needs or "a look at its sockets since the application started"
            continue
        own, told = _own(view, replica)
        seen = _services.judge(view.deployment, replica, own, told) if told is not None else None
        if isinstance(seen, Undecided):
            needs = needs or seen.needs
        elif seen is not None:
            found.append(seen)
    if not found:
        return Undecided(needs) if needs else SILENT
    worst = min(found, key=lambda one: one.severity != "critical")
    alike = [one for one in found if one.severity == worst.severity]
    evidence = [evidence for one in alike for evidence in one.evidence]
    return Fires(worst.severity, worst.title, tuple(evidence[:8]), count=len(alike), facts=worst.facts)


def _own(view: View, replica: Replica) -> tuple[list[int], Evidence | None]:
    """The ports of a pod's server that are reached from outside, and what tells them."""
    if replica.listeners is None:
        said = [h for h in view.hits(_wording.LISTENING.key) if h.replica == replica.id]
        ports = [port for port in _told(view, replica) if not is_loopback(said[-1].fields["host"])][:1]
        return ports, _shared.evidence_of(said[-1]) if ports else None
    named = [*_told(view, replica), *configured_ports(view.deployment)]
    open_ports = sorted(_services.outside(replica))
    own = [port for port in dict.fromkeys(named) if port in open_ports] or (
        open_ports if _has_started(view, replica) else []
    )
    shown = ", ".join(f"{x.address}:{x.port}" for x in replica.listeners[:8])
    return own, Evidence("proc", f"listening: {shown}", at=replica.sampled_at, replica=replica.id)


def _starting(view: View, replica: Replica) -> bool:
    if replica.started_at is None or view.now - replica.started_at < STARTING:
        return True
    waits = _shared.latest_line(view, replica.id, None, _wording.WAITING)
    done = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    return waits is not None and (done is None or done.line < waits.line)


def _looked_too_early(view: View, replica: Replica) -> bool:
    """Whether its sockets were last read while it started: into pods it is looked seldom."""
    looked, began = replica.sampled_at, replica.started_at
    if replica.listeners is None or looked is None or began is None:
        return False
    done = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    return looked - began < STARTING or (done is not None and done.at is not None and looked < done.at)


def _mismatch(view: View, replica: Replica) -> tuple[int, int, Evidence] | Undecided | None:
    listeners = [x for x in replica.listeners or () if x.address != RESOLVER]
    outside = sorted({x.port for x in listeners if not is_loopback(x.address)})
    published = list(dict.fromkeys(p.container_port for p in replica.ports))
    if not outside or {x.port for x in listeners} & set(published):
        return None
    own = [port for port in (*_told(view, replica), *configured_ports(view.deployment)) if port in outside]
    if not own and not _has_started(view, replica):
        return Undecided("its server's own port: what listens may be opened before the server does")
    text = (
        f"published: {', '.join(map(str, published))}; listening: "
        f"{', '.join(f'{x.address}:{x.port}' for x in listeners[:8])}"
    )
    return published[0], (own or outside)[0], Evidence("proc", text, at=replica.sampled_at, replica=replica.id)


def _told(view: View, replica: Replica) -> list[int]:
    """The ports of which the server said that it listens there, the last one first."""
    told = [
        (mark.line, int(hit.fields["port"][:5]))
        for hit in view.deployment.hits
        if hit.key == _wording.LISTENING.key and hit.replica == replica.id
        for mark in hit.marks
        if _is_of_this_start(replica, mark.at)
    ]
    return [port for _, port in sorted(told, reverse=True)]


def _has_started(view: View, replica: Replica) -> bool:
    good = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    return good is not None and _is_of_this_start(replica, good.at)


def _is_of_this_start(replica: Replica, at: datetime | None) -> bool:
    return at is None or replica.started_at is None or at >= replica.started_at


_ALL = "0.0.0.0"  # noqa: S104 - what servers in containers listen on
_UP = "INFO:     Application startup complete.\n"
_PORTS = (PublishedPort(8000, _ALL, 8080),)
_ON_9200 = "INFO:     Uvicorn running on http://0.0.0.0:9200 (Press CTRL+C to quit)\n"
_UNNAMED = Orchestrated(services=(ServicePort("api", 80, None, "http"),))

SIGNATURE = Signature(
    id=SignatureId("port-mismatch"),
    title="The published port has no listener",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("align-ports"), RemedyId("advise")),
    proof=BY_SETTINGS,
    source="Docker Engine API, NetworkSettings.Ports; kubernetes.io/docs/concepts/services-networking/service; "
    "/proc/PID/net/tcp",
    patterns=(_wording.WAITING, _wording.STARTED, _wording.LISTENING),
    fires=(
        Example("another port", _UP, deployment=_cases.container(listeners=(Listener(_ALL, 80),), ports=_PORTS)),
        Example("on IPv6", _UP, deployment=_cases.container(listeners=(Listener("::", 5000),), ports=_PORTS)),
        Example(
            "by its settings, the log is silent",
            deployment=_cases.container({"bind": "0.0.0.0:80"}, listeners=(Listener(_ALL, 80),), ports=_PORTS),
        ),
        Example(
            "by its command line, the log is silent",
            deployment=_cases.container({"port": 5000}, listeners=(Listener(_ALL, 5000),), ports=_PORTS),
        ),
        Example(
            "by its own word, beside metrics",
            "INFO:     Uvicorn running on http://0.0.0.0:9200 (Press CTRL+C to quit)\n",
            deployment=_cases.container(listeners=(Listener(_ALL, 9100), Listener(_ALL, 9200)), ports=_PORTS),
        ),
        Example(
            "beside Docker's resolver",
            _UP,
            deployment=_cases.container(listeners=(Listener(_ALL, 80), Listener(RESOLVER, 33211)), ports=_PORTS),
        ),
        Example("a Service", _UP, deployment=_cases.workload(_cases.pod(listeners=(Listener(_ALL, 9200),)))),
        Example(
            "a Service, by the server's word in a pod of one container",
            _ON_9200,
            deployment=_cases.workload(_cases.pod(beside=())),
        ),
        Example(
            "a Service that names a port which no container has",
            _ON_9200,
            deployment=_cases.workload(_cases.pod(beside=()), orchestrated=_UNNAMED),
        ),
        Example(
            "a containerPort alone",
            _ON_9200,
            deployment=_cases.workload(
                _cases.pod(listeners=(Listener(_ALL, 9200),)),
                orchestrated=Orchestrated(services=(ServicePort("api", 80, 9200),)),
            ),
        ),
    ),
    silent=(
        Example("they agree", deployment=_cases.container(listeners=(Listener(_ALL, 8000),), ports=_PORTS)),
        Example("no listener yet", deployment=_cases.container(listeners=(), ports=_PORTS)),
        Example(
            "still starting",
            deployment=_cases.container(listeners=(Listener(_ALL, 80),), ports=_PORTS, started_at=_cases.ago(10)),
        ),
        Example(
            "metrics listen, the application is still starting",
            "INFO:     Started server process [1]\nINFO:     Waiting for application startup.\n",
            deployment=_cases.container(listeners=(Listener(_ALL, 9100),), ports=_PORTS),
        ),
        Example(
            "metrics listen, a model is being loaded before the server says a word",
            deployment=_cases.container(
                {"port": 8000}, listeners=(Listener(_ALL, 9100),), ports=_PORTS, started_at=_cases.ago(45)
            ),
            undecided=True,
        ),
        Example("on loopback", deployment=_cases.container(listeners=(Listener("127.0.0.1", 80),), ports=_PORTS)),
        Example(
            "a debugger's port that nobody serves",
            deployment=_cases.container(
                listeners=(Listener(_ALL, 8000),), ports=(PublishedPort(5678, _ALL, 5678), *_PORTS)
            ),
        ),
        Example(
            "a Service that leads right",
            deployment=_cases.workload(_cases.pod(listeners=(Listener("::", 8000),)), settings={"port": 8000}),
        ),
        Example(
            "a Service to a proxy in the pod",
            _ON_9200,
            deployment=_cases.workload(
                _cases.pod(listeners=(Listener(_ALL, 9200), Listener(_ALL, 8000)), beside=("nginx",), declared_ports=())
            ),
        ),
        Example(
            "a container in the pod that may be a proxy",
            _ON_9200,
            deployment=_cases.workload(_cases.pod(beside=("nginx",))),
            undecided=True,
        ),
        Example(
            "a pod on loopback",
            "INFO:     Uvicorn running on http://127.0.0.1:9200 (Press CTRL+C to quit)\n",
            deployment=_cases.workload(_cases.pod(beside=())),
        ),
        Example(
            "a pod that is still starting",
            deployment=_cases.workload(_cases.pod(listeners=(Listener(_ALL, 9200),), started_at=_cases.ago(10))),
        ),
        Example(
            "a pod whose sockets were last read while it started",
            _UP,
            deployment=_cases.workload(
                _cases.pod(listeners=(Listener(_ALL, 9100),), started_at=_cases.ago(90), sampled_at=_cases.ago(80))
            ),
            undecided=True,
        ),
        Example("nothing is published", deployment=_cases.container(listeners=(Listener(_ALL, 80),))),
        Example("sockets cannot be read", deployment=_cases.container(ports=_PORTS), undecided=True),
    ),
)
