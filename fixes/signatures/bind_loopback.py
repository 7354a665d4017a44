"""In a container the server listens on loopback only, so nothing outside the container reaches it.

What it means. 127.0.0.1 inside a container is the container's own loopback: the published port, other containers and
health checks from outside are refused, while everything looks fine in the log. uvicorn, granian and gunicorn (unless
``PORT`` is set) bind 127.0.0.1 by default.

What proves it. The listening sockets of a running replica: all on 127.0.0.0/8 or ::1, or the published port is. Where
sockets cannot be read: the address of the latest start-up line, else of the arguments. A pasted log tells where the
server listens and not where it runs: a warning, on the condition that it is in a container.

What it is not. A local process, or a Job that tests what it started: loopback is right there. A helper's own socket (a
cache, a debugger) while the server does not listen yet, or listens on a Unix socket. Host networking. A network shared
with another container, or a proxy in the same container or pod that listens on the published port, or will within the
first half minute. A pod that answers fastops from outside. Docker's own resolver on 127.0.0.11.

What to do. Listen on 0.0.0.0. Where the host stands in the program (``uvicorn.run(host=…)``) no option changes it.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from fixes.model import PASTED, SILENT, Evidence, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_SETTINGS
from fixes.signatures import _bind_loopback_examples, _kubernetes, _shared, _wording
from probes import server_settings
from probes.model import Deployment, Listener, Replica

RESOLVER = "127.0.0.11"
"""Docker's embedded DNS server in user-defined networks listens here, on a port of its own."""
STARTING = timedelta(seconds=30)
"""So long another process of the container may take to listen in front of the server."""


class _Seen(NamedTuple):
    address: str
    port: int | None
    evidence: Evidence
    own: bool = True
    """Whether it is the server's own socket; another process of the container may have opened it."""


def detect(view: View) -> Verdict:
    """Fires for containers whose server only its own loopback reaches."""
    if view.deployment.kind in ("process", "Job"):
        return SILENT
    seen = [(replica, _loopback(view, replica)) for replica in view.deployment.running]
    found = [one for replica, one in seen if one is not None and one.own and not _may_have_a_proxy(view, replica, one)]
    if not found:
        if any(one is not None and not one.own for _, one in seen):
            return Undecided("its server's own socket: what listens on loopback may be a helper's")
        unread = any(r.sampled_at is None or one is not None for r, one in seen)
        return Undecided("the listening sockets of its containers") if unread else SILENT
    first = found[0]
    place = f"{first.address}:{first.port}" if first.port else first.address
    where = "the container" if len(view.deployment.running) == 1 else f"{len(found)} of its containers"
    reached = f"nothing outside {where} reaches it"
    if view.deployment.target == PASTED:  # a log does not tell where its server runs
        reached = "if that is in a container, nothing outside it reaches it"
    return Fires(
        severity="warning" if view.deployment.target == PASTED else "critical",
        title=f"the server listens on {place} only: {reached}",
        evidence=tuple(seen.evidence for seen in found[:8]),
        count=len(found),
        facts={
            "address": first.address,
            "in_code": _in_code(view.deployment, first.address),
            **({"port": first.port} if first.port else {}),
        },
    )


def _loopback(view: View, replica: Replica) -> _Seen | None:
    mode = replica.network_mode or ""
    if mode in ("host", "none") or mode.startswith("container:"):
        return None
    if replica.sampled_at is None and not _kubernetes.runs(view):
        return None  # its sockets are about to be read, and outrank what the log says
    if _kubernetes.runs(view) and any((p.status or 500) < 500 for p in (*replica.loop_probes, *replica.health_probes)):
        return None
    if replica.listeners is not None:
        seen = _by_sockets(view, replica, [x for x in replica.listeners if x.address != RESOLVER])
        return None if seen is not None and _may_get_a_proxy(view, replica, seen) else seen
    return _by_log(view, replica) or _by_settings(view, replica)


def _by_sockets(view: View, replica: Replica, listeners: list[Listener]) -> _Seen | None:
    inside = [x for x in listeners if is_loopback(x.address)]
    outside = {x.port for x in listeners if not is_loopback(x.address)}
    published = _served(view, replica)
    if not inside or (outside and (not published or published & outside)):
        return None
    hidden = [x for x in inside if x.port in published] or ([] if outside else inside)
    if not hidden or str(view.deployment.setting("bind") or "").startswith("unix:"):
        return None
    known = {*_told(view, replica), *configured_ports(view.deployment), *published}
    own = [x for x in hidden if x.port in known] or ([] if known or _waits(view, replica) else hidden)
    hidden = own or hidden
    led = "its Services lead to" if _kubernetes.runs(view) else "published is"
    ports = f", {led} {', '.join(map(str, sorted(published)))}" if published else ""
    text = f"listens on {hidden[0].address}:{hidden[0].port} and nowhere outside loopback{ports}"
    evidence = Evidence("proc", text, at=replica.sampled_at, replica=replica.id)
    return _Seen(hidden[0].address, hidden[0].port, evidence, own=bool(own))


