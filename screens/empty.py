"""What stands where a list is empty: what was looked at, what was not found, what to try next."""

from __future__ import annotations

from rich.text import Text

from fixes.model import Report
from screens import words


def explain(report: Report, needle: str = "") -> Text:
    """Why no deployment is shown."""
    states = tuple(report.snapshot.targets.values())
    text = Text(end="")
    if needle and any(state.deployments for state in states):
        text.append("Nothing matches ", "bold")
        text.append(needle, "bold cyan")
        text.append("\n\nesc shows all deployments again.", "dim")
        return text
    reached = [state for state in states if _answers(state.link.state)]
    if not states or (reached and not any(state.complete for state in reached)):
        text.append("Looking for FastAPI…", "bold")
    else:
        text.append("No FastAPI deployment was found.", "bold")
    for state in states:
        tone = words.LINK_TONES[state.link.state]
        text.append(f"\n\n{words.GLYPHS[tone]} ", words.STYLES[tone])
        text.append(words.target(state.target), "bold")
        text.append(f"  {state.link.state}", "dim")
        if state.link.why:
            text.append(f": {state.link.why}")
        if state.link.hint:
            text.append(f"\n  {state.link.hint}", "dim")
        for failure in state.failures[:3]:
            text.append(f"\n  {failure.what}: {failure.why}")
            if failure.hint:
                text.append(f" – {failure.hint}", "dim")
    if states and all(state.complete or not _answers(state.link.state) for state in states):
        text.append("\n\nLooked at: what runs uvicorn, gunicorn, hypercorn, granian or fastapi.", "dim")
        text.append("\n\nNext:")
        for command, what in (
            ("fastops doctor", "what can be reached and what is missing"),
            ("fastops tui docker local", "name the targets to look at"),
            ("fastops demo", "see it on services that are ill on purpose"),
        ):
            text.append(f"\n  {command:<26}", "cyan")
            text.append(what, "dim")
        text.append("\n\nA container that is started in its own way is listed with the label ", "dim")
        text.append("fastops.enable=true", "cyan")
        if any(state.target.startswith("k8s/") for state in states):
            text.append(", a workload with the annotation ", "dim")
            text.append("fastops.io/enable=true", "cyan")
    return text


def _answers(state: str) -> bool:
    return state not in ("down", "forbidden", "expired")
