"""The line that asks, once, whether databases may be asked with the deployments' own credentials."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from probes.base import DeploymentId
from probes.database import own
from probes.model import Deployment
from screens import hints, messages
from screens.base import OpsScreen
from screens.mode import Mode

_QUESTION = (
    "May fastops ask the databases who holds which connections, with the deployments' own credentials?\n\n"
    "Its sessions can only read. On Kubernetes the Secrets that such variables name are read, and a port is forwarded "
    "where no address leads there. The credentials stay in memory, and are neither shown nor written. The answer holds "
    "for all deployments until fastops ends; --database own gives it beforehand."
)


def askable(deployment: Deployment | None, mode: Mode) -> bool:
    """Whether there is something to answer: a database that may not be asked yet. No can become yes."""
    return mode.databases != "allowed" and deployment is not None and own.named(deployment)


class AskBar(Static):
    """Seen until a person has answered; it follows its screen."""

    DEFAULT_CSS = """
    AskBar { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; color: $warning; }
    """

    def __init__(self, deployment: DeploymentId) -> None:
        super().__init__()
        self._deployment = deployment

    def on_mount(self) -> None:
        """Follows what is known and what was answered."""
        self.watch(self.screen, "report", self._follow)
        self.watch(self.screen, "mode", self._follow)

    def ask(self) -> None:
        """Puts the question in full; every way out but yes is no."""
        from screens.question import QuestionScreen  # noqa: PLC0415 - seldom asked

        def answered(yes: bool | None) -> None:
            self.post_message(messages.DatabasesAnswered(yes is True))

        self.app.push_screen(QuestionScreen(_QUESTION), answered)

    def _follow(self) -> None:
        screen = self.screen
        assert isinstance(screen, OpsScreen)
        known = askable(screen.report.snapshot.find(self._deployment), screen.mode)
        asks = known and screen.mode.databases == "unanswered"
        if asks != self.display:
            self.display = asks
            screen.refresh_bindings()
            self.call_after_refresh(self._tell)

    def _tell(self) -> None:
        """The key is known once it can be used: it may be configured."""
        key = hints.key(self.screen, "database")
        if key:
            text = Text("Nobody said yet whether its database may be asked for its connections: ", end="")
            text.append(key, "bold cyan")
            text.append(" answers")
            self.update(text)
