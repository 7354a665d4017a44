"""The way to a pod from where the tests run: its address, or a forwarded port where pods' addresses lead nowhere."""

from __future__ import annotations

import re
import selectors
import socket
import subprocess
import time

from tests.lab.images import LabError

from .api import Api

CONNECT_SECONDS = 3.0
FORWARD_SECONDS = 20.0


def leads_to_pods(address: str, port: int) -> bool:
    """Whether packets from here reach pods: a refusal is an answer, too."""
    try:
        socket.create_connection((address, port), CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


class Forward:
    """A port of this machine that ``kubectl port-forward`` carries to a pod's."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self._process = subprocess.Popen(
            [*api.command, "port-forward", "--namespace", namespace, f"pod/{pod}", f":{port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            self.port = self._told(time.monotonic() + FORWARD_SECONDS)
        except LabError:
            self.close()
            raise

    def _told(self, deadline: float) -> int:
        assert self._process.stdout is not None
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                chunk = self._process.stdout.read1(4096)  # type: ignore[attr-defined]
                said += chunk
                if found := re.search(rb"127\.0\.0\.1:(\d+)", said):
                    return int(found[1])
                if not chunk:
                    break
        raise LabError(f"no port is forwarded to the pod: {said.decode(errors='replace').strip()[-300:]}")

    def alive(self) -> bool:
        """Whether it still carries; it ends with the pod's sandbox."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()
