"""The fixtures of tests on a real cluster. ``tests/conftest.py`` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.parts import missing

if TYPE_CHECKING:
    from .api import Api
    from .runner import KubeLab

PROMISE = "FASTOPS_REQUIRE_CLUSTER"


@pytest.fixture(scope="session")
def cluster() -> Path:
    """The kubeconfig of a real cluster; its present context is an administrator's, and it has the lab's images."""
    from tests.lab.images import LabError

    from . import reach
    from .place import ClusterError

    try:
        return reach.cluster()
    except (ClusterError, LabError) as error:
        missing(str(error), PROMISE)


@pytest.fixture(scope="session")
def kube_api(cluster: Path) -> Iterator[Api]:
    """The tests' own way to that cluster."""
    from .api import Api

    with Api(cluster) as api:
        yield api


@pytest.fixture(scope="session")
def make_namespace(kube_api: Api) -> Iterator[Callable[[], str]]:
    """Makes namespaces with names that nobody else has; when the session ends, none of them is left."""
    from . import namespaces
    from .runner import fresh_name

    made: set[str] = set()

    def make() -> str:
        name = fresh_name()
        made.add(name)
        namespaces.make(kube_api, name)
        return name

    yield make
    for name in made:
        namespaces.remove(kube_api, name)
    namespaces.wait_gone(kube_api, made)


@pytest.fixture
def namespace(kube_api: Api, make_namespace: Callable[[], str]) -> Iterator[str]:
    """A namespace of the test's own, removed with all that is in it when the test ends."""
    from . import namespaces

    name = make_namespace()
    yield name
    namespaces.remove(kube_api, name)


@pytest.fixture
def lab_pods(kube_api: Api, namespace: str) -> Iterator[KubeLab]:
    """A lab that starts cases (``tests/cluster/cases``) in the test's namespace."""
    from .runner import KubeLab

    with KubeLab(kube_api, namespace) as lab:
        yield lab
