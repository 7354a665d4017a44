"""A deployment's database connections among its settings, as sums in words."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from fixes.signatures import _cases
from probes.pools import DatabaseServer, Held, Pool, Pooled
from screens import facts

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SERVER = DatabaseServer("db:5432", "postgresql", NOW, usable=97, in_use=48)
HELD = Held(SERVER, 12, {"idle": 10, "active": 2}, {}, 1, 4.2, 12)
POOL = Pool("pg_stat_activity of db:5432; pool by environment DB_POOL_SIZE", 12, 12, 5, 10, 2, 1, held=HELD)


def _text(pool: Pool | None) -> str:
    return facts.settings(msgspec.structs.replace(_cases.container(), pool=pool), 200).plain


def test_the_sum_and_the_sessions_are_shown() -> None:
    shown = _text(POOL)
    assert "pool 12 of 30 (2 × (5+10)); server 48 of 97 in use" in shown
    assert "10 idle, 2 active, oldest transaction 4.2 s, 1 waiting for locks, 12 of 12 over TLS" in shown
    assert "pg_stat_activity of db:5432" in shown


def test_pgbouncers_pools_are_shown() -> None:
    pooler = msgspec.structs.replace(SERVER, kind="pgbouncer", pooled=(Pooled("shop", "app", 3, 1, 2, 1),))
    shown = _text(msgspec.structs.replace(POOL, held=msgspec.structs.replace(HELD, server=pooler)))
    assert "PgBouncer 48 of 97 in use" in shown
    assert "shop/app 3 clients, 1 waiting, 2 of 3 connections busy" in shown


def test_nothing_is_said_where_nothing_is_known() -> None:
    shown = _text(None)
    assert "database" not in shown
    assert "sessions" not in shown
