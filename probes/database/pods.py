"""Whether a pod's address means that pod: clusters are given the same private ranges, and nobody keeps them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from probes import addresses
from probes.base import TargetId
from probes.database.attribution import plain
from probes.database.sockets import near
from probes.model import Deployment

_PRIVATE = tuple(
    ip_network(one)
    for one in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip
"""RFC 1918, 6598, 1122, 3927, 4193 and 4291: addresses that others have, too, and that no public server sees."""
_RANGES = {4: 16, 6: 56}
"""Bits of a cluster's range of pods, as kubeadm's and kind's documents and most installers have it."""
_Range = IPv4Network | IPv6Network


class Pods:
    """The pods' addresses of all clusters that are connected."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        """Those of other targets than clusters are left aside, and pods that have their machine's own address."""
        self._ranges: dict[str, _Range | None] = {}
        """Pod's address → its private range; ``None`` for a public address."""
        clusters: dict[_Range, set[TargetId]] = {}
        for one in deployments:
            for address in _addresses(one) if one.target.startswith("k8s/") else ():
                made = addresses.parsed(address)
                if made is None:
                    continue
                self._ranges[address] = found = _range(made)
                if found is not None:
                    clusters.setdefault(found, set()).add(one.target)
        self._shared = {one for one, whose in clusters.items() if len(whose) > 1}

    def __contains__(self, address: object) -> bool:
        return address in self._ranges

    def believed(self, server: str, address: str) -> bool:
        """Whether a session from a pod's address is that pod's, at a server that is reached at an address.

        A public address is one pod's alone. A private one is translated on its way to a public server, so what arrives
        there as private comes from networks of the server's own; and a range that two clusters use says nothing.
        """
        found = self._ranges.get(address)
        if found is None:
            return address in self._ranges
        asked = addresses.parsed(plain(server))
        return asked is not None and found not in self._shared and (_is_private(asked) or near(server, address))


def _addresses(one: Deployment) -> Iterator[str]:
    for replica in one.running:
        if replica.network_mode != "host":
            yield from map(plain, replica.addresses.values())


def _range(address: IPv4Address | IPv6Address) -> _Range | None:
    return ip_network(f"{address}/{_RANGES[address.version]}", strict=False) if _is_private(address) else None


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return any(address in one for one in _PRIVATE)
