"""A password, key or token stands in the container's configuration.

What it means. A literal environment value is shown by ``docker inspect`` or ``kubectl describe`` to everybody who may
read the engine or the namespace, is passed on to each child process, and ends up in crash reports. In an image's own
environment it is in the registry too, in a manifest in whatever keeps that.

What proves it. A variable of a container whose name says that it is a secret and whose value is set, or a URL with a
password. Only names are shown: the values are never kept.

What it is not. A variable that names a file with the secret (``…_FILE``), or takes it from a Secret (``valueFrom``).
A value that says where the secret is kept (``vault:…#key``, ``ref+vault://…``, ``op://…``, ``sm://…``, the ARN of a
secret, ``${NAME}``, a path below ``/run/secrets``).
What is said about a secret: how long a token lasts, in which header a key goes, which algorithm signs. A public key's
fingerprint, such as the ``GPG_KEY`` of Python's images. A local process: its environment is not a configuration that
others read.

What to do. Mount the secret as a file and read it there; on Kubernetes refer to a Secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_SETTINGS
from fixes.signatures import _cases, _kubernetes
from probes.text import HIDDEN, environment, is_secret_name

_NO_SECRET = frozenset({"GPG_KEY", "GPG_KEYS", "LS_COLORS"})
# Names of what stands around a secret: how long it lasts, who issues it, where it is kept, in which header it goes.
_AROUND = re.compile(
    r"(?i)^(allow|is|use|validate|verify)_|(^|_)(disabled?|enabled?|required?)_"
    r"|(^|_)(age|alg|algo|algorithm|allowed|arn|aud|audience|backend|bytes|chars|class|claim|count|days|disabled|domain|"
    r"enabled|endpoint|engine|expir(e|es|y|ation)|field|format|hasher|header|host|hours|httponly|"
    r"interval|issuer|iterations|leeway|length|lifespan|lifetime|limit|max|min|minutes|mode|ms|name|names|namespace|"
    r"params?|pattern|policy|port|prefix|provider|ref|region|regex|required|rotation|rounds|rules|samesite|scheme|"
    r"scopes?|secs?|seconds|secure|serializer|size|source|store|strategy|suffix|timeout|ttl|type|uris?|urls?|version)$"
    r"|publishable|(^|_)(cache|foreign|idempotency|partition|primary|routing|shard|sort)_key$"
)
_MOST_NAMES = 8


def detect(view: View) -> Verdict:
    """Fires with the names of the variables that hold a secret."""
    if view.deployment.kind == "process":
        return SILENT
    names: dict[str, None] = {}
    before: Mapping[str, str] | None = None
    for replica in view.deployment.replicas:
        if replica.environment is before:  # replicas of one template share it
            continue
        before = replica.environment
        names.update((name, None) for name, value in sorted(replica.environment.items()) if _is_secret(name, value))
    if not names:
        return SILENT
    shown = ", ".join(list(names)[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    first = view.deployment.replicas[0]
    where = "pod's description" if _kubernetes.runs(view) else "container's environment"
    return Fires(
        severity="warning",
        title=f"secrets stand in the {where}: {shown}{more}",
        evidence=(Evidence("inspect", f"set as literal values: {shown}{more}", replica=first.id),),
        count=len(names),
        facts={"names": shown},
    )


def _is_secret(name: str, value: str) -> bool:
    """Redacted at the door: by the variable's name, or because of a password within a URL."""
    if name in _NO_SECRET or not value:
        return False
    return (is_secret_name(name) and value == HIDDEN and not _AROUND.search(name)) or f":{HIDDEN}@" in value


SIGNATURE = Signature(
    id=SignatureId("plaintext-secret"),
    title="Secret in plain text",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("use-secret"), RemedyId("advise")),
    proof=BY_SETTINGS,
    source="docs.docker.com/compose/how-tos/use-secrets; OWASP Secrets Management Cheat Sheet",
    fires=(
        Example("a password", deployment=_cases.container(environment={"DB_PASSWORD": HIDDEN, "PORT": "80"})),
        Example(
            "within a URL",
            deployment=_cases.container(environment={"DATABASE_URL": f"postgresql://app:{HIDDEN}@db/app"}),
        ),
        *(
            Example(f"a secret called {name}", deployment=_cases.container(environment={name: HIDDEN}))
            for name in (
                "SECRET_KEY",
                "JWT_SECRET",
                "AWS_SECRET_ACCESS_KEY",
                "FIRST_SUPERUSER_PASSWORD",
                "SMTP_PASS",
                "STRIPE_SECRET_KEY",
                "GITHUB_TOKEN",
                "SESSION_KEY",
                "REFRESH_TOKEN_SECRET",
            )
        ),
        Example("a pod", deployment=_cases.workload(_cases.pod(environment={"DB_PASSWORD": HIDDEN}))),
        Example(
            "what begins like a reference",
            deployment=_cases.container(environment=environment({"DB_PASSWORD": "${DB_PASSWORD:-hunter2}"})),
        ),
    ),
    silent=(
        Example("a file", deployment=_cases.container(environment={"DB_PASSWORD_FILE": "/run/secrets/db"})),
        *(
            Example(
                f"a reference: {value}",
                deployment=_cases.container(environment=environment({"DB_PASSWORD": value})),
            )
            for value in (
                "vault:secret/data/shop#password",
                "ref+vault://secret/shop/db#/password",
                "${DB_PASSWORD}",
                "op://shop/db/password",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbC1dE",
                "/run/secrets/db",
            )
        ),
        Example(
            "a pod that refers to a Secret",
            deployment=_cases.workload(
                _cases.pod(environment={"PORT": "80"}, environment_from={"DB_PASSWORD": "secret db/password"})
            ),
        ),
        Example(
            "what is said about secrets",
            deployment=_cases.container(
                environment=dict.fromkeys(
                    (
                        "ACCESS_TOKEN_EXPIRE_MINUTES",
                        "API_KEY_HEADER",
                        "API_TOKEN_URL",
                        "CACHE_KEY_PREFIX",
                        "COOKIE_SECURE",
                        "CSRF_TOKEN_NAME",
                        "DB_SECRET_ARN",
                        "ENABLE_PASSWORD_LOGIN",
                        "OAUTH_TOKEN_ENDPOINT",
                        "PASSWORD_HASHER",
                        "PASSWORD_MIN_LENGTH",
                        "PARTITION_KEY",
                        "SESSION_COOKIE_SAMESITE",
                        "STRIPE_PUBLISHABLE_KEY",
                        "TOKEN_ALGORITHM",
                    ),
                    HIDDEN,
                )
            ),
        ),
        Example("empty", deployment=_cases.container(environment={"API_TOKEN": ""})),
        Example("Python's image", deployment=_cases.container(environment={"GPG_KEY": HIDDEN})),
        Example("a URL without a password", deployment=_cases.container(environment={"URL": "postgresql://app@db/a"})),
        Example(
            "a local process",
            deployment=_cases.deployment(_cases.replica(environment={"API_TOKEN": HIDDEN}), kind="process"),
        ),
    ),
)
