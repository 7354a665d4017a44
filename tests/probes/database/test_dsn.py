"""DSNs of every spelling: read as libpq and SQLAlchemy read them, and never shown."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.database.dsn import BadDsn, Dsn, found, is_dsn, parse


def test_a_url_of_sqlalchemy_is_read_whole() -> None:
    one = parse("postgresql+asyncpg://us%40er:p%2Fw@db.internal:6543/shop?ssl=require")
    assert (one.host, one.port, one.user, one.password, one.database) == ("db.internal", 6543, "us@er", "p/w", "shop")
    assert one.sslmode == "require"
    assert one.name == "db.internal:6543"


def test_what_a_url_leaves_out_is_libpqs_default_or_in_the_environment() -> None:
    one = parse("postgresql://db/shop", {"PGUSER": "me", "PGPASSWORD": "pw", "PGSSLMODE": "verify-full"})
    assert (one.port, one.user, one.password, one.sslmode) == (5432, "me", "pw", "verify-full")
    assert parse("postgres://me@[::1]/").name == "[::1]:5432"
    assert parse("postgres://me@db").database == "me"


@pytest.mark.parametrize(
    "text",
    [
        "oracle://me@db/shop", "mysql://db/shop", "mysql://me@db/?unix_socket=/run/mysqld/mysqld.sock",
        "mariadb://me@db/?ssl-mode=perhaps", "host=db user=me", "postgresql://a,b/shop", "postgresql:///shop", "postgresql://db/shop",
        "postgresql://me@db:99999/", "postgresql://me@db:port/", "postgresql://me@db/?sslmode=perhaps",
        "postgresql://me@/shop?host=/run/postgresql", "postgresql://me@[::1/",
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_without_a_part_of_it(text: str) -> None:
    with pytest.raises(BadDsn) as raised:
        parse(text)
    said = str(raised.value)
    assert said
    assert "shop" not in said
    assert "perhaps" not in said


@pytest.mark.parametrize(
    "password",
    ["pa/ss", "pa#ss", "pa?ss", "5432/x", "12#x", "12?x", "p[ss", "p]/s", "a:b/c", "p@ss", "p/s@s", "%41/%2F", "pä/s"],
)
def test_a_password_is_read_as_sqlalchemy_reads_it_whatever_stands_in_it(password: str) -> None:
    one = parse(f"postgresql+asyncpg://app:{password}@db:6543/shop?sslmode=require", {"PGUSER": "somebody"})
    assert (one.host, one.port, one.user, one.password) == ("db", 6543, "app", unquote(password))
    assert (one.database, one.sslmode) == ("shop", "require")


@given(st.text(), st.sampled_from(["db", "[::1]", "10.0.0.5:6543"]))
def test_what_is_escaped_comes_back(password: str, host: str) -> None:
    one = parse(f"postgresql://app:{quote(password, safe='')}@{host}/sh%40p", {"PGPASSWORD": ""})
    assert one.password == password
    assert one.database == "sh@p"


def test_an_at_sign_after_the_host_ends_no_password() -> None:
    one = parse("postgresql://db:6543/shop?user=me@corp&password=pw")
    assert (one.host, one.port, one.user, one.database) == ("db", 6543, "me@corp", "shop")
    assert parse("postgresql://me:pw@db/sh@p").database == "sh@p"
    assert parse("postgresql://db/shop?user=a:b@corp").user == "a:b@corp"


@pytest.mark.parametrize("host", ["db\x1bc.internal", "db%1B%5D0;owned%07.internal", "db%E2%80%AE.internal"])
def test_a_hosts_name_reaches_no_terminal_as_it_came(host: str) -> None:
    assert parse(f"postgresql://me@{host}:6543/shop").name == "db.internal:6543"
    assert parse("postgresql://", {"PGHOST": unquote(host), "PGUSER": "me"}).name == "db.internal:5432"
    assert len(Dsn("h" * 5000, 1, "u", "p", "d").name) < 300


@given(st.text(), st.text(min_size=1).filter(lambda s: s.isalnum()))
def test_no_text_breaks_it_and_no_repr_shows_the_credentials(text: str, password: str) -> None:
    for one in (text, "postgresql://" + text):
        try:
            made = parse(one)
        except BadDsn:
            continue
        assert isinstance(made, Dsn)
    shown = repr(Dsn("h", 1, "the-user", f"pw-{password}-pw", "the-database"))
    assert "pw-" not in shown
    assert "the-user" not in shown


def test_the_dsns_of_an_environment_are_found_once_each() -> None:
    environment = {
        "DATABASE_URL": "postgresql+asyncpg://app:x@db/shop",
        "SYNC_URL": "postgresql://app:x@db/shop",
        "REPLICA_URL": "postgresql://app:x@replica/shop",
        "REDIS_URL": "redis://cache",
        "PGHOST": "elsewhere",
        "PGUSER": "me",
    }
    assert {name: one.host for name, one in found(environment).dsns.items()} == {
        "DATABASE_URL": "db",
        "REPLICA_URL": "replica",
    }


def test_parts_make_a_dsn_where_there_is_no_url() -> None:
    parts = {"POSTGRES_SERVER": "db", "POSTGRES_USER": "app", "POSTGRES_PASSWORD": "pw", "POSTGRES_DB": "shop"}
    one = found(parts).dsns["POSTGRES_HOST"]
    assert (one.host, one.user, one.password, one.database) == ("db", "app", "pw", "shop")
    assert found({"PGHOST": "db", "PGUSER": "me"}).dsns["PGHOST"].database == "me"
    assert found({"POSTGRES_USER": "the container of the server itself"}) == ({}, {})
    assert not is_dsn("see postgresql://db")


def test_a_variable_that_cannot_be_used_is_named_without_its_value() -> None:
    several = "postgresql://app:s3cret@a,b/shop"
    said = found({"DATABASE_URL": several, "OTHER_URL": "postgresql://app:pw@db/shop"})
    assert list(said.dsns) == ["OTHER_URL"]
    assert said.bad == {"DATABASE_URL": "it names several hosts; give the DSN of one server"}
    assert found({"PGHOST": "/run/postgresql", "PGUSER": "me"}).bad.keys() == {"PGHOST"}


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ("", "prefer"), ("?ssl-mode=REQUIRED", "require"), ("?ssl_mode=VERIFY_IDENTITY", "verify-full"),
        ("?ssl_disabled=true", "disable"), ("?ssl=true", "require"), ("?ssl_ca=/ca.pem", "verify-ca"),
        ("?ssl_ca=/ca.pem&ssl_verify_identity=true", "verify-full"), ("?ssl-mode=disabled", "disable"),
        ("?ssl=true&ssl_ca=/ca.pem", "verify-ca"), ("?charset=utf8mb4", "prefer"),
    ],
)  # fmt: skip
def test_a_url_of_mysql_is_read_as_its_drivers_read_it(options: str, mode: str) -> None:
    one = parse(f"mysql+aiomysql://shop:s%40e@db/orders{options}", {"PGHOST": "no", "PGSSLMODE": "verify-full"})
    assert (one.kind, one.host, one.port, one.user, one.password) == ("mysql", "db", 3306, "shop", "s@e")
    assert one.sslmode == mode
    assert one.root == ("/ca.pem" if "ssl_ca" in options else None)
    assert parse("mariadb+asyncmy://me@db:3307/x").port == 3307


def test_the_parts_of_mysql_in_an_environment_are_a_server() -> None:
    parts = {
        "MYSQL_HOST": "db",
        "MYSQL_PORT": "3307",
        "MYSQL_USER": "shop",
        "MYSQL_PASSWORD": "x",
        "MYSQL_DATABASE": "o",
    }
    assert found(parts).dsns["MYSQL_HOST"] == Dsn("db", 3307, "shop", "x", "o", kind="mysql")
    bad = found({"MARIADB_HOST": "db", "MARIADB_USER": "me", "MARIADB_PORT": "tcp://10.0.0.1:3306"})
    assert bad.dsns == {}
    assert bad.bad == {"MARIADB_HOST": "its port is none"}
