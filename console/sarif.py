"""A report as SARIF 2.1.0, the format that code hosts and dashboards read findings in (docs.oasis-open.org/sarif)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

import msgspec

from console import __version__, contract
from console.commands.signatures import page
from fixes import catalogue
from fixes.model import Evidence, Finding, Report, Severity, Signature, SignatureId
from probes import text
from probes.model import Deployment

Json = dict[str, object]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Mapping[Severity, str] = {"info": "note", "warning": "warning", "error": "error", "critical": "error"}
FINGERPRINT = "fastopsFindingId/v1"
"""A finding's id is the same as long as it stays open, wherever the report is made."""


def encode(report: Report, signatures: Mapping[SignatureId, Signature], unread: Sequence[str]) -> str:
    """The log file: a rule for each signature, a result for each finding, a notification for what was not read."""
    index = {identity: number for number, identity in enumerate(signatures)}
    results = [
        _result(finding, one, index.get(finding.signature))
        for one in report.snapshot.deployments()
        for finding in report.of(one.id)
    ]
    driver = {
        "name": "fastops",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(one) for one in signatures.values()],
    }
    invocation = {
        "executionSuccessful": not unread,
        "endTimeUtc": f"{report.snapshot.taken_at:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [{"level": "error", "message": {"text": _plain(one)}} for one in unread],
    }
    run: Json = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": results,
        "properties": {"observedSeconds": report.observed_seconds},
    }
    log: Json = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode()


def _rule(one: Signature) -> Json:
    what = catalogue.page(one)
    return {
        "id": one.id,
        "name": "".join(part.capitalize() for part in one.id.split("-")),
        "shortDescription": {"text": _plain(one.title)},
        "fullDescription": {"text": _plain(what.split("\n\n", 1)[0])},
        "help": {"text": _braces(what), "markdown": _braces(page(one))},
        "defaultConfiguration": {"level": LEVELS[one.severity]},
        "properties": {"severity": one.severity, "remedies": list(one.remedies)},
    }


def _result(finding: Finding, of: Deployment, rule: int | None) -> Json:
    location: Json = {
        "logicalLocations": [{"fullyQualifiedName": of.id, "name": text.clean(of.name), "kind": "resource"}]
    }
    file = next((e for e in finding.evidence if e.file and PurePosixPath(e.file).is_absolute()), None)
    if file is not None:
        location["physicalLocation"] = _place(file)
    result: Json = {
        "ruleId": finding.signature,
        "level": LEVELS[finding.severity],
        "kind": "fail",
        "message": {"text": _message(finding)},
        "locations": [location],
        "occurrenceCount": max(1, finding.count),
        "partialFingerprints": {FINGERPRINT: finding.id},
        "properties": _properties(contract.finding(finding)),
    }
    return result if rule is None else result | {"ruleIndex": rule}


def _message(finding: Finding) -> str:
    return "\n".join([_plain(finding.title), *(f"{e.source}: {_plain(e.text)}" for e in finding.evidence)])


def _properties(one: contract.FindingOut) -> Json:
    """What SARIF has no place for, as ``scan --format json`` says it."""
    told: Json = msgspec.to_builtins(one)
    return {name: told[name] for name in ("severity", "since", "explained_by", "evidence", "remedies")}


def _place(evidence: Evidence) -> Json:
    """Where in the code, as the deployment's own file system names the file."""
    place: Json = {"artifactLocation": {"uri": f"file://{quote(text.clean(evidence.file or ''))}"}}
    return place | {"region": {"startLine": evidence.line}} if evidence.line and evidence.line > 0 else place


def _plain(said: str) -> str:
    """One line as a message's text: neither a placeholder nor an embedded link (sections 3.11.5 and 3.11.6)."""
    return _braces(text.clean(said)).replace("](", "] (")


def _braces(said: str) -> str:
    return said.replace("{", "{{").replace("}", "}}")
