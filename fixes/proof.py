"""How it shows that a failure is over: what each signature declares of itself, and :mod:`.verify` goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from probes.base import Frozen, Value
from probes.model import Deployment

Basis = Literal["settings", "start", "load"]
WINDOW_SECONDS = 30.0


class Proof(Frozen, frozen=True):
    """The evidence after a change that ends a finding."""

    basis: Basis = "load"
    """What decides: a measurement of the setting, a start of the service, or quiet under comparable load."""
    window_seconds: float = WINDOW_SECONDS
    """How long to look; the least, where the failure takes time to show."""
    earliest_seconds: float | None = None
    """So long after the change silence counts before the window's end: the signature asks for enough by itself."""
    shown: Callable[[Deployment], bool] | None = None
    """What must be seen for silence to count, of a setting or under load: a signature is silent, too, where it knows
    nothing."""
    since: Callable[[Deployment, Mapping[str, Value], datetime], str | None] | None = None
    """The same, where it depends on the finding's facts and on what was asked after the change (its time, UTC): why
    silence does not count; ``None`` where it does."""
    happens: bool = False
    """It happens at moments though its evidence may be counters alone; what logs or events tell always does."""


BY_LOAD = Proof()
BY_SETTINGS = Proof(basis="settings")
BY_START = Proof(basis="start")
