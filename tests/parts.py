"""Real parts that a test needs and that may be missing: skipped with the reason, or failed where promised."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

MISSING_PART = "real part missing: "


def missing(reason: str, promise: str) -> NoReturn:
    """Skip, or fail where the variable ``promise`` is 1."""
    if os.environ.get(promise) == "1":
        pytest.fail(MISSING_PART + reason, pytrace=False)
    pytest.skip(MISSING_PART + reason)
