"""Whether databases may be asked is asked once, where a deployment has one; only yes is yes."""

from __future__ import annotations

import msgspec
import pytest

from fixes.model import Report
from screens.deployment import DeploymentScreen
from tests.screens import reports as r
from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until

ASKS = "whether its database may be asked"


def _session(**environment: str) -> FakeSession:
    """A console that was started without ``--database``; every deployment has this environment."""
    base = r.report()
    targets = {}
    for name, state in base.snapshot.targets.items():
        changed = {
            key: msgspec.structs.replace(
                one, replicas=tuple(msgspec.structs.replace(each, environment=environment) for each in one.replicas)
            )
            for key, one in state.deployments.items()
        }
        targets[name] = msgspec.structs.replace(state, deployments=changed)
    report: Report = msgspec.structs.replace(base, snapshot=msgspec.structs.replace(base.snapshot, targets=targets))
    session = FakeSession(report)
    session.databases_allowed = False
    return session


WITH = {"DATABASE_URL": "postgresql+asyncpg://shop:•••@db/shop"}


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_yes_is_told_once_and_never_asked_for_again(size: tuple[int, int]) -> None:
    session = _session(**WITH)
    async with opened(session, size) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: ASKS in seen(pilot))
        await press(pilot, "d")
        await until(pilot, lambda: "May fastops ask the databases" in seen(pilot))
        assert not session.calls("allow_databases")
        await press(pilot, "y")
        await until(pilot, lambda: bool(session.calls("allow_databases")))
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen) and ASKS not in seen(pilot))
        await press(pilot, "d", "escape", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        assert ASKS not in seen(pilot)
        assert "d database" not in seen(pilot)
    assert len(session.calls("allow_databases")) == 1


@pytest.mark.parametrize("key", ["n", "escape", "q"])
async def test_no_is_remembered_for_every_deployment_and_can_become_yes(key: str) -> None:
    session = _session(**WITH)
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: ASKS in seen(pilot))
        await press(pilot, "d", key)
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen) and ASKS not in seen(pilot))
        await press(pilot, "escape", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        assert ASKS not in seen(pilot)
        assert not session.calls("allow_databases")
        await press(pilot, "d", "y")
        await until(pilot, lambda: bool(session.calls("allow_databases")))


@pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": "sqlite:///shop.db", "API_URL": "https://example.com"}])
async def test_nothing_is_asked_where_no_database_is_named(environment: dict[str, str]) -> None:
    session = _session(**environment)
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, DeploymentScreen)
        assert ASKS not in seen(pilot)
        await press(pilot, "d")
        assert isinstance(pilot.app.screen, DeploymentScreen)


@pytest.mark.parametrize("name", ["DB_DSN", "DATABASE_DSN", "POSTGRES_DSN"])
async def test_a_dsn_that_is_hidden_for_its_name_is_one(name: str) -> None:
    session = _session(**{name: "•••", "SENTRY_DSN": "•••"})
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, lambda: ASKS in seen(pilot))


async def test_with_the_option_nothing_is_asked() -> None:
    session = _session(**WITH)
    session.databases_allowed = True
    async with opened(session, LARGE) as pilot:
        await press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, DeploymentScreen)
        assert ASKS not in seen(pilot)
