"""Objects by requests of their own: read whole, patched under a precondition (or as a dry run), made and removed.

Whoever follows a fleet uses lists and watches; a fix reads the live object itself, raw, so that no field is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from probes import text
from probes.target import Refused, Unreadable
from probes.targets.kubernetes.client import ApiClient, ApiError
from probes.targets.kubernetes.kinds import KINDS
from probes.targets.kubernetes.patches import Put, operations, precondition

Json = dict[str, Any]
MANAGER = "fastops"
"""The field manager, as ``kubectl get --show-managed-fields`` names it."""
_FAILS = re.compile(rb"(?i)error|exception|fatal|cannot|failed")
_JSON_PATCH = "application/json-patch+json"


class Changed(Exception):
    """The object is not the one that was read: somebody wrote it meanwhile."""


class Lost(Exception):
    """A write was not answered: it may have been done. The text is one sentence."""


class Objects:
    """The objects of one API server. Reads raise :class:`Unreadable`, writes :class:`Refused` with one sentence."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @property
    def read_only(self) -> bool:
        """Whether no write can be sent, a dry run neither: it is a PATCH."""
        return self._client.read_only

    async def read(self, path: str) -> Json | None:
        """An object; ``None`` where it is not there."""
        try:
            return _decoded(await self._client.get(path))
        except Unreadable as error:
            if error.failure.code == "not-found":
                return None
            raise

    async def items(self, path: str, params: Mapping[str, object] | None = None) -> list[Json]:
        """The objects of a list, 500 at most, with the kind that lists leave out."""
        answer = _decoded(await self._client.get(path, {"limit": 500, **(params or {})}))
        kind = str(answer.get("kind", "")).removesuffix("List")
        head = {"apiVersion": answer.get("apiVersion"), "kind": kind}
        return [{**head, **one} for one in answer.get("items") or []]

    async def around(self, path: str, params: Mapping[str, object] | None = None) -> list[Json]:
        """The objects of a list that only helps: nothing where it may not be read."""
        try:
            return await self.items(path, params)
        except Unreadable:
            return []

    async def last_line(self, path: str) -> str:
        """The last line of a pod's log that names a failure, else the last one; empty where it cannot be read."""
        for params in ({"tailLines": 40}, {"tailLines": 40, "previous": "true"}):
            try:
                said = await self._client.get(f"{path}/log", params, limit=1 << 18)
            except Unreadable:
                continue
            lines = [line for line in said.split(b"\n") if line.strip()]
            if lines:
                return text.line(next((one for one in reversed(lines) if _FAILS.search(one)), lines[-1]), 300)
        return ""

    async def patch(self, path: str, live: Json, puts: Sequence[Put], *, dry_run: bool = False) -> Json:
        """Puts into ``live`` what is wanted; the object as the server has it then (or would have it).

        Raises :class:`Changed` where the server has another state than ``live``, :class:`Lost` where no answer came.
        """
        made = [*precondition(live), *operations(live, puts)]
        params = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        try:
            body = msgspec.json.encode(made)
            return _decoded(await self._client.send("PATCH", path, body, content_type=_JSON_PATCH, params=params))
        except ApiError as error:
            if error.status is None:
                raise Lost(error.message) from None
            if error.status in {404, 409, 422} and await self._is_another(path, live):
                raise Changed from None
            if error.status == 404 and path.endswith("/resize"):
                raise Refused("The server cannot resize running pods: that takes Kubernetes 1.33.") from None
            raise refusal(error) from None

    async def create(self, namespace: str, thing: Json) -> Json | None:
        """Makes an object; ``None`` where one of its name is there already."""
        path = KINDS[thing["kind"]].path(namespace)
        try:
            body = msgspec.json.encode(thing)
            return _decoded(await self._client.send("POST", path, body, params={"fieldManager": MANAGER}))
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return None
            if error.status is None:
                raise Lost(error.message) from None
            raise refusal(error) from None

    async def delete(self, path: str, live: Json) -> None:
        """Removes this very object, in this very state; one that is gone already is fine. Raises :class:`Changed`."""
        metadata = live["metadata"]
        held = {key: metadata[key] for key in ("uid", "resourceVersion")}
        try:
            await self._client.send("DELETE", path, msgspec.json.encode({"preconditions": held}))
        except ApiError as error:
            if error.status == 404:
                return
            if error.status is None:
                raise Lost(error.message) from None
            if error.status == 409:
                raise Changed from None
            raise refusal(error) from None

    async def delete_pod(self, path: str, uid: str) -> None:
        """Removes a pod that is of no use any more; one that is gone already is fine."""
        try:
            await self._client.send("DELETE", path, msgspec.json.encode({"preconditions": {"uid": uid}}))
        except ApiError as error:
            if error.status not in {None, 404, 409}:
                raise refusal(error) from None

    async def _is_another(self, path: str, live: Json) -> bool:
        now = await self.read(path.removesuffix("/resize"))
        return now is None or any(
            now["metadata"].get(key) != live["metadata"].get(key) for key in ("uid", "resourceVersion")
        )


def refusal(error: ApiError) -> Refused:
    """What the API server refused, as one sentence, with the rule that would allow it."""
    said = text.line(error.message, 400).rstrip(". ")
    if error.rule is not None and "cannot" in error.message:
        return Refused(f"You may not do that: it takes the rule {error.rule} {error.rule.where} (see fastops rbac).")
    return Refused(f"The API server refuses: {said or error.reason or error.status}.")


def _decoded(body: bytes) -> Json:
    thing = msgspec.json.decode(body)
    assert isinstance(thing, dict)
    return thing
