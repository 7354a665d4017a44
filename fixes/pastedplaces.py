"""Where in a pasted text the evidence of a finding stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from fixes.model import Evidence, Finding, Signature, SignatureId
from probes.base import DeploymentId
from probes.loghits import LogHit
from probes.model import Deployment
from probes.pasted import Pasted

LINES = 200
"""Named of one finding."""
# What the engine's and the API's documents call that which evidence names.
_WORDS = (
    ("OOM", rb'"OOMKilled": true|OOMKilled'),
    ("no memory limit", rb'"Memory": 0\b'),
    ("memory limit", rb'"Memory": [1-9]|\bmemory["\']?: '),
    ("exit code", rb'"ExitCode": |[Ee]xit ?[Cc]ode'),
    ("bind", rb"--bind|-b\b|GUNICORN_CMD_ARGS|--host"),
    ("host is", rb"--host|UVICORN_HOST"),
)
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
"""A variable of the environment."""
_HERE = 8


class Places:
    """Finds lines by the hits that a finding's evidence was made of, or by the words of a document."""

    def __init__(
        self, pasted: Pasted, described: Sequence[Deployment], signatures: Mapping[SignatureId, Signature]
    ) -> None:
        self._pasted = pasted
        self._signatures = signatures
        self._spans = _spans(pasted.head, described)

    def of(self, finding: Finding) -> tuple[Finding, tuple[int, ...]]:
        """The finding, its evidence with line numbers, and all its lines."""
        lines: set[int] = set()
        evidence: list[Evidence] = []
        for one in finding.evidence:
            found = self._lines(finding, one)
            lines.update(found)
            evidence.append(replace(one, line=found[-1]) if found and one.line is None else one)
        if not lines:
            lines.update(self._fallback(finding))
        return replace(finding, evidence=tuple(evidence)), tuple(sorted(lines)[-LINES:])

    def _lines(self, finding: Finding, evidence: Evidence) -> list[int]:
        if evidence.source in ("log", "event"):
            found = [hit for hit in self._pasted.hits if hit.sample.strip() == evidence.text]
            same = [hit for hit in found if evidence.replica in (None, hit.replica)] or found
            if same:
                return self._of_hits(same)
        return self._of_words(finding, evidence)

    def _of_hits(self, hits: Sequence[LogHit]) -> list[int]:
        marks = ((hit, mark) for hit in hits for mark in hit.marks)
        return sorted({line for hit, mark in marks if (line := self._pasted.line(hit.replica, mark)) is not None})

    def _of_words(self, finding: Finding, evidence: Evidence) -> list[int]:
        span = self._spans.get(finding.deployment)
        words = next((expression for word, expression in _WORDS if word in evidence.text), None)
        if words is None:
            words = b"|".join(rb"\b%b[=\"':]" % name.encode() for name in _NAME.findall(evidence.text)[:_HERE])
        if span is None or not words:
            return []
        head = self._pasted.head
        found: list[int] = []
        counted, line = 0, 1
        for match in re.compile(words).finditer(head, *span):
            line += head.count(b"\n", counted, match.start())
            counted = match.start()
            found.append(line)
            if len(found) == _HERE:
                break
        return sorted(set(found))

    def _fallback(self, finding: Finding) -> list[int]:
        """The lines of the signature's own patterns, where its evidence is in words of its own."""
        signature = self._signatures.get(finding.signature)
        keys = {pattern.key for pattern in signature.patterns} if signature else set()
        hits = [hit for hit in self._pasted.hits if hit.key in keys]
        own = [hit for hit in hits if not hit.key.startswith("server/")]
        return self._of_hits(own or hits)


def _spans(head: bytes, described: Sequence[Deployment]) -> dict[DeploymentId, tuple[int, int]]:
    """From where to where a document stands: from its name or id to the next one's."""
    begins: list[tuple[int, DeploymentId]] = []
    for one in described:
        name = one.name if one.target == "k8s" else str(one.replicas[0].id)
        begins.append((max(0, head.find(name.encode())), one.id))
    begins.sort()
    ends = [*(start for start, _ in begins[1:]), len(head)][: len(begins)]
    return {identity: (start, end) for (start, identity), end in zip(begins, ends, strict=True)}
