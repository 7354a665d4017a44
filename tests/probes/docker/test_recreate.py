"""A container is replaced, and the service is there whatever goes wrong."""

from __future__ import annotations

import json

import pytest

from probes.intent import Desired
from probes.target import Refused
from probes.targets.docker.documents import CHANGE_LABEL
from tests.probes.docker.workshop import GUNICORN, Workshop, answers, free_port, published, workshop

__all__ = ["workshop"]
pytestmark = pytest.mark.flaky(reruns=0)  # what is lost once is lost

CHANGE = "20261122-change"
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}


def perform(workshop: Workshop, step, change: str = CHANGE, ready_seconds: float = 60.0):
    return workshop.write(lambda w: w.perform(step, change, workshop.said.append), ready_seconds)


def test_a_container_is_replaced_answers_again_and_is_put_back(workshop: Workshop):
    port = free_port()
    name = workshop.run("swap", HostConfig={**published(port), "RestartPolicy": ALWAYS, "Memory": 256 << 20})
    assert answers(port)
    old = workshop.inspect(name)
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096, gunicorn={"timeout": 55}))
    assert step.action == "recreate"
    assert step.restarts
    assert step.arguments["answers"] == [8000]
    assert "confirm" not in step.arguments
    assert workshop.inspect(name)["Id"] == old["Id"], "drafting changes nothing"
    assert json.loads(json.dumps(step.arguments)) == step.arguments

    point = perform(workshop, step)
    assert answers(port)
    new = workshop.inspect(name)
    assert new["Id"] != old["Id"]
    assert new["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Hard": 4096, "Soft": 4096}]
    assert new["HostConfig"]["RestartPolicy"] == ALWAYS
    assert new["HostConfig"]["Memory"] == 256 << 20
    assert new["Config"]["Cmd"][-2:] == ["--timeout", "55"] or "55" in new["Config"]["Cmd"]
    assert new["Config"]["Labels"][CHANGE_LABEL] == CHANGE
    assert workshop.named(name) == {name: "running", f"{name}.fastops-{CHANGE}": "exited"}
    assert workshop.inspect(old["Id"])["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096, gunicorn={"timeout": 55})) == []
    assert point.left == step.after.version, "what was shown is what was made"

    workshop.write(lambda w: w.restore(point, CHANGE, workshop.said.append))
    assert answers(port)
    back = workshop.inspect(name)
    assert back["Id"] == old["Id"]
    assert back["HostConfig"]["RestartPolicy"] == ALWAYS
    assert workshop.named(name) == {name: "running"}


def test_performing_again_changes_nothing_more(workshop: Workshop):
    name = workshop.run("again")
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    first = perform(workshop, step)
    there = workshop.inspect(name)
    assert perform(workshop, step) == first
    again = workshop.inspect(name)
    assert (again["Id"], again["State"]["StartedAt"]) == (there["Id"], there["State"]["StartedAt"])


def test_the_kept_container_goes_when_it_is_discarded_and_its_volume_stays(workshop: Workshop):
    name = workshop.run("discard", Volumes={"/data": {}})
    volume = workshop.inspect(name)["Mounts"][0]["Name"]
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    point = perform(workshop, step)
    workshop.write(lambda w: w.discard(point))
    assert workshop.named(name) == {name: "running"}
    assert [(m["Name"], m["Destination"]) for m in workshop.inspect(name)["Mounts"]] == [(volume, "/data")]
    with pytest.raises(Refused, match="is gone"):
        workshop.write(lambda w: w.restore(point, CHANGE, workshop.said.append))


def test_a_command_that_does_not_start_is_rolled_back_and_its_last_words_are_told(workshop: Workshop):
    port = free_port()
    name = workshop.run("broken", HostConfig={**published(port), "RestartPolicy": ALWAYS})
    assert answers(port)
    old = workshop.inspect(name)["Id"]
    want = Desired(gunicorn={"worker_class": "no.such.Worker"})
    (step,) = workshop.draft(workshop.deployment(name), want)
    with pytest.raises(Refused, match="restarted again and again") as refused:
        perform(workshop, step)
    assert "Its last words:" in str(refused.value)
    assert "ModuleNotFoundError" in str(refused.value) or "invalid" in str(refused.value)
    assert answers(port)
    assert workshop.inspect(name)["Id"] == old
    assert workshop.inspect(name)["HostConfig"]["RestartPolicy"] == ALWAYS
    assert workshop.named(name) == {name: "running"}


def test_a_limit_that_the_kernel_refuses_is_rolled_back(workshop: Workshop):
    port = free_port()
    name = workshop.run("ulimit", HostConfig=published(port))
    assert answers(port)
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=1 << 30))
    with pytest.raises(Refused, match="did not come into service"):
        perform(workshop, step)
    assert answers(port)
    assert workshop.named(name) == {name: "running"}


