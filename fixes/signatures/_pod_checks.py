"""What is wrong with a check that the kubelet makes: by its own words, beside what the service does."""

from __future__ import annotations

import re

from fixes.model import Evidence, Fires, Undecided, Verdict, View
from fixes.signatures import _health, _loop, _pod_kills, _shared, _wording
from fixes.signatures._health import Told
from fixes.signatures._probing import LATE, LEAST, NO_PROGRAM, QUICK_SECONDS, REFUSED, Wrong, asked, has_a_cause, spec
from fixes.signatures._shared import At
from fixes.signatures.bind_loopback import RESOLVER, configured_ports, is_loopback
from probes.base import Value
from probes.model import Replica

_NEVER = frozenset({"400", "401", "403", "404", "405", "406", "410", "415", "421", "422", "426"})
"""Answers that no state of the service changes: the path, the method, the host or the rights are wrong."""
_SCHEME = re.compile(
    r"server gave HTTP response to HTTPS client|malformed HTTP (?:response|status)|not look like a TLS"
)
_HOST = re.compile(r"lookup (?P<host>\S+?)(?: on \S+)?: no such host")
_PORT = re.compile(r"(?::|port )(?P<port>\d{2,5})\b")
_CANNOT = "the health check cannot succeed: "


def judge(view: View) -> Verdict | None:
    """A finding on the kubelet's checks; ``None`` where nothing is wrong with them."""
    said = _health.told(view)
    wrong = next((one for told in reversed(said) if (one := _by_words(view, told)) is not None), None)
    if wrong is None:
        wrong = _too_short(view, said)
    doubt: Undecided | None = None
    if wrong is None:
        killed = _pod_kills.kills(view, said)
        wrong, doubt = (None, killed) if isinstance(killed, Undecided) else (killed, None)
    if wrong is None:
        return doubt
    found = [(hit, place) for hit, place in wrong.found]
    evidence = [*wrong.more, *(_shared.evidence_of(hit) for hit, _ in found[-4:])]
    first, last = _shared.span([place for _, place in found])
    return Fires(
        severity="error",
        title=wrong.why[:240],
        evidence=tuple(evidence),
        count=max(1, len(found)),
        first_at=first,
        last_at=last,
        facts=wrong.facts,
    )


def _by_words(view: View, told: Told) -> Wrong | None:
    """What the answer alone says, or beside the port on which the server listens."""
    facts: dict[str, Value] = {"probe": told.probe}
    code, program, host = _health.status(told.said), NO_PROGRAM.search(told.said), _HOST.search(told.said)
    why = None
    if program:
        facts["reason"], why = "program", f"the image has no {program['program'] or program['shell']}"
    elif code in _NEVER:
        path = _path(view, told)
        facts |= {"reason": "path", "status": code or ""}
        why = f"the path{f' {path}' if path else ''} that the {told.probe} probe asks for answers {code}"
    elif _SCHEME.search(told.said):
        facts["reason"], why = (
            "scheme",
            f"the {told.probe} probe and the server do not speak the same of HTTP and HTTPS",
        )
    elif host:
        facts["reason"], why = "host", f"the {told.probe} probe asks the host {host['host']}, which does not exist"
    elif REFUSED.search(told.said):
        return _other_port(view, told)
    return Wrong(_CANNOT + why, facts, ((told.hit, told.place),)) if why else None


def _other_port(view: View, told: Told) -> Wrong | None:
    ports = [found["port"] for found in _PORT.finditer(told.said)]
    check = spec(view, told.place, told.probe)
    port = int(ports[-1]) if ports else check.port if check is not None else None
    listening = _listening(view, told.place)
    if port is None or not listening or port in listening:
        return None
    listed = ", ".join(map(str, listening))
    why = f"the {told.probe} probe asks port {port}, and the server listens on {listed}"
    facts: dict[str, Value] = {"probe": told.probe, "reason": "port", "asked": port, "port": listening[0]}
    return Wrong(_CANNOT + why, facts, ((told.hit, told.place),))


def _listening(view: View, place: At) -> list[int]:
    """The ports on which the server is reached: its sockets where they are its own, else what it said last.

    None while it starts: what listens then may be metrics.
    """
    replica = _shared.replica_of(view, place.replica)
    told = _told(view, place)
    if replica is None or replica.listeners is None:
        return told
    outside = {x.port for x in replica.listeners if x.address != RESOLVER and not is_loopback(x.address)}
    up = _shared.latest_line(view, place.replica, None, _wording.STARTED)
    own = {*told, *configured_ports(view.deployment)} & outside
    started = up is not None and (up.at is None or replica.started_at is None or up.at >= replica.started_at)
    return sorted(outside) if own or started else []


def _told(view: View, place: At) -> list[int]:
    """The port of which the server said last that it listens there, unless that is loopback's."""
    said = [
        (mark.line, hit)
        for hit in view.deployment.hits
        if hit.key == _wording.LISTENING.key and hit.replica == place.replica
        for mark in hit.marks
    ]
    if not said:
        return []
    fields = max(said, key=lambda one: one[0])[1].fields
    return [] if is_loopback(fields["host"]) else [int(fields["port"][:5])]


def _too_short(view: View, said: list[Told]) -> Wrong | None:
    """A time-out below what the health endpoint takes while nothing else is slow."""
    for told in reversed([one for one in said if LATE.search(one.said)]):
        replica, check = _shared.replica_of(view, told.place.replica), spec(view, told.place, told.probe)
        if replica is None or check is None or check.handler != "http":
            continue
        same = [p for p in asked(view, replica) if p.path == check.path and p.error is None]
        slow = [p for p in same if p.took_seconds >= check.timeout_seconds]
        if len(slow) < LEAST or not _loop_turns(view, replica) or has_a_cause(view):
            continue
        took = sorted(p.took_seconds for p in slow)[len(slow) // 2]
        why = f"the {told.probe} probe waits {check.timeout_seconds:g} s, and {slow[-1].path} takes {took:.1f} s"
        facts: dict[str, Value] = {"probe": told.probe, "reason": "timeout", "took_seconds": round(took, 2)}
        shown = tuple(
            Evidence("http", f"GET {p.path} answered {p.status} after {p.took_seconds:.1f} s", p.at, replica.id)
            for p in slow[-3:]
        )
        return Wrong(why, facts, ((told.hit, told.place),), shown)
    return None


def _loop_turns(view: View, replica: Replica) -> bool:
    """Whether loop and CPU had time while the health endpoint was slow."""
    loop = [p for p in replica.loop_probes if p.at >= view.start]
    quick = bool(loop) and all(p.error is None and p.took_seconds < QUICK_SECONDS for p in loop)
    return quick and not _loop.busy(replica)


def _path(view: View, told: Told) -> str | None:
    check = spec(view, told.place, told.probe)
    return check.path if check is not None else None