def _told(view: View, replica: Replica) -> list[int]:
    """The ports of which the server said since its start that it listens there."""
    begun = replica.started_at
    return [
        int(hit.fields["port"][:5])
        for hit in view.deployment.hits
        if hit.key == _wording.LISTENING.key and hit.replica == replica.id
        if any(mark.at is None or begun is None or mark.at >= begun for mark in hit.marks)
    ]


def _waits(view: View, replica: Replica) -> bool:
    """Whether the application starts up: servers listen only after that."""
    waits = _shared.latest_line(view, replica.id, None, _wording.WAITING)
    done = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    return waits is not None and (done is None or done.line < waits.line)


def _served(view: View, replica: Replica) -> set[int]:
    """The ports of the container that are to be reached from outside: published ones, those that Services lead to."""
    around = view.deployment.orchestrated
    services = {p.target_port for p in around.services if p.target_port is not None} if around is not None else set()
    return services or {p.container_port for p in replica.ports}


def _may_have_a_proxy(view: View, replica: Replica, seen: _Seen) -> bool:
    """Whether another container of the pod may serve the port that Services lead to, whose sockets are not known."""
    if not _kubernetes.runs(view) or replica.listeners is not None or replica.beside == ():
        return False
    served = _served(view, replica)
    return bool(served) and seen.port not in served


def _may_get_a_proxy(view: View, replica: Replica, seen: _Seen) -> bool:
    """Whether it starts, and the published port is still free for a process in front of the server."""
    published = _served(view, replica)
    young = replica.started_at is not None and view.now - replica.started_at < STARTING
    return young and bool(published) and seen.port not in published


def _by_log(view: View, replica: Replica) -> _Seen | None:
    """The addresses of the latest start-up: all that were told within ten lines of the last one."""
    told = [
        (mark.line, hit)
        for hit in view.deployment.hits
        if hit.key == _wording.LISTENING.key and hit.replica == replica.id
        if not replica.others or int(hit.fields["port"][:5]) in configured_ports(view.deployment)
        for mark in hit.marks
    ]
    if not told:
        return None
    last = max(line for line, _ in told)
    latest = [hit for line, hit in told if line > last - 10]
    if not all(is_loopback(hit.fields.get("host", "")) for hit in latest):
        return None
    fields = latest[-1].fields
    return _Seen(fields["host"].strip("[]"), int(fields["port"][:5]), _shared.evidence_of(latest[-1]))


def _by_settings(view: View, replica: Replica) -> _Seen | None:
    if view.deployment.hits and view.hits(_wording.LISTENING.key):
        return None
    addresses = _configured(view.deployment)
    if not addresses or not all(is_loopback(host) for host, _ in addresses):
        return None
    name = "bind" if "bind" in view.deployment.settings else "host"
    setting = view.deployment.settings[name]
    text = f"{name} is {setting.value} ({setting.source})"
    host, port = addresses[0]
    return _Seen(host, port, Evidence("settings", text, replica=replica.id))


def _configured(deployment: Deployment) -> list[tuple[str, int | None]]:
    bind = deployment.setting("bind")
    if bind is not None:
        found = (server_settings.address(one) for one in str(bind).split(","))
        return [one for one in found if one is not None]
    host, port = deployment.setting("host"), deployment.setting("port")
    return [] if host is None else [(str(host), port if isinstance(port, int) else None)]


def configured_ports(deployment: Deployment) -> list[int]:
    """The ports that the server's settings name."""
    port = deployment.setting("port")
    named = [port] if isinstance(port, int) else []
    return [*named, *(port for _, port in _configured(deployment) if port is not None)]


def _in_code(deployment: Deployment, address: str) -> bool:
    """Whether the program chose the address itself: the settings that are known say another one."""
    known = _configured(deployment)
    return deployment.server is None or (
        bool(known) and not any(host == address or (host == "localhost" and is_loopback(address)) for host, _ in known)
    )


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1, their mapped forms, and ``localhost``."""
    plain = host.strip("[]").lower()
    if plain == "localhost":
        return True
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


SIGNATURE = Signature(
    id=SignatureId("bind-loopback"),
    title="Listens on loopback inside a container",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("bind-all-interfaces"), RemedyId("advise")),
    proof=BY_SETTINGS,
    source="uvicorn --host, gunicorn bind and granian --host default to 127.0.0.1 (their documentation)",
    patterns=(_wording.LISTENING, _wording.WAITING, _wording.STARTED),
    fires=_bind_loopback_examples.FIRES,
    silent=_bind_loopback_examples.STAYS_SILENT,
)
