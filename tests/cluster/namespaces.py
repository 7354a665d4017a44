"""Namespaces of the tests: made, waited for, removed, and found again when a killed run has left them."""

from __future__ import annotations

import time

from tests.lab.images import LabError

from .api import Api, ApiError

LABEL = "fastops.io/tests"
READY_SECONDS = 60.0
GONE_SECONDS = 120.0
POLL_SECONDS = 0.2


def make(api: Api, name: str) -> None:
    """Make a namespace and wait for its service account: without it the first pods would be refused."""
    metadata = {"name": name, "labels": {LABEL: "true"}}
    try:
        api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        deadline = time.monotonic() + READY_SECONDS
        while not api.items(f"/api/v1/namespaces/{name}/serviceaccounts"):
            if time.monotonic() > deadline:
                raise LabError(f"namespace {name} got no service account in {READY_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
    except ApiError as error:
        raise LabError(f"namespace {name} cannot be made: {error}") from error


def remove(api: Api, name: str) -> None:
    """Begin to remove a namespace with all that is in it."""
    api.delete(f"/api/v1/namespaces/{name}")


def wait_gone(api: Api, names: set[str]) -> None:
    """Wait until none of these namespaces is left. Raises ``LabError`` with what holds them."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        left = [item for item in api.items("/api/v1/namespaces") if item["metadata"]["name"] in names]
        if not left:
            return
        if time.monotonic() > deadline:
            why = [condition.get("message") for item in left for condition in item["status"].get("conditions", [])]
            raise LabError(f"namespaces do not go: {', '.join(i['metadata']['name'] for i in left)}: {why}")
        time.sleep(POLL_SECONDS)
