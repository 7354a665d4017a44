"""Opens what a session runs. Loaded on the session's thread: engines' libraries are not waited for by a first paint."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from console import rules
from console.config import Wanted
from console.repairs import Repairs
from fixes import catalogue
from fixes.model import Report
from fixes.track import Tracker
from probes.base import Failure, TargetId
from probes.history import History
from probes.otlp.receiver import Place
from probes.target import Options, Target, Unreadable
from probes.targets import UnknownTarget, default_names, open_target


class Opened(NamedTuple):
    """Targets that were opened and not contacted yet, the fold over them, and the fixes."""

    targets: dict[TargetId, Target]
    read_only: frozenset[TargetId]
    production: frozenset[TargetId]
    tracker: Tracker
    repairs: Repairs


def open_all(
    wanted: Wanted, history: History, report: Callable[[], Report], receives: Callable[[], Place | Failure | None]
) -> Opened:
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
        execute=wanted.execute and not wanted.read_only,
    )
    opened = [make(options) for make in wanted.makers]
    opened += [_open(name, options, wanted) for name in wanted.names]
    failures = list(judged.failures)
    for name in () if wanted.names or wanted.makers else default_names():
        try:
            opened.append(_open(name, options, wanted))
        except (UnknownTarget, Unreadable) as error:  # nobody asked for this one: the others are opened all the same
            failures.append(Failure("not-opened", f"the target {name}", str(error), "name the targets to open"))
    targets = {target.id: target for target in opened}
    tracker = Tracker(judged.signatures.values(), options.lookback, judged.policy, tuple(failures))
    production = frozenset(t for t in targets if wanted.config.of(t).production)
    return Opened(
        targets=targets,
        read_only=frozenset(t for t in targets if wanted.read_only or _closed(t, wanted)),
        production=production,
        tracker=tracker,
        repairs=Repairs(targets, tracker, history, report, production, receives),
    )


def _open(name: str, options: Options, wanted: Wanted) -> Target:
    """Opens one target with what the configuration says of its id, which is known once it is open."""
    first = msgspec.structs.replace(options, namespace=wanted.namespace)
    target = open_target(name, first)
    entry = wanted.config.of(target.id)
    read_only = options.read_only or _closed(target.id, wanted)
    own = msgspec.structs.replace(
        first,
        read_only=read_only,
        execute=options.execute and not read_only,
        namespace=wanted.namespace or entry.namespace,
        prometheus=entry.prometheus,
    )
    return target if own == first else open_target(name, own)


def _closed(target: TargetId, wanted: Wanted) -> bool:
    return wanted.config.is_read_only(target, lifted=wanted.lifted)
