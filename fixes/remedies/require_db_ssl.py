"""Makes the service insist on TLS towards its database.

What it does: lets a PostgreSQL connection ask for ``require``. Where the URL of the database has an option for TLS, its
value is changed there: ``sslmode=`` of libpq's drivers and of plain asyncpg, ``ssl=`` of asyncpg under SQLAlchemy; each
driver understands the option that it is given already. Where the URL says nothing, ``PGSSLMODE`` is set, which libpq
and asyncpg read. The URL is neither shown nor journalled: the diff has its password hidden.

When it is right: ``db-ssl-required`` (the server lets nobody in without TLS) and ``db-ssl-not-enforced`` (passwords and
rows cross another network in clear text, or would as soon as somebody on the way declines TLS).

When it is not: verification. ``require`` encrypts towards whoever answers; ``trust-db-ca`` makes sure who that is.

Risk: the service is started anew. ``PGSSLMODE`` counts for every PostgreSQL connection whose URL says nothing.

Guard: where connections work in clear text now, only after the server was seen to accept TLS: fastops' own session was
encrypted (``--database``). Refused for a URL that is taken from a Secret or that the program makes itself, for MySQL,
whose drivers are told by code, and for loopback.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts, _tls
from probes.base import Value
from probes.intent import Intent
from probes.model import Deployment, Node
from probes.text import clean

MODE = "require"


def _accepts_tls(deployment: Deployment) -> bool:
    held = deployment.pool.held if deployment.pool is not None else None
    return held is not None and held.server.own_encrypted is True


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    found = _tls.place(deployment, finding)
    if isinstance(found, str):
        return found
    if found.url.tls in ("encrypt", "verify"):
        return f"It asks for TLS already ({clean(found.variable, 100)})."
    if finding.signature != "db-ssl-required" and not _accepts_tls(deployment):
        option = _facts.asking(deployment)
        return f"That the server accepts TLS was not seen: let fastops ask it over TLS ({option})."
    return None


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    found = _tls.place(deployment, finding)
    return () if isinstance(found, str) else (Parameter("variable", "Variable", found.variable),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return _tls.wanted(str(values["variable"]), MODE)


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = ["require encrypts and verifies nothing: trust-db-ca makes sure that it is the database who answers."]
    if not _accepts_tls(deployment):
        said.append("That the server accepts TLS from there was not seen; it says that it wants it.")
    if values["variable"] == _tls.MODE:
        said.append(f"{_tls.MODE} counts for every PostgreSQL connection whose URL says nothing of TLS.")
    return tuple(said)


REMEDY = Remedy(
    id=RemedyId("require-db-ssl"),
    title="Insist on TLS to the database",
    capability="variables",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
