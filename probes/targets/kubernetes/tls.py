"""TLS as a kubeconfig asks for it, with keys that are given in memory and stay there."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from probes.targets.kubernetes.place import Cluster


class _Named(ssl.SSLContext):
    """Checks the server's certificate against another name than the host's (``tls-server-name``).

    Here and not by httpx's extension ``sni_hostname``: httpcore 1.0 forgets that one behind a proxy.
    """

    name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the base, with the name that was configured."""
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


def tls_context(cluster: Cluster, certificate: bytes | None, key: bytes | None) -> ssl.SSLContext:
    """TLS, 1.2 at least, to ``cluster`` with a client certificate (PEM) where there is one.

    Raises ``OSError`` (``ssl.SSLError``) or ``ValueError`` when a file is missing or what is there is no certificate.
    """
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.name = cluster.server_name
    # As Go does: what is trusted need not be a root, and a cluster's own authority is often made without the key
    # identifiers that Python asks for since 3.13 (VERIFY_X509_STRICT).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not cluster.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cluster.authority is not None:
        context.load_verify_locations(cadata=cluster.authority.decode("ascii"))
    elif cluster.authority_file is not None:
        context.load_verify_locations(cafile=cluster.authority_file)
    else:
        context.load_default_certs()
    if certificate and key:
        with _file(certificate + b"\n" + key) as path:
            # With a password given, OpenSSL asks for none at the terminal: an encrypted key is an error.
            context.load_cert_chain(path, password=b"")
    return context


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path for ``load_cert_chain``, which takes no bytes: memory on Linux, else a 0600 file for that moment."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - asked for each handshake
        descriptor = os.memfd_create("fastops", os.MFD_CLOEXEC)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile("wb", prefix="fastops-") as named:
            named.write(content)
            named.flush()
            yield named.name
