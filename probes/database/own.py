"""A deployment's own databases: whether it names one, as far as its environment is shown, and what it says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from probes import text
from probes.base import Failure
from probes.database import dsn
from probes.database.dsn import Dsn
from probes.model import Deployment
from probes.references import is_reference
from probes.target import Variables

_NAME = re.compile(
    r"(?i)(?:^|_)(?:db|database|postgres(?:ql)?|pg|mysql|mariadb|sqlalchemy|async_?pg)_?\w*(?:dsn|ur[il])$"
)
"""A variable that is hidden for its name, or stands elsewhere, and would hold a DSN."""
_SOURCE = re.compile(r"(?i)(?:^|[^a-z])(?:db|database|postgres(?:ql)?|pg|mysql|mariadb)(?:$|[^a-z])")
"""A Secret or ConfigMap of which all variables are taken, by its name."""
_HOSTS = ("PGHOST", "POSTGRES_HOST", "POSTGRES_SERVER", "MYSQL_HOST", "MYSQL_SERVER", "MARIADB_HOST")


class Known(NamedTuple):
    """What an environment says of databases."""

    dsns: Mapping[str, Dsn]
    bad: Mapping[str, str]
    """A variable's name → why what it says cannot be used; no part of its value."""
    unread: Mapping[str, Failure] = {}
    """Variables that may name one, and could not be read."""


def named(deployment: Deployment) -> bool:
    """Whether ``--database own`` may find a server."""
    if not deployment.running:
        return False
    shown, elsewhere = deployment.running[0].environment, deployment.running[0].environment_from
    return (
        any(shown.get(name) or name in elsewhere for name in _HOSTS)
        or any(dsn.is_dsn(value) or (_hidden(value) and _NAME.search(name)) for name, value in shown.items())
        or any(
            _SOURCE.search(source) if name.endswith("*") else _NAME.search(name) for name, source in elsewhere.items()
        )
    )


def _hidden(value: str) -> bool:
    """Whether the process may know what is not shown: a secret, or what a reference to one was resolved to."""
    return value == text.HIDDEN or is_reference(value)


def known(variables: Mapping[str, str]) -> Known:
    """The servers that an environment names; where some of it could not be read, only what is whole without that."""
    found = dsn.found(variables)
    unread = variables.unread if isinstance(variables, Variables) else {}
    if not unread:
        return Known(found.dsns, found.bad)
    whole = {name: one for name, one in found.dsns.items() if one.password and dsn.is_dsn(variables.get(name, ""))}
    told = {name: why for name, why in unread.items() if not (whole and name.endswith("*"))}
    return Known(whole, found.bad, told)
