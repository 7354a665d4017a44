"""`enable-telemetry` is offered where FastAPI can send and fastops is reached, and says in one sentence where not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fixes import asked, catalogue
from fixes.model import SILENT, Finding, RemedyId, SignatureId, Undecided, View
from fixes.plan import refusal
from probes.base import DeploymentId, ReplicaId, TargetId, Value
from probes.intent import Desired
from probes.model import Deployment, Latency, Replica
from probes.orchestrator import Orchestrated
from probes.target import Refused

REMEDY = catalogue.remedies()[RemedyId("enable-telemetry")]
ENDPOINT = "http://172.17.0.1:4318/v1/metrics"
FACTS: dict[str, Value] = {"here": True, "near": "172.17.0.1", "endpoint": ENDPOINT}
PACKAGES = {"fastapi": "0.143.0", "opentelemetry-sdk": "1.45.2", "opentelemetry-exporter-otlp-proto-http": "1.45.2"}
NOW = datetime(2026, 11, 22, tzinfo=UTC)

NAMES = ("http_server_request_duration_seconds", "http_request_duration_seconds")
COLLECTOR = "http://otel-collector.obs.svc:4318/v1/metrics"


def shop(**environment: str) -> Deployment:
    key = ReplicaId("a")
    replica = Replica(
        id=key, name="shop", state="running", environment=environment, network_mode="bridge",
        addresses={"bridge": "172.17.0.2"},
    )  # fmt: skip
    return Deployment(
        id=DeploymentId("docker/shop"),
        target=TargetId("docker"),
        name="shop",
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=(replica,),
        packages=PACKAGES,
        capabilities={"variables": None},
    )


def pods(_from: dict[str, str] | None = None, **environment: str) -> Deployment:
    """The same as pods of a cluster."""
    one = shop(**environment)
    replicas = tuple(replace(r, environment_from=_from or {}) for r in one.replicas)
    return replace(one, orchestrated=Orchestrated(), kind="Deployment", replicas=replicas)


def wish(deployment: Deployment, facts: dict[str, Value]) -> Finding:
    signature = asked.signature(SignatureId("enable-telemetry"))
    assert signature is not None
    return asked.wish(deployment, signature, facts)


def said(deployment: Deployment, **facts: Value) -> str | None:
    return refusal(REMEDY, deployment, wish(deployment, {**FACTS, **facts}))


def variables(deployment: Deployment, **values: Value) -> dict[str, str]:
    assert REMEDY.intend is not None
    finding = wish(deployment, FACTS)
    defaults = {p.name: p.default for p in REMEDY.parameters(deployment, finding, None)}
    want = REMEDY.intend(deployment, finding, {**defaults, **values})
    assert isinstance(want, Desired)
    return dict(want.environment)


def test_it_sends_metrics_alone_every_ten_seconds_and_holds_up_no_stop() -> None:
    one = shop()
    assert said(one) is None
    assert variables(one) == {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": ENDPOINT,
        "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "2",
        "OTEL_RESOURCE_ATTRIBUTES": "fastops.deployment=docker/shop",
    }
    assert variables(one, interval=1.0)["OTEL_METRIC_EXPORT_INTERVAL"] == "1000"


def test_attributes_that_the_service_has_stay_and_drafting_again_is_the_same() -> None:
    assert "OTEL_RESOURCE_ATTRIBUTES" not in variables(shop(OTEL_RESOURCE_ATTRIBUTES="team=shop"))
    assert variables(shop(**variables(shop()))) == variables(shop())


@pytest.mark.parametrize(
    ("deployment", "facts", "words"),
    [
        (replace(shop(), packages={**PACKAGES, "fastapi": "0.142.4"}), {}, "FastAPI 0.142.4 sends no telemetry"),
        (replace(shop(), packages={}), {}, "is not known"),
        (replace(shop(), packages={"fastapi": "0.165.0"}), {}, "opentelemetry-sdk and opentelemetry-exporter"),
        (shop(), {"endpoint": ""}, "start it with --telemetry 172.17.0.1:4318"),
        (shop(), {"endpoint": "", "deaf": "172.17.0.1:4318: it is taken"}, "172.17.0.1:4318: it is taken."),
        (shop(), {"endpoint": "http://127.0.0.1:4318/v1/metrics"}, "127.0.0.1 is the container itself"),
        (shop(), {"here": False}, "on another machine"),
        (shop(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318"), {}, "elsewhere already"),
        (shop(OTEL_EXPORTER_OTLP_PROTOCOL="grpc"), {}, "http/protobuf alone"),
        (shop(OTEL_METRICS_EXPORTER="prometheus"), {}, "OTEL_METRICS_EXPORTER says prometheus"),
        (shop(OTEL_SDK_DISABLED="true"), {}, "OTEL_SDK_DISABLED"),
        (replace(shop(), orchestrated=Orchestrated()), {}, "and there is none that is ready: none was found."),
        (pods(), {"uncollected": "the Service a/b: no pod is ready"}, "there is none that is ready: the Service a/b"),
        (replace(pods(), packages={}), {"collectors": COLLECTOR}, "is not known"),
        (pods(OTEL_EXPORTER_OTLP_ENDPOINT="http://x:4318"), {"collectors": COLLECTOR}, "elsewhere already"),
        (pods(_from={"OTEL_EXPORTER_OTLP_ENDPOINT": "configmap a/b"}), {"collectors": COLLECTOR}, "from configmap a/b"),
        (replace(pods(), capabilities={"variables": "Helm's."}), {"collectors": COLLECTOR}, "Helm's."),
        (replace(shop(), capabilities={"variables": "It is a swarm task."}), {}, "It is a swarm task."),
        (replace(shop(), capabilities={}), {}, "Nothing can change the environment"),
        (replace(shop(), kind="process"), {}, f"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={ENDPOINT}"),
    ],
)
def test_it_is_refused_with_a_reason(deployment: Deployment, facts: dict[str, Value], words: str) -> None:
    told = said(deployment, **facts)
    assert told is not None
    assert words in told


def test_in_a_cluster_it_sends_to_a_collector_that_is_ready_and_promises_no_more() -> None:
    finding = wish(pods(), {"collectors": f"{COLLECTOR} http://other.obs.svc:4318/v1/metrics"})
    assert refusal(REMEDY, pods(), finding) is None
    defaults = {p.name: p.default for p in REMEDY.parameters(pods(), finding, None)}
    assert REMEDY.intend is not None
    made = REMEDY.intend(pods(), finding, defaults)
    assert isinstance(made, Desired)
    assert made.environment == {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": COLLECTOR,
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "2",
        "OTEL_SERVICE_NAME": "shop",
    }
    assert refusal(REMEDY, pods(**made.environment), finding) is None
    named = pods(_from={"OTEL_RESOURCE_ATTRIBUTES": "configmap a/b"})
    often = REMEDY.intend(named, finding, {**defaults, "interval": 10.0})
    assert isinstance(often, Desired)
    assert often.environment["OTEL_METRIC_EXPORT_INTERVAL"] == "10000"
    assert "OTEL_SERVICE_NAME" not in often.environment
    (gain,) = REMEDY.cautions(pods(), finding, defaults)
    assert "only where a Prometheus server has them" in gain
    with pytest.raises(Refused, match="no collector that is ready"):
        REMEDY.intend(pods(), finding, {**defaults, "endpoint": "http://elsewhere:4318/v1/metrics"})


def test_on_the_hosts_network_loopback_is_reached() -> None:
    one = shop()
    host = replace(one, replicas=tuple(replace(r, network_mode="host", addresses={}) for r in one.replicas))
    assert said(host, endpoint="http://127.0.0.1:4318/v1/metrics") is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "collector:4318",
        "ftp://a/v1/metrics",
        "http:///v1/metrics",
        "http://user:pw@collector:4318/v1/metrics",
        "http://172.17.0.1:4318",
        "http://172.17.0.1:4318/",
    ],
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(Refused, match=r"no URL .* such as http://172.17.0.1:4318/v1/metrics"):
        variables(shop(), endpoint=endpoint)


def test_what_it_costs_is_said_before_the_yes() -> None:
    one = shop(HTTP_PROXY="http://proxy:3128")
    quiet, proxy = REMEDY.cautions(one, wish(one, FACTS), {"endpoint": ENDPOINT, "interval": 10.0})
    assert "does not listen at 172.17.0.1:4318" in quiet
    assert "NO_PROXY" in proxy


def test_it_is_proved_by_what_arrives() -> None:
    signature = asked.signature(SignatureId("enable-telemetry"))
    assert signature is not None

    def judged(one: Deployment) -> object:
        return signature.detect(View(one, NOW, timedelta(minutes=15), lambda _: {}))

    assert isinstance(judged(shop()), Undecided)
    assert judged(replace(shop(), latency=Latency(NOW, source="telemetry (OTLP) over 1m"))) == SILENT
    assert isinstance(judged(pods()), Undecided)
    told = {name: replace(pods(), latency=Latency(NOW, source=f"Prometheus, {name} over 5m")) for name in NAMES}
    assert judged(told["http_server_request_duration_seconds"]) == SILENT
    assert isinstance(judged(told["http_request_duration_seconds"]), Undecided), "that was there before"


def test_it_answers_no_finding_and_is_in_no_catalogue_of_failures() -> None:
    assert [one.id for one in asked.named()] == ["enable-telemetry"]
    assert "enable-telemetry" not in catalogue.signatures()
    assert not any("enable-telemetry" in one.remedies for one in catalogue.signatures().values())
    assert asked.signature(SignatureId("restart")) is None
