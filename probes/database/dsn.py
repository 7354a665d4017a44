"""DSNs of PostgreSQL: where a server is and who asks. They hold passwords, and show them nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from probes import text

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
DEFAULT_PORT = 5432
_LONGEST_NAME = 255
"""Of a host (RFC 1035, section 2.3.4)."""
_SCHEME = re.compile(r"(?i)\s*(?:postgres|postgresql)(?:\+\w+)?://")
_SECRET = re.compile(r"(?P<head>[^/]*://[^:/?#@]*:)(?P<secret>[^@]*(?:@[^@/?#]*(?=@))*)@")
"""A password up to the ``@`` before the host: SQLAlchemy's own pattern lets ``/``, ``?`` and ``#`` stand in it."""
_PORT = re.compile(r"\d*(?:/[^?#]*)?\?\w+=")
"""What stands there instead where no user is named, and an option has an ``@``."""
_MODES: Mapping[str, SslMode] = {mode: mode for mode in get_args(SslMode)} | {
    "true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"
}  # fmt: skip


class BadDsn(Exception):
    """A text that cannot be used as a DSN; the sentence names no part of it."""


@dataclass(frozen=True)
class Dsn:
    """One server and the credentials for it. Its ``repr`` has neither user nor password."""

    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    database: str = field(repr=False)
    sslmode: SslMode = "prefer"
    root: str | None = None
    """The file with the authority that is trusted, as the DSN names it."""
    client_certificate: bool = False
    """It asks for a certificate of the client, which fastops does not use."""

    @property
    def name(self) -> str:
        """``HOST:PORT``, for people and their terminals."""
        host = text.clean(self.host, _LONGEST_NAME)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def is_dsn(value: str) -> bool:
    """Whether a text looks like a DSN of PostgreSQL."""
    return _SCHEME.match(value) is not None


def parse(value: str, environment: Mapping[str, str] = {}) -> Dsn:
    """A URL of PostgreSQL, with SQLAlchemy's driver names or without.

    ``environment`` is that of whoever uses it: ``PGSSLMODE``, ``PGUSER`` and the like count where the URL is silent, as
    in libpq. Raises :class:`BadDsn`.
    """
    if not is_dsn(value):
        raise BadDsn("it is no URL of PostgreSQL (postgresql://USER:PASSWORD@HOST:PORT/DATABASE)")
    try:
        url = urlsplit(_escaped(value.strip()))
        options = {name.lower(): said for name, said in parse_qsl(url.query, keep_blank_values=True)}
        if "," in url.netloc or "," in options.get("host", ""):
            raise BadDsn("it names several hosts; give the DSN of one server")
        host = unquote(url.hostname or "") or options.get("host") or environment.get("PGHOST", "")
        port = url.port or int(options.get("port") or environment.get("PGPORT") or DEFAULT_PORT)
        user = unquote(url.username or "") or options.get("user") or environment.get("PGUSER", "")
        password = unquote(url.password or "") or options.get("password") or environment.get("PGPASSWORD", "")
    except ValueError:
        raise BadDsn("it is no valid URL") from None
    database = unquote(url.path.lstrip("/")) or options.get("dbname") or environment.get("PGDATABASE") or user
    return _made(host, port, user, password, database, options, environment)


def _escaped(url: str) -> str:
    """The URL with its password in a form that no part of it can be taken for another one."""
    one = _SECRET.match(url)
    if one is None or _PORT.match(one["secret"]):
        return url
    return f"{one['head']}{quote(unquote(one['secret']), safe='')}@{url[one.end() :]}"


class Found(NamedTuple):
    """What an environment says."""

    dsns: dict[str, Dsn]
    bad: dict[str, str]
    """A variable's name → why what it says cannot be used; no part of its value."""


def found(environment: Mapping[str, str]) -> Found:
    """The DSNs in an environment by the variable's name, those of one server and user once; else by their parts."""
    bad: dict[str, str] = {}
    made: dict[str, Dsn] = {}
    for name, value in sorted(environment.items()):
        if is_dsn(value):
            try:
                one = parse(value, environment)
            except BadDsn as error:
                bad[name] = str(error)
                continue
            if all((o.host, o.port, o.user) != (one.host, one.port, one.user) for o in made.values()):
                made[name] = one
    for name, variables in () if made else _families(environment):
        if variables.get("PGHOST") and variables.get("PGUSER"):
            try:
                made[name] = parse("postgresql://", variables)
            except BadDsn as error:
                bad[name] = str(error)
                continue
            break
    return Found(made, bad)


def _families(environment: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The variables of libpq itself, and those of which many services make their URL."""
    yield "PGHOST", environment
    names = {
        "PGHOST": environment.get("POSTGRES_HOST") or environment.get("POSTGRES_SERVER", ""),
        "PGPORT": environment.get("POSTGRES_PORT", ""),
        "PGUSER": environment.get("POSTGRES_USER", ""),
        "PGPASSWORD": environment.get("POSTGRES_PASSWORD", ""),
        "PGDATABASE": environment.get("POSTGRES_DB", ""),
        "PGSSLMODE": environment.get("PGSSLMODE", ""),
    }
    yield "POSTGRES_HOST", {name: value for name, value in names.items() if value}


def _made(
    host: str,
    port: int,
    user: str,
    password: str,
    database: str,
    options: Mapping[str, str],
    environment: Mapping[str, str],
) -> Dsn:
    if not host or host.startswith("/"):
        raise BadDsn("it names a Unix socket; give the DSN of a host")
    if not user:
        raise BadDsn("it names no user")
    if not 0 < port < 65536:
        raise BadDsn("its port is none")
    asked = options.get("sslmode") or options.get("ssl") or environment.get("PGSSLMODE") or "prefer"
    mode = _MODES.get(asked.strip().lower())
    if mode is None:
        raise BadDsn("its sslmode is none that PostgreSQL knows")
    root = options.get("sslrootcert") or environment.get("PGSSLROOTCERT") or None
    return Dsn(
        host=host,
        port=port,
        user=user,
        password=password,
        database=database,
        sslmode=mode,
        root=None if root == "system" else root,
        client_certificate=bool(options.get("sslcert") or environment.get("PGSSLCERT")),
    )
