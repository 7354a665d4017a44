"""Where a cluster of the tests lives on this machine: directories, addresses, ports and names, all from its number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CACHE = Path("~/.cache/fastops").expanduser()


class ClusterError(Exception):
    """The cluster cannot be built, started or stopped here; the message says what failed, why, and what to do."""


@dataclass(frozen=True)
class Place:
    """Cluster ``number`` of this machine: two numbers share nothing, so a second one can run beside the first."""

    number: int = 0

    @cached_property
    def name(self) -> str:
        """The name that everything made outside of ``root`` carries: interfaces, cgroups, the CNI network."""
        return f"fastops{self.number}"

    @cached_property
    def root(self) -> Path:
        """Data, sockets, logs, keys: all of it goes when the cluster goes."""
        return Path(f"/var/lib/fastops-cluster-{self.number}")

    @cached_property
    def run(self) -> Path:
        """Process ids and sockets."""
        return self.root / "run"

    @cached_property
    def log(self) -> Path:
        """The output of each program."""
        return self.root / "log"

    @cached_property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @cached_property
    def etc(self) -> Path:
        """Configuration files, made from ``files/``."""
        return self.root / "etc"

    @cached_property
    def kubeconfig(self) -> Path:
        """Contexts ``test`` (cluster admin), ``test-viewer``, ``test-tenant``, ``test-nobody`` (no rights)."""
        return self.root / "kubeconfig"

    @cached_property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @cached_property
    def lock(self) -> Path:
        """Held by whoever starts or stops it."""
        return CACHE / f"cluster-{self.number}.lock"

    @cached_property
    def network(self) -> str:
        """The first two numbers of every address of nodes and pods."""
        return f"10.{199 - 2 * self.number}"

    @cached_property
    def pods(self) -> str:
        """The pods' addresses; the first is this machine, as pods see it."""
        return f"{self.network}.0.0/17"

    @cached_property
    def gateway(self) -> str:
        """This machine's address on the pods' bridge, with the length of their network."""
        return f"{self.network}.0.1/17"

    @cached_property
    def node(self) -> str:
        """The node's address: one of this machine only, since endpoints refuse loopback."""
        return f"{self.network}.255.1"

    @cached_property
    def services(self) -> str:
        """The addresses of Services. Nothing listens there: there is no kube-proxy."""
        return f"10.{198 - 2 * self.number}.0.0/16"

    @cached_property
    def first_service(self) -> str:
        """The address of the Service ``kubernetes``, which the API server's certificate must name."""
        return f"10.{198 - 2 * self.number}.0.1"

    def port(self, offset: int) -> int:
        """A port of the hundred that belong to this number."""
        return 16400 + 100 * self.number + offset

    @cached_property
    def api(self) -> int:
        """The API server's port on ``node``."""
        return self.port(43)

    @cached_property
    def etcd(self) -> int:
        """etcd's port for clients, on loopback; the next one is for its peers."""
        return self.port(79)

    @cached_property
    def kubelet(self) -> int:
        """The kubelet's port on ``node``; the next one is for its own health, on loopback."""
        return self.port(50)

    @cached_property
    def metrics(self) -> int:
        """metrics-server's port on ``node``."""
        return self.port(44)

    @cached_property
    def bridge(self) -> str:
        """The bridge that the pods hang on."""
        return f"{self.name}-pods"

    @cached_property
    def holder(self) -> str:
        """The bridge without ports that holds the node's address."""
        return f"{self.name}-node"


def here() -> Place:
    """The place that ``FASTOPS_CLUSTER_NUMBER`` (0 to 9) names; 0 by default."""
    number = os.environ.get("FASTOPS_CLUSTER_NUMBER", "0")
    if len(number) != 1 or not number.isdecimal():
        raise ClusterError(f"FASTOPS_CLUSTER_NUMBER is {number!r}; it must be a number from 0 to 9")
    return Place(int(number))
