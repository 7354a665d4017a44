"""``fastops signatures``: the catalogue, and the explanation of one failure."""

from __future__ import annotations

import msgspec

from console import output
from console.commands._session import warn_interrupted
from console.exits import FINE, USAGE, Stop
from console.repairs import journal
from fixes import catalogue
from fixes.model import Signature, SignatureId


def run(identity: str | None, *, fmt: str) -> int:
    """Prints all signatures, or explains one."""
    warn_interrupted(journal().pending())
    known = catalogue.signatures()
    if identity is None:
        _list(list(known.values()), fmt)
        return FINE
    signature = known.get(SignatureId(identity))
    if signature is None:
        raise Stop(f"there is no signature {identity!r}; there are {', '.join(known)}", USAGE)
    if fmt == "json":
        output.write(_json(_described(signature) | {"documentation": catalogue.documentation("signatures", identity)}))
    else:
        output.write(page(signature) if fmt == "markdown" else _explained(signature))
    return FINE


def page(signature: Signature) -> str:
    """The documentation page of a signature, in Markdown."""
    text = catalogue.documentation("signatures", signature.id)
    remedies = "\n".join(f"- `{r}`: {catalogue.remedies()[r].title}" for r in signature.remedies)
    return (
        f"# {signature.id}\n\n**{signature.title}** · severity: up to {signature.severity}\n\n{text}\n\n"
        f"## Remedies\n\n{remedies}\n\n## Source\n\n{signature.source}"
    )


def _list(known: list[Signature], fmt: str) -> None:
    if fmt == "json":
        output.write(_json({"schema": 1, "signatures": [_described(s) for s in known]}))
    elif fmt == "markdown":
        rows = [f"| `{s.id}` | {s.severity} | {s.title} | {', '.join(s.remedies)} |" for s in known]
        output.write("\n".join(["| id | severity | title | remedies |", "|---|---|---|---|", *rows]))
    else:
        output.table(
            ("signature", "severity", "title", "remedies"),
            [(s.id, s.severity, s.title, ", ".join(s.remedies)) for s in known],
        )


def _explained(signature: Signature) -> str:
    remedies = "\n".join(f"  {r:24} {catalogue.remedies()[r].title}" for r in signature.remedies)
    text = catalogue.documentation("signatures", signature.id)
    return (
        f"{signature.id} · up to {signature.severity}\n\n{text}\n\nRemedies\n{remedies}\n\nSource: {signature.source}"
    )


def _described(signature: Signature) -> dict[str, object]:
    return {
        "id": signature.id,
        "severity": signature.severity,
        "title": signature.title,
        "remedies": signature.remedies,
        "explains": signature.explains,
        "source": signature.source,
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
