"""The lab's images, built without a container registry.

``debootstrap`` makes a Debian root file system, ``pip`` fetches wheels for the Python in it, and the engine's own
builder puts the services on top. Every stage is tagged with the hash of what went into it, so a second run finds all
of them and takes milliseconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

SUITE = "bookworm"
PYTHON = "3.11"  # what SUITE ships as python3
MIRROR = "http://deb.debian.org/debian"
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"  # Debian's python3 imports from here without being told
SERVICES = Path(__file__).parent / "services"

# Everything lies in one site-packages on purpose: what runs a Flask or a Litestar application must not be taken for
# FastAPI merely because FastAPI is installed beside it.
WHEELS = {
    "app": (
        "fastapi[standard]==0.165.0",
        "uvicorn[standard]==0.54.0",
        "gunicorn==27.0.1",
        "uvicorn-worker==0.4.0",
        "hypercorn==0.18.0",
        "granian==2.8.7",
        "sqlalchemy[asyncio]==2.1.9",
        "aiosqlite==0.22.1",
        "pydantic-settings==2.16.3",
        "httpx==0.28.1",
        "requests==2.34.2",
        "starlette==1.10.0",
        "flask==3.1.3",
        "django==5.2.19",
        "litestar==2.25.0",
        "quart==0.22.0",
        "asyncpg==0.32.0",
    ),
    # The wordings of five years back. This gunicorn needs pkg_resources, which setuptools dropped later.
    "legacy20": (
        "fastapi==0.74.1",
        "uvicorn==0.17.6",
        "gunicorn==20.1.0",
        "pydantic==1.10.27",
        "requests==2.34.2",
        "setuptools==68.2.2",
    ),
    # From uvicorn 0.29 on, a worker ends by the signal that it caught: gunicorn 21 calls each normal stop an error.
    "legacy21": (
        "fastapi==0.110.0",
        "uvicorn==0.29.0",
        "gunicorn==21.2.0",
        "requests==2.34.2",
    ),
}
BUILD_DEADLINE_SECONDS = 900
_EXCLUDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "dev",
    "proc",
    "sys",
)


class LabError(Exception):
    """The lab cannot be built or started here; the message says what failed, why, and what to do."""


def cache_dir() -> Path:
    """Where root file systems and wheels are kept between runs (``FASTOPS_LAB_CACHE`` overrides it)."""
    return Path(os.environ.get("FASTOPS_LAB_CACHE", "~/.cache/fastops-lab")).expanduser()


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def _services() -> list[tuple[str, bytes]]:
    files = sorted(path for path in SERVICES.rglob("*.py"))
    return [(str(path.relative_to(SERVICES)), path.read_bytes()) for path in files]


def tags(name: str) -> tuple[str, str, str]:
    """The tags of the three stages of image ``name`` (a key of ``WHEELS``): base, dependencies, services on top."""
    base = _hash(SUITE, PYTHON)
    deps = _hash(base, _dependencies(""), *WHEELS[name])
    app = _hash(deps, _application(""), *(part for path, body in _services() for part in (path, body)))
    return f"fastops-lab/base:{base}", f"fastops-lab/{name}-deps:{deps}", f"fastops-lab/{name}:{app}"


def _dependencies(base: str) -> str:
    return f"FROM {base}\nCOPY root/ /\nRUN python3 -m compileall -q -j 0 /{SITE}\n"


def _application(deps: str) -> str:
    return f"FROM {deps}\nENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1\nWORKDIR /app\nCOPY app/ /app/\n"


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=BUILD_DEADLINE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{what} failed: {error}") from error
    if done.returncode:
        tail = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise LabError(f"{what} failed with exit {done.returncode}: {tail}")


def _root_archive() -> Path:
    """The Debian root file system with python3 as a tar file; made once."""
    archive = cache_dir() / f"{SUITE}-python{PYTHON}.tar"
    if archive.exists():
        return archive
    if os.geteuid() != 0 or shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        raise LabError("the lab's base image needs debootstrap run as root: install debootstrap and run once as root")
    work = cache_dir() / f"root-{os.getpid()}"
    try:
        command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(work), MIRROR]
        _run(command, "debootstrap")
        partial = archive.with_suffix(f".{os.getpid()}")
        with tarfile.open(partial, "w") as tar:
            tar.add(work, arcname=".", filter=_keep)
        partial.rename(archive)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return archive


def _keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = member.name.removeprefix("./")
    inside = any(name.startswith(folder + "/") for folder in _EXCLUDED)
    return None if inside else member


def _wheels(name: str) -> Path:
    """The packages of image ``name``, installed for the image's Python into a folder; made once."""
    folder = cache_dir() / f"site-{name}-{_hash(PYTHON, *WHEELS[name])}"
    if folder.exists():
        return folder
    work = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", str(work)]
    command += ["--python-version", PYTHON, "--only-binary=:all:", *WHEELS[name]]
    try:
        _run(command, f"fetching the wheels of {name}")
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _context(dockerfile: str, trees: Sequence[tuple[Path, str]]) -> IO[bytes]:
    """A build context as a temporary tar file: the Dockerfile and each (path, name in the context)."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=file, mode="w") as tar:
        head = tarfile.TarInfo("Dockerfile")
        head.size = len(dockerfile.encode())
        tar.addfile(head, io.BytesIO(dockerfile.encode()))
        for path, name in trees:
            tar.add(path, arcname=name, filter=_plain)
    file.seek(0)
    return file


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    parts = Path(member.name).parts
    unwanted = "__pycache__" in parts or (parts[:-1] == ("root", *SITE.split("/")) and parts[-1] in ("bin", ".scripts"))
    return None if unwanted else member


def _scripts(folder: Path) -> Path:
    """The console scripts of ``folder`` with the image's interpreter in their first line."""
    target = folder / ".scripts"
    if not target.exists():
        work = folder / f".scripts.{os.getpid()}"
        work.mkdir()
        for script in (folder / "bin").iterdir():
            body = script.read_bytes()
            if body.startswith(b"#!"):
                body = b"#!/usr/bin/python3\n" + body.split(b"\n", 1)[1]
            copy = work / script.name
            copy.write_bytes(body)
            copy.chmod(0o755)
        work.rename(target)
    return target


def _build(client: Any, tag: str, dockerfile: str, trees: Sequence[tuple[Path, str]]) -> None:
    with _context(dockerfile, trees) as context:
        lines = client.api.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True)
        for line in lines:
            if "error" in line:
                raise LabError(f"building {tag} failed: {str(line['error']).strip()}")


def _has(client: Any, tag: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def ensure(client: Any, name: str = "app") -> str:
    """Build image ``name`` unless the engine has it, and return its tag. Raises ``LabError`` with the reason.

    ``client`` is a ``docker.DockerClient`` of an engine on this machine.
    """
    app = tags(name)[-1]
    if _has(client, app):
        return app
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "lock").open("w") as lock:  # tests run in several processes and threads: one builds
        fcntl.flock(lock, fcntl.LOCK_EX)
        _ensure(client, name)
    return app


def _ensure(client: Any, name: str) -> None:
    base, deps, app = tags(name)
    if _has(client, app):
        return
    if not _has(client, deps):
        if not _has(client, base):
            repository, tag = base.split(":")
            client.api.import_image_from_file(str(_root_archive()), repository=repository, tag=tag)
        site = _wheels(name)
        _build(client, deps, _dependencies(base), [(_scripts(site), "root/usr/local/bin"), (site, f"root/{SITE}")])
    _build(client, app, _application(deps), [(SERVICES, "app")])
