"""TLS as a DSN asks for it (postgresql.org, libpq-ssl): how far the server's certificate is trusted."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from probes.database.dsn import Dsn


class BadRoot(Exception):
    """The authority that the DSN names cannot be read."""


class _Named(ssl.SSLContext):
    """Checks the certificate for the name in the DSN, also where that was resolved to an address before."""

    server_name = ""

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """The way in which asyncio wraps a connection."""
        return super().wrap_bio(*arguments, **{**named, "server_hostname": self.server_name})


def context(dsn: Dsn, root: bytes | None = None) -> ssl.SSLContext | None:
    """``None`` for clear text. ``root``: the authority's certificates in PEM; without it this machine's own.

    Raises :class:`BadRoot`.
    """
    if dsn.sslmode in {"disable", "allow"}:
        return None
    if dsn.sslmode == "prefer" or (dsn.sslmode == "require" and dsn.root is None):
        return optional(dsn)
    made = _made(dsn)
    made.check_hostname = dsn.sslmode == "verify-full"
    try:
        if root is None and dsn.root is not None:
            root = Path(dsn.root).read_bytes()
        if root is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(cadata=root.decode("ascii"))
    except (OSError, ValueError):  # ssl's own errors are of the first kind
        raise BadRoot from None
    return made


def optional(dsn: Dsn) -> ssl.SSLContext:
    """As libpq has it below ``verify-ca``: encrypted, and nobody's word for who answers."""
    made = _made(dsn)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def _made(dsn: Dsn) -> _Named:
    made = _Named(ssl.PROTOCOL_TLS_CLIENT)
    made.server_name = dsn.host
    return made
