"""Up, down and how it is: the order in which the cluster's programs start, and the reverse."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import build, commands, keys, node
from .place import CACHE, ClusterError, Place
from .processes import run, running, start, stop, wait
from .templates import filled

PACKAGES = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "openssl": "openssl",
}
ORDER = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "metrics-server",
)
RUN_BYTES = 3_000_000_000  # the lab's images and what containers write
START_SECONDS = 120.0
TASKS_SECONDS = 30.0
IMPORT_SECONDS = 600.0
SYSTEM_PATH = ":/usr/local/sbin:/usr/sbin:/sbin"


def up(place: Place) -> None:
    """Build what is not built, start what does not run, and wait until a pod could be scheduled.

    Raises ``ClusterError`` with a sentence; then nothing of it is left.
    """
    os.environ["PATH"] += SYSTEM_PATH
    _refuse_what_is_missing(place)
    programs = build.ensure()
    with _locked(place):
        if why_not(place) is None:
            return
        try:
            with _in_words():
                _start(place, programs)
        except BaseException:
            with suppress(ClusterError, OSError):  # the first failure is the one to tell
                _stop(place)
            raise


def down(place: Place) -> None:
    """End it and take away all that it made. What was built stays in the cache."""
    os.environ["PATH"] += SYSTEM_PATH
    if os.geteuid() != 0:
        raise ClusterError("only root can take the cluster away")
    with _locked(place), _in_words():
        _stop(place)


def why_not(place: Place) -> str | None:
    """Why the cluster cannot be used; ``None`` when it can."""
    if not place.kubeconfig.exists():
        return "no cluster of the tests runs here; `make cluster` starts one (root, Debian, Go)"
    missing = [name for name in ORDER if running(place, name) is None]
    if missing:
        return f"{', '.join(missing)} of the tests' cluster {'does' if len(missing) == 1 else 'do'} not run"
    return _unready(place, build.programs())


def _start_containerd(place: Place) -> None:
    start(place, "containerd", ["containerd", "--config", place.etc / "containerd.toml"])


def kubectl(place: Place, programs: Path, *arguments: str, given: str = "") -> str:
    """The output of kubectl as the cluster's administrator. Raises ``ClusterError``."""
    return run(programs / "kubectl", "--kubeconfig", place.kubeconfig, *arguments, given=given)


def ctr(place: Place, *arguments: str) -> str:
    """The output of ctr in the kubelet's namespace. Raises ``ClusterError``."""
    return run("ctr", "--address", place.socket, "--namespace", "k8s.io", *arguments, deadline_seconds=300)


def _refuse_what_is_missing(place: Place) -> None:
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise ClusterError(
            "a cluster of one's own needs Linux and root; FASTOPS_TEST_KUBECONFIG names another one for the tests"
        )
    packages = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if packages:
        raise ClusterError(f"the cluster needs more programs; on Debian: apt-get install {' '.join(packages)}")
    if not build.built():
        build.go()
    free = shutil.disk_usage(place.root.parent).free
    if free < RUN_BYTES:
        raise ClusterError(
            f"{place.root.parent} has {free / 1e9:.1f} GB free; the cluster needs {RUN_BYTES / 1e9:.0f} GB"
        )


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClusterError(f"this machine does not allow what a node needs: {error}") from error


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with place.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(place: Place, programs: Path) -> None:
    place.root.mkdir(mode=0o755, exist_ok=True)
    for folder in (place.run, place.log, place.pki, place.etc / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    place.pki.chmod(0o700)
    node.prepare(place)
    keys.make(place)
    (place.etc / "containerd.toml").write_text(filled("containerd.toml", place))
    (place.etc / "cni/network.conflist").write_text(filled("network.conflist", place))
    (place.etc / "kubelet.yaml").write_text(filled("kubelet.yaml", place))

    start(place, "etcd", commands.etcd(place))
    _start_containerd(place)
    wait(place, "etcd", START_SECONDS, lambda: _asked(f"http://127.0.0.1:{place.etcd}/health"))
    start(place, "kube-apiserver", commands.apiserver(place, programs))
    wait(place, "kube-apiserver", START_SECONDS, lambda: _tried(place, programs, "get", "--raw", "/readyz"))
    start(place, "kube-controller-manager", commands.controllers(place, programs))
    start(place, "kube-scheduler", commands.scheduler(place, programs))
    wait(place, "containerd", START_SECONDS, lambda: _answers(place))
    ctr(place, "images", "import", str(programs / "pause.tar"))
    start(place, "kubelet", commands.kubelet(place, programs))
    start(place, "metrics-server", commands.metrics_server(place, programs))
    kubectl(place, programs, "apply", "--filename", "-", given=filled("metrics-server.yaml", place))
    wait(place, "kubelet", START_SECONDS, lambda: _unready(place, programs))


def _unready(place: Place, programs: Path) -> str | None:
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    try:
        if kubectl(place, programs, "get", "node", "test-node", "--output", f"jsonpath={ready}") != "True":
            return "its node is not ready"
        kubectl(place, programs, "get", "serviceaccount", "default")
    except ClusterError as error:
        return str(error)
    return None


def _tried(place: Place, programs: Path, *arguments: str) -> str | None:
    try:
        kubectl(place, programs, *arguments)
    except ClusterError as error:
        return str(error)
    return None


def _answers(place: Place) -> str | None:
    try:
        ctr(place, "version")
    except ClusterError as error:
        return str(error)
    return None


def _asked(url: str) -> str | None:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (OSError, urllib.error.URLError) as error:
        return str(error)
    return None


def _stop(place: Place) -> None:
    for name in reversed(ORDER):
        if name == "containerd" and (running(place, name) is not None or _revived(place)):
            _end_containers(place)
        stop(place, name)
    node.undo(place)
    if place.root.exists():
        shutil.rmtree(place.root)


def _revived(place: Place) -> bool:
    """Start containerd again where it died: its containers and their shims outlive it, and it alone knows them all."""
    if not (place.etc / "containerd.toml").exists():
        return False
    _start_containerd(place)
    try:
        wait(place, "containerd", TASKS_SECONDS, lambda: _answers(place))
    except ClusterError:  # it may be why the cluster did not come up; what is left then is named further on
        return False
    return True


def _end_containers(place: Place) -> None:
    """End every container, so that no shim outlives containerd."""
    deadline = time.monotonic() + TASKS_SECONDS
    while tasks := ctr(place, "tasks", "list", "--quiet").split():
        if time.monotonic() > deadline:
            raise ClusterError(f"containers do not end: {', '.join(tasks)}")
        for task in tasks:
            with suppress(ClusterError):  # it may have ended meanwhile
                ctr(place, "tasks", "delete", "--force", task)
    for container in ctr(place, "containers", "list", "--quiet").split():
        ctr(place, "containers", "delete", container)


def import_image(place: Place, archive: Iterable[bytes]) -> None:
    """Give the cluster the images in an archive as ``docker save`` writes it. Raises ``ClusterError``."""
    command = ["ctr", "--address", str(place.socket), "--namespace", "k8s.io", "images", "import", "-"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError), process.stdin:
                for chunk in archive:
                    process.stdin.write(chunk)
            code = process.wait(timeout=IMPORT_SECONDS)
        finally:
            process.kill()
        said.seek(0)
        if code:
            raise ClusterError(f"containerd did not take the image: {said.read().decode(errors='replace').strip()}")


def images(place: Place) -> tuple[str, ...]:
    """The names of the images that the cluster has."""
    return tuple(line for line in ctr(place, "images", "list", "--quiet").splitlines() if "@" not in line)
