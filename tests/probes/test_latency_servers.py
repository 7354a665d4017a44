"""The access logs of the other servers that write durations: hypercorn with a format of its own, granian as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.probes.local.servers import free_port, unique
from tests.probes.test_latency import service, told_by

FORMAT = '%(h)s %(l)s %(l)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
HYPERCORN = ("-m", "hypercorn", "main:app", "--access-logfile", "-", "--access-logformat", FORMAT, "-b", "127.0.0.1:{}")
GRANIAN = ("-m", "granian", "main:app", "--interface", "asgi", "--access-log", "--host", "127.0.0.1", "--port", "{}")


@pytest.mark.parametrize(
    ("server", "words"),
    [(HYPERCORN, "access log, %(D)s"), (GRANIAN, "access log, %(dt_ms)s")],
    ids=["hypercorn", "granian"],
)
async def test_its_access_log_tells_what_was_driven(tmp_path: Path, server: tuple[str, ...], words: str) -> None:
    port, folder = free_port(), tmp_path / unique("shop")
    service(folder, "")
    argv = (sys.executable, *(part if "{}" not in part else part.format(port) for part in server))
    latency, load, _ = await told_by(argv, folder, port, 20, words)
    assert latency.error_ratio == pytest.approx(0.1, abs=0.03)
    for share, measured in ((0.50, latency.p50_seconds), (0.95, latency.p95_seconds)):
        inner, outer = load.percentile(share)
        assert measured is not None
        assert 0.9 * inner <= measured <= 1.1 * outer
