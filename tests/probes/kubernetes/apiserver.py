"""A real API server for what the shared cluster must not suffer: stopped, started, tokens that end, versions forgotten.

etcd and kube-apiserver alone, on loopback, as whoever runs the tests: no controller, no kubelet. Tokens are judged by a
webhook of ours, so a test says which are valid at this moment.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster import build

START_SECONDS = 60.0
_POLL_SECONDS = 0.05


def why_not() -> str | None:
    """Why there can be none here; ``None`` when there can."""
    missing = [name for name in ("etcd", "openssl") if shutil.which(name) is None]
    if missing:
        return f"a bare API server needs {' and '.join(missing)}"
    return None if build.built() else "kube-apiserver is not built here; `make cluster` builds it"


class ApiServer:
    """A context manager; ``stop`` and ``start`` as often as a test wants."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="fastops-apiserver-"))
        self.port, self._etcd_port, self._peer_port = _free_ports(3)
        self.tokens: dict[str, str] = {}
        """Token → user, at this moment."""
        self.reviews: list[str] = []
        """The tokens that the server asked about."""
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._webhook = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._webhook.serve_forever, name="token-webhook", daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def pids(self) -> list[int]:
        """The processes of both programs, while they run."""
        return [process.pid for process in self._running.values()]

    def __enter__(self) -> Self:
        try:
            self._thread.start()
            self._keys()
            peer, client = f"http://127.0.0.1:{self._peer_port}", f"http://127.0.0.1:{self._etcd_port}"
            self._run(
                "etcd", "--name=bare", f"--data-dir={self.root}/etcd", "--unsafe-no-fsync",
                f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=bare={peer}",
            )  # fmt: skip
            self._await("etcd", lambda: urllib.request.urlopen(f"{client}/health", timeout=2).close())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("kube-apiserver", "etcd"):
            self._end(name)
        if self._thread.is_alive():
            self._webhook.shutdown()
        self._webhook.server_close()
        shutil.rmtree(self.root)

    def start(self) -> None:
        """Returns when it is ready."""
        pki = self.root
        self._run(
            str(build.programs() / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1", "--advertise-address=10.255.255.1", "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}", "--service-cluster-ip-range=10.197.0.0/16",
            f"--tls-cert-file={pki}/server.crt", f"--tls-private-key-file={pki}/server.key",
            f"--client-ca-file={pki}/ca.crt", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/server.key", f"--service-account-signing-key-file={pki}/server.key",
            f"--authentication-token-webhook-config-file={pki}/webhook.yaml",
            "--authentication-token-webhook-cache-ttl=0s", "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount", "--shutdown-delay-duration=0s",
        )  # fmt: skip
        self._await("kube-apiserver", lambda: self.kubectl("get", "--raw", "/readyz"))

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Returns when it is gone; without a word by default."""
        self._end("kube-apiserver", how)

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """As the administrator; ``given`` is an object for ``--filename -``."""
        done = subprocess.run(
            [str(build.programs() / "kubectl"), "--kubeconfig", str(self.kubeconfig()), *arguments],
            input=None if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL if given is None else None,
        )
        if done.returncode:
            raise RuntimeError(done.stderr or done.stdout)
        return done.stdout

    def kubeconfig(self, user: dict[str, Any] | None = None, name: str = "admin", **cluster: Any) -> Path:
        """A file whose context ``bare`` is this server, for ``user`` (an entry); the administrator by default."""
        authority = base64.b64encode((self.root / "ca.crt").read_bytes()).decode()
        who = user or {"client-certificate": "admin.crt", "client-key": "admin.key"}
        where = {"server": self.url, "certificate-authority-data": authority, **cluster}
        path = self.root / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump({
            "current-context": "bare",
            "clusters": [{"name": "bare", "cluster": where}],
            "users": [{"name": name, "user": who}],
            "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": name}}],
        }))  # fmt: skip
        return path

    def end(self, token: str) -> None:
        """The token is valid no longer; returns when the server forgot what it knew of it (its own cache, 10 s)."""
        del self.tokens[token]
        trusted = ssl.create_default_context(cafile=str(self.root / "ca.crt"))
        asked = urllib.request.Request(f"{self.url}/api", headers={"Authorization": f"Bearer {token}"})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(asked, timeout=10, context=trusted).close()
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == 401:
                    return
            time.sleep(_POLL_SECONDS)
        raise RuntimeError("the server goes on taking a token that ended")

    def compact(self) -> None:
        """Lets etcd forget all versions but the newest."""
        newest = int(self._etcd("range", {"key": base64.b64encode(b"/").decode()})["header"]["revision"])
        self._etcd("compaction", {"revision": str(newest), "physical": True})

    def _etcd(self, call: str, said: dict[str, Any]) -> Any:
        url = f"http://127.0.0.1:{self._etcd_port}/v3/kv/{call}"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(said).encode()), timeout=10) as answer:
            return json.load(answer)

    def _keys(self) -> None:
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bare-ca",
                 "-keyout", f"{self.root}/ca.key", "-out", f"{self.root}/ca.crt")  # fmt: skip
        self.certificate("server", "/CN=kube-apiserver", "IP:127.0.0.1,DNS:bare.test")
        self.certificate("admin", "/O=system:masters/CN=admin")
        webhook = {
            "clusters": [{"name": "w", "cluster": {"server": f"http://127.0.0.1:{self._webhook.server_port}/"}}],
            "users": [{"name": "w"}],
            "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}],
            "current-context": "w",
        }
        (self.root / "webhook.yaml").write_text(yaml.safe_dump(webhook))

    def certificate(self, name: str, subject: str, names: str = "") -> tuple[Path, Path]:
        """A certificate of this server's authority, and its key."""
        certificate, key = self.root / f"{name}.crt", self.root / f"{name}.key"
        request, extensions = self.root / f"{name}.csr", self.root / f"{name}.ext"
        usage = "extendedKeyUsage=serverAuth,clientAuth\n"
        extensions.write_text(usage + (f"subjectAltName={names}\n" if names else ""))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", str(key), "-out", str(request))
        _openssl("x509", "-req", "-in", str(request), "-CA", f"{self.root}/ca.crt", "-CAkey", f"{self.root}/ca.key",
                 "-CAcreateserial", "-days", "2", "-out", str(certificate), "-extfile", str(extensions))  # fmt: skip
        return certificate, key

    def _run(self, *command: str) -> None:
        name = Path(command[0]).name
        with (self.root / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.root
            )

    def _end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)

    def _await(self, name: str, tried: Any) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                tried()
                return
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                if time.monotonic() > deadline or self._running[name].poll() is not None:
                    tail = (self.root / f"{name}.log").read_text(errors="replace")[-1500:]
                    raise RuntimeError(f"{name} did not come up: {error}\n{tail}") from None
            time.sleep(_POLL_SECONDS)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Review(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                token = asked["spec"]["token"]
                owner.reviews.append(token)
                user = owner.tokens.get(token)
                status = {"authenticated": user is not None, **({"user": {"username": user}} if user else {})}
                body = json.dumps({"apiVersion": asked["apiVersion"], "kind": "TokenReview", "status": status}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Review


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def _free_ports(count: int) -> Sequence[int]:
    """Free at this moment; taken together, so that no two are the same."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
