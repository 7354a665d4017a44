"""The line at the bottom: the keys that do something here and now."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget

_ALWAYS = ("help", "quit")


class KeyBar(Widget):
    """As many keys as fit, the most used first; help and quit always."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; padding: 0 1; background: $bar; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[tuple[str, str, str]] = []

    def on_mount(self) -> None:
        """Follows what can be done."""
        self.screen.bindings_updated_signal.subscribe(self, self._update)
        self._update(self.screen)

    def _update(self, screen: Screen[object]) -> None:
        if screen is not self.screen:
            return
        seen: set[str] = set()
        shown: list[tuple[str, str, str]] = []
        for key, active in screen.active_bindings.items():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            shown.append((key, self.app.get_key_display(binding), binding.description))
        last = [entry for entry in shown if entry[2] in _ALWAYS]
        shown = [entry for entry in shown if entry[2] not in _ALWAYS] + last
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def _fitting(self) -> list[tuple[str, str, str]]:
        room = self.size.width
        last = [entry for entry in self._shown if entry[2] in _ALWAYS]
        first = [entry for entry in self._shown if entry[2] not in _ALWAYS]
        room -= sum(_width(entry) for entry in last)
        chosen: list[tuple[str, str, str]] = []
        for entry in first:
            if _width(entry) > room:
                break
            chosen.append(entry)
            room -= _width(entry)
        return chosen + last

    def render(self) -> Text:
        """The keys, and what they do."""
        text = Text(no_wrap=True, end="")
        for _, display, description in self._fitting():
            text.append(display, "bold cyan")
            text.append(f" {description}  ", "dim")
        return text

    async def on_click(self, event: events.Click) -> None:
        """A click on a key is that key."""
        left = 1
        for entry in self._fitting():
            left += _width(entry)
            if event.x < left:
                self.app.simulate_key(entry[0])
                return


def _width(entry: tuple[str, str, str]) -> int:
    return cell_len(entry[1]) + cell_len(entry[2]) + 3
