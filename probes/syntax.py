"""Python source into a tree: one at a time, and one kind of failure."""

from __future__ import annotations

import ast
import threading

_LOCK = threading.Lock()
"""The interpreter counts the depth of its tree constructor once for all threads: two at a time may end in
``SystemError: AST constructor recursion depth mismatch`` (seen on CPython 3.11; python/cpython issue
106905).
"""


class NotPython(Exception):
    """The text is no Python, or too deep to be read."""


def tree(source: str | bytes) -> ast.Module:
    """The module's tree. Raises :class:`NotPython`, whatever is wrong with the text."""
    try:
        with _LOCK:
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError) as error:
        raise NotPython(str(error)) from None
