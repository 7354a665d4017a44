"""Draws the pictures of the README from a real run: the demo's sick services, a real session, the real screens.

``make pictures`` writes ``docs/pictures/*.svg``. It takes some two minutes: a leak has to be seen growing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from console.app import FastopsApp
from console.config import Config
from console.demo import Demo
from console.session import Session
from fixes.model import Report

HERE = Path(__file__).parent / "pictures"
SIZE = (150, 42)
LIMIT_SECONDS = 240
LOOKED_FOR = {"memory-leak", "event-loop-blocked", "worker-timeout", "fd-exhausted", "pool-exhausted"}


async def main() -> int:
    """Takes the pictures; returns the exit status."""
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
    os.environ["FASTOPS_STATE"] = tempfile.mkdtemp(prefix="fastops-pictures-")
    HERE.mkdir(exist_ok=True)
    with Demo() as demo:
        session = Session((), Config(), makers=(demo.target,))
        app = FastopsApp(session)
        try:
            async with app.run_test(size=SIZE) as pilot:
                found = await _until(lambda: _seen(session.report) >= LOOKED_FOR)
                await pilot.pause(3)
                _save(app, "fleet")
                await _to_deployment(app, session.report, "memory-leak")
                await pilot.press("enter")
                await pilot.pause(5)
                _save(app, "deployment")
                await pilot.press("f")
                await pilot.pause(4)
                _save(app, "fix")
        finally:
            await asyncio.to_thread(session.close)
    if not found:
        print(f"not all was found within {LIMIT_SECONDS} s: {LOOKED_FOR - _seen(session.report)}", file=sys.stderr)
    return 0 if found else 1


def _seen(report: Report) -> set[str]:
    return {str(f.signature) for found in report.findings.values() for f in found}


async def _until(enough: Callable[[], bool]) -> bool:
    end = time.monotonic() + LIMIT_SECONDS
    while not enough():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.5)
    return True


async def _to_deployment(app: FastopsApp, report: Report, signature: str) -> None:
    """Moves the cursor to the deployment that has this finding, as a person does: by the filter."""
    wanted = next((d for d, found in report.findings.items() if any(f.signature == signature for f in found)), None)
    if wanted is None:
        return
    for key in ("slash", *wanted.rsplit("/", 1)[1], "enter"):
        app.simulate_key(key)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


def _save(app: FastopsApp, name: str) -> None:
    (HERE / f"{name}.svg").write_text(app.export_screenshot(title=f"fastops · {name}"))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
