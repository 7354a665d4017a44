"""Whether a deployment names a database of its own, as far as its environment is shown."""

from __future__ import annotations

import re

from probes import text
from probes.database import dsn
from probes.model import Deployment

_NAME = re.compile(
    r"(?i)(?:^|_)(?:db|database|postgres(?:ql)?|pg|mysql|mariadb|sqlalchemy|async_?pg)_?\w*(?:dsn|ur[il])$"
)
"""A variable that is hidden for its name, and would hold a DSN."""
_HOSTS = ("PGHOST", "POSTGRES_HOST", "POSTGRES_SERVER", "MYSQL_HOST", "MYSQL_SERVER", "MARIADB_HOST")


def named(deployment: Deployment) -> bool:
    """Whether ``--database own`` may find a server; never on Kubernetes, whose Secrets are not read."""
    if deployment.orchestrated is not None or not deployment.running:
        return False
    shown = deployment.running[0].environment
    return any(shown.get(name) for name in _HOSTS) or any(
        dsn.is_dsn(value) or (value == text.HIDDEN and _NAME.search(name)) for name, value in shown.items()
    )
