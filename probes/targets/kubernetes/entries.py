"""One context of a kubeconfig, its cluster and its user, turned into a :class:`Place`."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec

from probes import text
from probes.base import Failure, TargetId
from probes.target import Unreadable
from probes.targets.kubernetes.kubeconfig import Entry, Kubeconfig
from probes.targets.kubernetes.place import Cluster, Place, Plugin, User, Variable

EXTENSION = "client.authentication.k8s.io/exec"
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
T = TypeVar("T")


class _Raw(msgspec.Struct, frozen=True, rename="kebab"):
    """Unknown keys are ignored, as kubectl does."""


class _Context(_Raw, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _Extension(_Raw, frozen=True):
    name: str = ""
    extension: Any = None


class _Cluster(_Raw, frozen=True):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: tuple[_Extension, ...] = ()


class _Exec(msgspec.Struct, frozen=True, rename="camel"):
    command: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[Variable, ...] | None = None
    api_version: str = ""
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str | None = None


class _Provider(_Raw, frozen=True):
    name: str = ""
    config: dict[str, Any] | None = None


class _User(_Raw, frozen=True):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    act_as: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: dict[str, tuple[str, ...]] = {}
    exec: _Exec | None = None
    auth_provider: _Provider | None = None


def place(target: TargetId, name: str, config: Kubeconfig, namespace: str | None) -> Place:
    """The context ``name``, which has to exist. Raises :class:`Unreadable` (``not-found``, ``invalid``)."""
    context = _read(config.contexts[name], _Context, "context", name)
    where = config.clusters.get(context.cluster)
    if where is None:
        _missing(config, name, "cluster", context.cluster)
    who = config.users.get(context.user)
    if who is None and context.user:
        _missing(config, name, "user", context.user)
    return Place(
        target=target,
        context=name,
        namespace=namespace,
        own_namespace=text.clean(context.namespace, 253) or "default",
        cluster=_cluster(where, context.cluster),
        user=User() if who is None else _user(who, context.user),
    )


def _cluster(entry: Entry, name: str) -> Cluster:
    raw = _read(entry, _Cluster, "cluster", name)
    authority = _decoded(raw.certificate_authority_data, "certificate-authority-data", "cluster", name)
    return Cluster(
        server=_server(raw, name),
        authority_file=_path(entry, raw.certificate_authority) if authority is None else None,
        authority=authority,
        verify=not raw.insecure_skip_tls_verify,
        server_name=raw.tls_server_name or None,
        proxy=raw.proxy_url or None,
        compress=not raw.disable_compression,
        plugin_config=next((one.extension for one in raw.extensions if one.name == EXTENSION), None),
    )


def _server(raw: _Cluster, name: str) -> str:
    """The URL, https where TLS is configured and no scheme is named, as client-go's ``DefaultServerURL``."""
    secure = bool(raw.certificate_authority or raw.certificate_authority_data or raw.insecure_skip_tls_verify)
    url = raw.server.strip().rstrip("/")
    if url and "://" not in url:
        url = f"{'https' if secure else 'http'}://{url}"
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        fine = fine and url.isascii() and url.isprintable() and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        fine = False
    if not fine:
        _invalid("cluster", name, f"its server {text.line(raw.server, 200)!r} is no http(s)://host:port")
    return url


def _user(entry: Entry, name: str) -> User:
    raw = _read(entry, _User, "user", name)
    certificate = _decoded(raw.client_certificate_data, "client-certificate-data", "user", name)
    key = _decoded(raw.client_key_data, "client-key-data", "user", name)
    provider = _provider(raw)
    return User(
        name=name,
        certificate_file=_path(entry, raw.client_certificate) if certificate is None else None,
        certificate=certificate,
        key_file=_path(entry, raw.client_key) if key is None else None,
        key=key,
        token=raw.token or provider or None,
        token_file=_path(entry, raw.token_file),
        username=raw.username or None,
        password=raw.password or None,
        plugin=None if raw.exec is None else _plugin(raw.exec, entry, name),
        impersonate=_impersonation(raw, name),
        unsupported=_unsupported(raw, provider),
    )


