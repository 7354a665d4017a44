"""Where a service's environment says that its database is: the URLs in it, their passwords already removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from fixes.model import Evidence
from probes.model import Deployment, Replica

Tls = Literal["off", "optional", "encrypt", "verify"]
_URL = re.compile(r"(?i)^(?P<kind>postgres|postgresql|cockroachdb|mysql|mariadb)(?:\+(?P<driver>\w+))?://")
_LEVELS: Mapping[str, Tls] = {
    **dict.fromkeys(("disable", "disabled", "false", "0", "no", "off"), "off"),
    **dict.fromkeys(("allow", "prefer", "preferred"), "optional"),
    **dict.fromkeys(("require", "required", "true", "1", "yes", "on"), "encrypt"),
    **dict.fromkeys(("verify-ca", "verify-full", "verify_ca", "verify_identity"), "verify"),
}
_TLS_OPTIONS = ("sslmode", "ssl", "ssl_mode", "ssl-mode")
_ROOTS = ("sslrootcert", "ssl_ca", "sslca", "ssl-ca", "ssl_capath")
_LOCAL_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost"}


class Dsn(NamedTuple):
    """One database URL."""

    variable: str
    shown: str
    replica: Replica
    kind: Literal["postgresql", "mysql"]
    driver: str | None
    host: str
    """Empty for a Unix socket."""
    options: Mapping[str, str]
    tls: Tls | None
    """What it asks for; ``None`` where it says nothing, or a word that is not known."""
    root: bool
    """It names the authority that it trusts."""

    @property
    def local(self) -> bool:
        """Whether nothing between the service and the database could listen."""
        if self.host.lower() in _LOCAL_NAMES or self.host.startswith("/"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def evidence(self) -> Evidence:
        """The variable, as it may be shown."""
        return Evidence("settings", f"{self.variable}={self.shown}", replica=self.replica.id)


def urls(deployment: Deployment, *, ended: bool = False) -> Iterator[Dsn]:
    """The database URLs in the environments of the replicas that run, each variable once.

    ``ended``: where none runs, those of the others, too: one that fails at its start runs for moments.
    """
    seen: set[tuple[str, str]] = set()
    before: Mapping[str, str] | None = None
    for replica in deployment.running or (deployment.replicas if ended else ()):
        if replica.environment is before:  # replicas of one template share it
            continue
        before = replica.environment
        for variable, value in sorted(replica.environment.items()):
            if (variable, value) not in seen and (found := _parsed(variable, value, replica)) is not None:
                seen.add((variable, value))
                yield found


def _parsed(variable: str, value: str, replica: Replica) -> Dsn | None:
    head = _URL.match(value)
    if head is None:
        return None
    try:
        url = urlsplit(value)
        host = (
            (url.hostname or "") if "," not in url.netloc else url.netloc.rpartition("@")[2].split(",")[0].split(":")[0]
        )
        options = {name.lower(): text for name, text in parse_qsl(url.query, keep_blank_values=True)}
    except ValueError:
        return None
    environment = replica.environment
    kind: Literal["postgresql", "mysql"] = "mysql" if head["kind"].lower() in ("mysql", "mariadb") else "postgresql"
    asked = next((options[name] for name in _TLS_OPTIONS if name in options), None)
    if asked is None and kind == "postgresql":
        asked = environment.get("PGSSLMODE")
    root = any(options.get(name) for name in _ROOTS) or bool(kind == "postgresql" and environment.get("PGSSLROOTCERT"))
    return Dsn(
        variable=variable,
        shown=value,
        replica=replica,
        kind=kind,
        driver=head["driver"],
        host=unquote(host) or options.get("host", ""),
        options=options,
        tls=None if asked is None else _LEVELS.get(asked.lower()),
        root=root,
    )
