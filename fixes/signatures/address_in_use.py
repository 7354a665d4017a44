"""The server cannot listen: another process has the port.

What it means. A port of an address belongs to one listening socket. A server that finds it taken ends (uvicorn,
hypercorn, granian) or tries again for some seconds and then ends (gunicorn). Often the process before it still runs:
a worker whose master was killed, a second start by a supervisor, two services with one port on the host's network.

What proves it. ``[Errno 98]`` (EADDRINUSE) while binding, gunicorn's ``Connection in use``, Rust's ``os error 98``,
nginx's ``bind() to … failed (98``, or the engine's ``port is already allocated``. Who holds the port is named where it
is known: another service of the same machine or engine, or an older process in the same container.

What it is not. A retry that succeeded: the server says afterwards that it listens on that port. gunicorn's control
socket, which it does not need. A connection that *uses* an address (``[Errno 99]``).

What to do. End the process that holds the port (``ss -ltnp`` names it), or give this service another port.
"""

from __future__ import annotations

import re

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _logged, _shared, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit
from probes.model import Listener

_ADDRESS = r"\('?(?P<host>[0-9A-Za-z.:_\-]*)'?, (?P<port>\d+)"
BIND = _wording.raised("address/bind", rf"[Ee]rrno (?:98|48)\] error while attempting to bind on address {_ADDRESS}")
GUNICORN = _wording.complaint("address/gunicorn", rf"Connection in use: {_ADDRESS}")
GAVE_UP = _wording.complaint("address/gave-up", rf"Can't connect to {_ADDRESS}")
NGINX = _wording.unquoted("address/nginx", r"bind\(\) to (?P<host>[0-9.\[\]:a-f]*):(?P<port>\d+) failed \((?:98|48): ")
PLAIN = _wording.raised("address/plain", r"Address already in use \(os error (?:98|48)\)|\[Errno (?:98|48)\] Address")
ENGINE = _wording.unquoted(
    "address/engine",
    r"(?:Bind for (?P<host>[0-9.:\[\]]*):(?P<port>\d+) failed: port is already allocated"
    r"|listen tcp[46]? (?P<ip>[0-9.:\[\]]*):(?P<number>\d+): bind: address already in use)",
)
_ENGINE_WORDS = re.compile(r"(?::(?P<port>\d+) failed: port is already allocated|:(?P<number>\d+): bind: address)")
_OTHER_REASON = _wording.unquoted("address/other-reason", r"Invalid address: \(|failed: \[Errno 13\]")
_NEEDLESS = "Control server"


def detect(view: View) -> Verdict:
    """Fires on refusals to listen that no success on the same port followed."""
    found = [
        (hit, place)
        for hit, place in _shared.places(view, BIND, GUNICORN, GAVE_UP, NGINX, PLAIN, ENGINE)
        if _NEEDLESS not in hit.sample and not _explained(view, hit, place) and not _recovered(view, hit, place)
    ]
    told = _told(view)
    if not found and not told:
        return _shared.unseen(view)
    ports = [port for hit, _ in found if (port := _port(hit))] + [port for port, _ in told if port]
    port = ports[-1] if ports else None
    holder = _holder(view, int(port[:5])) if port else None
    by = holder or "another process"
    return _logged.fires(
        view,
        found,
        "error",
        f"port {port} is taken by {by}" if port else "the address is taken by another process",
        count=_logged.per_burst(found, 30) + len(told),
        facts={"port": int(port[:5]), **({"holder": holder} if holder else {})} if port else {},
        more=[evidence for _, evidence in told],
    )


def _holder(view: View, port: int) -> str | None:
    """Who has the port: what an engine published there, or who listens there on the same network."""
    mine = view.deployment
    for other in view.neighbours.values():
        if other.id == mine.id:
            continue
        for replica in other.running:
            if any(p.host_port == port for p in replica.ports):
                return f"the container {replica.name}, which publishes it"
            shared = mine.kind == other.kind == "process" or replica.network_mode == "host"
            if shared and any(x.port == port for x in replica.listeners or ()):
                pids = [w.pid for w in sorted(replica.workers, key=lambda w: w.role != "master")]
                return f"{other.name}" + (f" (process {pids[0]})" if pids else "")
    for replica in mine.running:
        if replica.workers and not replica.others and any(x.port == port for x in replica.listeners or ()):
            oldest = min(replica.workers, key=lambda w: -(w.age_seconds or 0))
            return f"process {oldest.inner_pid or oldest.pid}, which runs from an earlier start"
    return None


def _told(view: View) -> list[tuple[str | None, Evidence]]:
    """What the engine says of containers that it could not start."""
    told = []
    for replica in view.deployment.replicas:
        words = _ENGINE_WORDS.search(replica.error or "")
        if words and replica.state != "running":
            evidence = Evidence("inspect", replica.error or "", at=replica.finished_at, replica=replica.id)
            told.append((words["port"] or words["number"], evidence))
    return told


