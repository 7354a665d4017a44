"""Keys, certificates and tokens of the cluster, and the kubeconfig made of them."""

from __future__ import annotations

import base64
import secrets
import tempfile
from pathlib import Path

from .place import Place
from .processes import run
from .templates import filled

USERS = ("viewer", "tenant", "nobody")  # without rights of their own: tests bind Roles to them
_DAYS = "30"


def make(place: Place) -> None:
    """Make what is not there yet."""
    if place.kubeconfig.exists():
        return
    pki = place.pki
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", "/CN=fastops-tests",
        "-keyout", pki / "ca.key", "-out", pki / "ca.crt")  # fmt: skip
    services = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    _certificate(pki, "apiserver", "/CN=kube-apiserver", f"IP:{place.first_service},IP:{place.node},{services}")
    _certificate(pki, "kubelet", "/CN=test-node", f"IP:{place.node},DNS:test-node")
    _certificate(pki, "admin", "/O=system:masters/CN=admin")
    _certificate(pki, "proxy", "/CN=proxy")
    run("openssl", "genrsa", "-out", pki / "sa.key", "2048")
    run("openssl", "rsa", "-in", pki / "sa.key", "-pubout", "-out", pki / "sa.pub")
    tokens = {user: secrets.token_hex(16) for user in USERS}
    lines = [f"{token},{user},{1000 + number}\n" for number, (user, token) in enumerate(tokens.items())]
    (pki / "tokens.csv").write_text("".join(lines))
    text = filled(
        "kubeconfig.yaml",
        place,
        ca=_encoded(pki / "ca.crt"),
        certificate=_encoded(pki / "admin.crt"),
        key=_encoded(pki / "admin.key"),
        **tokens,
    )
    place.kubeconfig.touch(mode=0o600)
    place.kubeconfig.write_text(text)


def _certificate(pki: Path, name: str, subject: str, names: str = "") -> None:
    key, request = pki / f"{name}.key", pki / f"{name}.csr"
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", key, "-out", request)
    with tempfile.NamedTemporaryFile("w", suffix=".ext") as extensions:
        extensions.write("extendedKeyUsage=serverAuth,clientAuth\n" + (f"subjectAltName={names}\n" if names else ""))
        extensions.flush()
        run("openssl", "x509", "-req", "-in", request, "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key",
            "-CAcreateserial", "-days", _DAYS, "-out", pki / f"{name}.crt", "-extfile", extensions.name)  # fmt: skip


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
