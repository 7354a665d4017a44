"""Where a service's database connections are told about TLS: in their URL, or in the variables beside it."""

from __future__ import annotations

import re
from typing import NamedTuple

from fixes.model import Finding
from fixes.signatures import _dsn
from probes.intent import Desired
from probes.model import Deployment
from probes.text import clean

MODE, ROOT = "PGSSLMODE", "PGSSLROOTCERT"
"""Read by libpq and by asyncpg where the URL says nothing (postgresql.org libpq-envars; asyncpg/connect_utils.py)."""
_READS_VARIABLES = re.compile(r"(?i)^(psycopg|psycopg2|asyncpg|libpq)")
_HOLDS_URL = re.compile(r"(?i)(database|db|postgres|pg|mysql).*(url|uri|dsn)$|^dsn$")


class Place(NamedTuple):
    """Where the mode is written."""

    variable: str
    """The variable with the URL, or :data:`MODE`."""
    url: _dsn.Dsn


def place(deployment: Deployment, finding: Finding) -> Place | str:
    """Where it stands, or the sentence that says why it cannot be changed from here."""
    told = finding.facts.get("variable")
    urls = [one for one in _dsn.urls(deployment, ended=True) if told in (None, one.variable)]
    if not urls:
        return _elsewhere(deployment)
    if len({(one.variable, one.shown) for one in urls}) > 1:
        return "It has several database URLs: change the one that is meant by hand."
    (url, *_) = urls
    if url.kind == "mysql":
        return "A driver of MySQL is told about TLS by the program's own code, not by a variable."
    if url.local:
        return "It reaches its database over loopback or a Unix socket, where nobody listens."
    if any(name in url.options for name in ("sslmode", "ssl")):
        return Place(url.variable, url)
    drivers = (url.driver or "", *deployment.drivers, *(() if url.driver else deployment.packages))
    if not any(_READS_VARIABLES.match(name) for name in drivers):
        return "Which driver it connects with is not known: only libpq's and asyncpg read PGSSLMODE."
    for replica in deployment.replicas:
        if MODE in replica.environment_from:
            return f"{MODE} is taken from {clean(replica.environment_from[MODE], 200)}: change it there."
    return Place(MODE, url)


def wanted(variable: str, mode: str, ca: str | None = None) -> Desired:
    """The wish: the URL's own option where the URL has one, else the variable; the authority's file beside it."""
    trusted = {} if ca is None else {ROOT: ca}
    if variable == MODE:
        return Desired(environment={MODE: mode, **trusted}, database_ca=ca)
    return Desired(environment=trusted, database_tls={variable: mode}, database_ca=ca)


def _elsewhere(deployment: Deployment) -> str:
    for replica in deployment.replicas:
        for name, source in sorted(replica.environment_from.items()):
            if _HOLDS_URL.search(name):
                return f"{clean(name, 100)} is taken from {clean(source, 200)}: change it there."
    return "No variable of it holds a database URL: change it where the program takes it from."
