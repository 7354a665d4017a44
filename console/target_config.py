"""What is configured for one target, or for all whose name matches a pattern.

The entries that match are read together, field by field: what the entry with the target's own name says goes before
what patterns say, and patterns before each other in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

import msgspec

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A namespace's name: a DNS label (RFC 1123)."""
_PATTERN = re.compile(r"[*?\[]")
KINDS = ("docker", "local", "docker:CONTEXT", "k8s:CONTEXT", "k8s:*")


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of ``[targets]``; what is ``None`` was not said."""

    read_only: bool | None = None
    production: bool | None = None
    """It looks different, asks for the deployment's name before a change, and is read-only unless told otherwise."""
    prometheus: str | None = None
    """The URL of a Prometheus server that has the figures of a Kubernetes target."""
    namespace: str | None = None
    """Of a Kubernetes target: look at this namespace alone."""

    @property
    def closed(self) -> bool:
        """Whether it may only be read as long as nobody says otherwise for this run."""
        return self.read_only if self.read_only is not None else self.production is True


def of(target: str, entries: Mapping[str, TargetConfig]) -> TargetConfig:
    """What the entries say of a target, in all; ``target`` is its id or its name as it is typed."""
    wanted = spelled(target)
    exact = [entry for name, entry in entries.items() if spelled(name) == wanted]
    alike = [entry for name, entry in entries.items() if _PATTERN.search(name) and fnmatchcase(wanted, spelled(name))]
    found = TargetConfig()
    for entry in reversed([*exact, *alike]):
        said = {f: value for f in TargetConfig.__struct_fields__ if (value := getattr(entry, f)) is not None}
        found = msgspec.structs.replace(found, **said)
    return found


def spelled(name: str) -> str:
    """One spelling of a target: ``docker:prod`` and ``k8s:prod``, as typed, are ``docker@prod`` and ``k8s/prod``."""
    plain = unquote(name)
    for typed, identity in (("docker:", "docker@"), ("k8s:", "k8s/")):
        if plain.startswith(typed):
            return plain.replace(typed, identity, 1)
    return plain


def problem(name: str, entry: TargetConfig) -> str | None:
    """What is wrong with an entry, as the end of a sentence; ``None`` where it can be used."""
    plain = spelled(name)
    if not (plain in {"docker", "local"} or plain.startswith(("docker@", "k8s/"))):
        return f"[targets.{name}] is no target; write one of {', '.join(KINDS)} (a pattern matches several)"
    if not plain.startswith("k8s/") and (entry.prometheus is not None or entry.namespace is not None):
        return f"[targets.{name}]: prometheus and namespace are understood for Kubernetes alone (k8s:CONTEXT)"
    if entry.namespace is not None and not is_namespace(entry.namespace):
        return f"[targets.{name}]: {entry.namespace!r} is no name of a namespace"
    if entry.prometheus is not None and not _is_url(entry.prometheus):
        return f"[targets.{name}]: prometheus is the URL of a server, for example http://prometheus.monitoring:9090"
    return None


def is_namespace(text: str) -> bool:
    """Whether a namespace can have this name."""
    return _LABEL.fullmatch(text) is not None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
