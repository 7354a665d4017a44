"""A pod's variables with their values, to connect to a database as it does: read when they are asked for, never kept.

Of the description come the literal values, of ConfigMaps and Secrets the keys that the container takes variables from,
and of these only such whose name may be a database's, or that such a variable is made of. What the image sets, and what
the kubelet adds for Services, is not known.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping

import msgspec

from probes import text
from probes.base import Failure, ReplicaId
from probes.database import dsn
from probes.target import Unreadable, Variables
from probes.targets.kubernetes import answers, objects
from probes.targets.kubernetes.failures import Forbidden
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.kinds import KINDS
from probes.targets.kubernetes.servers import Pods, Reader
from probes.targets.kubernetes.template import expand

_OF_DATABASES = re.compile(
    r"(?i)^pg|(?:^|_)(?:db|pg|database|postgres|mysql|maria|sql|async_?pg|conn)|(?:db|database|sql|dsn|ur[il])(?:$|_)"
)
"""Names of variables that are read where their value stands elsewhere."""
_MADE_OF = re.compile(r"\$\(([^)\s]+)\)")
_LIMIT = 4 << 20
"""Of an answer with one object: the API server takes none above 3 MiB."""


class _Held(objects.Part, frozen=True):
    data: dict[str, msgspec.Raw] | None = None


_Source = tuple[str, str]
"""``Secret`` or ``ConfigMap``, and its name."""


async def read(client: Reader, replica: ReplicaId) -> Variables:
    """The variables of a replica's container. Raises :class:`Unreadable` where its description cannot be read."""
    namespace, pod, name = replica_parts(replica)
    container = await _container(client, namespace, pod, name)
    wanted = _wanted(container)
    taken = _Taken(client, namespace, wanted)
    for one in container.env_from or ():
        await taken.all_of(one)
    for variable in container.env or ():
        await taken.one_of(variable)
    return Variables(taken.read, taken.unread)


async def _container(client: Reader, namespace: str, pod: str, name: str) -> objects.Container:
    """By a list, which who looks may do; a GET of a pod takes another right."""
    path = KINDS["Pod"].path(namespace)
    body = await client.get(path, {"fieldSelector": f"metadata.name={pod}"}, limit=_LIMIT)
    for found in answers.decoded(path, body, Pods).items:
        for one in (found.spec or objects.PodSpec()).containers or ():
            if one.name == name:
                return one
    raise Unreadable(Failure("not-found", f"pod {text.clean(pod, 100)}", "it is gone", ""))


def _wanted(container: objects.Container) -> frozenset[str]:
    """The variables that may be a database's, and those that they are made of."""
    values = {one.name: one.value or "" for one in container.env or () if one.value_from is None}
    found = {one.name for one in container.env or () if _OF_DATABASES.search(one.name)}
    found |= {name for name, value in values.items() if dsn.is_dsn(value)}
    fresh = set(found)
    while fresh:
        fresh = {one for name in fresh for one in _MADE_OF.findall(values.get(name, ""))} - found
        found |= fresh
    return frozenset(found)


class _Taken:
    """The variables in the order in which the kubelet sets them (its ``makeEnvironmentVariables``)."""

    def __init__(self, client: Reader, namespace: str, wanted: frozenset[str]) -> None:
        self._client = client
        self._namespace = namespace
        self._wanted = wanted
        self._objects: dict[_Source, Mapping[str, str] | Failure] = {}
        self.read: dict[str, str] = {}
        self.unread: dict[str, Failure] = {}

    async def all_of(self, found: objects.Variables) -> None:
        """Of ``envFrom`` those that may be a database's."""
        for kind, reference in (("ConfigMap", found.config_map_ref), ("Secret", found.secret_ref)):
            if reference is None or not reference.name:
                continue
            prefix = found.prefix or ""
            held = await self._held((kind, reference.name))
            if isinstance(held, Failure):
                if held.code != "not-found":
                    self.unread[f"{prefix}*"] = held
                continue
            for key in held:
                if _OF_DATABASES.search(prefix + key) or prefix + key in self._wanted:
                    self._put(prefix + key, held[key])

    async def one_of(self, found: objects.Variable) -> None:
        """One of ``env``."""
        source = found.value_from
        if source is None:
            self._literal(found.name, found.value or "")
            return
        if found.name not in self._wanted:
            return
        for kind, reference in (("ConfigMap", source.config_map_key_ref), ("Secret", source.secret_key_ref)):
            if reference is None or not reference.name or not reference.key:
                continue
            held = await self._held((kind, reference.name))
            if isinstance(held, Failure):
                self.read.pop(found.name, None)
                self.unread[found.name] = held
            elif reference.key in held:
                self._put(found.name, held[reference.key])

    def _literal(self, name: str, value: str) -> None:
        """A variable that is made of one that was not read is not read either."""
        lacking = [one for one in _MADE_OF.findall(value) if one not in self.read]
        why = next((told for one in lacking if (told := self._why(one)) is not None), None)
        if why is not None and name in self._wanted:
            self.read.pop(name, None)
            self.unread[name] = why
        else:
            self._put(name, expand(value, self.read))

    def _put(self, name: str, value: str) -> None:
        self.unread.pop(name, None)
        self.read[name] = value

    def _why(self, name: str) -> Failure | None:
        """Why a variable was not read; it may be one of those of which not even the names are known."""
        among = (why for one, why in self.unread.items() if one.endswith("*") and name.startswith(one[:-1]))
        return self.unread.get(name) or next(among, None)

    async def _held(self, source: _Source) -> Mapping[str, str] | Failure:
        """What an object holds; each is read once."""
        if source not in self._objects:
            path = KINDS[source[0]].path(self._namespace, source[1])
            try:
                body = await self._client.get(path, limit=_LIMIT)
                self._objects[source] = self._decoded(path, body, source[0])
            except Unreadable as unreadable:
                self._objects[source] = _told(source, self._namespace, unreadable)
        return self._objects[source]

    @staticmethod
    def _decoded(path: str, body: bytes, kind: str) -> Mapping[str, str]:
        held = answers.decoded(path, body, _Held).data or {}
        return _Texts(held, encoded=kind == "Secret")


class _Texts(Mapping[str, str]):
    """Values that are decoded when they are asked for."""

    def __init__(self, raw: Mapping[str, msgspec.Raw], *, encoded: bool) -> None:
        self._raw = raw
        self._encoded = encoded

    def __getitem__(self, key: str) -> str:
        value = msgspec.json.decode(self._raw[key], type=str | None) or ""
        if not self._encoded:
            return value
        try:
            return base64.b64decode(value).decode("utf-8", "replace")
        except ValueError:
            return ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _told(source: _Source, namespace: str, unreadable: Unreadable) -> Failure:
    """Why an object was not read; the rule, where it is a question of rights."""
    kind, name = source
    what = f"the {kind} {text.clean(f'{namespace}/{name}', 250)}"
    failure = unreadable.failure
    if isinstance(unreadable, Forbidden):
        rule = unreadable.rule
        hint = f"ask for the rule {text.clean(str(rule), 300)} {text.clean(rule.where, 120)}, or give env:VAR"
        return Failure("forbidden", what, f"the right `{rule.verb} {rule.resource}` is missing", hint)
    return Failure(failure.code, what, failure.why, failure.hint)
