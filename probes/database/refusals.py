"""Passwords that a server refused: given again and again, by whoever has the same one, they lock an account."""

from __future__ import annotations

import os
from hashlib import blake2b

from probes.base import Failure
from probes.database.dsn import Dsn

MOST_REFUSED = 10_000
"""The oldest are forgotten beyond these."""
_Key = tuple[str, int, str, bytes]


class Refusals:
    """What was refused, and why, for as long as a session lasts.

    An account is a server's, not a database's: a password that is refused for one database is not tried for another.
    """

    def __init__(self) -> None:
        self._salt = os.urandom(32)
        self._known: dict[_Key, Failure] = {}

    def note(self, dsn: Dsn, address: str, port: int, failure: Failure) -> None:
        """These credentials were refused there."""
        while len(self._known) >= MOST_REFUSED:
            del self._known[next(iter(self._known))]
        self._known[self._key(dsn, address, port)] = failure

    def of(self, dsn: Dsn, address: str, port: int) -> Failure | None:
        """Why these credentials were refused there; ``None`` where they were not."""
        return self._known.get(self._key(dsn, address, port))

    def _key(self, dsn: Dsn, address: str, port: int) -> _Key:
        """The password as a hash that means nothing outside of this session."""
        password = dsn.password.encode("utf-8", "surrogatepass")
        return address, port, dsn.user, blake2b(password, key=self._salt).digest()
