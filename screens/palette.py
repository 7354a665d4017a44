"""What the palette finds beside Textual's own commands: deployments, and the documentation of signatures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from fixes import catalogue
from fixes.model import SignatureId
from probes.base import DeploymentId
from screens import messages, words
from screens.base import OpsScreen

_OFFERED = 30
"""Deployments offered before anything is typed: the worst ones."""


class OpsProvider(Provider):
    """Deployments and signatures by name."""

    @property
    def _deployments(self) -> Iterator[tuple[DeploymentId, str]]:
        screen = self.screen
        if not isinstance(screen, OpsScreen):
            return
        report = screen.report
        every = report.snapshot.deployments()
        for each in sorted(every, key=lambda d: -words.rank(words.worst(report.of(d.id)))):
            found = report.of(each.id)
            yield each.id, found[0].title if found else "nothing found"

    def _open(self, deployment: DeploymentId) -> None:
        self.screen.post_message(messages.DeploymentOpened(deployment))

    def _explain(self, signature: SignatureId) -> None:
        self.screen.post_message(messages.SignatureOpened(signature))

    async def discover(self) -> Hits:
        """The deployments in trouble first."""
        for n, (identity, title) in enumerate(self._deployments):
            if n >= _OFFERED:
                return
            yield DiscoveryHit(_plain(identity), partial(self._open, identity), text=identity, help=_plain(title))

    async def search(self, query: str) -> Hits:
        """What matches the words typed."""
        matcher = self.matcher(query)
        for identity, title in self._deployments:
            score = matcher.match(identity)
            if score > 0:
                yield Hit(score, _plain(identity), partial(self._open, identity), text=identity, help=_plain(title))
        for signature in catalogue.signatures().values():
            text = f"explain {signature.id}: {signature.title}"
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), partial(self._explain, signature.id), help="what it means")


def _plain(text: str) -> str:
    """Foreign text where Textual parses markup."""
    return text.replace("[", "\\[")
