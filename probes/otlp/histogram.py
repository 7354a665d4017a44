"""Distributions as OpenTelemetry counts them: with bounds that are given, and with exponential ones. Pure.

The rules are those of the OpenTelemetry metrics data model: bucket ``i`` of an exponential histogram of scale ``s``
holds what is above ``2 ** (i / 2**s)`` and up to ``2 ** ((i + 1) / 2**s)``, and two neighbours are one bucket of the
next lower scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

FINEST = 4
"""Exponential buckets are put together up to this scale: a percentile is then within 4.4 %."""
COARSEST = -1
"""Of a lower scale one bucket is wider than sixteen to one, and tells no percentile."""


class Explicit(NamedTuple):
    """Counts between bounds that the service chose."""

    edges: tuple[float, ...]
    """Upper bounds, ascending; the last is infinite. The same ones are one object: most services have the same."""
    counts: tuple[float, ...]
    """How many were above the bound before and not above this one."""

    @classmethod
    def of(cls, edges: tuple[float, ...], counts: tuple[float, ...]) -> Explicit:
        """With as many counts as bounds."""
        return cls(_same(edges), counts)

    def since(self, before: Distribution) -> Explicit | None:
        """What was counted since ``before``; ``None`` where that is of another counting."""
        if not isinstance(before, Explicit) or before.edges != self.edges:
            return None
        more = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return None if any(value < 0 for value in more) else Explicit(self.edges, more)

    def bounds(self) -> Mapping[float, float]:
        """Upper bound → count."""
        return dict(zip(self.edges, self.counts, strict=True))

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return len(self.counts)


@lru_cache(maxsize=256)
def _same(edges: tuple[float, ...]) -> tuple[float, ...]:
    return edges


NOTHING = Explicit((), ())


class Exponential(NamedTuple):
    """Counts in exponential buckets of one scale."""

    scale: int
    zero: float
    """What was too small for any bucket."""
    counts: Mapping[int, float]
    """Index of a bucket → count."""

    def at(self, scale: int) -> Exponential:
        """The same at a lower scale."""
        if scale >= self.scale:
            return self
        shift = self.scale - scale
        merged: dict[int, float] = {}
        for index, count in self.counts.items():
            merged[index >> shift] = merged.get(index >> shift, 0.0) + count
        return Exponential(scale, self.zero, merged)

    def since(self, before: Distribution) -> Exponential | None:
        """What was counted since ``before``; ``None`` where that is of another counting."""
        if not isinstance(before, Exponential):
            return None
        scale = min(self.scale, before.scale)
        now, then = self.at(scale), before.at(scale)
        indices = now.counts.keys() | then.counts.keys()
        more = {index: now.counts.get(index, 0.0) - then.counts.get(index, 0.0) for index in indices}
        zero = now.zero - then.zero
        return None if zero < 0 or any(value < 0 for value in more.values()) else Exponential(scale, zero, more)

    def bounds(self) -> Mapping[float, float]:
        """Upper bound → count, with the lower bound of each bucket, so that what is between is interpolated there."""
        found: dict[float, float] = {}
        for index, count in self.counts.items():
            if count:
                found.setdefault(self._bound(index - 1), 0.0)
                high = self._bound(index)
                found[high] = found.get(high, 0.0) + count
        if self.zero:
            least = min(found, default=1e-9)
            found[least] = found.get(least, 0.0) + self.zero
        return found

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return len(self.counts) + 2

    def _bound(self, index: int) -> float:
        return float(2.0 ** math.ldexp(index + 1, -self.scale))


Distribution = Explicit | Exponential
