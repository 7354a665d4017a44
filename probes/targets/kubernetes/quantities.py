"""Quantities of Kubernetes (``512Mi``, ``500m``, ``1e9``), read and written. Pure."""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(
    r"\+?(?P<number>(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?\d{1,2}))?",
    re.ASCII,
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(value: object) -> float | None:
    """A quantity in its base unit (bytes, cores); ``None`` for what is none, negative ones included.

    As k8s.io/apimachinery/pkg/api/resource/quantity.go reads them; YAML gives plain numbers as numbers.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    found = _QUANTITY.fullmatch(str(value).strip()) if not isinstance(value, float) or math.isfinite(value) else None
    if found is None:
        return None
    number = Decimal(found["number"])
    suffix = found["suffix"]
    if suffix in _BINARY:
        return float(number * 1024 ** _BINARY[suffix])
    return float(number.scaleb(_DECIMAL[suffix] if suffix else int(found["exponent"] or 0)))


def memory(size_bytes: int) -> str:
    """Bytes as people write them in a manifest: ``512Mi``, ``1Gi``, exact; plain where no unit divides them."""
    for suffix, power in reversed(_BINARY.items()):
        unit: int = 1024**power
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{suffix}"
    return str(size_bytes)


def cpu(cores: float) -> str:
    """Cores as people write them in a manifest: ``2``, ``500m``; rounded up to a thousandth."""
    milli = int((Decimal(repr(cores)) * 1000).to_integral_value(ROUND_CEILING))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
