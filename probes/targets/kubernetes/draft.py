"""What would be done on Kubernetes to make a wish true: the steps with their documents. Nothing is changed here.

The diff is the server's: the patch is sent as a dry run, with the version of the object that was read as its
precondition, so that defaults and admission are in it. In read-only mode nothing but GET is sent, and a dry run is a
PATCH: the diff is then fastops's own, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from probes import text
from probes.intent import Desired, Intent, Restart, Rollback, Scale, Step
from probes.model import Deployment
from probes.orchestrator import VERTICAL_RESOURCES, Managed, Orchestrated
from probes.target import Refused
from probes.targets.kubernetes import allowances, guards, moving, resizing, scaling, serving
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.dryrun import Changed, Lost, Objects
from probes.targets.kubernetes.facts import Facts, facts_of
from probes.targets.kubernetes.kinds import KINDS, Subject, container_of, subject_of, template_of
from probes.targets.kubernetes.offered import offers
from probes.targets.kubernetes.remake import Remade, remake
from probes.targets.kubernetes.rollout import follows, ready_replicas, selector
from probes.targets.kubernetes.steps import patch_step, patching

Json = dict[str, Any]
TRIES = 5
"""Statuses are written all the time: a dry run that meets another version of the object is made again of that."""
_OWN = "The diff is fastops's own: a server's dry run is a PATCH, which is not sent in read-only mode."


class KubernetesDrafter:
    """Drafts steps; see :class:`probes.target.Drafter`."""

    def __init__(self, client: ApiClient, folder: Path | None = None) -> None:
        """``folder``: where patches are written that somebody else has to apply; else the working directory."""
        self._objects = Objects(client)
        self._folder = folder

    async def draft(self, deployment: Deployment, want: Intent) -> Sequence[Step]:
        """The steps in order: what is referred to first. Raises :class:`Refused` and ``Unreadable``."""
        subject = subject_of(deployment.id)
        if isinstance(want, Desired) and want.open_files_limit is not None:
            raise Refused(guards.NO_NOFILE)
        if isinstance(want, Desired) and want.target_ports:
            return await self._services(subject, want)
        live = await self._objects.read(subject.path)
        if live is None:
            raise Refused(f"{text.clean(subject.title, 300)} is not there any more.")
        guards.refuse_owned(live)
        names = tuple(str(one["name"]) for one in template_of(live)["spec"]["containers"])
        facts = facts_of(deployment, names) if isinstance(want, Desired) else Facts(container=names[0])
        if live["kind"] == "Pod":
            return await self._resized(live, want, facts, deployment.orchestrated)
        return await self._workload(deployment, subject, live, want, facts)

    async def _resized(self, pod: Json, want: Intent, facts: Facts, around: Orchestrated | None) -> list[Step]:
        """The step for a pod of its own."""
        if _sets(want):
            thing = (await remake(self._objects, pod, want, facts)).wanted.thing
            nodes = await self._objects.around("/api/v1/nodes")
            allowances.refuse_beyond_nodes(thing, container_of(thing, facts.container), nodes)
        return await resizing.steps(self._objects, [pod], want, facts, around)

    async def _workload(
        self, deployment: Deployment, subject: Subject, live: Json, want: Intent, facts: Facts
    ) -> list[Step]:
        around = deployment.orchestrated
        notes = guards.scale_notes(live, around, want.replicas) if isinstance(want, Scale) else ()
        if not isinstance(want, Scale):
            notes = guards.rollout_notes(live, around)
        if isinstance(want, Restart) and not follows(live):
            raise Refused("Its pods are not replaced by a rollout: delete them one by one.")
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(want, Restart) else ""
        made, after = await self._tried(subject, live, want, facts, at)
        if not made.puts:
            return []
        notes = (*notes, *made.wanted.notes)
        keeper = guards.managed(made.live) or (around.managed if around is not None else None)
        scaler = around.vertical_autoscaler if around is not None and _sets(want, around.vertical_owns) else None
        if (keeper is not None or scaler is not None) and not isinstance(want, Restart):
            return self._offered(made, want, keeper, scaler, notes)
        notes = (*notes, *await self._limits(made, want, facts), *await self._scaled(made, around), *self._own())
        later: Sequence[Step] = ()
        if guards.by_hand(made.live) and _sets(want):
            later, told = await resizing.of_workload(self._objects, made.live, subject, want, facts, around)
            notes = (*notes, *told)
        arguments = patching(
            made, after, want, facts, serves=ready_replicas(made.live) > 0, rolls=follows(made.live), at=at
        )
        step = patch_step(
            made,
            after,
            arguments,
            subject.path,
            summary=f"{_what(want)} of {text.clean(subject.title, 300)}",
            notes=notes,
            restarts=not isinstance(want, Scale) and follows(made.live),
            action="restart" if isinstance(want, Restart) else "patch",
        )
        first = moving.steps(made, want, subject, facts)
        return [*first, step, *later]

    async def _tried(
        self, subject: Subject, live: Json, want: Intent, facts: Facts, at: str = ""
    ) -> tuple[Remade, Json]:
        """What is wanted, and what the server would make of it; of the object as it is now."""
        for _ in range(TRIES):
            made = await remake(self._objects, live, want, facts, at)
            if not made.puts or self._objects.read_only:
                return made, made.wanted.thing
            try:
                return made, await self._objects.patch(subject.path, made.live, made.puts, dry_run=True)
            except Lost as error:
                raise Refused(f"The server did not answer the dry run: {error}.") from None
            except Changed:
                again = await self._objects.read(subject.path)
                if again is None:
                    raise Refused(f"{text.clean(subject.title, 300)} is not there any more.") from None
                live = again
        raise Refused(f"{text.clean(subject.title, 300)} changes faster than a dry run can be made of it.")

    async def _services(self, subject: Subject, want: Desired) -> list[Step]:
        workload = await self._objects.read(subject.path)
        if workload is None:
            raise Refused(f"{text.clean(subject.title, 300)} is not there any more.")
        steps: list[Step] = []
        for name in sorted({one.rpartition(":")[0] for one in want.target_ports}):
            place = Subject(KINDS["Service"], subject.namespace, name)
            live = await self._objects.read(place.path)
            if live is None:
                raise Refused(f"{text.clean(place.title, 300)} is not there any more.")
            guards.refuse_owned(live)
            facts = Facts(container="")
            made, after = await self._tried(place, live, want, facts)
            if not made.puts:
                continue
            await serving.refuse_others(self._objects, made.live, workload)
            keeper = guards.managed(made.live)
            if keeper is not None:
                steps += self._offered(made, want, keeper, None, ())
                continue
            arguments = patching(made, after, want, facts, serves=False, rolls=False, at="")
            summary = f"ports of {text.clean(place.title, 300)}"
            steps.append(
                patch_step(made, after, arguments, place.path, summary=summary, notes=self._own(), restarts=False)
            )
        return steps

    def _offered(
        self, made: Remade, want: Intent, keeper: Managed | None, scaler: str | None, notes: tuple[str, ...]
    ) -> list[Step]:
        if isinstance(want, Rollback):
            assert keeper is not None
            raise Refused(guards.rollback_elsewhere(keeper))
        said = guards.owner_sentence(keeper) if keeper is not None else guards.scaler_sentence(str(scaler))
        said_more = moving.by_hand(made, want)
        steps = offers(made, self._folder or Path.cwd(), (said, *said_more, *notes, *self._own()))
        if not steps:
            raise Refused(f"{said} It is there already.")
        return steps

    async def _limits(self, made: Remade, want: Intent, facts: Facts) -> tuple[str, ...]:
        """What nodes, LimitRanges and quotas allow; raises :class:`Refused` where they forbid it."""
        thing, live = made.wanted.thing, made.live
        place = f"/api/v1/namespaces/{thing['metadata']['namespace']}"
        ranges = await self._objects.around(f"{place}/limitranges")
        if isinstance(want, Desired) and _sets(want):
            container = container_of(thing, facts.container)
            allowances.refuse_beyond_nodes(thing, container, await self._objects.around("/api/v1/nodes"))
            allowances.refuse_beyond_ranges(container, ranges)
        if not (isinstance(want, Scale) or follows(live)):
            return ()
        quotas = await self._objects.around(f"{place}/resourcequotas")
        pods: list[Json] = []
        if ranges or quotas:
            pods = await self._objects.around(f"{place}/pods", {"labelSelector": selector(live)})
        notes = allowances.range_notes(thing, ranges, pods)
        if isinstance(want, Scale):
            more, fewer = want.replicas - int(live["spec"].get("replicas", 1)), 1
        else:
            allowances.refuse_beyond_quotas(live, thing, pods, quotas)
            more, fewer = guards.surge_of(thing)
        said = allowances.quota_notes(thing, more, quotas) if more > 0 else ()
        if said and not fewer:
            raise Refused(f"{said[0]} A rollout starts the new pods before it ends the old ones, and could not.")
        return (*notes, *said)

    async def _scaled(self, made: Remade, around: Orchestrated | None) -> tuple[str, ...]:
        """What becomes of the percentages of an autoscaler when requests change."""
        scaler = around.autoscaler if around is not None else None
        if scaler is None or not scaling.moves(made.live, made.wanted.thing):
            return ()
        namespace = made.live["metadata"]["namespace"]
        listed = await self._objects.around(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
        found = next((one for one in listed if one["metadata"]["name"] == scaler.name), None)
        return scaling.notes(made.live, made.wanted.thing, found) if found is not None else ()

    def _own(self) -> tuple[str, ...]:
        return (_OWN,) if self._objects.read_only else ()


def _sets(want: Intent, resources: Sequence[str] = VERTICAL_RESOURCES) -> bool:
    """Whether limits of any of these are to change."""
    if not isinstance(want, Desired):
        return False
    limits = {"memory": want.memory_limit_bytes, "cpu": want.cpu_limit_cores}
    return any(limits[name] is not None for name in resources)


def _what(want: Intent) -> str:
    if isinstance(want, Scale):
        return f"{want.replicas} replicas"
    if isinstance(want, Rollback):
        return f"the template of revision {want.revision}"
    if isinstance(want, Restart):
        return "a restart by rollout"
    parts = (
        (want.memory_limit_bytes is not None, "memory limit"),
        (want.cpu_limit_cores is not None, "CPU limit"),
        (bool(want.probes), "health checks"),
        (bool(want.environment or want.environment_from or want.database_tls), "variables"),
        (bool(want.secret_variables), "secret variables"),
        (bool(want.gunicorn or want.server), "server settings"),
        (bool(want.bind_host), "address"),
        (want.production, "command"),
    )
    return " and ".join(name for there, name in parts if there) or "change"
