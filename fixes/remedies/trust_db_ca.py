"""Lets the service verify its database's certificate.

What it does: lets a PostgreSQL connection ask for ``verify-full`` (in the URL's own option, else ``PGSSLMODE``) and
sets ``PGSSLROOTCERT`` to the file with the authority's certificate, which is in the container already. libpq and
asyncpg read both. The URL is neither shown nor journalled.

When it is right: ``db-ssl-unverified`` (encrypted, but towards whoever answers) and ``db-ssl-verify-failed`` where the
authority's file was not named.

When it is not: a certificate that was made for another name, or has expired: no file mends that.

Risk: the service is started anew. A certificate that this authority did not sign, or that was made for another name
than the one in the URL, ends every connection to the database.

Guard: the file must be there: on Docker a file with a certificate in the container, which the container's user can
read; on Kubernetes a path below a mount of the container. The deployment's name must be typed where connections work
now. Refused where the URL names another file (``sslrootcert``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fixes.model import Advice, Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _tls
from probes.base import Value
from probes.intent import Intent
from probes.model import Deployment, Node
from probes.target import Refused
from probes.text import clean

MODE = "verify-full"
_NAMES_CA = re.compile(r"(?i)(^|_)(ssl_?root_?cert|ssl_?ca|db_?ca|ca_?cert|ca_?file|ca_?bundle|ssl_?cert_?file)(_|$)")


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    found = _tls.place(deployment, finding)
    if isinstance(found, str):
        return found
    named = found.url.options.get("sslrootcert")
    if named:
        return f"Its URL names {clean(named, 200)} already: that file has to hold the authority's certificate."
    if any(_tls.ROOT in replica.environment_from for replica in deployment.replicas):
        return f"{_tls.ROOT} is taken from elsewhere: change it there."
    return None


def _candidate(deployment: Deployment) -> str:
    """The one file that its environment calls an authority's; else empty."""
    held = {
        value
        for replica in deployment.replicas
        for name, value in replica.environment.items()
        if _NAMES_CA.search(name) and value.startswith("/")
    }
    return held.pop() if len(held) == 1 else ""


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    found = _tls.place(deployment, finding)
    if isinstance(found, str):
        return ()
    return (
        Parameter("ca", "File with the authority's certificate, in the container", _candidate(deployment)),
        Parameter("variable", "Variable", found.variable),
    )


def _asks(values: Mapping[str, Value]) -> Advice | None:
    if str(values.get("ca", "")).strip():
        return None
    return Advice(
        title="The authority's certificate is needed",
        text="Give the path of the file with the authority's certificate inside the container. Where it is not there "
        "yet, mount it: providers of databases offer it for download.",
        code="--set ca=/etc/ssl/db-ca.pem",
        language="text",
    )


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    ca = str(values["ca"]).strip()
    if not ca.startswith("/") or "/../" in f"{ca}/":
        raise Refused(f"{clean(ca, 200)} is no absolute path.")
    return _tls.wanted(str(values["variable"]), MODE, ca)


def _cautions(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = ["The host in the URL must be a name that the server's certificate was made for."]
    if values["variable"] == _tls.MODE:
        said.append(f"{_tls.MODE} counts for every PostgreSQL connection whose URL says nothing of TLS.")
    return tuple(said)


def _confirm(_deployment: Deployment, finding: Finding, _values: Mapping[str, Value]) -> str | None:
    if finding.signature == "db-ssl-verify-failed":
        return None
    return "Connections that work now end where the certificate was not signed by this authority or for this name."


REMEDY = Remedy(
    id=RemedyId("trust-db-ca"),
    title="Verify the database's certificate",
    capability="variables",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    asks=_asks,
    cautions=_cautions,
    confirm=_confirm,
)
