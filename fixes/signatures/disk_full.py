"""A file system is full: nothing can be written.

What it means. Uploads, logs, the heartbeat files of gunicorn, SQLite and temporary files fail at once, and every
request that writes ends in an error. The disk is often filled by the service's own log, or by what is never deleted.

What proves it. ``[Errno 28]`` (ENOSPC) in whatever wording: Python's ``No space left on device``, Rust's ``os error
28``, nginx's ``(28: No space left on device)``, the engine's words about a start, or an eviction of a pod for its
ephemeral storage: an event, or the pod's own status (which a server that stops gracefully leaves without a reason).

What it is not. The kernel's limit of inotify watches, which has the same number and the same text: a reloader that
watches too many files. Memory that cannot be had (``[Errno 12]``). A quota of a mail box or an upload that the
application itself refuses. An eviction for memory.

What to do. Delete what fills it (``df -h``, ``du -x``), bound the logs, and write large files elsewhere.
"""

from __future__ import annotations

import re

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording

NO_SPACE = _wording.unquoted(
    "disk/no-space",
    r"\[Errno 28\]|[Nn]o space left on device(?: \(os error 28\)|['\"\\.:)]|$)|\(28: No space left",
    4,
)
EVICTED = _wording.unquoted(
    "disk/evicted",
    r"[Ll]ow on resource: ephemeral-storage|[Ee]phemeral local storage usage exceeds the total limit"
    r"|exceeded its local ephemeral storage limit|[Uu]sage of EmptyDir volume .* exceeds the limit",
)
_EVICTED = re.compile(EVICTED.regex)
_WATCHES = ("inotify", "watch limit", "watchfiles", "watchdog")


def detect(view: View) -> Verdict:
    """Fires on the kernel's refusals to write, and on evictions for storage."""
    found = [
        (hit, place)
        for hit, place in _shared.places(view, NO_SPACE, EVICTED)
        if not any(word in line for word in _WATCHES for line in (hit.sample, *hit.before))
    ]
    told = [
        Evidence("inspect", r.error or "", at=r.finished_at, replica=r.id)
        for r in view.deployment.replicas
        if r.state != "running" and "no space left on device" in (r.error or "").lower()
    ]
    told += [
        Evidence("inspect", r.error or "", at=r.finished_at, replica=r.id)
        for r in view.deployment.replicas
        if _EVICTED.search(r.error or "") and (r.finished_at is None or r.finished_at >= view.start)
    ]
    if not found and not told:
        return _shared.unseen(view)
    evicted = any(hit.key == EVICTED.key for hit, _ in found) or any(_EVICTED.search(e.text) for e in told)
    total = sum(_shared.count(view, hit) for hit in {id(hit): hit for hit, _ in found}.values()) + len(told)
    title = "a pod is evicted for its ephemeral storage" if evicted else "nothing can be written: a file system is full"
    return _logged.fires(view, found, "critical", title, count=total, more=told)


SIGNATURE = Signature(
    id=SignatureId("disk-full"),
    title="File system full",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("rotate-logs"), RemedyId("restart")),
    source="errno(3) ENOSPC; kubelet eviction manager (eviction_manager.go, the words of its events)",
    patterns=(NO_SPACE, EVICTED),
    explains=(SignatureId("unhandled-exceptions"), SignatureId("crash-loop")),
    fires=(
        Example("Python", "OSError: [Errno 28] No space left on device\n"),
        Example("a file's name", "OSError: [Errno 28] No space left on device: '/srv/uploads/a.bin'\n"),
        Example("Rust", "[ERROR] No space left on device (os error 28)\n"),
        Example("nginx", '2026/11/22 09:44:29 [crit] 7#7: *1 pwrite() "/tmp/1" failed (28: No space left on device)\n'),
        Example("in JSON", '{"level": "ERROR", "exc": "Traceback\\nOSError: [Errno 28] No space left on device"}\n'),
        Example(
            "PostgreSQL",
            '2026-11-22 09:55:31 UTC [7] ERROR:  could not extend file "base/1/2": No space left on device\n',
        ),
        Example(
            "an eviction",
            "Warning  Evicted  2m  kubelet  The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi\n",
        ),
        Example(
            "a pod's status",
            deployment=_cases.workload(
                _cases.pod(
                    state="exited",
                    ready=False,
                    finished_at=_cases.ago(60),
                    error="Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 100Mi.",
                ),
                _cases.pod(id="b"),
            ),
        ),
        Example(
            "a pod that succeeded, whose event tells",
            'Warning  Evicted  kubelet  Usage of EmptyDir volume "cache" exceeds the limit "50Mi".\n',
            deployment=_cases.workload(
                _cases.pod(
                    state="exited", ready=False, finished_at=_cases.ago(60), last_end=_cases.ended("Completed", 0, 60)
                ),
                _cases.pod(id="b"),
            ),
        ),
        Example(
            "the engine",
            deployment=_cases.container(
                state="exited", error="mkdir /var/lib/docker/overlay2/x: no space left on device"
            ),
        ),
    ),
    silent=(
        Example("watches of files", "OSError: [Errno 28] inotify watch limit reached\n"),
        Example(
            "watches of a reloader",
            "watchfiles: File watch error\nOSError: [Errno 28] No space left on device: '/srv'\n",
        ),
        Example(
            "an eviction for memory",
            "Warning  Evicted  kubelet  The node was low on resource: memory. Threshold quantity: 100Mi\n",
            deployment=_cases.workload(
                _cases.pod(
                    state="exited",
                    ready=False,
                    finished_at=_cases.ago(60),
                    error="Evicted: The node was low on resource: memory. Threshold quantity: 100Mi",
                ),
                _cases.pod(id="b"),
            ),
        ),
        Example("df", "/dev/vda        252G   28G   74G  28% /\n"),
        Example("a page of that name", 'INFO:     10.0.0.1:5 - "GET /?q=No+space+left+on+device HTTP/1.1" 200 OK\n'),
        Example("other numbers", "OSError: [Errno 12] Cannot allocate memory\nOSError: [Errno 2] No such file\n"),
    ),
)
