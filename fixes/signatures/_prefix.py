"""Which variable a field of pydantic's settings is read from, as far as the deployment's other variables tell."""

from __future__ import annotations

import re
from collections.abc import Collection

from probes.model import Deployment

_HEAD = re.compile(r"[A-Z][A-Z0-9]*_")
_OTHERS = re.compile(
    "(?:ALLOW|AWS|AZURE|BUILD|CELERY|CI|CONDA|DATADOG|DB|DD|DEBIAN|DJANGO|DOCKER|ELASTIC|FASTAPI|FASTOPS|GCP|GIT"
    "|GOOGLE|GPG|GRANIAN|GUNICORN|HTTPS?|HYPERCORN|JAVA|KUBERNETES|LC|LD|MALLOC|MYSQL|NEW|NEWRELIC|NODE|NPM|NVIDIA"
    "|OPENAI|OTEL|PG|PIP|PIPENV|POETRY|POSTGRES|PROMETHEUS|PYTHON|RABBITMQ|REDIS|S3|SENTRY|SSL|STATSD|SYSTEMD|UV"
    "|UVICORN|WEB|XDG)_"
)
"""Prefixes of what is no settings class of the service: interpreters, servers, libraries, what images bring along."""
_SERVICE_LINK = re.compile(r"(.+?)_(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT_\d+_(?:TCP|UDP)(?:_\w+)?)")
"""What Kubernetes sets for each Service of a namespace, and Docker for links."""


def variable(field: str, prefix: str = "") -> str:
    """The variable of a field by pydantic-settings' defaults; ``__`` is what most take between nested ones."""
    return prefix + field.replace(".", "__").upper()


def _is_link(name: str, services: Collection[str]) -> bool:
    return _SERVICE_LINK.fullmatch(name) is not None or (name.endswith("_PORT") and name[:-5] in services)


def likely(deployment: Deployment, fields: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """The one prefix that at least two variables of the deployment share, and these; empty where that is not obvious.

    None that a missing field's own name begins with (DATABASE_ of ``database_url``), and none with which a missing
    field is set already: then it is not what the class looks for.
    """
    names = {name for replica in deployment.replicas for name in (*replica.environment, *replica.environment_from)}
    links = {found[1] for found in map(_SERVICE_LINK.fullmatch, names) if found}
    families: dict[str, list[str]] = {}
    for name in sorted(names):
        head = _HEAD.match(name)
        if head is not None and not _OTHERS.fullmatch(head[0]) and not _is_link(name, links):
            families.setdefault(head[0], []).append(name)
    wanted = [variable(field) for field in fields]
    found = [
        (prefix, tuple(members))
        for prefix, members in families.items()
        if len(members) > 1 and not any(one.startswith(prefix) or prefix + one in names for one in wanted)
    ]
    return found[0] if wanted and len(found) == 1 else ("", ())
