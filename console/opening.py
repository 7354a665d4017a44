"""Opens what a session runs. Loaded on the session's thread: engines' libraries are not waited for by a first paint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from console import rules
from console.config import Config, Wanted
from console.repairs import Repairs
from fixes import catalogue
from fixes.model import Report
from fixes.track import Tracker
from probes.base import TargetId
from probes.history import History
from probes.target import Options, Target
from probes.targets import default_names, open_target


class Opened(NamedTuple):
    """Targets that were opened and not contacted yet, the fold over them, and the fixes."""

    targets: dict[TargetId, Target]
    read_only: frozenset[TargetId]
    tracker: Tracker
    repairs: Repairs


def open_all(wanted: Wanted, history: History, report: Callable[[], Report]) -> Opened:
    """Opens the named targets, or all that is here.

    Raises :class:`probes.targets.UnknownTarget` and :class:`console.config.BadConfig`.
    """
    judged = rules.load(wanted.config)
    options = Options(
        patterns=catalogue.patterns(judged.signatures.values()),
        read_only=wanted.read_only,
        interval_seconds=wanted.config.interval_seconds,
        lookback=wanted.config.lookback_time,
        unknown=wanted.unknown,
    )
    names: Sequence[str] = wanted.names or (() if wanted.makers else default_names())
    opened = [make(options) for make in wanted.makers]
    opened += [_open(name, options, wanted.config) for name in names]
    targets = {target.id: target for target in opened}
    tracker = Tracker(judged.signatures.values(), options.lookback, judged.policy, judged.failures)
    return Opened(
        targets=targets,
        read_only=frozenset(t for t in targets if wanted.read_only or wanted.config.is_read_only(t)),
        tracker=tracker,
        repairs=Repairs(targets, tracker, history, report),
    )


def _open(name: str, options: Options, config: Config) -> Target:
    """Opens one target, read-only where the configuration says so of its id."""
    target = open_target(name, options)
    if config.is_read_only(target.id) and not options.read_only:
        target = open_target(name, msgspec.structs.replace(options, read_only=True))
    return target
