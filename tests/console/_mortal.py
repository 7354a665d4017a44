"""fastops that kills itself, as ``kill -9`` would, around its N-th rename into a folder.

``python -m tests.console._mortal FOLDER N asked|done COMMAND …``: before the rename, or right after it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    folder, number, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rename, left = Path.replace, number

    def mortal(self: Path, target: Path) -> Path:
        nonlocal left
        left -= target.parent == folder
        last = left == 0 and target.parent == folder
        if last and moment == "asked":
            os.kill(os.getpid(), signal.SIGKILL)
        renamed = rename(self, target)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return renamed

    Path.replace = mortal  # type: ignore[method-assign, assignment]
    sys.argv = ["fastops", *sys.argv[4:]]
    from console.__main__ import main as fastops

    fastops()


if __name__ == "__main__":
    main()
