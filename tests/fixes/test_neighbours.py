"""Who holds a port is named where another service of the same target is known to have it."""

from __future__ import annotations

from msgspec.structs import replace

from fixes import catalogue
from fixes.examples import with_log
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.base import DeploymentId
from probes.history import History
from probes.logs import Matcher
from probes.model import Deployment, Link, Listener, PublishedPort, Snapshot, TargetState

ALL = "0.0.0.0"
TAKEN = b"ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8080): address already in use\n"


def title(sick: Deployment, *others: Deployment) -> str:
    sick = with_log(sick, TAKEN, Matcher(catalogue.patterns()), _cases.NOW)
    known = {one.id: one for one in (sick, *others)}
    state = TargetState(sick.target, Link("live", _cases.NOW), _cases.NOW, deployments=known)
    report = Tracker().advance(Snapshot(_cases.NOW, {state.target: state}), History(), _cases.NOW)
    return next(one.title for one in report.of(sick.id) if one.signature == "address-in-use")


def other(**changes: object) -> Deployment:
    plain = _cases.deployment(_cases.replica(id="beef", **changes))
    return replace(plain, id=DeploymentId("docker/web"), name="web")


def test_the_container_that_publishes_the_port_is_named() -> None:
    published = other(name="web-1", ports=(PublishedPort(8000, ALL, 8080),))
    assert title(_cases.container(state="exited"), published) == (
        "port 8080 is taken by the container web-1, which publishes it"
    )


def test_the_process_that_listens_on_the_same_machine_is_named() -> None:
    served = replace(other(listeners=(Listener(ALL, 8080),), workers=(_cases.worker(4711),)), kind="process")
    mine = replace(_cases.container(), kind="process")
    assert title(mine, served) == "port 8080 is taken by web (process 4711)"


def test_who_listens_in_a_network_of_its_own_is_not_named() -> None:
    served = other(listeners=(Listener(ALL, 8080),), workers=(_cases.worker(4711),))
    assert title(_cases.container(state="exited"), served) == "port 8080 is taken by another process"
