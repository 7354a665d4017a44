"""Two themes: one for terminals with many colours, one for the sixteen that every terminal has.

Text is coloured by the sixteen names alone (``red``, ``yellow`` …), so a user's own palette, tmux and a plain console
all show the same meaning.
"""

from __future__ import annotations

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

PALETTE = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (33, 38, 45),
        (255, 107, 107),
        (111, 204, 130),
        (240, 190, 95),
        (108, 182, 255),
        (205, 160, 250),
        (100, 205, 215),
        (201, 209, 217),
    ],
    [
        (110, 118, 129),
        (255, 140, 140),
        (140, 225, 155),
        (250, 210, 130),
        (145, 200, 255),
        (220, 185, 255),
        (140, 225, 235),
        (240, 246, 252),
    ],
)
"""What the sixteen names look like where the terminal has more."""

RICH = Theme(
    name="fastops",
    primary="#6cb6ff",
    secondary="#64cdd7",
    warning="#f0be5f",
    error="#ff6b6b",
    success="#6fcc82",
    accent="#6cb6ff",
    foreground="#c9d1d9",
    background="#0d1117",
    surface="#0d1117",
    panel="#161b22",
    boost="#161b22",
    dark=True,
    variables={
        "cursor": "#263143",
        "cursor-blurred": "#1a212c",
        "bar": "#161b22",
        "line": "#30363d",
        "muted": "#7d8590",
        "banner": "#8e1519",
        "banner-text": "#ffffff",
        "production": "#d7263d",
        "replay": "#b48ead",
        "scrollbar": "#30363d",
        "scrollbar-hover": "#484f58",
        "scrollbar-active": "#6cb6ff",
        "scrollbar-background": "#0d1117",
        "scrollbar-background-hover": "#0d1117",
        "scrollbar-background-active": "#0d1117",
        "scrollbar-corner-color": "#0d1117",
    },
)

PLAIN = Theme(
    name="fastops-16",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_blue",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        "cursor": "ansi_bright_black",
        "cursor-blurred": "ansi_default",
        "bar": "ansi_default",
        "line": "ansi_bright_black",
        "muted": "ansi_bright_black",
        "banner": "ansi_red",
        "banner-text": "ansi_bright_white",
        "production": "ansi_red",
        "replay": "ansi_magenta",
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-text-style": "none",
        "input-selection-background": "ansi_bright_blue",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_bright_blue",
        "screen-selection-foreground": "ansi_black",
    },
)

VARIABLES = {
    "cursor": "#263143",
    "cursor-blurred": "#1a212c",
    "bar": "#161b22",
    "line": "#30363d",
    "muted": "#7d8590",
    "banner": "#8e1519",
    "banner-text": "#ffffff",
    "production": "#d7263d",
    "replay": "#b48ead",
}
"""For the themes that Textual brings along: our variables, which they do not know."""
