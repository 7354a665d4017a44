"""Asks the API server which of the rights it grants: a ``SelfSubjectAccessReview`` for each.

That is a POST, although it changes nothing: in read-only mode it is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec

from probes.base import Frozen
from probes.targets.kubernetes.rights import Right

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
AT_ONCE = 8


class Sender(Protocol):
    """What is used of a client."""

    async def send(self, method: str, path: str, body: bytes | None) -> bytes:
        """The server's answer to a write."""


class Denied(Frozen, frozen=True):
    """A right that the server does not grant whole."""

    right: Right
    missing: tuple[str, ...]
    """``VERB GROUP/RESOURCE`` each."""


class _Status(Frozen, frozen=True):
    allowed: bool = False


class _Answer(Frozen, frozen=True):
    status: _Status = _Status()


async def denied(client: Sender, rights: Iterable[Right], namespace: str | None) -> tuple[Denied, ...]:
    """The rights that are not granted, in the order given; ``namespace``: there, else in all of them.

    Raises what the client raises: where the server cannot be asked nothing is known.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    asked = [(right, verb, one) for right in rights for one in right.resources for verb in right.verbs]

    async def ask(right: Right, verb: str, resource: str) -> bool:
        async with gate:
            answer = await client.send("POST", PATH, body(right, verb, resource, namespace))
        return msgspec.json.decode(answer, type=_Answer).status.allowed

    granted = await asyncio.gather(*(ask(*one) for one in asked))
    missing: dict[Right, list[str]] = {}
    for (right, verb, resource), allowed in zip(asked, granted, strict=True):
        if not allowed:
            group = f"{right.group}/" if right.group else ""
            missing.setdefault(right, []).append(f"{verb} {group}{resource}")
    return tuple(Denied(right, tuple(names)) for right, names in missing.items())


def body(right: Right, verb: str, resource: str, namespace: str | None) -> bytes:
    """One review."""
    plain, _, part = resource.partition("/")
    attributes = {"group": right.group, "resource": plain, "verb": verb}
    if part:
        attributes["subresource"] = part
    if namespace is not None and not right.cluster:
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return msgspec.json.encode(review)
