"""How much of what is wrong in the output of real servers is found, and how much that is found is wrong.

``make corpus`` prints it. Rates are per run of a server (``group``): samples of one run resemble each other and weigh
as one. An effect beside another label counts as found where that label is.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from fixes import catalogue
from fixes.diagnose import diagnose, matcher
from probes.pasted import Paste

SAMPLES = (Path(__file__).with_name("servers.jsonl"), Path(__file__).with_name("parts.jsonl"))
EFFECTS = frozenset({"unhandled-exceptions", "worker-boot-failed"})
WANTED = 0.98
WANTED_OF_EACH = 0.9


class Sample(msgspec.Struct, frozen=True):
    """One excerpt and what is wrong in it."""

    id: str
    group: str
    signatures: frozenset[str]
    also_ok: frozenset[str]
    ambiguous: bool
    text: str
    source: str
    note: str


class Rate(NamedTuple):
    """Of one signature, or of all; in runs."""

    wanted: float
    found: float
    false: float

    @property
    def recall(self) -> float:
        return self.found / self.wanted if self.wanted else 1.0

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found + self.false else 1.0


class Score(NamedTuple):
    """The whole judgement."""

    each: Mapping[str, Rate]
    missed: list[tuple[str, str]]
    """Sample and signature."""
    false: list[tuple[str, str]]

    @property
    def whole(self) -> Rate:
        return Rate(*map(sum, zip(*self.each.values(), strict=True)))


def samples(*paths: Path) -> list[Sample]:
    """Of these files, or of all."""
    return [
        msgspec.json.decode(line, type=Sample) for path in paths or SAMPLES for line in path.read_bytes().splitlines()
    ]


def findings(given: Iterable[Sample]) -> dict[str, set[str]]:
    """The signatures that ``diagnose`` finds in each sample, by its id."""
    patterns = matcher()
    found: dict[str, set[str]] = {}
    for sample in given:
        paste = Paste(patterns)
        paste.feed(sample.text.encode())
        found[sample.id] = {one.finding.signature for one in diagnose(paste.end()).found}
    return found


def score(given: list[Sample], found: Mapping[str, set[str]], known: Iterable[str]) -> Score:
    """Judges the signatures that are ``known``; the others' samples count only for what is found in them."""
    judged = set(known)
    size = Counter(sample.group for sample in given)
    wanted, hits, wrong = (defaultdict[str, float](float) for _ in range(3))
    missed: list[tuple[str, str]] = []
    false: list[tuple[str, str]] = []
    for sample in given:
        weight, got = 1 / size[sample.group], found[sample.id]
        for signature in sorted(sample.signatures & judged):
            others = sample.signatures - {signature}
            as_effect = signature in EFFECTS and bool(got & others or others - judged)
            wanted[signature] += weight
            if signature in got or as_effect:
                hits[signature] += weight
            else:
                missed.append((sample.id, signature))
        for signature in sorted(got - sample.signatures - sample.also_ok):
            wrong[signature] += weight
            false.append((sample.id, signature))
    each = {name: Rate(wanted[name], hits[name], wrong[name]) for name in sorted({*wanted, *wrong})}
    return Score(each, missed, false)


def main(arguments: list[str]) -> int:
    """Prints the rates; 0 where they are good enough. Other files of samples may be named."""
    given = samples(*map(Path, arguments))
    known = set(catalogue.signatures())
    result = score(given, findings(given), known)
    unclear = {sample.id for sample in given if sample.ambiguous}
    for kind, pairs in (("missed", result.missed), ("false", result.false)):
        for identity, signature in pairs:
            print(f"{kind:7} {identity:12} {signature}{'  (the text leaves it open)' if identity in unclear else ''}")
    print(f"{'signature':28} {'runs':>6} {'recall':>7} {'precision':>10}")
    for name, rate in (*result.each.items(), ("all", result.whole)):
        print(f"{name:28} {rate.wanted:6.1f} {rate.recall:7.3f} {rate.precision:10.3f}")
    missing = sorted({name for sample in given for name in sample.signatures} - known)
    if missing:
        print(f"not in the catalogue: {', '.join(missing)}")
    return 0 if is_good(result) else 1


def is_good(result: Score) -> bool:
    """At least 98 of 100 found and right over all, and at least 90 of each."""
    whole = result.whole
    each = all(min(r.recall, r.precision) >= WANTED_OF_EACH for r in result.each.values() if r.wanted)
    return each and min(whole.recall, whole.precision) >= WANTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
