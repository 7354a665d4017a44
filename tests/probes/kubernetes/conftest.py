"""What the tests of the Kubernetes target share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixtures import PROMISE
from tests.parts import missing
from tests.probes.kubernetes import apiserver


@pytest.fixture(scope="session")
def bare() -> Iterator[apiserver.ApiServer]:
    """An API server of the test run's own, which a test may stop and start; it leaves it running."""
    reason = apiserver.why_not()
    if reason is not None:
        missing(reason, PROMISE)
    with apiserver.ApiServer() as server:
        yield server
