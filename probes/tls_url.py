"""What a database URL asks for TLS, changed in its place. Pure; the URL holds a password and is never shown."""

from __future__ import annotations

import re

from probes.target import Refused

_OPTION = re.compile(r"(?i)(?P<head>[?&](?:sslmode|ssl)=)[^&#]*")


def with_mode(variable: str, url: str, mode: str) -> str:
    """The URL with another value of its ``sslmode`` or ``ssl``; every other byte stays.

    A driver understands the option that it is given already, so none is added. Raises :class:`Refused` where it has
    none.
    """
    at = url.rfind("@") + 1  # a password may hold whatever it likes
    changed, count = _OPTION.subn(lambda found: found["head"] + mode, url[at:])
    if not count:
        raise Refused(f"{variable} has no option sslmode or ssl any more.")
    return url[:at] + changed