def _port(hit: LogHit) -> str | None:
    return hit.fields.get("port") or hit.fields.get("number")


def _explained(view: View, hit: LogHit, place: At) -> bool:
    """The last words of gunicorn are the same when the address does not exist or may not be used."""
    if hit.key != GAVE_UP.key:
        return False
    other = _shared.latest_line(view, place.replica, place.line, _OTHER_REASON)
    return other is not None and place.line - other.line <= 20


def _recovered(view: View, hit: LogHit, place: At) -> bool:
    """Whether the server said later that it listens there, or does so since a later start."""
    port = _port(hit)
    for other, mark in _shared.places(view, _wording.LISTENING):
        if mark.replica == place.replica and mark.line > place.line and port in (None, other.fields.get("port")):
            return True
    replica = _shared.replica_of(view, place.replica)
    if replica is None or replica.state != "running" or replica.started_at is None or place.at is None:
        return False
    ports = [str(x.port) for x in replica.listeners or ()]
    return replica.started_at > place.at and (bool(ports) if port is None else port in ports)


_UVICORN = "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use\n"
_RETRY = (
    "[2026-11-22 09:23:06 +0000] [3348] [ERROR] Connection in use: ('127.0.0.1', 8000)\n"
    "[2026-11-22 09:23:06 +0000] [3348] [ERROR] Retrying in 1 second.\n"
)

SIGNATURE = Signature(
    id=SignatureId("address-in-use"),
    title="The port is taken by another process",
    severity="error",
    detect=detect,
    remedies=(RemedyId("restart"), RemedyId("align-ports"), RemedyId("advise")),
    proof=BY_START,
    source="errno(3) EADDRINUSE; gunicorn/sock.py create_sockets (20.0 to 27.0); asyncio/base_events.py create_server",
    patterns=(BIND, GUNICORN, GAVE_UP, NGINX, PLAIN, ENGINE, _OTHER_REASON, _wording.LISTENING),
    explains=(SignatureId("crash-loop"),),
    fires=(
        Example("uvicorn", "INFO:     Application startup complete.\n" + _UVICORN),
        Example("gunicorn", _RETRY + "[2026-11-22 09:23:11 +0000] [3] [ERROR] Can't connect to ('127.0.0.1', 8000)\n"),
        Example(
            "gunicorn 27",
            "[2026-11-22 09:23:13 +0000] [3351] [ERROR] Connection in use: ('127.0.0.1', 8000)\n"
            "[2026-11-22 09:23:13 +0000] [3351] [ERROR] connection to ('127.0.0.1', 8000) failed: [Errno 98] Address "
            "already in use\n",
        ),
        Example("in JSON", '{"level": "ERROR", "message": "Can\'t connect to (\'0.0.0.0\', 8000)"}\n'),
        Example("granian", "RuntimeError: Address already in use (os error 98)\n"),
        Example("nginx", "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n"),
        Example(
            "another service listens on another port",
            _UVICORN + "INFO:     Uvicorn running on http://0.0.0.0:9000 (Press CTRL+C to quit)\n",
        ),
        Example(
            "the engine could not publish the port",
            deployment=_cases.container(
                state="created",
                error="driver failed programming external connectivity on endpoint api: Bind for 0.0.0.0:8080 failed: "
                "port is already allocated",
            ),
        ),
    ),
    silent=(
        Example(
            "a retry that succeeded",
            _RETRY + "[2026-11-22 09:23:07 +0000] [3348] [INFO] Listening at: http://127.0.0.1:8000 (3348)\n",
        ),
        Example(
            "the next start succeeded",
            "2026-11-22T09:23:13.000Z " + _UVICORN,
            deployment=_cases.container(
                started_at=_cases.ago(5),
                listeners=(Listener("0.0.0.0", 8000),),  # noqa: S104 - what servers in containers listen on
            ),
        ),
        Example(
            "gunicorn's control socket",
            "[2026-11-22 09:23:13 +0000] [7] [ERROR] Control server error: [Errno 98] Address already in use\n",
        ),
        Example(
            "an address that does not exist",
            "[2026-11-22 09:23:13 +0000] [7] [ERROR] Invalid address: ('10.9.8.7', 8000)\n"
            "[2026-11-22 09:23:14 +0000] [7] [ERROR] Can't connect to ('10.9.8.7', 8000)\n",
        ),
        Example("another error of a database's client", "Can't connect to MySQL server on 'db' ([Errno 111])\n"),
        Example("words in a URL", 'INFO:     10.0.0.1:5 - "GET /?q=address+already+in+use HTTP/1.1" 200 OK\n'),
    ),
)
