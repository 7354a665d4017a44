"""Runs the server without the flags that are meant for development.

What it does: takes ``--reload`` and what belongs to it (``--reload-dir``, …) and ``--debug`` out of the server's
command, makes ``fastapi run`` of ``fastapi dev``, and sets ``UVICORN_RELOAD`` and ``GRANIAN_RELOAD`` to ``false``.
Every other option stays where it stands. A container is made anew with the new command, which is written into the
Compose file, too; on Kubernetes it stands in the pods' description, which is rolled out.

When it is right: ``dev-server``. A server that watches files restarts when one changes, runs one worker whatever it is
told, and hands signals on through another process; debug pages show code and values.

When it is not: a developer's own checkout. A process that nobody supervises is not touched: the command to start it
with is shown.

Risk: the service is started anew. With several workers configured all of them start now. ``fastapi run`` listens on
all interfaces unless it is told a host; where ``fastapi dev`` listened on loopback and others share that network (a
local process, host networking), ``--host 127.0.0.1`` is written out, so that nothing is opened.

Guard: refused where the program's own code or a configuration file inside the image switches reload on.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment

LOOPBACK = "127.0.0.1"
_FLAGS = {"--reload", "--debug"}


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    if deployment.server is None:
        return "Its command starts no server that can be told apart, so it cannot be rewritten safely."
    reload = deployment.settings.get("reload")
    if reload is not None and reload.value is True:
        if "/" in reload.source:
            return f"Reloading is switched on in {reload.source}: change it there."
        return None
    words = {word for replica in deployment.running for word in replica.command}
    if not words & _FLAGS:
        return "Its command has no flag for development: its code asks for it (reload=True in a call), change it there."
    return None


def _intend(deployment: Deployment, _finding: Finding, _values: Mapping[str, Value]) -> Intent:
    shared = not _facts.in_container(deployment) or any(r.network_mode == "host" for r in deployment.replicas)
    keeps = shared and deployment.setting("host") == LOOPBACK
    return Desired(production=True, bind_host=LOOPBACK if keeps else None)


REMEDY = Remedy(
    id=RemedyId("drop-dev-flags"),
    title="Run without development flags",
    capability="command",
    why_not=_why_not,
    intend=_intend,
)
