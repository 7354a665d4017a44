"""What is learned of a workload beside its description: by asking it, and by looking into its containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from probes.base import Frozen
from probes.servers import ServerCommand


class Looked(Frozen, frozen=True):
    """What the files of one container tell."""

    framework: Literal["fastapi", "other", "unknown"]
    why: str
    by_source: bool = False
    """The application's own source says so."""
    command: ServerCommand | None = None
    """The server's command where the description does not give it: the image's own, or a call in the code."""


class Told(Frozen, frozen=True):
    """What was learned beside the description."""

    documented: str | None = None
    """The container that serves FastAPI's document."""
    before: str | None = None
    """The container that served it under a former template: counts until this one is asked, or looked into."""
    asked: bool = False
    """It was asked for, and answered by something."""
    inside: Mapping[str, Looked] = {}
    """By the names of the containers that were looked into, once and for all."""
    packages: Mapping[str, str] = {}
    """Distributions that the one that was looked into last can import → version."""
    files: Mapping[str, bytes | None] = {}
    """Files by absolute path; ``None`` for one that is certainly not there."""

    def joined(self, more: Told) -> Told:
        """With what was learned since."""
        return Told(
            documented=more.documented or self.documented,
            before=more.before or self.before,
            asked=more.asked or self.asked,
            inside={**self.inside, **more.inside},
            packages=more.packages if more.inside else self.packages,
            files={**self.files, **more.files},
        )

    def served(self) -> str | None:
        """The container that is known to have served FastAPI, whatever its command says."""
        inside = (name for name, one in self.inside.items() if one.by_source and one.framework == "fastapi")
        return self.documented or next(inside, None) or self.before


NOTHING = Told()
