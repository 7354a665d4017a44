"""``--telemetry``: listens where that is said. What it needs is imported there alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from probes.base import TargetId
from probes.target import Target

if TYPE_CHECKING:
    from console.judging import Judging


async def receive(where: str, targets: Mapping[TargetId, Target], judging: Judging) -> None:
    """Takes what services send to ``ADDRESS:PORT`` until cancelled; does nothing where that is empty."""
    if where:
        from console.telemetry import TelemetryWatch
        from probes.otlp.receiver import place

        await TelemetryWatch(place(where), targets, judging).run()
