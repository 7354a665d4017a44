"""One server that is asked again and again over one connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from probes.base import Failure, TargetId
from probes.database import connecting, failures, mysql, pgbouncer, processlist, statistics
from probes.database.dsn import Dsn
from probes.database.refusals import Refusals
from probes.database.statistics import Limit, SessionRow
from probes.pools import DatabaseServer
from probes.target import Unreadable, Way


class Looked(NamedTuple):
    """What a server said, and whose sessions it has; ``unattributed`` is not known yet."""

    server: DatabaseServer
    sessions: tuple[SessionRow, ...]
    limits: tuple[Limit, ...] = ()


class Unanswered(Exception):
    """The server could not be asked; carries why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.why)
        self.failure = failure


class Asked:
    """A server at an address, with credentials. Not for two tasks at once."""

    def __init__(
        self,
        dsn: Dsn,
        address: str,
        port: int,
        root: bytes | None = None,
        refusals: Refusals | None = None,
        *,
        way: Way | None = None,
        inside: TargetId | None = None,
    ) -> None:
        """``refusals``: what others with the same credentials were told, and are told by this one.

        ``way`` leads there where the address does not; ``inside`` is the network that the address is of, where it is
        not this machine's.
        """
        self.dsn = dsn
        self.address = address
        self.port = port
        self._root = root
        self._way = way
        self.inside = inside
        self._where = address if inside is None else f"{inside}/{address}"
        self._refusals = Refusals() if refusals is None else refusals
        self._connection: Any = None
        self._pooler = False
        self._given_up: Failure | None = None

    @property
    def given_up(self) -> bool:
        """Whether these credentials, or this way, will never do."""
        return self._given_up is not None

    async def look(self) -> Looked:
        """Asks once; raises :class:`Unanswered`. What cannot get better by asking again is not asked again."""
        if self._given_up is not None:
            raise Unanswered(self._given_up)
        try:
            if self.dsn.kind == "mysql":
                return await self._mysql_look()
            return await self._pooler_look() if self._pooler else await self._look()
        except connecting.Pooler:
            self._pooler = True
            return await self.look()
        except Unanswered:
            raise
        except Exception as error:  # noqa: BLE001 -- drivers have errors of several families; all are failures
            await self.close()
            failure = self._told(error)
            if failures.refused(error, pooler=self._pooler):
                self._refusals.note(self.dsn, self._where, self.port, failure)
            if failures.permanent(failure):
                self._given_up = failure
            raise Unanswered(failure) from None

    async def close(self) -> None:
        """Ends the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await (mysql.close if self.dsn.kind == "mysql" else connecting.close)(connection)

    async def _look(self) -> Looked:
        if self._connection is None or self._connection.is_closed():
            self._not_refused()
            self._connection = await connecting.connect(self.dsn, self.address, self.port, self._root, self._way)
        said = await statistics.read(self._connection)
        return self._looked(
            DatabaseServer(
                name=self.dsn.name,
                kind="postgresql",
                asked_at=datetime.now(UTC),
                version=said.version,
                usable=said.usable,
                hidden=said.hidden,
            ),
            said.sessions,
            said.limits,
        )

    async def _mysql_look(self) -> Looked:
        if self._connection is None or self._connection.closed:
            self._not_refused()
            self._connection = await mysql.connect(self.dsn, self.address, self.port, self._root, self._way)
        said = await processlist.read(self._connection)
        return self._looked(
            DatabaseServer(
                name=self.dsn.name,
                kind=mysql.kind(self._connection),
                asked_at=datetime.now(UTC),
                version=said.version,
                usable=said.usable,
                hidden=said.hidden,
            ),
            said.sessions,
            said.limits,
        )

    def _not_refused(self) -> None:
        """Before a password is given."""
        known = self._refusals.of(self.dsn, self._where, self.port)
        if known is not None:
            self._given_up = known
            raise Unanswered(known)

    async def _pooler_look(self) -> Looked:
        """The console's connection cannot be kept: asyncpg cannot go on with it."""
        self._not_refused()
        connection = await connecting.console(self.dsn, self.address, self.port, self._root, self._way)
        try:
            said = await pgbouncer.read(connection)
        finally:
            connection.terminate()
        return self._looked(
            DatabaseServer(
                name=self.dsn.name,
                kind="pgbouncer",
                asked_at=datetime.now(UTC),
                version=said.version,
                usable=said.max_clients,
                pooled=said.pools,
            ),
            said.clients,
        )

    @staticmethod
    def _looked(server: DatabaseServer, sessions: tuple[SessionRow, ...], limits: tuple[Limit, ...] = ()) -> Looked:
        known = [s.encrypted for s in sessions if s.encrypted is not None]
        made = replace(
            server,
            in_use=len(sessions) + server.hidden,
            encrypted=sum(known) if len(known) == len(sessions) else None,
            own_encrypted=next((s.encrypted for s in sessions if s.own), None),
        )
        return Looked(made, sessions, limits)

    def _told(self, error: Exception) -> Failure:
        if isinstance(error, Unreadable):
            return error.failure
        failure = failures.of(error, self.dsn.name)
        if self._way is not None and self._way.failure is not None and failure.code == "closed":
            return self._way.failure
        if self._pooler and getattr(error, "sqlstate", None) is not None:
            what = f"PgBouncer at {self.dsn.name}"
            why = "its console does not let this user in"
            return Failure("not-permitted", what, why, "name the user in stats_users of pgbouncer.ini")
        return failure
