"""What is wrong with a file that a person wrote, so that the next attempt is right."""

from __future__ import annotations

import re
from typing import get_args

from fixes.model import Severity

_CHOICE = re.compile(r"Invalid enum value (?P<given>.+) - at `\$\.?(?P<where>(?:.*\.)?severity)`", re.DOTALL)
"""msgspec's words, which do not say what there is to choose from."""


def sentence(error: Exception) -> str:
    """The decoder's words; for a severity those that there are, too."""
    found = _CHOICE.fullmatch(str(error))
    if found is None:
        return str(error)
    return f"{found['where']} cannot be {found['given']}: it is one of {', '.join(get_args(Severity))}"
