"""The tests' own way to any cluster: kubectl, and HTTP through ``kubectl proxy``, which carries the credentials."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from . import build

PROXY_DEADLINE_SECONDS = 30.0
REQUEST_SECONDS = 30.0
KUBECTL_SECONDS = 120.0


class ApiError(Exception):
    """The API server, or kubectl, refused; ``status`` is HTTP's where there is one."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def kubectl_path() -> str | None:
    """The kubectl that was built with the cluster, else the machine's own."""
    own = build.programs() / "kubectl"
    return str(own) if own.exists() else shutil.which("kubectl")


class Api:
    """A cluster as the kubeconfig's present context, or ``context``, sees it."""

    def __init__(self, kubeconfig: Path | str, context: str | None = None) -> None:
        path = kubectl_path()
        if path is None:
            raise ApiError("there is no kubectl: install it, or run `make cluster`")
        self.kubeconfig = str(kubeconfig)
        self.command = [path, "--kubeconfig", self.kubeconfig, *(["--context", context] if context else [])]
        self._folder = tempfile.TemporaryDirectory(prefix="fastops-api-")
        socket = f"{self._folder.name}/s"
        # A socket in a directory of one's own: a port would be everybody's way into the cluster.
        self._proxy = subprocess.Popen(
            [*self.command, "proxy", f"--unix-socket={socket}", "--keepalive=30s"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=socket), base_url="http://localhost", timeout=REQUEST_SECONDS
        )
        deadline = time.monotonic() + PROXY_DEADLINE_SECONDS
        while not os.path.exists(socket):
            if self._proxy.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise ApiError(f"kubectl proxy does not start with {kubeconfig}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the proxy."""
        self.http.close()
        self._proxy.terminate()
        self._proxy.wait(timeout=10)
        self._folder.cleanup()

    def text(self, path: str, **params: Any) -> str:
        """The body of a GET. Raises ``ApiError``."""
        return self._ask("GET", path, params=params).text

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The object, or the list, at ``path``. Raises ``ApiError``."""
        return dict(self._ask("GET", path, params=params).json())

    def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The items of the list at ``path``. Raises ``ApiError``."""
        return list(self.get(path, **params)["items"])

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object in the collection ``path``. Raises ``ApiError``."""
        return dict(self._ask("POST", path, json=body).json())

    def patch(self, path: str, body: Any, kind: str = "strategic-merge") -> dict[str, Any]:
        """Patch the object at ``path``; ``kind`` is ``strategic-merge``, ``merge`` or ``json``. Raises ``ApiError``."""
        header = {"content-type": f"application/{kind}-patch+json"}
        return dict(self._ask("PATCH", path, json=body, headers=header).json())

    def delete(self, path: str, **params: Any) -> None:
        """Delete the object at ``path``; it is no error when it is gone. Raises ``ApiError``."""
        try:
            self._ask("DELETE", path, params=params)
        except ApiError as error:
            if error.status != 404:
                raise

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """The output of kubectl. Raises ``ApiError`` with what it said."""
        try:
            done = subprocess.run(
                [*self.command, *arguments], input=given, capture_output=True, text=True, timeout=KUBECTL_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ApiError(f"kubectl {' '.join(arguments[:3])}: {error}") from error
        if done.returncode:
            raise ApiError(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiError(f"{method} {path}: {error!r}") from error
        if answer.is_error:
            raise ApiError(f"{method} {path}: {answer.status_code} {answer.text[:300]}", answer.status_code)
        return answer
