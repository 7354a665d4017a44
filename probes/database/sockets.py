"""Open connections of processes of this machine that share its addresses: told apart by their own ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probes.base import DeploymentId
from probes.database.attribution import plain
from probes.model import Deployment

MOST_PROCESSES = 500


def processes(deployments: Iterable[Deployment]) -> dict[int, DeploymentId]:
    """The processes of replicas that have no address of their own: local ones, and those on the host's network."""
    return {
        worker.pid: one.id
        for one in deployments
        for replica in one.running
        if not replica.addresses or replica.network_mode == "host"
        for worker in replica.workers
    }


def read(of: Mapping[int, DeploymentId], ports: frozenset[int]) -> dict[tuple[str, int], DeploymentId]:
    """Local address and port of each connection to one of these ports. Blocks; what may not be read is left out."""
    import psutil

    found: dict[tuple[str, int], DeploymentId] = {}
    for pid, deployment in list(of.items())[:MOST_PROCESSES]:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except (psutil.Error, OSError):
            continue
        for one in connections:
            if one.status == psutil.CONN_ESTABLISHED and getattr(one.raddr, "port", None) in ports:
                found[plain(one.laddr.ip), one.laddr.port] = deployment
    return found


def near(server: str, client: str) -> bool:
    """Whether a client's address as the server says it means the same on this machine.

    Addresses of containers are private, and the same ones are given on other machines: they are believed where the
    server is this machine itself, or in the client's own network of it.
    """
    import socket
    from ipaddress import ip_address, ip_interface

    import psutil

    try:
        asked, told = ip_address(plain(server)), ip_address(plain(client))
    except ValueError:
        return False
    if asked.is_loopback:
        return True
    for interface in psutil.net_if_addrs().values():
        for one in interface:
            if one.family not in {socket.AF_INET, socket.AF_INET6} or not one.netmask:
                continue
            try:
                mask = one.netmask if one.family == socket.AF_INET else _prefix(one.netmask)
                own = ip_interface(f"{one.address.partition('%')[0]}/{mask}")
            except ValueError:
                continue
            if asked == own.ip or (asked in own.network and told in own.network):
                return True
    return False


def _prefix(netmask: str) -> int:
    from ipaddress import IPv6Address

    return int(IPv6Address(netmask)).bit_count()