def _plugin(raw: _Exec, entry: Entry, name: str) -> Plugin:
    if not raw.command:
        _invalid("user", name, "its exec plugin names no command")
    if raw.api_version not in _VERSIONS:
        said = text.clean(raw.api_version, 80) or "no apiVersion"
        _invalid("user", name, f"its exec plugin speaks {said}; kubectl and fastops speak v1 and v1beta1")
    mode = raw.interactive_mode or "IfAvailable"
    if mode not in {"Never", "IfAvailable", "Always"}:
        _invalid("user", name, f"its exec plugin's interactiveMode {text.clean(mode, 40)!r} is not known")
    words = (raw.command, *(raw.args or ()), *(part for one in raw.env or () for part in (one.name, one.value)))
    if any("\0" in word for word in words) or any(not one.name or "=" in one.name for one in raw.env or ()):
        _invalid("user", name, "its exec plugin's command, args or env cannot be given to a program")
    relative = os.sep in raw.command and not Path(raw.command).is_absolute()
    return Plugin(
        command=os.path.normpath(os.path.join(entry.directory, raw.command)) if relative else raw.command,  # noqa: PTH118
        arguments=tuple(raw.args or ()),
        environment=tuple(raw.env or ()),
        version=raw.api_version,
        install_hint=raw.install_hint or "",
        wants_cluster=raw.provide_cluster_info,
        interactive=mode,
    )


def _provider(raw: _User) -> str:
    """The token that kubectl's OpenID Connect provider keeps in the kubeconfig, and renews there when it is used."""
    if raw.auth_provider is None or raw.auth_provider.name != "oidc":
        return ""
    token = (raw.auth_provider.config or {}).get("id-token")
    return token if isinstance(token, str) else ""


def _unsupported(raw: _User, provider: str) -> str | None:
    if raw.auth_provider is None or raw.exec is not None or raw.token or provider:
        return None
    if raw.auth_provider.name == "oidc":
        return "its oidc provider has no id-token yet: run kubectl once, which logs in and keeps it in the kubeconfig"
    kind = text.clean(raw.auth_provider.name, 40)
    return f"its auth-provider {kind} is no longer in kubectl since 1.26: use the exec plugin that replaced it"


def _impersonation(raw: _User, name: str) -> tuple[tuple[str, str], ...]:
    headers = [("Impersonate-User", raw.act_as)] if raw.act_as else []
    headers += [("Impersonate-Uid", raw.as_uid)] if raw.as_uid else []
    headers += [("Impersonate-Group", one) for one in raw.as_groups]
    for key, values in raw.as_user_extra.items():
        headers += [(f"Impersonate-Extra-{key}", one) for one in values]
    if any(not f"{key}{value}".isprintable() or not key.isascii() for key, value in headers):
        _invalid("user", name, "whom it impersonates cannot be put into headers")
    return tuple(headers)


def _path(entry: Entry, name: str) -> str | None:
    return os.path.join(entry.directory, name) if name else None  # noqa: PTH118 - an absolute name stays as it is


def _decoded(data: str, key: str, kind: str, name: str) -> bytes | None:
    if not data:
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        _invalid(kind, name, f"its {key} is no base64")


def _read(entry: Entry, kind: type[T], what: str, name: str) -> T:
    value = {key: item for key, item in entry.value.items() if item is not None}
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError, TypeError, ValueError) as error:
        _invalid(what, name, text.line(str(error), 200))


def _missing(config: Kubeconfig, context: str, kind: str, name: str) -> NoReturn:
    why = f"it names the {kind} {text.clean(name, 120)!r}, which is not there" if name else f"it names no {kind}"
    if config.broken:
        why += f"; {config.broken[0]}"
    hint = "mend the kubeconfig: kubectl config view"
    raise Unreadable(Failure("invalid", f"the Kubernetes context {text.clean(context, 120)}", why, hint))


def _invalid(kind: str, name: str, why: str) -> NoReturn:
    hint = "mend the kubeconfig: kubectl config view"
    raise Unreadable(Failure("invalid", f"the {kind} {text.clean(name, 120)!r} of the kubeconfig", why, hint))
