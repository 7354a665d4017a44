"""What a context says: where the API server is, what it is trusted by, and who asks. Plain data, read from files."""

from __future__ import annotations

from typing import Any

from probes.base import Frozen, TargetId

IN_CLUSTER = "in-cluster"
"""The name of the context that a pod's service account makes, where no kubeconfig is there."""


class Variable(Frozen, frozen=True):
    """A variable that an exec plugin is given besides the environment."""

    name: str
    value: str = ""


class Plugin(Frozen, frozen=True):
    """A program that prints credentials (``users[].user.exec``)."""

    command: str
    """A name that is looked for in PATH, or a path; a relative one with a slash is relative to its kubeconfig."""
    arguments: tuple[str, ...] = ()
    environment: tuple[Variable, ...] = ()
    version: str = "client.authentication.k8s.io/v1"
    install_hint: str = ""
    """Foreign text: for people, through ``probes.text`` only."""
    wants_cluster: bool = False
    interactive: str = "IfAvailable"
    """``Never``, ``IfAvailable`` or ``Always``."""

    def __repr__(self) -> str:
        return f"Plugin({self.command!r}, …)"  # its arguments and variables may be secret


class User(Frozen, frozen=True):
    """Who asks. All of it may be secret: it has no representation."""

    name: str = ""
    certificate_file: str | None = None
    certificate: bytes | None = None
    """PEM."""
    key_file: str | None = None
    key: bytes | None = None
    token: str | None = None
    token_file: str | None = None
    """Outranks :attr:`token`, which stands in for it while it cannot be read, as in kubectl."""
    username: str | None = None
    password: str | None = None
    plugin: Plugin | None = None
    impersonate: tuple[tuple[str, str], ...] = ()
    """``Impersonate-*`` headers."""
    unsupported: str | None = None
    """Why this user cannot be: one sentence."""

    def __repr__(self) -> str:
        return f"User({self.name!r}, …)"


class Cluster(Frozen, frozen=True):
    """An API server."""

    server: str
    """``https://host:port``, perhaps with a path, without a slash at its end."""
    authority_file: str | None = None
    authority: bytes | None = None
    """PEM; the system's authorities where both are ``None``."""
    verify: bool = True
    server_name: str | None = None
    """The name that its certificate has to have, where that is not the host's."""
    proxy: str | None = None
    """``http://``, ``https://``, ``socks5://``; may hold a password. ``None``: as the environment says."""
    compress: bool = True
    plugin_config: Any = None
    """What the cluster's entry keeps for exec plugins (its extension ``client.authentication.k8s.io/exec``)."""

    def __repr__(self) -> str:
        return f"Cluster({self.server!r}, …)"  # its proxy may hold a password


class Place(Frozen, frozen=True):
    """A context, resolved."""

    target: TargetId
    """``k8s/CONTEXT``, percent-encoded."""
    context: str
    namespace: str | None
    """The one namespace that was asked for; ``None``: all of them."""
    own_namespace: str
    """The context's own: what can be read where reading all is forbidden."""
    cluster: Cluster
    user: User

    @property
    def endpoint(self) -> str:
        """The API server's URL, for people."""
        return self.cluster.server

    def __repr__(self) -> str:
        return f"Place({self.target!r}, {self.cluster.server!r}, namespace={self.namespace!r})"
