"""``fastops demo``: real sick services on this machine, a console on them, and nothing left afterwards."""

from __future__ import annotations

from console.demo.run import Demo, DemoError, run

__all__ = ["Demo", "DemoError", "run"]
