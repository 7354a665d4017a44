"""Who asks: the headers and the certificate of the next request, read anew when they change and renewed on refusal."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from probes import text
from probes.base import Failure, Frozen
from probes.target import Unreadable
from probes.targets.kubernetes import plugin as plugins
from probes.targets.kubernetes.place import Cluster, Place, Plugin, User

MARGIN = timedelta(seconds=30)
"""A plugin's credentials are renewed this long before they end: a clock may be off, a request takes its time."""
PAUSE_SECONDS = 5.0
"""A plugin that failed is not run again sooner, however many requests ask for it."""
_FILE_LIMIT = 1 << 20


class Credential(Frozen, frozen=True):
    """What one request carries. Secret: it has no representation."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: bytes | None = None
    """PEM; with :attr:`key`, for the TLS handshake."""
    key: bytes | None = None

    def __repr__(self) -> str:
        return "Credential(…)"


class Credentials:
    """The credentials of one place. However many requests need a new token, the plugin runs once at a time."""

    def __init__(
        self,
        place: Place,
        *,
        reread: Callable[[], Place] | None = None,
        timeout_seconds: float = plugins.PLUGIN_SECONDS,
    ) -> None:
        """``reread`` resolves the place anew: a login by hand changes the kubeconfig; it may raise Unreadable."""
        self._user: User = place.user
        self._cluster: Cluster = place.cluster
        self._reread = reread
        self._timeout_seconds = timeout_seconds
        self._issued: plugins.Issued | None = None
        self._failed: tuple[float, Failure] | None = None
        self._files: dict[str, tuple[tuple[int, int, int], bytes]] = {}
        self._running: asyncio.Task[plugins.Issued] | None = None
        self._refused: tuple[float, Credential] | None = None

    async def current(self) -> Credential:
        """What is valid now; runs the plugin where there is one and what it gave has ended.

        Raises :class:`Unreadable`: ``expired``, ``timeout``, ``no-command``, ``invalid``, ``permission-denied``,
        ``not-found``.
        """
        user = self._user
        if user.unsupported:
            raise Unreadable(Failure("invalid", self._what(), user.unsupported, "see kubectl config view"))
        certificate = self._pem(user.certificate_file, user.certificate)
        key = self._pem(user.key_file, user.key)
        token = self._token(user)
        if token is None and user.username is None and user.plugin is not None:
            issued = await self._from_plugin(user.plugin)
            token = issued.token
            certificate, key = (issued.certificate, issued.key) if issued.certificate else (certificate, key)
        if bool(certificate) != bool(key):
            why = "it has a client certificate or a client key without the other"
            raise Unreadable(Failure("invalid", self._what(), why, "mend the kubeconfig: kubectl config view"))
        return Credential(self._headers(user, token), certificate, key)

    async def renew(self, refused: Credential) -> bool:
        """The server answered 401 to ``refused``: whether there is another now. Raises as :meth:`current` does.

        What was refused twice within :data:`PAUSE_SECONDS` is not asked for again: not every request runs the plugin.
        """
        since, again = self._refused or (0.0, None)
        if again == refused and time.monotonic() < since + PAUSE_SECONDS:
            return await self.current() != refused
        if self._issued is not None and self._bears(refused, self._issued):
            self._issued = None
        self._files.clear()
        if self._reread is not None:
            place = self._reread()
            self._user, self._cluster = place.user, place.cluster
        renewed = await self.current()
        self._refused = (time.monotonic(), renewed) if renewed == refused else None
        return renewed != refused

    async def close(self) -> None:
        """Ends the plugin, if it runs."""
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _token(self, user: User) -> str | None:
        if user.token_file is None:
            return user.token
        try:
            token = self._read(user.token_file).decode("utf-8").strip()
        except (Unreadable, UnicodeDecodeError):
            if user.token:
                return user.token
            raise
        return token or user.token

    def _headers(self, user: User, token: str | None) -> tuple[tuple[str, str], ...]:
        said: tuple[tuple[str, str], ...] = ()
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise Unreadable(
                    Failure("invalid", self._what(), "its token cannot be put into a header", "log in anew")
                )
            said = (("authorization", f"Bearer {token}"),)
        elif user.username is not None:
            pair = f"{user.username}:{user.password or ''}".encode()
            said = (("authorization", f"Basic {base64.b64encode(pair).decode()}"),)
        return (*said, *user.impersonate)

    async def _from_plugin(self, plugin: Plugin) -> plugins.Issued:
        if self._issued is not None and _fresh(self._issued):
            return self._issued
        if self._running is None:
            if self._failed is not None and time.monotonic() < self._failed[0] + PAUSE_SECONDS:
                raise Unreadable(self._failed[1])
            self._running = asyncio.create_task(self._fetch(plugin))
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)  # a request that is given up ends no login that a person is at

    async def _fetch(self, plugin: Plugin) -> plugins.Issued:
        try:
            issued = await plugins.run(plugin, self._cluster, self._timeout_seconds)
        except Unreadable as unreadable:
            self._issued, self._failed = None, (time.monotonic(), unreadable.failure)
            raise
        self._issued, self._failed = issued, None
        return issued

    def _ended(self, task: asyncio.Task[plugins.Issued]) -> None:
        self._running = None
        if not task.cancelled():
            task.exception()  # those who waited were told; where nobody waits any more, nobody is to be

    @staticmethod
    def _bears(credential: Credential, issued: plugins.Issued) -> bool:
        if issued.token is not None:
            return ("authorization", f"Bearer {issued.token}") in credential.headers
        return issued.certificate == credential.certificate

    def _pem(self, path: str | None, data: bytes | None) -> bytes | None:
        return data if data is not None or path is None else self._read(path)

    def _read(self, path: str) -> bytes:
        """A small file, kept until its time, size or inode changes: the kubelet and agents replace tokens in place."""
        file = Path(path)
        try:
            stat = file.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            kept = self._files.get(path)
            if kept is not None and kept[0] == mark:
                return kept[1]
            with file.open("rb") as opened:
                data = opened.read(_FILE_LIMIT)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            code = "not-found" if isinstance(error, FileNotFoundError) else "permission-denied"
            code = code if isinstance(error, OSError) else "invalid"
            why = f"{text.clean(path, 300)} cannot be read: {text.line(reason, 120)}"
            raise Unreadable(Failure(code, self._what(), why, "see kubectl config view")) from None
        self._files[path] = (mark, data)
        return data

    def _what(self) -> str:
        return f"the credentials of {text.clean(self._user.name, 120) or 'nobody'}"


def _fresh(issued: plugins.Issued) -> bool:
    return issued.expires_at is None or datetime.now(UTC) + MARGIN < issued.expires_at
