"""Database connections in words."""

from __future__ import annotations

from probes.pools import DatabaseServer, Held, Pool


def sentence(pool: Pool) -> str:
    """``pool 12 of 30 (2 × (5+10)); server 48 of 97 in use``: only what is known is said."""
    parts = [_pool(pool)]
    if pool.held is not None:
        parts.append(server(pool.held.server))
    return "; ".join(parts)


def server(one: DatabaseServer) -> str:
    """``server 48 of 97 in use``, and what of it nobody could be told."""
    if one.in_use is None:
        return "server not counted"
    kind = "PgBouncer" if one.kind == "pgbouncer" else "server"
    said = f"{kind} {one.in_use} of {one.usable} in use" if one.usable is not None else f"{kind} {one.in_use} in use"
    said += f" by the limit of {one.limited_by}" if one.limited_by else ""
    doubts = []
    if one.unattributed:
        doubts.append(f"{one.unattributed} of no known replica")
    if one.hidden:
        doubts.append(f"{one.hidden} hidden from this role")
    return f"{said} ({', '.join(doubts)})" if doubts else said


def pooled(one: DatabaseServer) -> str:
    """PgBouncer's own pools: ``shop/app 3 clients, 0 waiting, 2 of 3 connections busy``."""
    return "; ".join(
        f"{p.database}/{p.user} {p.clients_active} clients, {p.clients_waiting} waiting, "
        f"{p.servers_active} of {p.servers_active + p.servers_idle} connections busy"
        for p in one.pooled
    )


def sessions(held: Held) -> str:
    """States of a deployment's connections, oldest transaction, what waits, TLS; empty where none is open."""
    if not held.connections:
        return ""
    parts = [f"{count} {state}" for state, count in sorted(held.states.items(), key=lambda item: -item[1])]
    if held.oldest_transaction_seconds is not None:
        parts.append(f"oldest transaction {held.oldest_transaction_seconds:.1f} s")
    if held.waiting_for_locks:
        parts.append(f"{held.waiting_for_locks} waiting for locks")
    if held.encrypted is not None:
        parts.append(f"{held.encrypted} of {held.connections} over TLS")
    return ", ".join(parts)


def _pool(pool: Pool) -> str:
    if pool.capacity is not None:
        in_use = f"{pool.in_use} of" if pool.in_use is not None else "at most"
        return f"pool {in_use} {pool.capacity} ({pool.product})"
    in_use = "pool not counted" if pool.in_use is None else f"pool {pool.in_use} open"
    if pool.size is None:
        most = "" if pool.peak is None else f", {pool.peak} at most were seen"
        return f"{in_use}{most}, its size is not known"
    if pool.overflow is None:
        return f"{in_use}, {pool.size} per worker and an overflow that is not known"
    if pool.overflow < 0:
        return f"{in_use}, {pool.size} per worker and an overflow without bound"
    return f"{in_use}, ({pool.size}+{pool.overflow}) per worker, the number of workers is not known"
