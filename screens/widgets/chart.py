"""A live plot. The one place that knows plotext; it is loaded when the first plot is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from probes.history import Point

COLOURS = (6, 5, 2, 4, 3, 14, 13, 10)
"""Of the sixteen; red is kept for limits."""
_BYTES = 1 << 20
_MOST = 1e18


class Line(NamedTuple):
    """One series and the name in its legend."""

    label: str
    points: Sequence[Point]


class Plot(NamedTuple):
    """All that a drawing depends on."""

    lines: tuple[Line, ...]
    limit: float | None = None
    """Drawn as a red line where it is near."""


class Chart(Widget):
    """Lines over time, newest at the right; drawn again only when its data or its size differ."""

    DEFAULT_CSS = """
    Chart {
        height: 1fr; min-height: 4; padding: 0 1;
        border: round $line; border-title-color: $foreground; border-subtitle-color: $foreground;
    }
    """

    def __init__(self, title: str, unit: Callable[[float], str], id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = self._title = title
        self._unit = unit
        self._plot = Plot(())
        self._drawn: tuple[Plot, int, int, Text] | None = None

    def name_it(self, title: str) -> None:
        """Replaces the title; what stands in it is text, not markup."""
        from textual.content import Content  # noqa: PLC0415 - beside plotext, only when a plot is shown

        if title != self._title:
            self._title = title
            content: Any = Content(title)
            self.border_title = content

    def show(self, plot: Plot) -> None:
        """Replaces the data."""
        if plot != self._plot:
            self._plot = plot
            self.border_subtitle = self._legend()
            self.refresh()

    def _legend(self) -> Any:
        from textual.content import Content  # noqa: PLC0415 - beside plotext, only when a plot is shown

        text = Text(end="")
        for n, line in enumerate(self._plot.lines[: len(COLOURS)]):
            last = self._unit(line.points[-1].value) if line.points else ""
            text.append(f" {line.label} " if len(self._plot.lines) > 1 else " ", Style(color=_colour(n)))
            text.append(f"{last} ", "bold")
        if self._plot.limit is not None:
            text.append(f" limit {self._unit(self._plot.limit)} ", "red")
        return Content.from_rich_text(text)

    def render(self) -> Text:
        """The drawing for this size."""
        width, height = self.content_size
        if self._drawn is None or self._drawn[:3] != (self._plot, width, height):
            self._drawn = (self._plot, width, height, self._draw(width, height))
        return self._drawn[3]

    def _draw(self, width: int, height: int) -> Text:
        plot = _drawable(self._plot)
        if not plot.lines or width < 16 or height < 3:
            return Text("no measurement yet" if not plot.lines else "", "dim", end="")
        return draw(plot, self._unit, width, height)


def _drawable(plot: Plot) -> Plot:
    """The points that a plot can have: plotext allocates without a bound for what is no number, or an absurd one."""
    lines = [line._replace(points=[p for p in line.points if 0 <= p.value <= _MOST]) for line in plot.lines]
    limit = plot.limit if plot.limit is not None and 0 <= plot.limit <= _MOST else None
    return Plot(tuple(line for line in lines if line.points), limit)


def draw(plot: Plot, unit: Callable[[float], str], width: int, height: int) -> Text:
    """The plot in a text of exactly this size; empty where no series has a point that can be drawn.

    plotext keeps one global figure: only the thread that draws the screen may come here. It draws nothing that is
    larger than the terminal.
    """
    plot = _drawable(plot)
    if not plot.lines:
        return Text(end="")
    import plotext  # noqa: PLC0415 - 130 ms that the first paint must not pay

    figure = plotext.figure
    first = min(line.points[0].at for line in plot.lines)
    last = max(line.points[-1].at for line in plot.lines)
    top, near = _top(plot)
    figure.clear()
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(False, side="upper")
    figure.axes(False, side="right")
    for n, line in enumerate(plot.lines[: len(COLOURS)]):
        xs, ys = [p.at - last for p in line.points], [p.value for p in line.points]
        if len(xs) == 1:
            xs, ys = [xs[0] - 1.0, xs[0]], ys * 2
        signal = figure.signal(xs, ys, marker=plotext.marker("braille", (COLOURS[n], "default")))
        signal.lines()
        figure.draw(signal)
    if near and plot.limit is not None:
        figure.line(plot.limit, pixel=(1, "default"))
    scale = plot.limit if near and plot.limit is not None and plot.limit > top / 2 else top
    parts = 2 if height < 10 else 4
    ticks = [scale * part / parts for part in range(parts + 1)]
    figure.ruler("y").lim(0, top)
    figure.ruler("y").ticks(ticks, _aligned([unit(tick) if tick else "0" for tick in ticks]))
    span = max(1.0, last - first)
    figure.ruler("x").lim(-span, 0)
    figure.ruler("x").ticks([-span, -span / 2, 0], [f"-{_span(span)}", f"-{_span(span / 2)}", "now"])
    return _text(figure.build())


def _top(plot: Plot) -> tuple[float, bool]:
    """The upper end of the scale, and whether the limit is on it: from half of it on."""
    highest = max(p.value for line in plot.lines for p in line.points)
    if plot.limit is not None and highest > plot.limit / 2:
        return max(plot.limit, highest) * 1.08, True
    if highest >= _BYTES:
        step = 2.0 ** math.floor(math.log2(highest))
        return (math.floor(highest / step * 4) + 1) * step / 4, False
    step = 10.0 ** math.floor(math.log10(highest)) if highest > 1e-9 else 1.0
    return (math.floor(highest / step * 2) + 1) * step / 2, False


def _aligned(labels: list[str]) -> list[str]:
    widest = max(map(cell_len, labels))
    return [label.rjust(widest) for label in labels]


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 5400 else f"{seconds / 3600:.1f}h"


def _colour(n: int) -> Color:
    return Color.from_ansi(COLOURS[n % len(COLOURS)])


def _text(matrix: object) -> Text:
    """The figure as text: its marks keep their colour, its axes are dim, no background is painted."""
    marks: Mapping[int, Style] = {number: Style(color=Color.from_ansi(number)) for number in (1, *COLOURS)}
    axis = Style(dim=True)
    text = Text(end="", no_wrap=True)
    for n, line in enumerate(str(matrix).rstrip("\n").split("\n")):
        text.append("\n" if n else "")
        for part in Text.from_ansi(line).render(_CONSOLE):
            segment, style = part.text, part.style
            number = style.color.number if style is not None and style.color is not None else None
            braille = any("⠀" <= c <= "⣿" for c in segment)
            limit = number == 1 and "─" in segment
            text.append(segment, marks.get(number or 0, axis) if braille or limit else axis)
    return text


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415 - Textual has loaded it

    return Console(color_system="256", width=400, file=None)


_CONSOLE = _console()
