"""A file counts as there for a service only where the container's user can read it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from probes.intent import Desired
from probes.target import Refused, Unreadable
from probes.targets.docker.wanted import wanted

CA = "/ca/db.pem"
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1000:\nssl:x:101:app,other\n"


class Engine:
    """Sends files as an engine does: in a tar stream, with owner and mode."""

    def __init__(self, files: Mapping[str, tuple[bytes, int, int, int]]) -> None:
        self._files = files

    @asynccontextmanager
    async def stream(self, _path: str, params: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        path = params["path"]
        if path not in self._files:
            from probes.base import Failure

            raise Unreadable(Failure("not-found", path, "it is not there", ""))
        content, mode, uid, gid = self._files[path]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            member = tarfile.TarInfo(path.rsplit("/", 1)[-1])
            member.size, member.mode, member.uid, member.gid = len(content), mode, uid, gid
            tar.addfile(member, io.BytesIO(content))

        async def chunks() -> AsyncIterator[bytes]:
            yield out.getvalue()

        yield chunks()


async def draft(user: str, mode: int, uid: int, gid: int, *, names: bool = True, added: tuple[str, ...] = ()) -> None:
    files = {CA: (PEM, mode, uid, gid)}
    if names:
        files |= {"/etc/passwd": (PASSWD, 0o644, 0, 0), "/etc/group": (GROUP, 0o644, 0, 0)}
    client: Any = Engine(files)
    body = {"User": user, "HostConfig": {"GroupAdd": list(added)}, "Env": []}
    await wanted(client, "c", body, Desired(database_ca=CA), {}, None)


@pytest.mark.parametrize(
    ("user", "mode", "uid", "gid"),
    [
        ("1000", 0o600, 0, 0),
        ("app", 0o600, 0, 0),
        ("app", 0o640, 0, 0),
        ("1000:1000", 0o640, 0, 101),
        ("2000", 0o640, 0, 1000),
        ("app", 0o040, 1000, 0),
    ],
)
async def test_an_authority_that_the_services_user_cannot_read_is_refused(
    user: str, mode: int, uid: int, gid: int
) -> None:
    with pytest.raises(Refused, match=rf"{CA} cannot be read by the container's user \({user}\)"):
        await draft(user, mode, uid, gid)


@pytest.mark.parametrize(
    ("user", "mode", "uid", "gid"),
    [
        ("", 0o600, 0, 0),
        ("root", 0o600, 5, 5),
        ("0:0", 0o600, 5, 5),
        ("app", 0o644, 0, 0),
        ("app", 0o600, 1000, 0),
        ("1000", 0o400, 1000, 0),
        ("app", 0o640, 0, 1000),
        ("app", 0o640, 0, 101),
        ("app:ssl", 0o640, 0, 101),
        ("1000:101", 0o640, 0, 101),
        ("2000", 0o640, 0, 0),
    ],
)
async def test_one_that_it_can_read_is_taken(user: str, mode: int, uid: int, gid: int) -> None:
    await draft(user, mode, uid, gid)


async def test_without_a_passwd_the_numbers_alone_count() -> None:
    await draft("1000", 0o600, 1000, 0, names=False)
    await draft("1000:7", 0o640, 0, 9, names=False, added=("9",))
    with pytest.raises(Refused):
        await draft("app", 0o600, 1000, 0, names=False)


async def test_what_is_no_certificate_is_still_told_apart() -> None:
    client: Any = Engine({CA: (b"x", 0o644, 0, 0)})
    for path, why in ((CA, "holds no certificate"), ("/no.pem", "is not in the container")):
        with pytest.raises(Refused, match=why):
            await wanted(client, "c", {"HostConfig": {}}, Desired(database_ca=path), {}, None)