def test_a_service_that_does_not_answer_as_before_is_rolled_back(workshop: Workshop):
    port = free_port()
    name = workshop.run("silent", HostConfig=published(port))
    assert answers(port)
    (step,) = workshop.draft(workshop.deployment(name), Desired(bind_host="127.0.0.1"))
    with pytest.raises(Refused, match="nothing answers on port 8000"):
        perform(workshop, step, ready_seconds=4.0)
    assert answers(port)


def test_a_health_check_is_waited_for_and_its_failure_rolls_back(workshop: Workshop):
    second = 10**9
    good = {"Test": ["CMD-SHELL", 'test -z "$TIMEOUT_SET"'], "Interval": second, "Retries": 1}
    name = workshop.run("health", Healthcheck=good)
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    perform(workshop, step)
    assert workshop.inspect(name)["State"]["Health"]["Status"] == "healthy"
    strict = {"Test": ["CMD-SHELL", "echo too many; test $(ulimit -n) -le 5000"], "Interval": second, "Retries": 1}
    other = workshop.run(
        "strict", Healthcheck=strict, HostConfig={"Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 64}]}
    )
    (step,) = workshop.draft(workshop.deployment(other), Desired(open_files_limit=6000))
    with pytest.raises(Refused, match="health check fails: too many"):
        perform(workshop, step)
    assert workshop.named(other) == {other: "running"}


def test_what_was_changed_meanwhile_is_not_touched(workshop: Workshop):
    name = workshop.run("drift", HostConfig={"Memory": 128 << 20})
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    workshop.sdk.update_container(name, mem_limit=192 << 20)
    with pytest.raises(Refused, match="changed since the diff was made"):
        perform(workshop, step)
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    point = perform(workshop, step)
    workshop.sdk.update_container(name, mem_limit=128 << 20)
    for call in (lambda w: w.check(point, CHANGE), lambda w: w.restore(point, CHANGE, workshop.said.append)):
        with pytest.raises(Refused, match="not what this fix left"):
            workshop.write(call)
    assert workshop.named(name) == {name: "running", f"{name}.fastops-{CHANGE}": "exited"}


def test_a_name_that_somebody_took_is_left_alone_by_an_undo(workshop: Workshop):
    name = workshop.run("taken", command=["sleep", "300"])
    (step,) = workshop.draft(workshop.deployment(name, ports=()), Desired(open_files_limit=4096))
    point = perform(workshop, step)
    workshop.sdk.remove_container(name, force=True)
    other = workshop.sdk.create_container(workshop.image, ["sleep", "300"], name=name)["Id"]
    with pytest.raises(Refused, match="Another container has taken the name"):
        workshop.write(lambda w: w.restore(point, CHANGE, workshop.said.append))
    assert workshop.inspect(name)["Id"] == other


def test_a_container_that_died_is_started_and_one_that_was_stopped_is_not(workshop: Workshop):
    died = workshop.run(
        "died",
        command=["sh", "-c", "test $(ulimit -n) -ge 4096 && exec sleep 300; exit 3"],
        HostConfig={"Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 512}]},
    )
    workshop.sdk.wait(died)
    (step,) = workshop.draft(workshop.deployment(died, ports=()), Desired(open_files_limit=4096))
    point = perform(workshop, step)
    assert workshop.inspect(died)["State"]["Running"]
    workshop.write(lambda w: w.restore(point, CHANGE, workshop.said.append))
    assert not workshop.inspect(died)["State"]["Running"]

    stopped = workshop.run("stopped", command=["sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait"])
    workshop.sdk.stop(stopped, timeout=5)
    assert not workshop.inspect(stopped)["State"]["Running"]
    (step,) = workshop.draft(workshop.deployment(stopped, ports=()), Desired(open_files_limit=4096))
    perform(workshop, step)
    assert not workshop.inspect(stopped)["State"]["Running"]


def test_two_fixes_in_a_row_are_undone_in_turn(workshop: Workshop):
    name = workshop.run("twice")
    first_id = workshop.inspect(name)["Id"]
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    one = perform(workshop, step, "c1")
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=8192))
    two = perform(workshop, step, "c2")
    assert set(workshop.named(name)) == {name, f"{name}.fastops-c1", f"{name}.fastops-c2"}
    workshop.write(lambda w: w.restore(two, "c2", workshop.said.append))
    workshop.write(lambda w: w.restore(one, "c1", workshop.said.append))
    assert workshop.named(name) == {name: "running"}
    assert workshop.inspect(name)["Id"] == first_id


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"HostConfig": {"AutoRemove": True}}, "--rm"),
        ({"Labels": {"com.docker.swarm.task.id": "x"}}, "swarm"),
        ({"Labels": {"io.kubernetes.pod.name": "x"}}, "Kubernetes"),
    ],
)
def test_containers_that_are_another_owners_are_refused(workshop: Workshop, options: dict, word: str):
    name = workshop.run("owned", **options)
    with pytest.raises(Refused, match=word):
        workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))


