"""The service talks to a database out there without insisting on encryption.

What it means. ``sslmode=disable`` sends passwords and rows in clear text; ``allow`` and ``prefer`` do so as soon as the
server, or somebody on the way, declines TLS. Towards a public address or a managed database that is other people's
network.

What proves it. A database URL in the environment, towards a public address or the name of a managed database, that asks
for no TLS or leaves it open.

What it is not. Loopback, a Unix socket, a private address or a name of one's own network. A URL that says nothing of
TLS: the program may pass it otherwise.

What to do. ``require`` at least, better ``verify-full`` with the provider's certificate.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from fixes.model import SILENT, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _dsn

_MANAGED = re.compile(
    r"(?i)\.(?:rds\.amazonaws\.com(?:\.cn)?|compute(?:-1)?\.amazonaws\.com|redshift\.amazonaws\.com|database\.azure\.com"
    r"|neon\.tech|supabase\.(?:co|com)|db\.ondigitalocean\.com|aivencloud\.com|render\.com|rlwy\.net|railway\.app"
    r"|cockroachlabs\.cloud|psdb\.cloud|elephantsql\.com|timescale\.com|tsdb\.cloud|crunchybridge\.com|gcp\.cloud\.sql"
    r"|databases\.appdomain\.cloud|tidbcloud\.com|planetscale\.com|scw\.cloud)$"
)


def detect(view: View) -> Verdict:
    """Fires on URLs that leave the encryption towards a public or managed database open."""
    found = [dsn for dsn in _dsn.urls(view.deployment) if dsn.tls in ("off", "optional") and _outside(dsn.host)]
    if not found:
        return SILENT
    first = found[0]
    how = "asks for no TLS" if first.tls == "off" else "does not insist on TLS"
    return Fires(
        severity="warning",
        title=f"the connection to the database at {first.host} {how}",
        evidence=tuple(dsn.evidence() for dsn in found[:4]),
        facts={"host": first.host, "variable": first.variable, "driver": first.driver or first.kind},
    )


def _outside(host: str) -> bool:
    """Whether a host is a public address or a managed database's name."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return bool(_MANAGED.search(host))


def _with(url: str, **others: str) -> Example:
    return Example(url, deployment=_cases.container(environment={"DATABASE_URL": url, **others}))


SIGNATURE = Signature(
    id=SignatureId("db-ssl-not-enforced"),
    title="Encryption to the database is not enforced",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("require-db-ssl"), RemedyId("advise")),
    proof=Proof(basis="settings", shown=lambda one: any(True for _ in _dsn.urls(one))),
    source="postgresql.org libpq-ssl, table of sslmode; the providers' names of their servers",
    explains=(SignatureId("db-ssl-required"),),
    fires=(
        _with("postgresql://app@shop.abc123.eu-west-1.rds.amazonaws.com:5432/app?sslmode=disable"),
        _with("postgresql+asyncpg://app@ep-x.eu-central-1.aws.neon.tech/app?ssl=prefer"),
        _with("mysql+aiomysql://app@8.8.8.8/app?ssl=false"),
        _with("postgresql://app@shop.postgres.database.azure.com/app", PGSSLMODE="disable"),
    ),
    silent=(
        _with("postgresql://app@127.0.0.1/app?sslmode=disable"),
        _with("postgresql://app@/app?host=/var/run/postgresql&sslmode=disable"),
        _with("postgresql://app@db:5432/app?sslmode=disable"),
        _with("postgresql://app@10.0.0.5:5432/app?sslmode=disable"),
        _with("postgresql://app@shop.abc123.eu-west-1.rds.amazonaws.com/app?sslmode=require"),
        _with("postgresql://app@shop.abc123.eu-west-1.rds.amazonaws.com/app"),
    ),
)
