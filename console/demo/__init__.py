"""``fastops demo``: real sick services on this machine, a console on them, and nothing left afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from console.demo.layout import DemoError
from console.demo.processes import Demo
from probes.target import Options, Target

__all__ = ["Demo", "DemoError", "run"]

OpenConsole = Callable[[Callable[[Options], Target], Path], int]
"""Opens the console on the target that the given function makes, and returns the exit status when it is closed. The
directory is the demo's own and ends with it: changes are journalled there, not beside those of real services."""


def run(docker: bool, image: str | None, open_console: OpenConsole) -> int:
    """Runs the demo as long as the console is open; raises :class:`DemoError`.

    With ``docker`` the services run in containers: of ``image``, which must have Python and what the services
    import, or of one that is built from ``python:3.12-slim``.
    """
    if docker:
        from console.demo.containers import ContainerDemo

        with ContainerDemo(image) as containers:
            assert containers.directory is not None
            return open_console(containers.target, containers.directory)
    with Demo() as demo:
        assert demo.directory is not None
        return open_console(demo.target, demo.directory)
