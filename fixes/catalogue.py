"""Finds the signatures and remedies: every module in their folders is one of them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType, ModuleType

from fixes.model import Remedy, RemedyId, Signature, SignatureId
from probes.loghits import Pattern


class Conflict(Exception):
    """Two files of the catalogue claim the same id, or a signature names a remedy that does not exist."""


@cache
def signatures() -> Mapping[SignatureId, Signature]:
    """All signatures by id; raises :class:`Conflict`."""
    found: dict[SignatureId, Signature] = {}
    for module in _modules("fixes.signatures"):
        signature: Signature = module.SIGNATURE
        if signature.id in found:
            raise Conflict(f"two signatures have the id {signature.id}; the second is in {module.__name__}")
        unknown = [remedy for remedy in signature.remedies if remedy not in remedies()]
        if unknown:
            raise Conflict(f"{module.__name__} names remedies that do not exist: {', '.join(unknown)}")
        found[signature.id] = signature
    return MappingProxyType(dict(sorted(found.items())))


@cache
def remedies() -> Mapping[RemedyId, Remedy]:
    """All remedies by id; raises :class:`Conflict`."""
    found: dict[RemedyId, Remedy] = {}
    for module in _modules("fixes.remedies"):
        remedy: Remedy = module.REMEDY
        if remedy.id in found:
            raise Conflict(f"two remedies have the id {remedy.id}; the second is in {module.__name__}")
        found[remedy.id] = remedy
    return MappingProxyType(dict(sorted(found.items())))


def page(signature: Signature) -> str:
    """What a signature means: its module's docstring, or the text of its file."""
    return documentation("signatures", signature.id) if signature.page is None else signature.page


def documentation(kind: str, identity: str) -> str:
    """The docstring of a signature's or remedy's module (``kind`` is ``signatures`` or ``remedies``)."""
    module = importlib.import_module(f"fixes.{kind}.{identity.replace('-', '_')}")
    return inspect.getdoc(module) or ""


def patterns(chosen: Iterable[Signature] | None = None) -> tuple[Pattern, ...]:
    """The patterns of these signatures, or of all, for the log matcher; a key that several share stands once."""
    chosen = signatures().values() if chosen is None else chosen
    by_key = {pattern.key: pattern for signature in chosen for pattern in signature.patterns}
    return tuple(by_key.values())


def _modules(package: str) -> list[ModuleType]:
    """The modules of a package but those that begin with an underscore, by name."""
    folder = importlib.import_module(package)
    names = sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_"))
    return [importlib.import_module(f"{package}.{name}") for name in names]
