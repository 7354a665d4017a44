"""What a node changes on the machine under it, and how each of that is undone.

The kernel's settings are noted before the kubelet changes them. Everything else carries the place's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from .place import ClusterError, Place
from .processes import run

CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("perf_event", "net_cls", "hugetlb")  # cgroup v1: the kubelet wants them mounted
# What the kubelet sets as it starts. net.ipv4.ip_forward, which the bridge needs too, stays as it is: containers of a
# Docker Engine that was started meanwhile would lose their network.
SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Where its programs write whatever they are told: made by them, and taken away when nobody else has come to use them.
FOLDERS = (
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
)
REMOVE_SECONDS = 20.0


def prepare(place: Place) -> None:
    """Give the node its address, its cgroups and its way between pods."""
    noted = place.root / "before.json"
    if not noted.exists():
        settings = {name: Path("/proc/sys", name).read_text().strip() for name in SETTINGS}
        absent = [folder for folder in FOLDERS if not Path(folder).exists()]
        before = {"settings": settings, "mounted": _mount_controllers(), "absent": absent}
        noted.write_text(json.dumps(before))
    for folder in _cgroups(place, make=True):
        folder.mkdir(exist_ok=True)
    # The first pod would make the pods' bridge as well: servers outside are to listen on it before there is one.
    for link, address in ((place.holder, f"{place.node}/32"), (place.bridge, place.gateway)):
        if not Path("/sys/class/net", link).exists():
            run("ip", "link", "add", link, "type", "bridge")
            run("ip", "address", "add", address, "dev", link)
            run("ip", "link", "set", link, "up")
    if _rule(place, "-C"):
        _rule(place, "-I")


def undo(place: Place) -> None:
    """Take away all of it. The containers must be gone."""
    _unmount_all(place)
    for link in (place.bridge, place.holder):
        if Path("/sys/class/net", link).exists():
            run("ip", "link", "delete", link)
    while not _rule(place, "-D"):
        continue
    for folder in _cgroups(place, make=False):
        _remove_cgroups(folder)
    _remove_traces(place)
    noted = place.root / "before.json"
    if not noted.exists():
        return
    before = json.loads(noted.read_text())
    for name, value in before["settings"].items():
        Path("/proc/sys", name).write_text(value)
    for path in before["mounted"]:
        run("umount", path)
        Path(path).rmdir()
    for folder in map(Path, before["absent"]):
        if folder.name == "device-plugins":
            for socket in folder.glob("kubelet*"):
                socket.unlink()
        with contextlib.suppress(OSError):  # somebody else uses it now, or it never came to be
            folder.rmdir()
    noted.unlink()


def _remove_traces(place: Place) -> None:
    """Remove what carries the name of the place, or of its pods, in directories of the machine."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.readlink().is_relative_to(place.root):
            link.unlink()
    results = Path("/var/lib/cni/results")  # libcni keeps the answer of each plugin, for all networks together
    for result in results.glob(f"{place.name}-*"):
        sandbox = result.name.split("-")[1]
        for mine in results.glob(f"*-{sandbox}-*"):
            mine.unlink()


def _mount_controllers() -> list[str]:
    if (CGROUPS / "cgroup.controllers").exists():
        return []
    known = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()}
    mounted = []
    for name in CONTROLLERS:
        folder = CGROUPS / name
        if name in known and not folder.exists():
            folder.mkdir()
            run("mount", "-t", "cgroup", "-o", name, name, folder)
            mounted.append(str(folder))
    return mounted


def _cgroups(place: Place, *, make: bool) -> list[Path]:
    """The cgroup of the node's pods in each hierarchy; ``make`` prepares the parent for it."""
    controllers = CGROUPS / "cgroup.controllers"
    if controllers.exists():
        if make:
            wanted = " ".join(f"+{name}" for name in controllers.read_text().split())
            (CGROUPS / "cgroup.subtree_control").write_text(wanted)
        return [CGROUPS / place.name]
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(mount, place.name) for _, mount, kind, *_ in map(str.split, lines) if kind.startswith("cgroup")]


def _remove_cgroups(folder: Path) -> None:
    """Remove a tree of cgroups; one with a dying process in it is busy for a moment."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while folder.exists():
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()
        if folder.exists():
            if time.monotonic() > deadline:
                raise ClusterError(f"{folder} cannot be removed: a process of a pod is still in it")
            time.sleep(0.1)


def _unmount_all(place: Place) -> None:
    """Unmount all below ``root``, the deepest first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    below = [line.split()[1] for line in lines if line.split()[1].startswith(f"{place.root}/")]
    for mount in sorted(below, reverse=True):
        run("umount", "--lazy", mount)


def _rule(place: Place, action: str) -> bool:
    """Add (-I), look for (-C) or delete (-D) the one rule of the firewall; whether that failed.

    A Docker Engine drops what is forwarded, and bridged packets pass the same chain: pods could not reach each other.
    """
    if shutil.which("iptables") is None:
        return True
    match = ("-i", place.bridge, "-o", place.bridge, "-m", "comment", "--comment", place.name, "-j", "ACCEPT")
    command = ["iptables", "--wait", "10", action, "FORWARD", *match]
    return bool(subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=30).returncode)
