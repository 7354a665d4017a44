"""Values of parameters: read from what a person typed, checked, and written out for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from fixes.model import Parameter
from probes.base import Value
from probes.target import Refused
from probes.text import clean

MIB = 1 << 20
GIB = 1 << 30

# Letters and binary names are powers of 1024, as Docker reads `1g`; `MB` and its like are powers of 1000 (SI).
_BYTES: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{letter: 1024**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
}
_SECONDS: Mapping[str, float] = {
    "": 1,
    "ms": 0.001,
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
}
_NUMBER = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{0,8})\s*")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class BadValue(Refused):
    """A value that cannot be used for its parameter: wrong usage, said in one sentence."""


def settle(parameters: Sequence[Parameter], given: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every parameter: what was given, else its default; raises :class:`BadValue`."""
    known = {parameter.name for parameter in parameters}
    for name in given:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise BadValue(f"This remedy has no parameter {clean(name, 64)}; it has: {names}.")
    return {p.name: check(p, read(p, given[p.name]) if p.name in given else p.default) for p in parameters}


def read(parameter: Parameter, value: Value) -> Value:
    """What was typed (``512MiB``, ``60s``) as a value of the parameter's type and unit; raises :class:`BadValue`."""
    default = parameter.default
    if isinstance(default, bool):
        return _truth(parameter, value)
    if isinstance(default, str):
        return clean(str(value), 1024)
    number = _quantity(parameter, value)
    if isinstance(default, int):
        if not number.is_integer():
            raise BadValue(f"{parameter.name} must be a whole number{_of(parameter)}, not {_quoted(value)}.")
        return int(number)
    return number


def check(parameter: Parameter, value: Value) -> Value:
    """The value, if it lies within the parameter's bounds; raises :class:`BadValue`."""
    if isinstance(value, (str, bool)):
        return value
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None and low > high:
        raise BadValue(
            f"{parameter.title}: at least {shown(low, parameter.unit)} is needed and at most "
            f"{shown(high, parameter.unit)} is possible here."
        )
    if low is not None and value < low:
        raise BadValue(
            f"{parameter.name} must be at least {shown(low, parameter.unit)}, not {shown(value, parameter.unit)}."
        )
    if high is not None and value > high:
        raise BadValue(
            f"{parameter.name} can be at most {shown(high, parameter.unit)} here, not {shown(value, parameter.unit)}."
        )
    return value


def shown(value: Value, unit: str | None = None) -> str:
    """A value for people: ``1 GiB``, ``60 s``, ``yes``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return clean(value, 256)
    if unit == "bytes":
        return byte_text(value)
    if unit == "seconds":
        return f"{value:g} s"
    return f"{value:g} {unit}" if unit else f"{value:.12g}"


def byte_text(count: float) -> str:
    """Bytes for people, in the largest binary unit that leaves at least one: ``1.5 GiB``, ``300 MiB``."""
    size = float(count)
    names = iter(("B", "KiB", "MiB", "GiB"))
    name = next(names)
    while abs(size) >= 1024:
        size, name = size / 1024, next(names, "TiB")
        if name == "TiB":
            break
    return f"{size:.0f} {name}" if size >= 100 or size.is_integer() else f"{size:.1f} {name}"


def up_to_mib(count: float) -> int:
    """Bytes rounded up to a whole MiB."""
    return math.ceil(count / MIB) * MIB


def down_to_mib(count: float) -> int:
    """Bytes rounded down to a whole MiB."""
    return int(count // MIB) * MIB


def _truth(parameter: Parameter, value: Value) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise BadValue(f"{parameter.name} must be yes or no, not {_quoted(value)}.")
    return _WORDS[word]


def _quantity(parameter: Parameter, value: Value) -> float:
    if isinstance(value, bool):
        raise BadValue(f"{parameter.name} must be a number{_of(parameter)}, not {_quoted(value)}.")
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise BadValue(f"{parameter.name} must be a finite number{_of(parameter)}.")
        return float(value)
    found = _NUMBER.fullmatch(value)
    units: Mapping[str, float] = {"bytes": _BYTES, "seconds": _SECONDS}.get(parameter.unit or "", {"": 1})
    if found is None or found[2].lower() not in units:
        example = {"bytes": " such as 512MiB or 1GiB", "seconds": " such as 60 or 60s"}.get(parameter.unit or "", "")
        raise BadValue(f"{parameter.name} must be a number{_of(parameter)}{example}, not {_quoted(value)}.")
    return float(found[1]) * units[found[2].lower()]


def _of(parameter: Parameter) -> str:
    return f" of {parameter.unit}" if parameter.unit else ""


def _quoted(value: Value) -> str:
    return f"'{clean(str(value), 64)}'"
