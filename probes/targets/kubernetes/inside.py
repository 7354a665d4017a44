"""The program that is run inside a container to read its processes, and what it prints.

It prints files of ``/proc`` and of the control groups as they stand, each behind a line that begins with a word that
nobody can guess (a command line may hold anything), so that what they mean is read here, by what reads them for other
targets too. It reads only: no file is made, no process signalled. Python is the interpreter that a FastAPI image has
for certain; a shell does the same where memory is short, for it needs a megabyte where Python needs eight.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping

MOST_PROCESSES = 64
OUTPUT_LIMIT = 4 << 20
_OF_PROCESS = ("stat", "status", "limits", "cmdline", "schedstat")
_OF_MACHINE = ("/proc/stat", "/proc/self/net/tcp", "/proc/self/net/tcp6")
_GROUPS = (
    "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory.stat",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/cpu.stat",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    "/sys/fs/cgroup/memory/memory.stat",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/sys/fs/cgroup/cpu/cpu.stat",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "/sys/fs/cgroup/cpuacct/cpuacct.usage",
)
# Of one container: a pod may share its processes' namespace (shareProcessNamespace), and then shows its neighbours'.
_PYTHON = r"""
import os, sys
word, details, most, own, files = %(word)r, %(details)r, %(most)d, %(own)r, %(files)r
out = sys.stdout.buffer
def text(path, limit=262144):
    try:
        with open(path, "rb") as f:
            return f.read(limit)
    except OSError:
        return None
def say(name, data):
    if data is not None:
        out.write(b"\n" + word + b" " + name.encode() + b" %%d\n" %% len(data) + data)
group, me = text("/proc/self/cgroup"), os.getpid()
pids = sorted(int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) != me)
pids = [p for p in pids if text("/proc/%%d/cgroup" %% p) == group][:most]
for path in files:
    say(path, text(path, 1048576))
for p in pids:
    for one in own:
        say("/proc/%%d/%%s" %% (p, one), text("/proc/%%d/%%s" %% (p, one)))
    try:
        names = os.listdir("/proc/%%d/fd" %% p)
        links = []
        for n in names[:4096]:
            try:
                link = os.readlink("/proc/%%d/fd/%%s" %% (p, n))
            except OSError:
                continue
            if link.startswith("socket:[") and n not in "012":
                links.append(link)
        say("/proc/%%d/fd" %% p, ("%%d %%s" %% (len(names), " ".join(links))).encode())
    except OSError:
        pass
    if details:
        say("/proc/%%d/smaps_rollup" %% p, text("/proc/%%d/smaps_rollup" %% p))
        try:
            mapped = set()
            with open("/proc/%%d/maps" %% p, "rb") as f:
                for line in f:
                    at = line.find(b"/")
                    if at > 0 and b".so" in line:
                        mapped.add(line[at:].rstrip())
            say("/proc/%%d/maps" %% p, b"\n".join(sorted(mapped)))
        except OSError:
            pass
say("end", b"")
"""
_SHELL = r"""
say() { [ -r "$1" ] && printf '\n%(word)s %%s -\n' "$1" && cat "$1" 2>/dev/null; }
group=$(cat /proc/self/cgroup 2>/dev/null)
for f in %(files)s; do say "$f"; done
count=0
for d in /proc/[0-9]*; do
  [ "$d" = "/proc/$$" ] && continue
  [ "$(cat "$d/cgroup" 2>/dev/null)" = "$group" ] || continue
  count=$((count + 1)); [ $count -gt %(most)d ] && break
  for one in %(own)s; do say "$d/$one"; done
  if [ -r "$d/fd" ]; then
    n=0; for f in "$d"/fd/*; do n=$((n + 1)); done
    printf '\n%(word)s %%s -\n%%s' "$d/fd" "$n"
  fi
done
printf '\n%(word)s end -\n'
exit 0
"""


class Program:
    """One run: what to start, what to send to its standard input, and how to read what it prints."""

    def __init__(self, *, details: bool, shell: bool = False, interpreter: str = "python3") -> None:
        """``details`` asks for PSS and for what is mapped: milliseconds for each large process."""
        self._word = secrets.token_hex(12).encode()
        if shell:
            self.argv: tuple[str, ...] = ("sh", "-s")
            self.stdin = (_SHELL % self._values(details, quoted=True)).encode()
        else:
            self.stdin = (_PYTHON % self._values(details, quoted=False)).encode()
            # A fixed number of bytes is read: the end of standard input does not reach every container.
            begin = f"import sys;exec(sys.stdin.buffer.read({len(self.stdin)}))"
            self.argv = (interpreter, "-I", "-S", "-c", begin)

    def _values(self, details: bool, *, quoted: bool) -> dict[str, object]:
        own, files = _OF_PROCESS, (*_OF_MACHINE, *_GROUPS)
        if quoted:
            return {
                "word": self._word.decode(),
                "most": MOST_PROCESSES,
                "own": " ".join(own),
                "files": " ".join(map(shlex.quote, files)),
            }
        return {"word": self._word, "details": details, "most": MOST_PROCESSES, "own": own, "files": files}

    def files(self, output: bytes) -> Mapping[str, bytes] | None:
        """Path → content of what was printed; ``None`` when the program did not come to its end."""
        found: dict[str, bytes] = {}
        mark = b"\n" + self._word + b" "
        at = output.find(mark)
        while at >= 0:
            newline = output.find(b"\n", at + len(mark))
            name, _, size = output[at + len(mark) : newline].rpartition(b" ")
            if newline < 0 or not name:
                return None
            if name == b"end":
                return found
            if size.isdigit():
                end = newline + 1 + int(size)
                following = output.find(mark, end)
            else:
                following = end = output.find(mark, newline)
            if end < 0 or end > len(output):
                return None
            found[name.decode("ascii", "replace")] = output[newline + 1 : end]
            at = following
        return None
