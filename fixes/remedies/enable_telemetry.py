"""Lets FastAPI tell fastops how long its requests take.

What it does: sets the variables that make FastAPI 0.143 and newer count its requests and send the counters to fastops
every ten seconds (OTLP over HTTP), without a change of code:

    FASTAPI_OTEL_AUTO_CONFIGURE=true
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://ADDRESS:PORT/v1/metrics   where fastops listens (``--telemetry``)
    OTEL_METRIC_EXPORT_INTERVAL=10000                                    milliseconds
    OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=2                                 seconds
    OTEL_RESOURCE_ATTRIBUTES=fastops.deployment=…                        where the container has none

On Kubernetes fastops is not reached: there the metrics go to a collector that the cluster runs (a Service with the port
4318, or one that is named ``otlp-http``, with a pod that is ready), every minute, under ``OTEL_SERVICE_NAME`` where the
pods say no name. fastops itself reads them only where a Prometheus server has them, with the labels ``namespace`` and
``pod``, and says that nothing is proved where none has.

Only metrics are sent: traces and logs, which hold paths, queries and exceptions, would go along with
``OTEL_EXPORTER_OTLP_ENDPOINT``. The time-out is short because a server that stops waits for its last export: with the
exporter's own ten seconds a container that does not reach fastops is killed at the end of Docker's grace period.

When it is right: nothing tells how the requests of its users fare: no ``/metrics``, no access log with durations. It
answers no finding; a person asks for it: ``fastops fix NAME enable-telemetry --telemetry ADDRESS:PORT``, or the palette
of the console.

Risk: the container is made anew; pods are replaced, one after the other. As long as fastops does not listen there, the
service writes a few lines into its log at each export that fails.

Guard: only where fastops listens at an address that the container reaches, ``fastapi[standard]`` of 0.143 or newer is
installed, and the service sends no telemetry elsewhere. On Kubernetes only where such a collector is ready. A local
process gets its variables from who starts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

from fixes.model import SILENT, Finding, Parameter, Remedy, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import Proof
from fixes.remedies import _collector, _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.otlp.instance import SOURCE
from probes.otlp.instances import OWNER
from probes.target import Refused
from probes.text import clean

SINCE = (0, 143)
"""FastAPI reads ``FASTAPI_OTEL_AUTO_CONFIGURE`` from this version on; 0.142.4 does not."""
NEEDED = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
"""What ``fastapi[standard]`` brings for it."""
INTERVAL_SECONDS = 10.0
TIMEOUT_SECONDS = 2
_PLACES = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    endpoint = str(finding.facts.get("endpoint", ""))
    if deployment.orchestrated is not None:
        return _why_not_collected(deployment, finding)
    lacking = _lacking(deployment)
    if lacking is not None:
        return lacking
    if not endpoint:
        deaf = str(finding.facts.get("deaf", ""))
        if deaf:
            return f"fastops cannot hear what it would send: {deaf}."
        where = str(finding.facts.get("near", "")) or "127.0.0.1"
        return f"fastops does not listen for telemetry: start it with --telemetry {where}:4318."
    if deployment.kind == "process":
        pairs = " ".join(f"{name}={value}" for name, value in _variables(deployment, endpoint, INTERVAL_SECONDS))
        return f"A process keeps the environment that it was started with; start it with {pairs}"
    if "variables" not in deployment.capabilities:
        return f"Nothing can change the environment of a {deployment.kind} from here."
    cannot = deployment.capabilities["variables"]
    return cannot or _elsewhere(deployment, endpoint) or _unreached(deployment, finding, endpoint)


def _why_not_collected(deployment: Deployment, finding: Finding) -> str | None:
    """On Kubernetes."""
    none = _collector.why_not(finding) or _lacking(deployment)
    if none is not None:
        return none
    if "variables" not in deployment.capabilities:
        return f"Nothing can change the environment of a {deployment.kind} from here."
    cannot = deployment.capabilities["variables"]
    elsewhere = _collector.elsewhere(deployment, _PLACES)
    return cannot or elsewhere or _elsewhere(deployment, *_collector.known(finding))


def _lacking(deployment: Deployment) -> str | None:
    """What its image would have to have."""
    version = _facts.version(deployment.packages, "fastapi")
    if version is None:
        return "Which FastAPI it runs is not known; 0.143 and newer send telemetry by themselves."
    if version < SINCE:
        said = clean(deployment.packages["fastapi"], 30)
        return f"FastAPI {said} sends no telemetry by itself: 0.143 and newer do, with fastapi[standard]."
    missing = [name for name in NEEDED if name not in deployment.packages]
    return f"{' and '.join(missing)} is not installed: fastapi[standard] brings it." if missing else None


def _elsewhere(deployment: Deployment, *endpoints: str) -> str | None:
    """Why its environment does not allow it."""
    ours = {place for one in endpoints for place in (one, one.removesuffix("/v1/metrics"))}
    for name, value in _environment(deployment):
        told = clean(value, 200)
        if name in _PLACES and value and value.rstrip("/") not in ours:
            return f"It sends its telemetry elsewhere already ({name}={told})."
        if name in _PROTOCOLS and value not in {"", "http/protobuf"}:
            return f"FastAPI sends http/protobuf alone, and {name} says {told}."
        if name == "OTEL_SDK_DISABLED" and value.lower() == "true":
            return "OTEL_SDK_DISABLED is set in its environment."
        if name == "OTEL_METRICS_EXPORTER" and value not in {"", "otlp"}:
            return f"Its metrics go elsewhere: OTEL_METRICS_EXPORTER says {told}."
    return None


def _unreached(deployment: Deployment, finding: Finding, endpoint: str) -> str | None:
    """Why the address means nothing inside the container."""
    if finding.facts.get("here") is not True:
        return "Its engine is on another machine, from which fastops is not reached."
    modes = {replica.network_mode or "" for replica in deployment.running}
    if "none" in modes:
        return "It has no network."
    if modes != {"host"} and urlsplit(endpoint).hostname in _LOOPBACK:
        near = str(finding.facts.get("near", ""))
        hint = f": start fastops with --telemetry {near}:4318" if near else ""
        return f"Inside its container {urlsplit(endpoint).hostname} is the container itself{hint}."
    return None


def _environment(deployment: Deployment) -> Iterator[tuple[str, str]]:
    for replica in deployment.running:
        yield from replica.environment.items()


def _variables(deployment: Deployment, endpoint: str, every_seconds: float) -> Iterator[tuple[str, str]]:
    yield "FASTAPI_OTEL_AUTO_CONFIGURE", "true"
    yield "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint
    yield "OTEL_METRIC_EXPORT_INTERVAL", str(round(every_seconds * 1000))
    yield "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", str(TIMEOUT_SECONDS)
    named = f"{OWNER}={quote(deployment.id, safe='/@:._-')}"
    others = {value for name, value in _environment(deployment) if name == _RESOURCE}
    if not others or others == {named}:
        yield _RESOURCE, named


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    if deployment.orchestrated is not None:
        return _collector.parameters(finding)
    return (
        Parameter("endpoint", "Sent to", str(finding.facts.get("endpoint", ""))),
        Parameter("interval", "Sent every", INTERVAL_SECONDS, "seconds", 1, 300),
    )


def _intend(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> Intent:
    if deployment.orchestrated is not None:
        return Desired(environment=dict(_collector.variables(deployment, finding, values, TIMEOUT_SECONDS)))
    endpoint = str(values["endpoint"])
    where = urlsplit(endpoint)
    # The exporter appends no path to an endpoint of metrics alone: without one it would post to /.
    told = where.hostname and where.path.strip("/") and where.username is None
    if where.scheme not in {"http", "https"} or not told:
        example = "http://172.17.0.1:4318/v1/metrics"
        raise Refused(f"{clean(endpoint, 200)} is no URL that metrics can be sent to, such as {example}.")
    return Desired(environment=dict(_variables(deployment, endpoint, float(values["interval"]))))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    where = urlsplit(str(values["endpoint"]))
    quiet = (
        f"As long as fastops does not listen at {where.hostname}:{where.port}, the service writes lines into its log "
    )
    said = [quiet + "at each export that fails; `fastops undo` ends that."]
    if deployment.orchestrated is not None:
        said = list(_collector.cautions())
    proxies = sorted({name for name, value in _environment(deployment) if name.lower() == "http_proxy" and value})
    if proxies:
        said.append(f"{proxies[0]} is set in its environment: name {where.hostname} in NO_PROXY, too.")
    return tuple(said)


def _arrives(view: View) -> Verdict:
    told = view.deployment.latency
    collected = view.deployment.orchestrated is not None
    if told is not None and told.source.startswith(_collector.SOURCE if collected else SOURCE):
        return SILENT
    return Undecided("a Prometheus server that has its figures" if collected else "a request and the export after it")


REMEDY = Remedy(
    id=RemedyId("enable-telemetry"),
    title="Let FastAPI send telemetry",
    capability=None,  # the reasons above come first: they say what to do where nothing can be changed from here
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    asked=Signature(
        id=SignatureId("enable-telemetry"),
        title="Nothing tells how its requests fare",
        severity="info",
        detect=_arrives,
        remedies=(RemedyId("enable-telemetry"),),
        source="FastAPI 0.143, fastapi/telemetry",
        proof=Proof(basis="settings", window_seconds=60.0),
    ),
)
