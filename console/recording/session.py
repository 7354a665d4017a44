"""A session that answers from a recording: what the console shows, at the recording's time. Nothing can be changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.changes import Working
from console.listeners import Listener, Listeners
from console.recording.form import Damaged
from console.recording.player import Player
from console.recording.read import Reader
from fixes.model import Entry, Report
from probes.base import DeploymentId, TargetId
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Interest
from probes.target import ReadOnly, Refused
from screens.mode import Replay

SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
TICK_SECONDS = 0.25
_CLOSE_SECONDS = 10.0


def _refused(*_: Any, **__: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(ReadOnly("This is a recording: nothing can be changed, and nothing can be asked."))
    return future


class ReplaySession:
    """What :class:`console.session.Session` is to a console, made of a file. Methods may be called from any thread."""

    read_only = True
    read_only_targets: frozenset[TargetId] = frozenset()
    production: frozenset[TargetId] = frozenset()
    under_way: Working | None = None
    databases_allowed = True
    """There is nothing to ask: what the databases said was recorded."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Opens the file; raises :class:`console.recording.form.Unusable` where it cannot be replayed."""
        self._reader = Reader(path)
        self._closing = threading.Event()
        self._player = Player(self._reader, self._closing.is_set)
        self._clock = clock
        self._lock, self._time = threading.Lock(), threading.Lock()
        """Of the player, which may take seconds to read, and of the clock, for which no key waits."""
        self._when = self._reader.first.at
        self._asked_at = clock()
        self._playing, self._speed = True, 1.0
        self._listeners = Listeners()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fastops-replay", daemon=True)
        self.ended: Future[None] = Future()
        self.ended.set_running_or_notify_cancel()

    # What a console asks of any session.

    @property
    def report(self) -> Report:
        """The report as it was."""
        return self._player.report

    def start(self) -> Future[None]:
        """Begins to play."""
        self._asked_at = self._clock()
        self._thread.start()
        begun: Future[None] = Future()
        begun.set_result(None)
        return begun

    def close(self) -> None:
        """Ends it."""
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)
        if self._lock.acquire(timeout=_CLOSE_SECONDS):
            self._reader.close()
            self._lock.release()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener while it plays, and when it stands elsewhere, until the returned function is called."""
        return self._listeners.subscribe(listener)

    def focus(self, interest: Interest) -> None:
        """Nothing is read but the file."""

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The recorded log up to now."""
        with self._lock:
            return self._player.lines(deployment, after)

    def series(self, deployment: DeploymentId, metric: Metric, since: float = 0.0) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label, up to now."""
        with self._lock:
            return self._player.series(deployment, metric, since)

    plan = apply = profile = undo = undo_preview = resume = staticmethod(_refused)
    """Refused, whoever asks."""

    def allow_databases(self) -> None:
        """None is asked."""

    def history(self) -> tuple[Entry, ...]:
        """The journal of this machine is not the recording's."""
        return ()

    def pending(self) -> tuple[Entry, ...]:
        """Likewise."""
        return ()

    # What is asked of a replay alone.

    @property
    def now(self) -> datetime:
        """The recording's time."""
        return datetime.fromtimestamp(self._when, UTC)

    @property
    def replay(self) -> Replay:
        """Where it stands and how it is played, for a screen."""
        first, last = self._reader.first.at, self._reader.last.at
        return Replay(
            at=self.now.replace(microsecond=0),
            passed_seconds=max(0, int(self._when - first)),
            whole_seconds=int(last - first),
            speed=self._speed,
            playing=self._playing,
        )

    def pause(self) -> None:
        """Stands still, or plays on; at the end from the beginning."""
        with self._time:
            self._advance()
            self._playing = not self._playing
            if self._playing and self._when >= self._reader.last.at:
                self._when = self._reader.first.at
        self._woken.set()

    def seek(self, seconds: float) -> None:
        """So far on, or back where negative."""
        with self._time:
            self._advance()
            self._stand(self._when + seconds)
        self._woken.set()

    def seek_event(self, step: int) -> bool:
        """To the next moment (the one before) at which a finding opened or closed; false where there is none.

        Raises :class:`probes.target.Refused` where that cannot be told.
        """
        try:
            with self._lock:
                found = self._player.event(self._when, step)
        except Damaged as error:
            raise Refused(f"The recording cannot be searched here: {error}.") from None
        if found is not None:
            with self._time:
                self._advance()
                self._stand(found)
            self._woken.set()
        return found is not None

    def faster(self, steps: int) -> None:
        """The next speed, or the one before where negative."""
        with self._time:
            self._advance()
            at = SPEEDS.index(self._speed) + steps
            self._speed = SPEEDS[max(0, min(len(SPEEDS) - 1, at))]
        self._woken.set()

    # Its own thread.

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._woken.clear()
                with self._time:
                    self._advance()
                    when, playing = self._when, self._playing
                with self._lock:
                    self._player.go(when)
                    report = self._player.report
                for listener in self._listeners:
                    listener(report)
                self._woken.wait(TICK_SECONDS if playing else None)
        except BaseException as error:  # noqa: BLE001 -- a thread has nobody above it: the front end is told
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def _advance(self) -> None:
        """Time passes while it is played; the end is the end."""
        now = self._clock()
        passed, self._asked_at = max(0.0, now - self._asked_at), now
        if self._playing:
            self._when += passed * self._speed
            if self._when >= self._reader.last.at:
                self._when, self._playing = self._reader.last.at, False

    def _stand(self, when: float) -> None:
        self._when = max(self._reader.first.at, min(self._reader.last.at, when))
