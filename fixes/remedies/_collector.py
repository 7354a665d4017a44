"""Telemetry of pods: fastops is not reached from a cluster, so it goes to a collector that runs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fixes.model import Finding, Parameter
from probes.base import Value
from probes.model import Deployment
from probes.target import Refused
from probes.text import clean

SOURCE = "Prometheus, http_server_"
"""What the figures' source begins with where a Prometheus server has OpenTelemetry's own: others prove nothing."""
EVERY_SECONDS = 60.0
"""As OpenTelemetry has it, where nothing else is said."""
_NAMES = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")


def known(finding: Finding) -> tuple[str, ...]:
    """Where metrics may be sent: the collectors that are ready, the likeliest first."""
    return tuple(str(finding.facts.get("collectors", "")).split())


def why_not(finding: Finding) -> str | None:
    """Why there is none."""
    if known(finding):
        return None
    lacking = str(finding.facts.get("uncollected", "")) or "none was found"
    return f"A pod does not reach fastops, only a collector in its cluster, and there is none that is ready: {lacking}."


def elsewhere(deployment: Deployment, places: tuple[str, ...]) -> str | None:
    """Whether a Secret or ConfigMap says already where its telemetry goes."""
    sources = {name: source for one in deployment.running for name, source in one.environment_from.items()}
    name = next((one for one in places if one in sources), None)
    return None if name is None else f"It sends its telemetry elsewhere already ({name} is taken from {sources[name]})."


def parameters(finding: Finding) -> tuple[Parameter, ...]:
    """Which collector, and how often."""
    return (
        Parameter("endpoint", "Sent to", next(iter(known(finding)), "")),
        Parameter("interval", "Sent every", EVERY_SECONDS, "seconds", 1, 300),
    )


def variables(
    deployment: Deployment, finding: Finding, values: Mapping[str, Value], timeout_seconds: int
) -> Iterator[tuple[str, str]]:
    """What is set; raises :class:`Refused` for what is no collector that is ready.

    A change that was planned is drafted again without what was known then: its endpoint was one of them.
    """
    endpoint, every = str(values["endpoint"]), float(values["interval"])
    if known(finding) and endpoint not in known(finding):
        there = ", ".join(known(finding))
        raise Refused(f"{clean(endpoint, 200)} is no collector that is ready in the cluster; there is {there}.")
    yield "FASTAPI_OTEL_AUTO_CONFIGURE", "true"
    yield "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint
    yield "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", str(timeout_seconds)
    if every != EVERY_SECONDS:
        yield "OTEL_METRIC_EXPORT_INTERVAL", str(round(every * 1000))
    held = {
        name: one.environment.get(name, "")
        for one in deployment.running
        for name in _NAMES
        if name in one.environment or name in one.environment_from
    }
    if not held or held == {_NAMES[0]: deployment.name}:
        yield _NAMES[0], deployment.name


def cautions() -> Iterator[str]:
    """What it brings, and what it does not."""
    yield (
        "Whether the collector takes metrics, and where it hands them on to, is its own configuration's: fastops sees "
        "neither, and reads the figures only where a Prometheus server has them, with the labels namespace and pod."
    )
