"""Builds what Debian does not ship, from Go modules: Kubernetes, metrics-server and the image under each pod.

The programs lie in a directory of the cache that is named after all that goes into them: a fresh checkout of the same
sources finds them, and another version is built beside them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .place import CACHE, ClusterError

MODULES = Path(__file__).parent / "modules"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
PROGRAMS = (*KUBERNETES, "metrics-server", "pause", "pause.tar")
BUILD_DEADLINE_SECONDS = 3000  # seven minutes on two idle cores, six times as long on crowded ones
BUILD_BYTES = 6_000_000_000  # modules 1.2 GB, Go's own cache 3 GB, programs 0.4 GB
_VERSION = "k8s.io/component-base/version"


def programs() -> Path:
    """The directory with the programs, built or not."""
    digest = hashlib.sha256()
    for path in sorted(path for path in MODULES.rglob("*") if path.is_file()):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(MODULES)} {len(body)}\n".encode() + body)
    return CACHE / f"cluster-{digest.hexdigest()[:12]}"


def built() -> bool:
    """Whether ``programs()`` is complete; it appears under its name only when it is."""
    return programs().is_dir()


def go() -> str:
    """The go command. Raises ``ClusterError`` when there is none, or one that is too old to fetch a newer one."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise ClusterError("Go is missing: the cluster is built from Go modules. Install Go 1.21 or newer.")
    told = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, timeout=60).stdout.strip()
    if re.match(r"go1\.(\d|1\d|20)\b", told):
        raise ClusterError(
            f"{found} is {told}: the cluster is built by Go 1.21 or newer. Install it before it in PATH."
        )
    return found


def ensure() -> Path:
    """The directory with the programs, which are built when they are not there. Raises ``ClusterError``."""
    target = programs()
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _build(target)
    return target


def _build(target: Path) -> None:
    command = go()
    free = shutil.disk_usage(CACHE).free
    if free < BUILD_BYTES:
        raise ClusterError(
            f"{CACHE} has {free / 1e9:.1f} GB free; building the cluster needs {BUILD_BYTES / 1e9:.0f} GB"
        )
    work = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        _programs(command, work)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _programs(command: str, work: Path) -> None:
    kubernetes = MODULES / "kubernetes"
    version = _go([command, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"], kubernetes).strip()
    major, minor = version.removeprefix("v").split(".")[:2]
    told = f"-X {_VERSION}.gitVersion={version} -X {_VERSION}.gitMajor={major} -X {_VERSION}.gitMinor={minor}"
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES]
    _go([command, "build", "-ldflags", f"-s -w {told}", "-o", f"{work}/", *packages], kubernetes)
    metrics = "sigs.k8s.io/metrics-server/cmd/metrics-server"
    _go([command, "build", "-ldflags", "-s -w", "-o", f"{work}/", metrics], MODULES / "metrics-server")
    pause = MODULES / "pause"
    _go([command, "build", "-ldflags", "-s -w", "-o", str(work / "pause"), "."], pause)
    _go([command, "run", "./image", str(work / "pause"), str(work / "pause.tar")], pause)


def _go(command: Sequence[str], folder: Path) -> str:
    """Run go and return its output; what it downloads is shown as it comes."""
    environment: Mapping[str, str] = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOWORK": "off",
        "GOTOOLCHAIN": "auto",
    }
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=BUILD_DEADLINE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"building the cluster failed: {error}") from error
    if done.returncode:
        raise ClusterError(
            f"building the cluster failed: `go {' '.join(command[1:3])} …` in {folder} ended with {done.returncode}; "
            "its own words stand above"
        )
    return done.stdout
