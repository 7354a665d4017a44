"""The keys of the console as plain data: what a configuration may bind anew, without loading a screen.

The bindings themselves stand in the classes; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: Mapping[str, Mapping[str, str]] = {
    "app": {"pause": "space", "history": "h", "palette": "ctrl+p", "help": "question_mark", "quit": "q"},
    "replay": {
        "replay_back": "comma",
        "replay_on": "full_stop",
        "replay_far_back": "less_than_sign",
        "replay_far_on": "greater_than_sign",
        "replay_next": "right_square_bracket",
        "replay_before": "left_square_bracket",
        "replay_faster": "plus,equals_sign",
        "replay_slower": "minus",
    },
    "fleet": {
        "open": "enter",
        "fix": "f",
        "filter": "slash",
        "namespace": "n",
        "sort": "s",
        "reverse": "S",
        "logs": "l",
        "profile": "p",
        "undo": "u",
        "copy": "y",
        "back": "escape",
    },
    "deployment": {
        "fix": "f",
        "undo": "u",
        "logs": "l",
        "profile": "p",
        "filter": "slash",
        "copy": "y",
        "database": "d",
        "pane_findings": "1",
        "pane_plots": "2",
        "pane_workers": "3",
        "pane_log": "4",
        "pane_settings": "5",
        "pane_replicas": "6",
        "zoom": "z",
        "back": "escape",
    },
    "change": {
        "yes": "y",
        "no": "n",
        "apply": "enter",
        "copy": "y",
        "undo": "u",
        "focus_next": "tab",
        "page_up": "pageup,ctrl+b",
        "page_down": "pagedown,ctrl+f",
        "back": "escape",
    },
    "fix": {"edit": "e"},
    "history": {"undo": "u", "resume": "r", "take_back": "b", "copy": "y", "back": "escape"},
    "profile": {"profile": "p,r", "copy": "y", "back": "escape"},
    "question": {"yes": "y", "no": "n"},
    "table": {
        "up": "up,k",
        "down": "down,j",
        "page_up": "pageup,ctrl+b",
        "page_down": "pagedown,ctrl+f",
        "first": "home,g",
        "last": "end,G",
    },
    "findings": {"finding_up": "up,k", "finding_down": "down,j", "evidence": "enter"},
    "log": {
        "log_up": "up,k",
        "log_down": "down,j",
        "log_page_up": "pageup",
        "log_page_down": "pagedown",
        "log_first": "home,g",
        "log_follow": "G,end",
        "log_next": "n",
        "log_previous": "N",
        "log_wrap": "w",
    },
}
"""By screen or widget: id of a binding → its keys, separated by commas."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("app", "replay", "fleet", "table"),
    ("app", "replay", "deployment", "table"),
    ("app", "replay", "deployment", "findings"),
    ("app", "replay", "deployment", "log"),
    ("app", "change", "fix", "table"),
    ("app", "history", "table"),
    ("app", "replay", "profile"),
    ("question",),
)
"""The groups whose keys are heard at the same time."""

ALWAYS = "ctrl+c"
"""Leaves the console, whatever is configured."""
_NAMES = {"/": "slash", "?": "question_mark"}


def problem(configured: Mapping[str, str]) -> str | None:
    """What is wrong with configured keys, as the end of a sentence; ``None`` where they can be used.

    A recording's own keys yield to what a person put on them: a screen's binding is heard before the App's.
    """
    known = {identity for group in GROUPS.values() for identity in group}
    for identity, text in configured.items():
        if identity not in known:
            return f"there is no key {identity!r}; there are {', '.join(sorted(known))}"
        if not all(key.strip() for key in text.split(",")):
            return f"{identity} = {text!r} names no key"
        if ALWAYS in _keys(text):
            return f"{identity} cannot be on {ALWAYS}, which always leaves the console"
    for groups in TOGETHER:
        bound = [
            (identity, _keys(configured.get(identity, keys)))
            for group in groups
            for identity, keys in GROUPS[group].items()
        ]
        for index, (one, mine) in enumerate(bound):
            for other, theirs in bound[index + 1 :]:
                both = mine & theirs
                replayed = {one, other} & (GROUPS["replay"].keys() - configured.keys())
                if both and one != other and not replayed and (one in configured or other in configured):
                    return f"{one} and {other} are both on {min(both)}"
    return None


def _keys(text: str) -> frozenset[str]:
    return frozenset(_NAMES.get(key.strip(), key.strip()) for key in text.split(","))
