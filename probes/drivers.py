"""Which database drivers a process has loaded: their native parts stand in its memory map."""

from __future__ import annotations


def loaded(maps: bytes) -> tuple[str, ...]:
    """Names of drivers in the text of ``/proc/PID/maps``, sorted. Drivers in pure Python (PyMySQL, pg8000) leave no trace there."""
    raise NotImplementedError
