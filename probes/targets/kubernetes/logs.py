"""A container's log as the kubelet gives it: whole lines with their stamps, from a stamp on, none of them twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

from probes import text
from probes.base import Failure, ReplicaId
from probes.slices import joined
from probes.target import Unreadable
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.ids import replica_parts

SOURCE = "kubectl logs"
PAST_LINES = 10_000
"""Lines of the past that are read of what is looked at or in trouble."""
SAMPLE_LINES = 2_000
"""Lines that are read of the rest."""
PAST_BYTES = 8 << 20
_LINE_LIMIT = 64 << 10
_HEAD_SECONDS = 10.0
_LOST = (
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
    b"failed to open log file ",
)
"""What the kubelet answers with status 200 where a log is gone; a line of a log begins with its stamp instead
(kubernetes, pkg/kubelet/kuberuntime: logs.go, kuberuntime_container.go)."""
_QUIET_SECONDS = 3600.0
"""The head of a followed log comes with its first line, whenever that is; then it is asked for anew."""


class Lines:
    """Makes whole lines of chunks, and leaves out what is known already: the API counts whole seconds only."""

    def __init__(self) -> None:
        self.latest: int | None = None
        """When the latest line was written, in nanoseconds since the epoch."""
        self._after: int | None = None
        self._rest = b""
        self._long = False

    def resume(self) -> None:
        """Another reading begins: what it repeats, up to the latest line, is left out."""
        self._after, self._rest, self._long = self.latest, b"", False

    def feed(self, chunk: bytes) -> bytes:
        """The new whole lines that this chunk completes."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            if len(self._rest) <= _LINE_LIMIT:
                return b""
            chunk, end, self._rest = self._rest, len(self._rest), b""
            whole, self._long = (chunk, True) if not self._long else (b"", True)
            return self._new(whole + b"\n") if whole else b""
        whole, self._rest = self._rest + chunk[:end], chunk[end:]
        if self._long:  # the end of a line of which the beginning was given already
            whole, self._long = whole[whole.find(b"\n") + 1 :], False
        return self._new(whole)

    def end(self) -> bytes:
        """A last line without a newline."""
        rest, self._rest = self._rest, b""
        return self._new(rest + b"\n") if rest and not self._long else b""

    def _new(self, lines: bytes) -> bytes:
        while self._after is not None and lines:
            at = nanoseconds(lines)
            if at is not None and at > self._after:
                self._after = None
                break
            lines = lines[lines.find(b"\n") + 1 :]
        if lines:
            last = lines[lines.rfind(b"\n", 0, len(lines) - 1) + 1 :]
            self.latest = nanoseconds(last) or self.latest
        return lines


def nanoseconds(line: bytes) -> int | None:
    """When a stamped line was written, in nanoseconds since the epoch; ``None`` without a stamp."""
    space = line.find(b" ", 0, 40)
    stamp = line[: space if space >= 0 else 40].rstrip(b"\n")
    head, dot, rest = stamp.partition(b".")
    try:
        if not dot:
            return int(datetime.fromisoformat(stamp.decode("ascii")).timestamp()) * 10**9
        digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
        seconds = datetime.fromisoformat((head + rest[len(digits) :]).decode("ascii"))
        return int(seconds.timestamp()) * 10**9 + int(digits[:9].ljust(9, b"0"))
    except (ValueError, OverflowError, UnicodeDecodeError):
        return None


def moment(at: int) -> datetime:
    """Nanoseconds since the epoch as a time."""
    return datetime.fromtimestamp(at / 1e9, UTC)


async def read(
    client: ApiClient,
    replica: ReplicaId,
    lines: Lines,
    *,
    since: datetime,
    tail: int,
    follow: bool = False,
    previous: bool = False,
) -> AsyncGenerator[bytes, None]:
    """The new lines from ``since`` on, the latest ``tail`` of the past; with ``follow`` until the container ends.

    ``previous`` reads the container before the last restart. Raises :class:`Unreadable`: ``invalid`` for a container
    that has not been started, ``not-found`` for a pod that is gone.
    """
    namespace, pod, container = replica_parts(replica)
    lines.resume()
    known = lines.latest
    begin = since if known is None else max(since, moment(known))
    params = {
        "container": container,
        "timestamps": "true",
        "sinceTime": begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tailLines": str(tail),
    }
    if follow:
        params["follow"] = "true"
    if previous:
        params["previous"] = "true"
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    async with aclosing(
        client.stream(path, params, timeout_seconds=_QUIET_SECONDS if follow else _HEAD_SECONDS)
    ) as chunks:
        async for chunk in chunks if follow else joined(chunks):
            if chunk.startswith(_LOST):
                why = "the kubelet does not keep it any more"
                raise Unreadable(Failure("not-found", f"the log of {text.clean(pod, 100)}", why, ""))
            new = lines.feed(chunk)
            if new:
                yield new
    rest = lines.end()
    if rest:
        yield rest
