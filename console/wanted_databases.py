"""``--database``: which servers may be asked, and with whose credentials. ``--source``: where services' code is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console.config import BadConfig
from probes.base import TargetId
from probes.database.dsn import BadDsn, Dsn, is_dsn, parse
from probes.target import Target
from probes.text import line

if TYPE_CHECKING:
    from console.judging import Judging
    from console.pool_settings import PoolSettings


class Databases(NamedTuple):
    """Without ``own`` and without a DSN no database is contacted."""

    own: bool = False
    """With the deployments' own credentials."""
    given: tuple[Dsn, ...] = ()
    sources: tuple[str, ...] = ()
    """Directories of this machine with the code of services, absolute: no server is asked for what they say."""

    def __bool__(self) -> bool:
        return self.own or bool(self.given)


NONE = Databases()


def wanted(asked: Sequence[str], sources: Sequence[str] = ()) -> Databases:
    """What ``--database`` and ``--source`` ask for; raises :class:`BadConfig`, whose sentence repeats no DSN."""
    own = False
    given: list[Dsn] = []
    for one in asked:
        kind, colon, name = one.partition(":")
        if one == "own":
            own = True
        elif "://" in one or is_dsn(one) or "=" in one:
            raise BadConfig(
                "--database: a DSN on the command line is seen by everybody on this machine; put it into an "
                "environment variable and write env:VARIABLE"
            )
        elif kind == "env" and colon and name:
            given.append(_given(name))
        else:
            raise BadConfig(f"--database: {line(one, 80)!r} is neither own nor env:VARIABLE")
    for one in sources:
        if not Path(one).is_dir():
            raise BadConfig(f"--source: there is no directory {line(one, 200)}")
    return Databases(own, tuple(dict.fromkeys(given)), tuple(str(Path(one).resolve()) for one in sources))


def _given(name: str) -> Dsn:
    value = os.environ.get(name)
    if value is None:
        raise BadConfig(f"--database: the environment has no variable {line(name, 80)}")
    try:
        made = parse(value, os.environ)
    except BadDsn as error:
        raise BadConfig(f"--database: the DSN in {line(name, 80)} cannot be used: {error}") from None
    if made.client_certificate:
        raise BadConfig(
            f"--database: the DSN in {line(name, 80)} asks for a client certificate, which is not supported"
        )
    return made


class Allowed:
    """Which servers may be asked: those that were wanted from the start, else none until a person allows it.

    What a service's own files say of its pool is looked for in any case: no server is asked for it.
    """

    def __init__(self, databases: Databases) -> None:
        self.wanted = databases
        self._given = asyncio.Event()
        if databases:
            self._given.set()
        self._judging: Judging | None = None
        self._settings: PoolSettings | None = None

    @property
    def asked(self) -> bool:
        """Whether the servers that are wanted were asked once, or none is wanted."""
        return not self.wanted or (self._judging is not None and self._judging.databases_asked)

    @property
    def settings_read(self) -> bool:
        """Whether the files of the services that were there at first were looked at."""
        return self._settings is not None and self._settings.read

    def own(self) -> None:
        """The deployments' own credentials may be used from now on; called on the session's loop."""
        self.wanted = self.wanted._replace(own=True)
        self._given.set()

    async def watch(self, targets: Mapping[TargetId, Target], judging: Judging) -> None:
        """Reads the settings, and asks the servers once any may be asked, until cancelled."""
        from console.pool_settings import PoolSettings

        self._judging = judging
        self._settings = settings = PoolSettings(targets, judging, self.wanted.sources)
        await asyncio.gather(settings.run(), self._ask(targets, judging))

    async def _ask(self, targets: Mapping[TargetId, Target], judging: Judging) -> None:
        await self._given.wait()
        from console.databases import DatabaseWatch

        await DatabaseWatch(self.wanted, targets, judging.board, judging.defects, judging.databases_told).run()
