"""Addresses as hosts are given: where none stands, it is a name."""

from __future__ import annotations

import ipaddress


def parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; ``None`` for a name, and for whatever else it is."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
