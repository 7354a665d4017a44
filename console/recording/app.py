"""The console on a recording: the same screens, at the recording's time, with keys for going through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace
from textual.binding import Binding, BindingType

from console.app import FastopsApp
from console.recording.session import ReplaySession
from screens.messages import Problem
from screens.mode import Mode

_SECONDS = 10.0
_MINUTE = 60.0


class ReplayApp(FastopsApp):
    """Pausing stands still in the recording; everything else is the console's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("comma", f"seek({-_SECONDS})", "10s back", key_display=",", id="replay_back"),
        Binding("full_stop", f"seek({_SECONDS})", "10s on", key_display=".", id="replay_on"),
        Binding("less_than_sign", f"seek({-_MINUTE})", "a minute back", show=False, id="replay_far_back"),
        Binding("greater_than_sign", f"seek({_MINUTE})", "a minute on", show=False, id="replay_far_on"),
        Binding("right_square_bracket", "event(1)", "next finding", key_display="]", id="replay_next"),
        Binding("left_square_bracket", "event(-1)", "finding before", key_display="[", show=False, id="replay_before"),
        Binding("plus,equals_sign", "speed(1)", "faster", key_display="+", id="replay_faster"),
        Binding("minus", "speed(-1)", "slower", key_display="-", show=False, id="replay_slower"),
    ]

    def __init__(self, session: ReplaySession, *, keymap: Mapping[str, str] | None = None) -> None:
        super().__init__(session, keymap=keymap, clock=lambda: session.now)
        self._played = session

    def mode(self) -> Mode:
        """What is shown, and where the recording stands."""
        return replace(super().mode(), replay=self._played.replay)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The journal of this machine says nothing of what was recorded."""
        return action != "history" and super().check_action(action, parameters)

    def action_pause(self) -> None:
        """Stands still, or plays on."""
        self._played.pause()

    def action_seek(self, seconds: float) -> None:
        """So far on, or back."""
        self._played.seek(seconds)

    def action_speed(self, steps: int) -> None:
        """Faster or slower."""
        self._played.faster(steps)

    def action_event(self, step: int) -> None:
        """To where a finding opened or closed."""
        self._read(lambda: self._played.seek_event(step), lambda found: self._tell(found, step))

    def _tell(self, found: object, step: int) -> None:
        if isinstance(found, Problem):
            self.notify(found.text, severity="warning", markup=False)
        elif found is False:
            where = "after" if step > 0 else "before"
            self.notify(f"No finding opened or closed {where} this.", markup=False, timeout=2)

    def _take(self) -> None:
        super()._take()
        self._hand(self.screen)
