"""What every test may use: a real engine and a real cluster, the lab on both, and the profiles of hypothesis.

A test that needs an engine takes the ``engine`` fixture, one that needs Kubernetes takes ``cluster``. Where none is
reachable it is skipped, and the reason is printed at the end; with ``FASTOPS_REQUIRE_ENGINE=1`` or
``FASTOPS_REQUIRE_CLUSTER=1`` it fails instead.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import engine as engines
from tests.cluster.fixtures import cluster, kube_api, lab_pods, make_namespace, namespace
from tests.databases import pgbouncer, postgres, postgres_server
from tests.mariadb import mariadb
from tests.parts import MISSING_PART, missing

if TYPE_CHECKING:
    from tests.lab.runner import Lab

__all__ = [
    "cluster",
    "kube_api",
    "lab_pods",
    "make_namespace",
    "mariadb",
    "namespace",
    "pgbouncer",
    "postgres",
    "postgres_server",
]  # pytest finds them here

# How long examples take to make says how busy the machine is, and nothing of what is tested.
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and every program that a test starts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROMISE = "FASTOPS_REQUIRE_ENGINE"


@pytest.fixture(scope="session")
def engine() -> str:
    """The address of a reachable Docker Engine, such as ``unix:///var/run/docker.sock``."""
    address = engines.url()
    reason = engines.why_not(address)
    if reason is not None:
        missing(reason, PROMISE)
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
        missing(str(error), PROMISE)


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
