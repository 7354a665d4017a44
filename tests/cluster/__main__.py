"""``python -m tests.cluster``: ``up`` starts the cluster and prints its kubeconfig, ``ensure`` prints it only when it
had to start it, ``down`` removes it, ``status`` says how it is, ``images`` hands the lab's images over.
"""

from __future__ import annotations

import argparse
import signal
import sys

from . import build, lifecycle
from .place import ClusterError, here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("what", choices=("up", "ensure", "down", "status", "images"))
    what = parser.parse_args().what
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = here()
    if what == "down":
        lifecycle.down(place)
    elif what == "status":
        reason = lifecycle.why_not(place)
        print(reason or f"KUBECONFIG={place.kubeconfig} PATH={build.programs()}:$PATH")
        return 1 if reason else 0
    elif what == "images":
        from .images import ensure

        print("\n".join(ensure(place)))
    elif what == "up" or lifecycle.why_not(place) is not None:
        lifecycle.up(place)
        print(place.kubeconfig)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
