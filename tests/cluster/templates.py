"""The configuration files of the cluster's programs, filled in for one place."""

from __future__ import annotations

from pathlib import Path
from string import Template

from .place import Place

FILES = Path(__file__).parent / "files"


def filled(file: str, place: Place, **more: str) -> str:
    """The text of ``files/FILE`` with the place's names, addresses and ports, and ``more``."""
    names = ("name", "root", "run", "etc", "pki", "socket", "bridge", "pods", "node", "api", "kubelet", "metrics")
    values = {name: getattr(place, name) for name in names}
    return Template((FILES / file).read_text()).substitute(values, kubelet_health=place.kubelet + 1, **more)
