"""A cluster's objects in memory: listed page by page, then followed, over cut watches and lost connections.

What was listed once is never asked for as a whole again unless the server has forgotten where it stood (410), and then
what is shown stays until the new list is whole. What is forbidden is named and tried again now and then; the rest goes
on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import cast

from probes.base import Failure
from probes.target import Unreadable
from probes.targets.kubernetes.failures import Forbidden, Gone
from probes.targets.kubernetes.listed import KINDS, PODS, KindName, Listed, Page
from probes.targets.kubernetes.progress import Progress, Source, together
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ObjectView

Changed = Callable[[ObjectView | None, ObjectView | None], None]
"""Called with the object as it was and as it is; ``None`` where there is none."""
PAGE_SIZE = 500
_AT_ONCE = 3
_BACKOFF_SECONDS = (0.5, 20.0)
_LOST_AFTER = 3
"""So many tries for pods in a row that were not answered are a lost connection: one may be cut by anything."""
_REFUSED_SECONDS = 120.0
"""Until what is forbidden, or unknown to the server, is asked for again."""
_AGAIN_SECONDS = 300.0
"""Between two lists of what is not watched."""
_UNWATCHED_SECONDS = 20.0
"""Between two lists of what should be watched, and must not be."""
_SHORT_SECONDS = 1.0
"""A watch that ends sooner without a word is not begun again at once."""
_REFUSALS = frozenset({"forbidden", "not-found"})


class Mirror:
    """One per target: kept over reconnects, so that :meth:`list` goes on where it stopped."""

    def __init__(
        self,
        client: Source,
        changed: Changed,
        *,
        namespace: str | None = None,
        own_namespace: str | None = None,
        kinds: Sequence[Listed] = KINDS,
    ) -> None:
        """``namespace`` is the one that was asked for; ``own_namespace`` is read where reading all is forbidden."""
        self.client = client
        self._changed = changed
        self._namespace = namespace
        self._own = own_namespace
        self._kinds = {one.name: Progress(one) for one in kinds}
        self._share = Sharing()
        self._decoding = asyncio.Lock()

    def objects(self, kind: KindName) -> Mapping[str, ObjectView]:
        """What is there of a kind, by ``NAMESPACE/NAME``; events are passed on and not kept."""
        found = self._kinds.get(kind)
        return found.objects if found is not None else {}

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What cannot be read, with the rule that would allow it; and what could not be understood.

        Where one namespace is read, what is of none is nothing that is missing: no Role can grant it.
        """
        narrowed = [one.listed.name for one in self._kinds.values() if one.narrowed]
        whole = self._namespace is None and not narrowed
        asked = [one for one in self._kinds.values() if one.listed.namespaced or whole]
        found = [one.failure for one in asked if one.failure is not None]
        if narrowed:
            why = f"reading the whole cluster is forbidden: only the namespace {self._own} is listed"
            hint = "name another namespace (k8s:CONTEXT/NAMESPACE), or ask for a ClusterRole (fastops rbac prints it)"
            found.append(Failure("forbidden", f"listing {', '.join(narrowed)}", why, hint))
        odd = sum(one.left_out for one in self._kinds.values())
        if odd:
            what = f"{odd} object{'s' if odd > 1 else ''} of the API"
            found.append(Failure("invalid", what, "their shape is not understood, so they are left out", ""))
        return tuple(found)

    @property
    def namespace(self) -> str | None:
        """The one namespace whose pods are read; ``None`` for all."""
        return self._kinds["pods"].namespace or self._namespace

    @property
    def listed(self) -> bool:
        """Whether everything that may be read was listed once."""
        return all(one.tried for one in self._kinds.values())

    async def list(self) -> None:
        """Lists what was not listed yet: pods first, the others after the first page of them.

        Raises :class:`Unreadable` where pods cannot be listed; what else cannot is in :attr:`failures`.
        """
        wanted = [one for one in self._kinds.values() if one.version is None]
        begun, turns = asyncio.Event(), asyncio.Semaphore(_AT_ONCE)
        if not any(one.listed is PODS for one in wanted):
            begun.set()
        await together(
            [
                asyncio.create_task(
                    self._list_pods(one, begun) if one.listed is PODS else self._list_other(one, begun, turns)
                )
                for one in wanted
            ]
        )

    async def follow(self) -> None:
        """Follows everything until the connection is lost. Raises :class:`Unreadable`."""
        await together([asyncio.create_task(self._keep(one)) for one in self._kinds.values()])

    async def _list_pods(self, pods: Progress, begun: asyncio.Event) -> None:
        for attempt in range(_LOST_AFTER):
            try:
                await self._fill(pods, begun)
                return
            except Gone:
                await asyncio.sleep(_delay(attempt))
        raise Unreadable(Failure("gone", "listing pods", "the API server drops the list again and again", ""))

    async def _list_other(self, one: Progress, begun: asyncio.Event, turns: asyncio.Semaphore) -> None:
        await begun.wait()
        async with turns:
            try:
                await self._fill(one)
            except Unreadable as unreadable:
                self._note(one, unreadable, _LOST_AFTER)
            except Gone:  # listed again by `follow`
                one.tried = True

    async def _keep(self, one: Progress) -> None:
        """Keeps one kind as the server has it; raises :class:`Unreadable` when pods cannot be read any more."""
        tries = 0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(one.rest_until - loop.time())
            started = loop.time()
            try:
                if one.version is None or not one.watchable:
                    await self._fill(one)
                    tries = 0
                    pause = 0.0 if one.watchable else _UNWATCHED_SECONDS if one.listed.watched else _AGAIN_SECONDS
                    one.rest_until = loop.time() + pause * random.uniform(0.9, 1.1)  # noqa: S311
                    continue
                told = await self._watch(one, one.version)
                one.failure = None
                tries = 0 if told or loop.time() - started > _SHORT_SECONDS else tries + 1
                one.rest_until = loop.time() + (_delay(tries - 1) if tries else 0.0)
            except Gone:
                one.version = None
                one.rest_until = loop.time() + (_delay(tries) if tries else 0.0)
                tries += 1
            except Unreadable as unreadable:
                tries = 1 if loop.time() - started > _SHORT_SECONDS else tries + 1
                code = unreadable.failure.code
                unwatchable = isinstance(unreadable, Forbidden) and unreadable.rule.verb == "watch"
                final = code in _REFUSALS or code == "expired" or tries >= _LOST_AFTER
                if one.listed is PODS and final and not unwatchable:
                    raise
                one.watchable = one.watchable and not unwatchable
                self._note(one, unreadable, tries)

    def _note(self, one: Progress, unreadable: Unreadable, tries: int) -> None:
        """Notes a failure. What the server does not know (an API that it has not) is nothing that is missing."""
        code = unreadable.failure.code
        one.tried = True
        if code == "not-found":
            one.failure = None
        elif code in _REFUSALS or tries >= _LOST_AFTER:
            one.failure = unreadable.failure
        if one.listed.watched and not one.watchable:
            return
        wait = _REFUSED_SECONDS * random.uniform(0.8, 1.2) if code in _REFUSALS else _delay(tries - 1)  # noqa: S311
        one.rest_until = asyncio.get_running_loop().time() + wait

    async def _fill(self, one: Progress, begun: asyncio.Event | None = None) -> None:
        """Lists a kind; in the context's own namespace where that is all that may be read."""
        if one.listed.added:  # a right to what is not there may be missing without harm
            async with aclosing(cast("AsyncGenerator[bytes, None]", self.client.pages(one.listed.base))) as found:
                await anext(found)
        narrow = self._own if self._namespace is None and one.listed.namespaced else None
        try:
            await self._pages(one, self._namespace, begun)
        except Forbidden:
            if narrow is None:
                raise
            await self._pages(one, narrow, begun)
            one.narrowed = True
        else:
            one.narrowed = False
        if one.watchable or not one.listed.watched:
            one.failure = None

    async def _pages(self, one: Progress, namespace: str | None, begun: asyncio.Event | None) -> None:
        seen: set[str] = set()
        version: str | None = None
        left_out = 0
        path = one.listed.path(namespace)
        pages = cast("AsyncGenerator[bytes, None]", self.client.pages(path, {}, size=PAGE_SIZE))
        async with aclosing(pages):
            async for body in pages:
                page = await self._decoded(one.listed, body, path)
                version = page.version or version
                left_out += page.left_out
                self._take(one, page.views)
                seen.update(view.key for view in page.views)
                if begun is not None:
                    begun.set()
        for key in one.objects.keys() - seen:
            self._drop(one, key)
        one.namespace, one.version, one.left_out, one.tried = namespace, version or "0", left_out, True

    async def _decoded(self, listed: Listed, body: bytes, path: str) -> Page:
        async with self._decoding:
            try:
                return await asyncio.to_thread(listed.page, body, self._share)
            except ValueError as error:
                hint = "is this a Kubernetes API server?"
                raise Unreadable(Failure("unexpected-answer", f"GET {path}", str(error), hint)) from None

    async def _watch(self, one: Progress, version: str) -> bool:
        """One watch until the server ends it; whether it told anything."""
        told = False
        path = one.listed.path(one.namespace)
        events = cast("AsyncGenerator[bytes, None]", self.client.watch(path, {"resourceVersion": version}))
        async with aclosing(events):
            async for body in events:
                try:
                    change = one.listed.change(body, self._share)
                except ValueError as error:
                    why = f"the watch says what is not understood: {error}"
                    raise Unreadable(Failure("unexpected-answer", f"the watch of {path}", why, "")) from None
                told = True
                one.failure = None
                one.left_out += change.left_out
                if change.version:
                    one.version = change.version
                if change.view is not None and change.type == "DELETED":
                    self._drop(one, change.view.key)
                elif change.view is not None:
                    self._take(one, (change.view,))
        return told

    def _take(self, one: Progress, views: Iterable[ObjectView]) -> None:
        for view in views:
            if not one.listed.kept:
                self._changed(None, view)
                continue
            key = view.key
            before = one.objects.get(key)
            if before is None or before.version != view.version or before.uid != view.uid:
                one.objects[key] = view
                self._changed(before, view)

    def _drop(self, one: Progress, key: str) -> None:
        before = one.objects.pop(key, None)
        if before is not None:
            self._changed(before, None)


def _delay(tries: int) -> float:
    low, high = _BACKOFF_SECONDS
    return float(min(high, low * 2 ** min(max(tries, 0), 8)) * random.uniform(0.7, 1.3))  # noqa: S311
