"""What the palette finds beside Textual's own commands: deployments, what can be asked for, what signatures mean."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from fixes import asked, catalogue
from fixes.model import Signature, SignatureId
from probes.base import DeploymentId
from probes.model import Deployment
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

    @property
    def _wishes(self) -> Iterator[tuple[Deployment, Signature]]:
        """What changes something without a finding, where it may be changed."""
        screen = self.screen
        if not isinstance(screen, OpsScreen):
            return
        for deployment in screen.report.snapshot.deployments():
            if screen.mode.writable(deployment.id):
                yield from ((deployment, one) for one in asked.named())

    def _ask(self, deployment: Deployment, wished: Signature) -> None:
        self.screen.post_message(messages.FixOpened(asked.wish(deployment, wished)))

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
        for deployment, wished in self._wishes:
            text = f"{catalogue.remedies()[wished.remedies[0]].title}: {deployment.id}"
            score = matcher.match(text)
            if score > 0:
                run = partial(self._ask, deployment, wished)
                yield Hit(score, _plain(text), run, text=text, help="shows the diff first")
        for signature in catalogue.signatures().values():
            text = f"explain {signature.id}: {signature.title}"
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), partial(self._explain, signature.id), help="what it means")


def _plain(text: str) -> str:
    """Foreign text where Textual parses markup."""
    return text.replace("[", "\\[")
