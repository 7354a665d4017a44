"""What the application prints while its configuration is tried is kept within a bound."""

from __future__ import annotations

import os
import sys
import tracemalloc
from types import SimpleNamespace
from typing import cast

import pytest

from probes.target import Refused
from probes.targets.local import trial
from probes.targets.local.find import Master

PRINTED_BYTES = 32 << 20
LOUD = f"""
import sys
for _ in range({PRINTED_BYTES} // 65536):
    sys.stdout.write("x" * 65536)
sys.exit("\\nModuleNotFoundError: the last words")
"""


async def test_an_application_that_prints_without_end_is_heard_to_its_last_words_within_a_bound() -> None:
    own = cast("Master", SimpleNamespace(pid=os.getpid(), key=SimpleNamespace(uid=os.geteuid()), working_dir=None))
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="the last words"):
            await trial._run(own, dict(os.environ), (sys.executable, "-c", LOUD))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < PRINTED_BYTES / 8
