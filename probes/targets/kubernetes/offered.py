"""Patches as files, for objects that somebody else keeps: written beside, never over anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probes import text
from probes.intent import Document, RestorePoint, Step
from probes.target import Refused
from probes.targets.kubernetes.kinds import subject_at
from probes.targets.kubernetes.patches import strategic
from probes.targets.kubernetes.remake import Remade
from probes.targets.kubernetes.rendering import holds_secret, manifest

Json = dict[str, Any]
Progress = Callable[[str], None]
LARGEST = 1 << 20


def offers(made: Remade, folder: Path, notes: tuple[str, ...]) -> list[Step]:
    """The steps that write the patch, and the ConfigMap that it mounts, into ``folder``; empty where they are there."""
    if any(holds_secret(put.value) for put in made.puts):
        raise Refused("The patch would hold a secret in clear text, so it is not written into a file.")
    subject, kind = subject_at(made.live), made.live["kind"].lower()
    said = f"# kubectl patch {kind} {subject.name} -n {subject.namespace} --patch-file FILE, or a patch of kustomize\n"
    content = said + manifest(strategic(made.live, made.puts))
    steps = [_step(folder, f"{subject.name}.{kind}.patch", content, notes)]
    if made.wanted.config_map is not None:
        config = config_map(subject.namespace, str(made.wanted.config_name), dict(made.wanted.config_map))
        steps.append(_step(folder, f"{subject.name}.configmap", manifest(config), ()))
    return [step for step in steps if step is not None]


def config_map(namespace: str, name: str, files: dict[str, str]) -> Json:
    """A ConfigMap of these files."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": files,
    }


def _step(folder: Path, stem: str, content: str, notes: tuple[str, ...]) -> Step | None:
    digest = hashlib.sha256(content.encode()).hexdigest()
    path = folder.resolve() / f"{stem}-{digest[:8]}.yaml"
    if path.exists():
        return None
    shown = text.clean(str(path), 300)

    def document(said: str) -> Document:
        version = hashlib.sha256(said.encode()).hexdigest()
        return Document(id=f"file:{path}", kind="patch", title=shown, text=said, version=version)

    return Step(
        action="offer-file",
        summary=f"write {shown}",
        before=document(""),
        after=document(content),
        subject=str(path),
        arguments={"notes": list(notes)},
    )


class Offering:
    """Performs ``offer-file`` steps."""

    def perform(self, step: Step, progress: Progress) -> RestorePoint:
        """Writes the file, once; raises :class:`Refused` where another one has its name."""
        path = Path(step.subject)
        if _digest(path) != step.after.version:
            progress(f"writing {text.clean(step.subject, 300)}")
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(step.after.text)
            except FileExistsError:
                raise Refused(f"{text.clean(step.subject, 300)} is there already, and is another file.") from None
            except OSError as error:
                raise Refused(f"{text.clean(step.subject, 300)}: {error.strerror or error}.") from None
        return RestorePoint(action="offer-file", subject=step.subject, left=step.after.version)

    def remove(self, subject: str, left: str, progress: Progress) -> None:
        """Removes the file as it was written; raises :class:`Refused` where it was edited since."""
        if self.is_there(subject, left):
            progress(f"removing {text.clean(subject, 300)}")
            Path(subject).unlink(missing_ok=True)

    def is_there(self, subject: str, left: str) -> bool:
        """Whether the file is there as it was written; raises :class:`Refused` where it was edited since."""
        found = _digest(Path(subject))
        if found not in {None, left}:
            raise Refused(f"{text.clean(subject, 300)} was edited since: it is left where it is.")
        return found is not None


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(LARGEST)).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{text.clean(str(path), 300)}: {error.strerror or error}.") from None
