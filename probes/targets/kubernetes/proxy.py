"""Through which proxy an API server is reached: the kubeconfig's, else the environment's, by kubectl's rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from probes import addresses

SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy(server: str, configured: str | None, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL; ``None`` for none. ``configured`` may be ``""``: none at all.

    The environment's rules are Go's (golang.org/x/net/http/httpproxy): ``HTTPS_PROXY`` (or in lower case, or for http
    ``HTTP_PROXY``), nothing for this machine itself, and ``NO_PROXY`` names hosts, ``.domains``, addresses, networks.
    Raises ``ValueError`` for a URL that is none.
    """
    if configured is not None:
        return _checked(configured) if configured else None
    parts = urlsplit(server)
    name = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    found = environment.get(name) or environment.get(name.lower())
    host = (parts.hostname or "").lower()
    if not found or _loopback(host):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if _excluded(host, port, environment.get("NO_PROXY") or environment.get("no_proxy") or ""):
        return None
    return _checked(found if "://" in found else f"http://{found}")


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError("a proxy is http://, https:// or socks5://host:port")
    return url


def _excluded(host: str, port: int, listed: str) -> bool:
    return any(_matches(host, port, one) for one in listed.lower().replace(" ", "").split(",") if one)


def _matches(host: str, port: int, rule: str) -> bool:
    if rule == "*":
        return True
    address = addresses.parsed(host)
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, separator, wanted = rule.rpartition(":")
    if separator and wanted.isdecimal() and addresses.parsed(rule) is None:
        if int(wanted) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return addresses.parsed(rule) == address
    rule = rule.removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")


def _loopback(host: str) -> bool:
    address = addresses.parsed(host)
    return host == "localhost" or (address is not None and address.is_loopback)