@pytest.mark.parametrize("how", ["network", "volumes", "pid"])
def test_containers_that_others_join_are_refused(workshop: Workshop, how: str):
    name = workshop.run("joined", Volumes={"/data": {}})
    host = {
        "network": {"NetworkMode": f"container:{name}"},
        "volumes": {"VolumesFrom": [name]},
        "pid": {"PidMode": f"container:{name}"},
    }
    other = workshop.run("joiner", command=["sleep", "300"], ExposedPorts={}, HostConfig=host[how])
    with pytest.raises(Refused, match=f"{other} .*{name} and would lose it"):
        workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))


def test_a_paused_container_is_refused(workshop: Workshop):
    name = workshop.run("paused")
    workshop.sdk.pause(name)
    with pytest.raises(Refused, match="unpause"):
        workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    workshop.sdk.unpause(name)


def test_files_that_were_written_inside_need_a_typed_yes_and_traces_of_running_do_not(workshop: Workshop):
    name = workshop.run(
        "layer",
        command=[
            "sh",
            "-c",
            "mkdir -p /srv/x /var/log/a; echo 1 > /var/log/a/b.log; touch /tmp/t /srv/x/a.pid; exec sleep 300",
        ],
    )
    deployment = workshop.deployment(name, ports=())
    (step,) = workshop.draft(deployment, Desired(open_files_limit=4096))
    assert "confirm" not in step.arguments
    exec_id = workshop.sdk.exec_create(name, ["sh", "-c", "echo data > /srv/x/db.sqlite"])["Id"]
    workshop.sdk.exec_start(exec_id)
    (step,) = workshop.draft(deployment, Desired(open_files_limit=4096))
    assert "/srv/x/db.sqlite" in step.arguments["confirm"]


def test_the_entry_point_stays_where_the_command_alone_changes(workshop: Workshop):
    name = workshop.run("entry", command=GUNICORN[1:], Entrypoint=["gunicorn"])
    (step,) = workshop.draft(workshop.deployment(name), Desired(gunicorn={"timeout": 77}))
    perform(workshop, step)
    config = workshop.inspect(name)["Config"]
    assert config["Entrypoint"] == ["gunicorn"]
    assert "77" in config["Cmd"]


def test_a_former_container_that_somebody_removed_costs_nothing_but_the_way_back(workshop: Workshop):
    port = free_port()
    name = workshop.run("removed", HostConfig=published(port))
    assert answers(port)
    old = workshop.inspect(name)["Id"]
    (step,) = workshop.draft(workshop.deployment(name), Desired(open_files_limit=4096))
    point = perform(workshop, step)
    workshop.sdk.remove_container(old)
    assert perform(workshop, step) == point
    with pytest.raises(Refused, match="left as it is"):
        workshop.write(lambda w: w.abandon(step, CHANGE, workshop.said.append))
    assert answers(port)
