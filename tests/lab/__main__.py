"""``python -m tests.lab``: ``image`` prints the image's tag, ``list`` the cases, ``up [CASE…]`` runs some until Ctrl-C,
``check [CASE…]`` runs each until its fact shows and removes it, ``down`` removes what killed runs have left.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import docker

from . import images
from .cases import CASES
from .runner import Lab, LabError, abandoned, remove


def check(lab: Lab, name: str) -> str | None:
    """Bring one case to its fact and remove it; the reason when that failed."""
    began = time.monotonic()
    running = None
    try:
        running = lab.start(CASES[name])
        running.ready()
    except (LabError, docker.errors.DockerException) as error:
        return f"{name}: {error}"
    finally:
        if running is not None:
            running.stop()
    print(f"{name}: ok after {time.monotonic() - began:.1f} s", flush=True)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("what", choices=("image", "list", "up", "check", "down"))
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; see `python -m tests.lab list`")
    if options.what == "list":
        for case in CASES.values():
            print(f"{case.name:28} {' '.join(sorted(case.expect)) or '-':36} {case.look_alike_of or ''}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    client = docker.from_env(timeout=60)
    if options.what == "image":
        print(images.ensure(client))
    elif options.what == "down":
        print("\n".join(remove(client, abandoned(client))) or "nothing was left")
    else:
        return run(client, options.what, options.cases or list(CASES))
    return 0


def run(client: docker.DockerClient, what: str, names: list[str]) -> int:
    with Lab(client) as lab:
        if what == "check":
            with ThreadPoolExecutor(max_workers=3) as pool:
                failures = [failure for failure in pool.map(lambda name: check(lab, name), names) if failure]
            print("\n".join(failures) or f"all {len(names)} show what they should", flush=True)
            return 1 if failures else 0
        for running in lab.bring(CASES[name] for name in names).values():
            print(f"{running.deployment:60} {' '.join(sorted(running.case.expect))}", flush=True)
        print("Ctrl-C removes them.", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (LabError, docker.errors.DockerException) as error:
        sys.exit(f"lab: {error}")
