"""The command line of each of the cluster's programs."""

from __future__ import annotations

from pathlib import Path

from .place import Place


def etcd(place: Place) -> list[str | Path]:
    """The database, on loopback. What a power cut would lose does not matter: nothing is synced."""
    clients, peers = f"http://127.0.0.1:{place.etcd}", f"http://127.0.0.1:{place.etcd + 1}"
    return [
        "etcd", "--name=test", f"--data-dir={place.root}/etcd", "--unsafe-no-fsync",
        f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=test={peers}",
    ]  # fmt: skip


def apiserver(place: Place, programs: Path) -> list[str | Path]:
    """The API server, on the node's address: programs of this machine and pods reach it, nobody else."""
    pki = place.pki
    return [
        programs / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{place.etcd}",
        f"--bind-address={place.node}", f"--advertise-address={place.node}", f"--secure-port={place.api}",
        f"--service-cluster-ip-range={place.services}",
        f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt", f"--token-auth-file={pki}/tokens.csv", "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
        f"--kubelet-certificate-authority={pki}/ca.crt", f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key", "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/ca.crt", "--requestheader-allowed-names=proxy",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/proxy.crt", f"--proxy-client-key-file={pki}/proxy.key",
        "--enable-aggregator-routing",  # without kube-proxy, a Service is reached by its endpoints
        "--allow-privileged", "--event-ttl=2h",
    ]  # fmt: skip


def controllers(place: Place, programs: Path) -> list[str | Path]:
    """The controller manager."""
    return [
        programs / "kube-controller-manager", f"--kubeconfig={place.kubeconfig}", "--leader-elect=false",
        "--secure-port=0", f"--service-account-private-key-file={place.pki}/sa.key",
        f"--root-ca-file={place.pki}/ca.crt", "--use-service-account-credentials",
    ]  # fmt: skip


def scheduler(place: Place, programs: Path) -> list[str | Path]:
    """The scheduler."""
    return [
        programs / "kube-scheduler", f"--kubeconfig={place.kubeconfig}", "--leader-elect=false", "--secure-port=0"
    ]  # fmt: skip


def kubelet(place: Place, programs: Path) -> list[str | Path]:
    """The kubelet."""
    return [
        programs / "kubelet", f"--config={place.etc}/kubelet.yaml", f"--kubeconfig={place.kubeconfig}",
        f"--root-dir={place.root}/kubelet", f"--cert-dir={place.pki}", "--hostname-override=test-node",
        f"--node-ip={place.node}", f"--containerd={place.socket}",  # for the cAdvisor in it
    ]  # fmt: skip


def metrics_server(place: Place, programs: Path) -> list[str | Path]:
    """metrics-server, beside the node and not in a pod."""
    config = place.kubeconfig
    return [
        programs / "metrics-server", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}", f"--cert-dir={place.etc}/metrics-server",
        f"--bind-address={place.node}", f"--secure-port={place.metrics}",
        f"--kubelet-certificate-authority={place.pki}/ca.crt", "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port", "--metric-resolution=15s",
    ]  # fmt: skip
