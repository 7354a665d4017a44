"""A recording proxy before a real API server, and the kubeconfig that leads through it."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from probes.targets.kubernetes.rules import Rule, rule
from tests.proxy import Certificates, Proxy, Request


@contextmanager
def between(kubeconfig: Path, folder: Path) -> Iterator[tuple[Proxy, Path]]:
    """The proxy and the kubeconfig of its clients, which is ``kubeconfig`` but for the server.

    That has one context, and a token: a client's certificate would end at the proxy.
    """
    config = json.loads(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    own, key = certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own, key)
    with Proxy(
        cluster["server"], folder / "unused", Certificates(server, ssl.create_default_context(cadata=authority))
    ) as proxy:
        cluster["server"] = proxy.url
        cluster["certificate-authority-data"] = base64.b64encode(own.read_bytes()).decode()
        path = folder / "between.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        yield proxy, path


def needed(request: Request) -> Rule:
    """The right that a request needs, as an API server reads it."""
    parts = urlsplit(request.path)
    return rule(request.method, parts.path, dict(parse_qsl(parts.query)))


def certificate(folder: Path) -> tuple[Path, Path]:
    """One of the proxy's own, and its key."""
    own, key = folder / "proxy.crt", folder / "proxy.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=proxy"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return own, key
