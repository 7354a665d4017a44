"""A Docker Engine for the tests: says why there is none, and starts one where it may.

``python -m tests.engine ensure`` installs (Debian, as root) and starts the engine when none answers, and prints the
pid of the one it started, or nothing when it was there already. ``python -m tests.engine stop PID`` ends that one.
Runs before anything is set up, so it needs the standard library only.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

SOCKET = "/var/run/docker.sock"
LOG = Path("/var/log/fastops-dockerd.log")
PACKAGES = ("docker.io", "iptables")
PING_DEADLINE_SECONDS = 5.0
START_DEADLINE_SECONDS = 90.0
STOP_DEADLINE_SECONDS = 60.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PING_DEADLINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def url() -> str:
    """The engine that the tests use: ``DOCKER_HOST``, else the socket of this machine."""
    return os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"


def why_not(address: str) -> str | None:
    """The reason for which the engine at ``address`` (unix:// or tcp://) cannot be used; ``None`` when it answers."""
    parts = urlsplit(address)
    connection: http.client.HTTPConnection
    if parts.scheme == "unix":
        connection = _UnixConnection(parts.path)
    elif parts.scheme == "tcp" and parts.hostname:
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=PING_DEADLINE_SECONDS)
    else:
        return f"the tests reach an engine by unix:// or tcp://, not by {address}"
    try:
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
    except FileNotFoundError:
        return f"no Docker Engine runs here: there is no {parts.path}"
    except (OSError, http.client.HTTPException) as error:
        return f"no Docker Engine answers at {address}: {error}"
    finally:
        connection.close()
    return None if status == 200 else f"the Docker Engine at {address} answers {status} to a ping"


def ensure() -> int | None:
    """Have an engine answer on this machine's socket; the pid of the one that was started, ``None`` if one did.

    Exits with a sentence when it cannot be installed or does not come up in time.
    """
    address = url()
    reason = why_not(address)
    if reason is None:
        return None
    if address != f"unix://{SOCKET}" or os.geteuid() != 0:
        sys.exit(f"{reason}. Start it, or run this as root without DOCKER_HOST.")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if shutil.which("dockerd") is None:
        _install()
    return start(["dockerd"], address)


def start(command: list[str], address: str) -> int:
    """Start a daemon in a session of its own and wait until it answers at ``address``; its pid."""
    with LOG.open("wb") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while (reason := why_not(address)) is not None:
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.terminate()
            tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-8:])
            sys.exit(f"dockerd did not come up: {reason}. Its log ({LOG}) ends:\n{tail}")
        time.sleep(0.2)
    return daemon.pid


def _install() -> None:
    if shutil.which("apt-get") is None:
        sys.exit("dockerd is not installed and this is not Debian: install Docker Engine, then run this again")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        if subprocess.run(["apt-get", *command], env=quiet, stdout=sys.stderr, check=False).returncode:
            sys.exit(f"apt-get {' '.join(command)} failed: install Docker Engine by hand")


def stop(pid: int) -> None:
    """End the engine that ``ensure`` started and wait until it is gone; its containers end with it."""
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
            time.sleep(0.2)
    except (ProcessLookupError, FileNotFoundError):
        return
    sys.exit(f"dockerd {pid} is still there after {STOP_DEADLINE_SECONDS:.0f} s")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ensure"]:
            started = ensure()
            if started is not None:
                print(started)
        case ["stop", number] if number.isdigit():
            stop(int(number))
        case _:
            sys.exit("usage: python -m tests.engine ensure | stop PID")
