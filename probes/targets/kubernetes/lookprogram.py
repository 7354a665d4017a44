"""The program that is run inside a container to read files for recognition, what it is asked and what it answers.

It reads and prints: named files (regular ones, their beginnings), names in directories as far as they tell what is
installed, and in its first run the working directory, command and environment of the container's first process. It
imports nothing but the standard library's core (``-I -S``: no site-packages, no ``.pth`` file, nothing of the
application's), and runs on Python 3.6 and later.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from probes.base import Frozen

OUTPUT_BYTES = 4 << 20
_FILE_BYTES = 1 << 18
_ROUND_BYTES = 2 << 20
"""Of files as they are printed; what is beyond is left out, and may be asked for again."""
_PROGRAM = r"""
import json, os, stat
ask = json.loads(sys.stdin.buffer.read(int(sys.argv[1])).decode())
left = [ask["round_bytes"]]
files, lists = {}, {}
def raw(path, most):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        parts = []
        while most > 0:
            part = os.read(fd, most)
            if not part:
                break
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)
def quiet(path, most):
    try:
        return raw(path, most) or b""
    except OSError:
        return b""
def real(path):
    if path == ask["here"] or path.startswith(ask["here"] + "/"):
        return cwd.rstrip("/") + path[len(ask["here"]):] or "/"
    return path
def put(path):
    path = real(path)
    if path in files or left[0] <= 0:
        return
    told = {}
    try:
        data = raw(path.encode("utf-8", "surrogateescape"), ask["file_bytes"])
        if data is not None:
            told["text"] = data.decode("latin-1")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError):
        told["unreadable"] = True
    left[0] -= len(json.dumps(told)) + len(path)
    files[path] = told
def names(path):
    path = real(path)
    if path in lists:
        return lists[path] or []
    found, count = [], 0
    try:
        with os.scandir(path.encode("utf-8", "surrogateescape")) as there:
            for one in there:
                count += 1
                name = one.name.decode("utf-8", "replace")
                if name.endswith(("-info", ".egg", ".pth")) or name.startswith("python3") or name == "fastapi":
                    if len(name) <= 200:
                        found.append(name)
                if count >= 50000 or len(found) >= 4000:
                    break
    except (OSError, ValueError):
        found = None
    lists[path] = found
    return found or []
def first():
    me, group = os.getpid(), quiet("/proc/self/cgroup", 65536)
    for pid in sorted(int(n) for n in os.listdir("/proc") if n.isdigit()):
        if pid != me and quiet("/proc/%d/cgroup" % pid, 65536) == group:
            return "/proc/%d" % pid
    return "/proc/self"
cwd = ask["cwd"]
answer = {"files": files, "lists": lists}
if not cwd:
    process = first()
    try:
        cwd = os.readlink(process + "/cwd")
    except OSError:
        cwd = os.getcwd()
    cwd = cwd if cwd.startswith("/") else "/"
    line = quiet(process + "/cmdline", 65536) if process != "/proc/self" else b""
    variables, size = {}, 0
    for name, value in os.environ.items():
        size += len(name) + len(value)
        if size > 262144:
            break
        variables[name.encode("utf-8", "replace").decode()] = value.encode("utf-8", "replace").decode()
    answer["cwd"] = cwd.encode("utf-8", "replace").decode()
    answer["argv"] = [one.decode("utf-8", "replace") for one in line.split(b"\0")[:-1]]
    answer["environment"] = variables
    here = cwd.rstrip("/")
    prefixes = ask["prefixes"] + [here + "/.venv", here + "/venv", os.path.dirname(os.path.dirname(sys.executable))]
    prefixes += [os.environ.get(n, "").rstrip("/") for n in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    prefixes += [os.path.dirname(p.rstrip("/")) for p in os.environ.get("PATH", "").split(":")]
    prefixes += [os.environ.get("HOME", "") + "/.local"]
    prefixes += [os.path.dirname(os.path.dirname(one)) for one in answer["argv"][:3]]
    for prefix in prefixes[:64]:
        top = prefix.rstrip("/")
        for base in ([top + "/lib", top + "/lib64"] if prefix.startswith("/") else []):
            for version in [n for n in names(base) if n.startswith("python3")][:8]:
                for leaf in ("site-packages", "dist-packages"):
                    path = base + "/" + version + "/" + leaf
                    for name in [n for n in names(path) if n.endswith(".pth")][:20]:
                        put(path + "/" + name)
for path in ask["lists"]:
    names(path)
for path in ask["files"]:
    put(path)
print(json.dumps(answer))
"""


class File(Frozen, frozen=True):
    """One file."""

    text: str | None = None
    """Its beginning, each character a byte; ``None`` for one that is not there, or is no file."""
    unreadable: bool = False


class Seen(Frozen, frozen=True):
    """What the program prints."""

    files: Mapping[str, File] = {}
    """By path, those of the working directory by its real one."""
    lists: Mapping[str, list[str] | None] = {}
    cwd: str | None = None
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}


class Request(Frozen, frozen=True):
    """What is asked in one run."""

    files: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """Of installations, for the first run."""
    cwd: str = ""
    """The real working directory; empty in the first run, which tells it."""
    here: str = "/proc/1/cwd"
    """What stands for it in paths."""
    file_bytes: int = _FILE_BYTES
    round_bytes: int = _ROUND_BYTES

    def stdin(self) -> bytes:
        """The program and what it is asked: neither stands in a command line, which audit logs keep."""
        return _PROGRAM.encode() + msgspec.json.encode(self)

    def argv(self, interpreter: str) -> tuple[str, ...]:
        """What to start. A fixed number of bytes is read: the end of input does not reach every container."""
        begin = f"import sys;exec(sys.stdin.buffer.read({len(_PROGRAM.encode())}))"
        return (interpreter, "-I", "-S", "-c", begin, str(len(msgspec.json.encode(self))))


def read(output: bytes) -> Seen:
    """What was printed. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(output, type=Seen)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
