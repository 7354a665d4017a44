"""``fastops rbac``: the least role that fastops needs, as YAML, with what each rule is for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from console import output
from console.config import namespace as checked
from console.exits import FINE
from probes.targets.kubernetes.rights import Right, needed

WIDTH = 116


def run(*, read_only: bool, namespace: str | None) -> int:
    """Prints the role: a ClusterRole, or a Role in a namespace."""
    output.write(document(read_only=read_only, namespace=checked(namespace)))
    return FINE


def document(*, read_only: bool, namespace: str | None) -> str:
    """The role as a YAML document; what is optional, and the binding, stand in it as comments."""
    name = "fastops-read-only" if read_only else "fastops"
    kind = "ClusterRole" if namespace is None else "Role"
    rights = needed(read_only=read_only, namespaced=namespace is not None)
    what = "read: it only lists, watches and gets" if read_only else "read and to fix"
    lines = [
        *_comment(f"The least that fastops needs to {what}. Every rule says what it is for, and what is lost without."),
        "apiVersion: rbac.authorization.k8s.io/v1",
        f"kind: {kind}",
        "metadata:",
        f"  name: {name}",
        *([f"  namespace: {namespace}"] if namespace is not None else []),
        "rules:",
    ]
    for right in rights:
        lines += ["", *_rule(right)]
    return "\n".join([*lines, "", *_binding(name, kind, namespace)])


def _rule(right: Right) -> Iterator[str]:
    yield from _comment(f"{right.why} Without it {right.cost}.", "  ")
    off = "# " if right.optional is not None else ""
    if right.optional is not None:
        yield from _comment(f"Not granted here. {right.optional}", "  ")
    yield f"  {off}- apiGroups: {_flow((right.group,))}"
    yield f"  {off}  resources: {_flow(right.resources)}"
    yield f"  {off}  verbs: {_flow(right.verbs)}"


def _binding(name: str, kind: str, namespace: str | None) -> Iterator[str]:
    """How to bind it, for whoever runs fastops: that is not known here."""
    yield from _comment("Bind it to whoever runs fastops:")
    within = "" if namespace is None else f" -n {namespace}"
    flag = kind.lower()
    yield f"#   kubectl create {flag}binding {name}{within} --{flag}={name} --user=USER"
    yield f"#   kubectl create {flag}binding {name}{within} --{flag}={name} --serviceaccount=NAMESPACE:NAME"


def _flow(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
