"""Which cluster the tests use: the one that ``FASTOPS_TEST_KUBECONFIG`` names, else the one that runs here."""

from __future__ import annotations

import os
from pathlib import Path

from . import images, lifecycle
from .api import Api, ApiError
from .place import ClusterError, here

VARIABLE = "FASTOPS_TEST_KUBECONFIG"


def cluster() -> Path:
    """The kubeconfig of a cluster that answers, whose node has the lab's images when it is the one that runs here.

    Raises ``ClusterError`` with the reason for which there is none, ``LabError`` when the images cannot be built.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        place = here()
        reason = lifecycle.why_not(place)
        if reason is not None:
            raise ClusterError(reason)
        images.ensure(place)
        return place.kubeconfig
    path = Path(named).expanduser()
    if not path.exists():
        raise ClusterError(f"{VARIABLE} names {path}, which does not exist")
    try:
        with Api(path) as api:
            api.get("/version")
    except ApiError as error:
        raise ClusterError(f"the cluster of {VARIABLE} ({path}) does not answer: {error}") from error
    return path
