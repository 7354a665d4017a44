"""``make bench``: fastops beside its peers on the same work, in turn, in one run; tables at the end.

    python -m tests.bench                all of it
    python -m tests.bench docker         50 idle containers, beside lazydocker
    python -m tests.bench kubernetes     1,850 and 10,000 pods of a real API server, beside kubectl
    python -m tests.bench matching       all patterns over a large log, beside ripgrep

Each part has options of its own (``--help``), and says what it misses where it cannot run. Two noisy cores are assumed:
read the ratios, not the seconds.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from . import docker, kubernetes, matching

PARTS = {"docker": docker.main, "kubernetes": kubernetes.main, "matching": matching.main}


def main() -> int:
    """Runs the named part, or each in a process of its own, so that none measures what another left in memory."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    named = sys.argv[1] if len(sys.argv) > 1 else None
    if named in PARTS:
        PARTS[named](sys.argv[2:])
        return 0
    if named is not None:
        print(__doc__)
        return 0 if named in {"-h", "--help"} else 2
    codes = [subprocess.run([sys.executable, "-m", "tests.bench", part], check=False).returncode for part in PARTS]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
