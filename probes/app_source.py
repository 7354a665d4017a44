"""What an application object is an instance of, told from source by following imports, factories and wrappers.

Nothing is executed. The number and size of the files that are read, and of the expressions looked at, is bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from probes.app_module import Binding, Module, bindings, is_plain_asgi, parse

_MODULES = 60
_STEPS = 2000
_DEPTH = 16
_REEXPORTS = 4

FRAMEWORKS = {
    "flask": "Flask",
    "django": "Django",
    "channels": "Django",
    "litestar": "Litestar",
    "starlite": "Starlite",
    "quart": "Quart",
    "sanic": "Sanic",
    "aiohttp": "aiohttp",
    "falcon": "Falcon",
    "blacksheep": "BlackSheep",
    "bottle": "Bottle",
    "tornado": "Tornado",
    "robyn": "Robyn",
    "emmett": "Emmett",
    "emmett55": "Emmett",
    "connexion": "Connexion",
    "dash": "Dash",
    "pyramid": "Pyramid",
    "cherrypy": "CherryPy",
    "muffin": "Muffin",
    "esmerald": "Esmerald",
    "ravyn": "Ravyn",
    "lilya": "Lilya",
    "responder": "Responder",
    "fasthtml": "FastHTML",
    "datasette": "Datasette",
}
"""Import name → what people call it."""
_APPLICATIONS = {"starlette.applications.Starlette": "Starlette"}
_FASTAPI = frozenset({"fastapi.FastAPI", "fastapi.applications.FastAPI"})


class Verdict(NamedTuple):
    """What an object is."""

    kind: Literal["fastapi", "other"]
    name: str
    """The framework, or what stands in place of one."""
    where: str
    """The file in which it is made."""


class Sources:
    """The service's modules, read on demand."""

    def __init__(
        self, roots: Sequence[str], site_packages: Sequence[str], read_file: Callable[[str], bytes | None]
    ) -> None:
        self._roots = [*roots, *site_packages]
        self._libraries = tuple(f"{directory}/" for directory in site_packages)
        self._read = read_file
        self._modules: dict[str, Module | None] = {}
        self._steps = 0

    def load(self, name: str) -> Module | None:
        """A module by its dotted name; ``None`` when it is not found, does not parse, or enough files were read."""
        if name in self._modules:
            return self._modules[name]
        if len(self._modules) >= _MODULES or not all(part.isidentifier() for part in name.split(".")):
            return None
        self._modules[name] = None
        relative = name.replace(".", "/")
        for root in self._roots:
            for path, package in ((f"{root}/{relative}/__init__.py", True), (f"{root}/{relative}.py", False)):
                data = self._read(path)
                if data is not None:
                    self._modules[name] = parse(name, path, data, package=package)
                    return self._modules[name]
        return None

    def add(self, name: str, path: str, data: bytes) -> str:
        """Takes in a module that lies on no import path: a script, or code on a command line; returns ``name``."""
        self._modules[name] = parse(name, path, data, package=False)
        return name

    def first(self, root: str) -> None:
        """Puts a directory first on the import path, as Python does with a script's."""
        self._roots.insert(0, root)

    def neighbours(self, module: Module) -> list[str]:
        """The modules of the service's own package (or of its own directories) that a module imports."""
        top = module.name.partition(".")[0]
        found: dict[str, None] = {}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                base = module.absolute(node.level, node.module)
                names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found.update((name, None) for name in names if name.partition(".")[0] == top or top.startswith("<"))
        return list(found)

    def judge(self, spec: str) -> Verdict | None:
        """What ``package.module:attribute`` is (or, a function, what it returns); ``None`` when it cannot be told."""
        module_name, _, attribute = spec.partition(":")
        module = self.load(module_name)
        if module is None:
            return None
        first, *rest = attribute.partition("(")[0].split(".")
        found = self._name(module, module.bindings, first, 0, called=False)
        if found is None and not rest:
            found = self._name(module, module.bindings, first, 0, called=True)
        if found is None and not rest and is_plain_asgi(module, first):
            return Verdict("other", "an ASGI callable of its own", module.path)
        return found

    def expression(self, module: Module, node: ast.expr, scope: Sequence[Binding] = ()) -> Verdict | None:
        """What an expression in a module is."""
        return self._value(module, [*module.bindings, *scope], node, 0)

    def _name(self, module: Module, scope: list[Binding], name: str, depth: int, *, called: bool) -> Verdict | None:
        """What a name is, or with ``called`` what calling it gives."""
        self._steps += 1
        if depth > _DEPTH or self._steps > _STEPS:
            return None
        for index in range(len(scope) - 1, -1, -1):
            bound, node, original = scope[index]
            if bound != name:
                continue
            if isinstance(node, ast.ImportFrom):
                return self._imported(module.absolute(node.level, node.module), original or name, depth, called=called)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                return self._returned(module, scope, node, depth) if called else None
            if isinstance(node, ast.ClassDef):
                return self._class(module, scope[:index], node, depth) if called else None
            if isinstance(node, ast.expr) and not called:
                # A name that is bound again in terms of itself (app = Middleware(app)) means the binding before.
                found = self._value(module, scope[:index], node, depth + 1)
                if found is not None:
                    return found
                continue
            return None
        return None

    def _imported(self, module_name: str, name: str, depth: int, *, called: bool) -> Verdict | None:
        qualified = f"{module_name}.{name}"
        known = self._known(qualified, module_name) if called else None
        if known is not None:
            return known
        module = self.load(module_name)
        return None if module is None else self._name(module, module.bindings, name, depth + 1, called=called)

    def _foreign(self, module: Module, scope: list[Binding], call: ast.Call) -> Verdict | None:
        """An instance of a class that a library defines without any mention of FastAPI, made of nothing but constants.

        With something unknown among its arguments it may be a wrapper around a FastAPI application.
        """
        inside = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not all(
            isinstance(one, ast.Constant) or (isinstance(one, ast.Name) and one.id in ("__name__", "__file__"))
            for one in inside
        ):
            return None
        name = ast.unparse(call.func).rpartition(".")[2]
        owner: Module | None = None
        if isinstance(call.func, ast.Name):
            for bound, node, original in reversed(scope):
                if bound == name and isinstance(node, ast.ImportFrom):
                    owner, name = self.load(module.absolute(node.level, node.module)), original or name
                    break
        elif isinstance(call.func, ast.Attribute):
            owner = self.load(self._module_name(module, scope, call.func.value) or "")
        for _ in range(_REEXPORTS):
            if owner is None or not owner.path.startswith(self._libraries) or owner.mentions_fastapi:
                return None
            there = next(((node, original) for one, node, original in reversed(owner.bindings) if one == name), None)
            if there is None:
                return None
            if isinstance(there[0], ast.ClassDef):
                return Verdict("other", f"{owner.name.partition('.')[0]}.{name}", module.path)
            if not isinstance(there[0], ast.ImportFrom):
                return None
            owner, name = self.load(owner.absolute(there[0].level, there[0].module)), there[1] or name
        return None

    @staticmethod
    def _known(qualified: str, where: str) -> Verdict | None:
        if qualified in _FASTAPI:
            return Verdict("fastapi", "FastAPI", where)
        if qualified in _APPLICATIONS:
            return Verdict("other", _APPLICATIONS[qualified], where)
        framework = FRAMEWORKS.get(qualified.partition(".")[0])
        return None if framework is None else Verdict("other", framework, where)

    def _returned(
        self, module: Module, scope: list[Binding], function: ast.FunctionDef | ast.AsyncFunctionDef, depth: int
    ) -> Verdict | None:
        inner = [*scope, *bindings(function.body)]
        returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        verdicts = [self._value(module, inner, value, depth + 1) for value in returns]
        return _best(verdicts)

    def _class(self, module: Module, scope: list[Binding], node: ast.ClassDef, depth: int) -> Verdict | None:
        for base in node.bases:
            found = self._called(module, scope, base, depth + 1)
            if found is not None:
                return found._replace(where=module.path) if found.kind == "fastapi" else found
        return None

    def _called(self, module: Module, scope: list[Binding], function: ast.expr, depth: int) -> Verdict | None:
        """What calling ``function`` gives."""
        if isinstance(function, ast.Name):
            return self._name(module, scope, function.id, depth, called=True)
        if isinstance(function, ast.Attribute):
            owner = self._module_name(module, scope, function.value)
            if owner is not None:
                return self._imported(owner, function.attr, depth, called=True)
            return self._value(module, scope, function.value, depth + 1)
        if isinstance(function, ast.Subscript):  # a generic class
            return self._called(module, scope, function.value, depth)
        return None

    def _module_name(self, module: Module, scope: list[Binding], node: ast.expr) -> str | None:
        """The module that an expression names (``fastapi``, ``app.main``); ``None`` when it is no module."""
        if isinstance(node, ast.Attribute):
            owner = self._module_name(module, scope, node.value)
            return None if owner is None else f"{owner}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        for bound, value, original in reversed(scope):
            if bound == node.id:
                if isinstance(value, ast.Import):
                    return original
                if isinstance(value, ast.ImportFrom):
                    name = f"{module.absolute(value.level, value.module)}.{original}"
                    return name if self.load(name) is not None else None
                return None
        return None

    def _value(self, module: Module, scope: list[Binding], node: ast.expr, depth: int) -> Verdict | None:
        self._steps += 1
        if depth > _DEPTH or self._steps > _STEPS:
            return None
        if isinstance(node, ast.Name):
            return self._name(module, scope, node.id, depth + 1, called=False)
        if isinstance(node, ast.Attribute):
            owner = self._module_name(module, scope, node.value)
            if owner is not None:
                return self._imported(owner, node.attr, depth + 1, called=False)
            return self._value(module, scope, node.value, depth + 1)
        if isinstance(node, ast.Call):
            made = self._called(module, scope, node.func, depth + 1)
            if made is not None and made.kind == "fastapi":
                return made if made.where.startswith("/") else made._replace(where=module.path)
            inside = [*node.args, *(keyword.value for keyword in node.keywords)]
            wrapped = _best([self._value(module, scope, one, depth + 1) for one in inside])
            if wrapped is not None and (wrapped.kind == "fastapi" or made is None):
                return wrapped
            return self._foreign(module, scope, node) if made is None else made._replace(where=module.path)
        children = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return _best([self._value(module, scope, child, depth + 1) for child in children])


def _best(verdicts: Sequence[Verdict | None]) -> Verdict | None:
    told = [verdict for verdict in verdicts if verdict is not None]
    return next((one for one in told if one.kind == "fastapi"), told[0] if told else None)
