"""The access logs of the other servers that write durations: hypercorn, granian, and nginx before a service."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from probes.accesslog import AccessLog
from probes.traffic import together
from tests.console.test_diagnose_parts import nginx
from tests.probes.local.servers import free_port, running, unique, uvicorn
from tests.probes.test_latency import Load, service, told_by

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


async def test_the_log_of_an_nginx_before_it_tells_what_was_driven(tmp_path: Path) -> None:
    """As an engine hands it on: each line with its stamp."""
    service(tmp_path, "")
    form = '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_user_agent" $request_time'
    log, port = AccessLog(), free_port()
    with running(uvicorn(port), tmp_path, port), nginx(port, form) as (before, file):
        load = Load(before, 40)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await load.run(client, 200)
        deadline = time.monotonic() + 60
        while (written := file.read_bytes()).count(b"/work/") < 200:
            assert time.monotonic() < deadline, "nginx has not written all of it"
            time.sleep(0.1)
    now = time.time()
    for line in written.splitlines(keepends=True):
        stamped = datetime.fromtimestamp(now - 10, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ").encode() + line
        log.take(stamped, stamped, now)
    told = log.traffic(now)
    assert told is not None
    latency = together([told], 1)
    assert latency is not None
    assert "no durations" not in latency.source
    assert latency.error_ratio == pytest.approx(0.1)
    for share, measured in ((0.50, latency.p50_seconds), (0.95, latency.p95_seconds)):
        inner, outer = load.percentile(share)
        assert measured is not None
        assert 0.9 * inner <= measured <= 1.1 * outer
