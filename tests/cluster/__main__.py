"""``python -m tests.cluster``: ``up`` starts the cluster and prints its kubeconfig, ``ensure`` prints it only when it
had to start it, ``down`` removes it, ``status`` says how it is, ``images`` hands the lab's images over. On this cluster
or another one, ``list`` names the cases of the lab and ``check [CASE…]`` runs each until its facts show.
"""

from __future__ import annotations

import argparse
import signal
import sys

from . import build, lifecycle
from .place import ClusterError, here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("what", choices=("up", "ensure", "down", "status", "images", "list", "check"))
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    what = options.what
    if options.cases and what != "check":
        parser.error(f"{what} takes no cases")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = here()
    if what == "down":
        lifecycle.down(place)
        print(f"cluster {place.number} is gone, and {place.root} with it")
    elif what == "status":
        reason = lifecycle.why_not(place)
        print(reason or f"KUBECONFIG={place.kubeconfig} PATH={build.programs()}:$PATH")
        return 1 if reason else 0
    elif what in ("images", "list", "check"):  # they need what `make setup` installs
        return lab(what, options.cases)
    elif what == "up" or lifecycle.why_not(place) is not None:
        lifecycle.up(place)
        print(place.kubeconfig)
    return 0


def lab(what: str, cases: list[str]) -> int:
    from tests.lab.images import LabError

    from . import check, images

    try:
        if what == "check":
            return 1 if check.check(cases) else 0
        print(check.listed() if what == "list" else "\n".join(images.ensure(here())))
    except LabError as error:
        sys.exit(f"lab: {error}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
