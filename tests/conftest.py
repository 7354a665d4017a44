"""What every test may use: a real engine, the lab on it, and the profiles of hypothesis.

A test that needs an engine takes the ``engine`` fixture. Where none is reachable it is skipped, and the reason is
printed at the end; with ``FASTOPS_REQUIRE_ENGINE=1`` it fails instead.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import settings

from tests import engine as engines

if TYPE_CHECKING:
    from tests.lab.runner import Lab

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and every program that a test starts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

MISSING_PART = "real part missing: "


def _missing(reason: str) -> NoReturn:
    """Skip, or fail where the part was promised."""
    if os.environ.get("FASTOPS_REQUIRE_ENGINE") == "1":
        pytest.fail(MISSING_PART + reason, pytrace=False)
    pytest.skip(MISSING_PART + reason)


@pytest.fixture(scope="session")
def engine() -> str:
    """The address of a reachable Docker Engine, such as ``unix:///var/run/docker.sock``."""
    address = engines.url()
    reason = engines.why_not(address)
    if reason is not None:
        _missing(reason)
    return address


@pytest.fixture(scope="session")
def docker_client(engine: str) -> Iterator[Any]:
    """The docker SDK's client on that engine."""
    import docker

    client = docker.DockerClient(base_url=engine, timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def lab_image(docker_client: Any) -> str:
    """The tag of the lab's image, built when the engine does not have it."""
    from tests.lab import images

    try:
        return images.ensure(docker_client)
    except images.LabError as error:
        _missing(str(error))


@pytest.fixture
def lab(docker_client: Any, lab_image: str) -> Iterator[Lab]:
    """A lab whose containers and loads are removed when the test ends."""
    from tests.lab.runner import Lab

    with Lab(docker_client) as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name each reason for which tests on real parts did not run, with their number."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MISSING_PART in text:
            reasons[text.partition(MISSING_PART)[2]] += 1
    if reasons:
        terminalreporter.section("tests on real parts that did not run", sep="-")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count} skipped: {reason}")
