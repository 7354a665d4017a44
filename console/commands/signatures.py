"""``fastops signatures``: the catalogue, and the explanation of one failure."""

from __future__ import annotations

import msgspec

from console import config as configuration
from console import output, rules
from console.commands._session import say, told, warn_interrupted
from console.exits import FINE, USAGE, Stop
from console.repairs import journal
from fixes import catalogue
from fixes.model import Signature, SignatureId
from fixes.values import shown


def run(identity: str | None, *, fmt: str) -> int:
    """Prints all signatures, or explains one."""
    warn_interrupted(journal().pending())
    judged = rules.load(configuration.load())
    known = judged.signatures
    for failure in judged.failures:
        say(told(failure))
    if identity is None:
        _list(list(known.values()), fmt)
        return FINE
    signature = known.get(SignatureId(identity))
    if signature is None:
        raise Stop(f"there is no signature {identity!r}; there are {', '.join(known)}", USAGE)
    if fmt == "json":
        output.write(_json(_described(signature) | {"documentation": catalogue.page(signature)}))
    else:
        output.write(page(signature) if fmt == "markdown" else _explained(signature))
    return FINE


def page(signature: Signature) -> str:
    """The documentation page of a signature, in Markdown."""
    text = catalogue.page(signature)
    remedies = "\n".join(f"- `{r}`: {catalogue.remedies()[r].title}" for r in signature.remedies)
    numbers = "\n".join(f"- `{one.name}` ({shown(one.default, one.unit)}): {one.what}" for one in signature.thresholds)
    adjusted = f"## Thresholds\n\n{numbers}\n\n" if numbers else ""
    return (
        f"# {signature.id}\n\n**{signature.title}** · severity: up to {signature.severity}\n\n{text}\n\n"
        f"## Remedies\n\n{remedies}\n\n{adjusted}## Source\n\n{signature.source}"
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
    numbers = "\n".join(f"  {one.name:24} {shown(one.default, one.unit)}: {one.what}" for one in signature.thresholds)
    adjusted = f"Thresholds\n{numbers}\n\n" if numbers else ""
    return (
        f"{signature.id} · up to {signature.severity}\n\n{catalogue.page(signature)}\n\n"
        f"Remedies\n{remedies}\n\n{adjusted}Source: {signature.source}"
    )


def _described(signature: Signature) -> dict[str, object]:
    return {
        "id": signature.id,
        "severity": signature.severity,
        "title": signature.title,
        "remedies": signature.remedies,
        "explains": signature.explains,
        "source": signature.source,
        "thresholds": signature.thresholds,
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
