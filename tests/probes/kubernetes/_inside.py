"""Runs the program that looks into containers here, below a folder that stands for the container's root."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Inside:
    """A container, or all of them: answers as an API server would, or refuses."""

    def __init__(self, root: Path, refusal: Exception | None = None, cwd: str = "/app", **first: Any) -> None:
        self.root, self.refusal, self.cwd, self.first = root, refusal, cwd, first
        self.asked: list[tuple[str, str, str]] = []
        self.wanted: list[dict[str, Any]] = []

    def write(self, files: dict[str, str]) -> None:
        for path, content in files.items():
            there = self.root / path.lstrip("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(content)

    async def execute(self, namespace: str, pod: str, container: str, argv: Any, *, stdin: bytes, **_: Any) -> bytes:
        self.asked.append((namespace, pod, container))
        if self.refusal is not None:
            raise self.refusal
        return self.run(tuple(argv), stdin)

    def run(self, argv: tuple[str, ...], stdin: bytes) -> bytes:
        """The program, told to read below the root, and what it prints as if that were all there is."""
        size = int(argv[-1])
        program, ask = stdin[:-size], json.loads(stdin[-size:])
        self.wanted.append(dict(ask))
        begins = not ask["cwd"]
        path = self.first.get("environment", {}).get("PATH", "")
        for name in ("files", "lists", "prefixes"):
            ask[name] = [f"{self.root}{self._real(one)}" for one in ask[name]]
        request = json.dumps(ask).encode()
        done = subprocess.run(
            (sys.executable, *argv[1:-1], str(len(request))),
            input=program + request,
            stdout=subprocess.PIPE,
            env={"PATH": ":".join(f"{self.root}{one}" for one in path.split(":") if one) or "/nowhere", "HOME": "/no"},
            cwd=self.root,
            check=True,
            timeout=20,
        )
        answer = json.loads(done.stdout)
        for name in ("files", "lists"):
            answer[name] = {
                path.removeprefix(str(self.root)): one
                for path, one in answer[name].items()
                if path.startswith(f"{self.root}/")
            }
        if begins:
            answer.update({"cwd": self.cwd, "argv": [], "environment": {}} | self.first)
        return json.dumps(answer).encode()

    def _real(self, path: str) -> str:
        head = "/proc/1/cwd"
        return self.cwd + path.removeprefix(head) if path.startswith(head) else path
