"""DSNs of PostgreSQL, MySQL and MariaDB: where a server is and who asks. They hold passwords, and show them nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from probes import text

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Kind = Literal["postgresql", "mysql"]
DEFAULT_PORTS: Mapping[Kind, int] = {"postgresql": 5432, "mysql": 3306}
_LONGEST_NAME = 255
"""Of a host (RFC 1035, section 2.3.4)."""
_SCHEME = re.compile(r"(?i)\s*(?:postgres|postgresql|(?P<mysql>mysql|mariadb))(?:\+\w+)?://")
_SECRET = re.compile(r"(?P<head>[^/]*://[^:/?#@]*:)(?P<secret>[^@]*(?:@[^@/?#]*(?=@))*)@")
"""A password up to the ``@`` before the host: SQLAlchemy's own pattern lets ``/``, ``?`` and ``#`` stand in it."""
_PORT = re.compile(r"\d*(?:/[^?#]*)?\?\w+=")
"""What stands there instead where no user is named, and an option has an ``@``."""
_MODES: Mapping[str, SslMode] = {mode: mode for mode in get_args(SslMode)} | {
    "true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"
}  # fmt: skip

_MYSQL_MODES: Mapping[str, SslMode] = {
    "disabled": "disable", "preferred": "prefer", "required": "require", "verify_ca": "verify-ca",
    "verify_identity": "verify-full",
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
    kind: Kind = "postgresql"
    client_certificate: bool = False
    """It asks for a certificate of the client, which fastops does not use."""

    @property
    def name(self) -> str:
        """``HOST:PORT``, for people and their terminals."""
        host = text.clean(self.host, _LONGEST_NAME)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def is_dsn(value: str) -> bool:
    """Whether a text looks like a DSN of PostgreSQL, MySQL or MariaDB."""
    return _SCHEME.match(value) is not None


def parse(value: str, environment: Mapping[str, str] = {}) -> Dsn:
    """A URL of a server, with SQLAlchemy's driver names or without.

    ``environment`` is that of whoever uses it: ``PGSSLMODE``, ``PGUSER`` and the like count where the URL is silent, as
    in libpq; for MySQL there is nothing of the kind. Raises :class:`BadDsn`.
    """
    scheme = _SCHEME.match(value)
    if scheme is None:
        raise BadDsn("it is no URL of PostgreSQL or MySQL (postgresql://USER:PASSWORD@HOST:PORT/DATABASE)")
    kind: Kind = "mysql" if scheme["mysql"] else "postgresql"
    environment = environment if kind == "postgresql" else {}
    try:
        url = urlsplit(_escaped(value.strip()))
        options = {name.lower(): said for name, said in parse_qsl(url.query, keep_blank_values=True)}
        if "," in url.netloc or "," in options.get("host", ""):
            raise BadDsn("it names several hosts; give the DSN of one server")
        host = unquote(url.hostname or "") or options.get("host") or environment.get("PGHOST", "")
        port = url.port or int(options.get("port") or environment.get("PGPORT") or DEFAULT_PORTS[kind])
        user = unquote(url.username or "") or options.get("user") or environment.get("PGUSER", "")
        password = unquote(url.password or "") or options.get("password") or environment.get("PGPASSWORD", "")
    except ValueError:
        raise BadDsn("it is no valid URL") from None
    database = unquote(url.path.lstrip("/")) or options.get("dbname") or environment.get("PGDATABASE") or user
    mode, root, certificate = (_mysql_tls if kind == "mysql" else _tls)(options, environment)
    return _made(Dsn(host, port, user, password, database, mode, root, kind, certificate), options)


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
    for name, kind, variables in () if made else _families(environment):
        if variables.get("PGHOST") and variables.get("PGUSER"):
            try:
                made[name] = parse("postgresql://", variables) if kind == "postgresql" else _of_mysql(variables)
            except BadDsn as error:
                bad[name] = str(error)
                continue
            break
    return Found(made, bad)


def _families(environment: Mapping[str, str]) -> Iterator[tuple[str, Kind, Mapping[str, str]]]:
    """The variables of libpq itself, and those of which many services make their URL; all by libpq's names."""
    yield "PGHOST", "postgresql", environment
    families: tuple[tuple[str, Kind], ...] = (("POSTGRES", "postgresql"), ("MYSQL", "mysql"), ("MARIADB", "mysql"))
    for prefix, kind in families:
        names = {
            "PGHOST": environment.get(f"{prefix}_HOST") or environment.get(f"{prefix}_SERVER", ""),
            "PGPORT": environment.get(f"{prefix}_PORT", ""),
            "PGUSER": environment.get(f"{prefix}_USER", ""),
            "PGPASSWORD": environment.get(f"{prefix}_PASSWORD", ""),
            "PGDATABASE": environment.get(f"{prefix}_DB") or environment.get(f"{prefix}_DATABASE", ""),
            "PGSSLMODE": environment.get("PGSSLMODE", "") if kind == "postgresql" else "",
        }
        yield f"{prefix}_HOST", kind, {name: value for name, value in names.items() if value}


def _of_mysql(variables: Mapping[str, str]) -> Dsn:
    port = variables.get("PGPORT", str(DEFAULT_PORTS["mysql"]))
    if not (port.isascii() and port.isdecimal()) or len(port) > 5:
        raise BadDsn("its port is none")
    return _made(
        Dsn(
            host=variables["PGHOST"],
            port=int(port),
            user=variables["PGUSER"],
            password=variables.get("PGPASSWORD", ""),
            database=variables.get("PGDATABASE", ""),
            kind="mysql",
        ),
        {},
    )


def _made(dsn: Dsn, options: Mapping[str, str]) -> Dsn:
    if not dsn.host or dsn.host.startswith("/") or "unix_socket" in options:
        raise BadDsn("it names a Unix socket; give the DSN of a host")
    if not dsn.user:
        raise BadDsn("it names no user")
    if not 0 < dsn.port < 65536:
        raise BadDsn("its port is none")
    return dsn


_Tls = tuple[SslMode, str | None, bool]
"""How far the server is trusted, the authority's file, whether the client has a certificate, too."""


def _tls(options: Mapping[str, str], environment: Mapping[str, str]) -> _Tls:
    asked = options.get("sslmode") or options.get("ssl") or environment.get("PGSSLMODE") or "prefer"
    mode = _MODES.get(asked.strip().lower())
    if mode is None:
        raise BadDsn("its sslmode is none that PostgreSQL knows")
    root = options.get("sslrootcert") or environment.get("PGSSLROOTCERT") or None
    certificate = options.get("sslcert") or environment.get("PGSSLCERT")
    return mode, None if root == "system" else root, bool(certificate)


def _mysql_tls(options: Mapping[str, str], _: Mapping[str, str]) -> _Tls:
    """As MySQL's own programs name it (``ssl-mode``), and PyMySQL and mysqlclient (``ssl_ca``, ``ssl_disabled``)."""
    said = {name.replace("-", "_"): value for name, value in options.items()}
    root = said.get("ssl_ca") or None
    asked = (said.get("ssl_mode") or said.get("sslmode") or said.get("ssl") or "").strip().lower().replace("-", "_")
    if _MODES.get(said.get("ssl_disabled", "").lower()) == "require":
        asked = "disabled"
    elif not asked or (root and asked in _MODES):
        identity = _MODES.get(said.get("ssl_verify_identity", said.get("ssl_check_hostname", "")).lower()) == "require"
        asked = ("verify_identity" if identity else "verify_ca") if root else asked or "preferred"
    mode = _MYSQL_MODES.get(asked) or _MODES.get(asked.replace("_", "-"))
    if mode is None:
        raise BadDsn("its ssl-mode is none that MySQL knows")
    return mode, root, bool(said.get("ssl_cert"))
