"""Sets environment variables of a container.

What it does: writes the variable into the pods' description, in its place where it has one, and rolls that out. The
value is typed: a text, or ``secret:NAME/KEY`` or ``configmap:NAME/KEY`` for a value that stands in a Secret or a
ConfigMap already.

When it is right: the service ends, or fails, for want of a setting or by a wrong one: a missing variable, an address
that does not exist, a key that its Secret does not have.

Risk: the pods are replaced, one after the other; where the new ones do not get ready, the former description is put
back.

Guard: pydantic's error names a field, not its variable: the prefix that the settings class adds (``env_prefix``) is a
parameter of its own, and the plan says what is guessed.

No secret becomes a literal value. Where the name or the value is one's, put it into a Secret first
(``kubectl create secret generic NAME --from-literal=KEY=…``) and give ``secret:NAME/KEY``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fixes.model import Advice, Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.target import Refused
from probes.text import clean, is_secret_name, redact

_REFERENCE = re.compile(r"(?P<what>secret|configmap)[: ](?P<place>[^/\s]+/\S+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_ADDRESS = re.compile(r"(?i)(database|db|postgres|mysql|redis|broker|celery).*(url|uri|dsn|host)$|^(dsn|pghost)$")
_BARE = {"name", "value"}
_PREFIX = "env_prefix"


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    missing = [name.strip() for name in str(finding.facts.get("missing", "")).split(",")]
    prefix = str(finding.facts.get("prefix", ""))
    fields = [name.strip() for name in str(finding.facts.get("fields", "")).split(",") if name.strip()]
    plain = {field.replace(".", "__").upper(): field for field in fields}
    named = dict.fromkeys(n for n in missing if _NAME.fullmatch(n) and n.removeprefix(prefix) not in plain)
    if named:
        return tuple(Parameter(name, f"Value of {name}", "") for name in named)
    asked = [(name, field) for name, field in plain.items() if _NAME.fullmatch(name)]
    if asked:
        first = Parameter(_PREFIX, "Prefix of the variables", prefix)
        return (first, *(Parameter(name, f"Value of the field {clean(field, 100)}", "") for name, field in asked))
    return (Parameter("name", "Variable", _likely(deployment, finding)), Parameter("value", "Value", ""))


def _likely(deployment: Deployment, finding: Finding) -> str:
    """The variable that the finding is about, as far as that can be told; else empty."""
    key = str(finding.facts.get("key", ""))
    for replica in deployment.replicas:
        for name, source in replica.environment_from.items():
            if key and source.endswith(f"/{key}"):
                return name
    names = sorted({name for r in deployment.replicas for name in (*r.environment, *r.environment_from)})
    found = [name for name in names if _ADDRESS.search(name)]
    return found[0] if len(found) == 1 else ""


def _given(values: Mapping[str, Value]) -> dict[str, str]:
    """The variables with the values that were typed."""
    if set(values) == _BARE:
        name, value = str(values["name"]).strip(), str(values["value"]).strip()
        return {name: value} if name and value else {}
    prefix = str(values.get(_PREFIX, "")).strip()
    given = {name: str(value).strip() for name, value in values.items() if name != _PREFIX}
    return {prefix + name: value for name, value in given.items() if value}


def _asks(values: Mapping[str, Value]) -> Advice | None:
    if _given(values):
        return None
    name = "value" if set(values) == _BARE else next(name for name in values if name != _PREFIX)
    doubtful = _PREFIX in values
    prefix = f"--set {_PREFIX}={clean(str(values[_PREFIX]), 64) or '…'} " if doubtful else ""
    return Advice(
        title="A value is needed",
        text="Give the value: a text, or secret:NAME/KEY or configmap:NAME/KEY for one that stands there already."
        + (
            " env_prefix is what the settings class puts before its fields; pydantic's error does not show it."
            * doubtful
        ),
        code=f"{prefix}--set {name}=…\n{prefix}--set {name}=secret:NAME/KEY",
        language="text",
    )


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    literal: dict[str, str] = {}
    referred: dict[str, str] = {}
    for name, value in _given(values).items():
        shown = clean(name, 100)
        if not _NAME.fullmatch(name):
            raise Refused(f"{shown} is no name of a variable.")
        reference = _REFERENCE.fullmatch(value)
        if reference is not None:
            referred[name] = f"{reference['what']} {reference['place']}"
        elif is_secret_name(name) or redact(value) != value:
            raise Refused(
                f"{shown} holds a secret, which does not go into a pod's description: put it into a Secret "
                "(kubectl create secret generic NAME --from-literal=KEY=…) and give secret:NAME/KEY."
            )
        else:
            literal[name] = value
    return Desired(environment=literal, environment_from=referred)


def _cautions(_deployment: Deployment, finding: Finding, _values: Mapping[str, Value]) -> tuple[str, ...]:
    doubt = _facts.doubt(finding)
    return (doubt,) if doubt else ()


REMEDY = Remedy(
    id=RemedyId("set-env"),
    title="Set a variable",
    capability="environment",
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    asks=_asks,
)
