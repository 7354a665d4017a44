"""``fastops demo``: real sick services on this machine, a console on them, and nothing left afterwards."""

from __future__ import annotations

from collections.abc import Callable

from console.demo.layout import DemoError
from console.demo.processes import Demo
from probes.target import Options, Target

__all__ = ["Demo", "DemoError", "run"]

OpenConsole = Callable[[Callable[[Options], Target]], int]
"""Opens the console on the target that the given function makes, and returns the exit status when it is closed."""


def run(docker: bool, image: str | None, open_console: OpenConsole) -> int:
    """Runs the demo as long as the console is open; raises :class:`DemoError`.

    With ``docker`` the services run in containers: of ``image``, which must have Python and what the services
    import, or of one that is built from ``python:3.12-slim``.
    """
    if docker:
        from console.demo.containers import ContainerDemo

        with ContainerDemo(image) as containers:
            return open_console(containers.target)
    with Demo() as demo:
        return open_console(demo.target)
