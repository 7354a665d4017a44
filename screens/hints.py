"""Keys in sentences, as a person has bound them."""

from __future__ import annotations

from typing import Any

from textual.screen import Screen


def key(screen: Screen[Any], identity: str) -> str:
    """How the first key of a binding is written; empty while that binding can do nothing."""
    active = (one.binding for one in screen.active_bindings.values() if one.enabled and one.binding.id == identity)
    return next((screen.app.get_key_display(binding) for binding in active), "")
