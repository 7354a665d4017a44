"""The connection to the database is encrypted, but nobody checks to whom.

What it means. ``require`` asks for encryption and accepts any certificate: who can stand between the service and the
database (a wrong DNS answer, a compromised host) reads and changes everything. asyncpg with ``ssl=require`` verifies
nothing, and neither does libpq without a root certificate.

What proves it. A database URL in the environment with ``ssl=require`` or ``sslmode=require`` and no ``sslrootcert``
(nor ``PGSSLROOTCERT``), or with ``ssl_verify_cert=false`` or ``CERT_NONE``.

What it is not. Connections over loopback or a Unix socket. A URL that says nothing of TLS: the program may do so.

What to do. ``verify-full`` with the authority's certificate.
"""

from __future__ import annotations

from fixes.model import SILENT, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _dsn
from fixes.signatures._dsn import Dsn

_OFF = {"false", "0", "no", "off", "cert_none", "none"}
_CHECKS = ("ssl_verify_cert", "ssl_verify_identity", "ssl_cert_reqs", "ssl_check_hostname")


def detect(view: View) -> Verdict:
    """Fires on URLs that ask for encryption without verification, towards another host."""
    found = [dsn for dsn in _dsn.urls(view.deployment) if not dsn.local and _unverified(dsn)]
    if not found:
        return SILENT
    return Fires(
        severity="info",
        title=f"the connection to the database at {found[0].host} is encrypted, its certificate is not verified",
        evidence=tuple(dsn.evidence() for dsn in found[:4]),
        facts={"host": found[0].host, "variable": found[0].variable, "driver": found[0].driver or found[0].kind},
    )


def _unverified(dsn: Dsn) -> bool:
    if any(dsn.options.get(name, "").lower() in _OFF for name in _CHECKS if name in dsn.options):
        return True
    return dsn.tls == "encrypt" and not dsn.root


def _with(url: str, **others: str) -> Example:
    return Example(url, deployment=_cases.container(environment={"DATABASE_URL": url, **others}))


SIGNATURE = Signature(
    id=SignatureId("db-ssl-unverified"),
    title="The database's certificate is not verified",
    severity="info",
    detect=detect,
    remedies=(RemedyId("trust-db-ca"), RemedyId("advise")),
    proof=Proof(basis="settings", shown=lambda one: any(True for _ in _dsn.urls(one))),
    source="postgresql.org libpq-ssl, table of sslmode; asyncpg/connect_utils.py (ssl=require: CERT_NONE)",
    fires=(
        _with("postgresql+asyncpg://app@db.example.com/app?ssl=require"),
        _with("postgresql://app@10.0.0.5:5432/app?sslmode=require"),
        _with("mysql+pymysql://app@db/app?ssl_ca=/ca.pem&ssl_verify_cert=false"),
        _with("postgresql://app@db/app", PGSSLMODE="require"),
    ),
    silent=(
        _with("postgresql+asyncpg://app@127.0.0.1/app?ssl=require"),
        _with("postgresql://app@/app?host=/var/run/postgresql&sslmode=require"),
        _with("postgresql://app@db/app?sslmode=verify-full"),
        _with("postgresql://app@db/app?sslmode=require&sslrootcert=/etc/ssl/db.pem"),
        _with("postgresql+asyncpg://app@db/app"),
        _with("redis://cache:6379/0?ssl=require"),
    ),
)
