"""A published port leads nowhere: the server listens on another one.

What it means. The engine forwards the host's port to a port of the container on which nothing listens; clients are
refused, or reset behind Docker's own proxy. Often the image's default changed, or ``PORT`` was set without the
mapping.

What proves it. The listening sockets of a replica that has been up for 30 s: none on a published container port,
while the server listens on another port on all interfaces.

What it is not. A server that is still starting: it has no listener yet, whatever metrics listen on already. A server on
loopback (``bind-loopback``). A second published port, of a debugger or of metrics, while the server's own port is
reachable.

What to do. Publish the port on which it listens, or listen on the one that is published.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases, _shared, _wording
from fixes.signatures.bind_loopback import RESOLVER, is_loopback
from probes.model import Listener, PublishedPort, Replica

STARTING = timedelta(seconds=30)
"""So long a replica may take to listen."""


def detect(view: View) -> Verdict:
    """Fires for running replicas whose published ports all lead nowhere while their server listens elsewhere."""
    found: list[tuple[int, int, Evidence]] = []
    unknown = False
    for replica in view.deployment.running:
        if not replica.ports or _starting(view, replica):
            continue
        if replica.listeners is None:
            unknown = True
            continue
        seen = _mismatch(replica)
        if seen is not None:
            found.append(seen)
    if not found:
        return Undecided("the listening sockets of its containers") if unknown else SILENT
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


def _starting(view: View, replica: Replica) -> bool:
    if replica.started_at is None or view.now - replica.started_at < STARTING:
        return True
    waits = _shared.latest_line(view, replica.id, None, _wording.WAITING)
    done = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    return waits is not None and (done is None or done.line < waits.line)


def _mismatch(replica: Replica) -> tuple[int, int, Evidence] | None:
    listeners = [x for x in replica.listeners or () if x.address != RESOLVER]
    outside = sorted({x.port for x in listeners if not is_loopback(x.address)})
    published = list(dict.fromkeys(p.container_port for p in replica.ports))
    if not outside or {x.port for x in listeners} & set(published):
        return None
    text = (
        f"published: {', '.join(map(str, published))}; listening: "
        f"{', '.join(f'{x.address}:{x.port}' for x in listeners[:8])}"
    )
    return published[0], outside[0], Evidence("proc", text, at=replica.sampled_at, replica=replica.id)


_ALL = "0.0.0.0"  # noqa: S104 - what servers in containers listen on
_PORTS = (PublishedPort(8000, _ALL, 8080),)

SIGNATURE = Signature(
    id=SignatureId("port-mismatch"),
    title="The published port has no listener",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="Docker Engine API, NetworkSettings.Ports; /proc/PID/net/tcp",
    patterns=(_wording.WAITING, _wording.STARTED),
    fires=(
        Example("another port", deployment=_cases.container(listeners=(Listener(_ALL, 80),), ports=_PORTS)),
        Example("on IPv6", deployment=_cases.container(listeners=(Listener("::", 5000),), ports=_PORTS)),
        Example(
            "beside Docker's resolver",
            deployment=_cases.container(listeners=(Listener(_ALL, 80), Listener(RESOLVER, 33211)), ports=_PORTS),
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
        Example("on loopback", deployment=_cases.container(listeners=(Listener("127.0.0.1", 80),), ports=_PORTS)),
        Example(
            "a debugger's port that nobody serves",
            deployment=_cases.container(
                listeners=(Listener(_ALL, 8000),), ports=(PublishedPort(5678, _ALL, 5678), *_PORTS)
            ),
        ),
        Example("nothing is published", deployment=_cases.container(listeners=(Listener(_ALL, 80),))),
        Example("sockets cannot be read", deployment=_cases.container(ports=_PORTS), undecided=True),
    ),
)
