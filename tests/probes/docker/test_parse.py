"""What the engine says about a container, whatever it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.model import UNLIMITED, Limit
from probes.targets.docker import events, parse
from probes.targets.docker.answers import Inspect, Listed
from probes.targets.docker.engine import long_ended
from tests.probes.docker.fake_engine import ID, inspect


def replica(**changes):
    return parse.replica(msgspec.json.decode(json.dumps(inspect(**changes)), type=Inspect))


def test_limits_are_said_and_no_limit_is_said_too():
    assert replica().memory.limit == Limit(limited=True, value=268435456.0)
    assert replica(HostConfig={"Memory": 0}).memory.limit == UNLIMITED
    assert replica(HostConfig={"NanoCpus": 1500000000}).cpu.limit.value == 1.5
    assert replica(HostConfig={"CpuQuota": 50000}).cpu.limit.value == 0.5


def test_secrets_are_hidden_in_environment_command_and_health_check():
    found = replica(
        Args=["--db", "postgresql://app:hunter2@db/app", "--token", "hunter2"],
        State={
            "Status": "running",
            "Health": {"Status": "healthy", "Log": [{"ExitCode": 1, "Output": "password=hunter2"}]},
        },
        Config={"Healthcheck": {"Test": ["CMD", "curl", "http://u:hunter2@localhost/"]}, "Env": ["APP_KEY=hunter2"]},
    )
    assert "hunter2" not in str(found)
    assert found.health is not None


def test_readiness_is_the_health_checks_where_there_is_one():
    assert replica().ready is True
    assert replica(State={"Status": "running", "Health": {"Status": "starting"}}).ready is False
    assert replica(State={"Status": "exited", "ExitCode": 3}).ready is False
    assert replica(State={"Status": "exited", "ExitCode": 3}).exit_code == 3


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2026-11-22T12:57:10.045173834Z", datetime(2026, 11, 22, 12, 57, 10, 45173, UTC)),
        ("2026-11-22T12:57:10Z", datetime(2026, 11, 22, 12, 57, 10, 0, UTC)),
        ("2026-11-22T14:57:10.1+02:00", datetime(2026, 11, 22, 12, 57, 10, 100000, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("soon", None),
    ],
)
def test_the_engines_times(stamp, moment):
    assert parse.when(stamp) == moment


@given(st.text(max_size=60))
def test_no_text_is_too_odd_for_a_time(stamp):
    found = parse.when(stamp)
    assert found is None or found.tzinfo is UTC


def test_published_ports_are_tcp_and_sorted():
    ports = {
        "8000/tcp": [{"HostIp": "::", "HostPort": "80"}, {"HostIp": "0.0.0.0", "HostPort": "80"}],
        "9/udp": [],
        "1/tcp": None,
    }
    found = replica(NetworkSettings={"Ports": ports}).ports
    assert [(one.container_port, one.host_ip, one.host_port) for one in found] == [
        (8000, "0.0.0.0", 80),
        (8000, "::", 80),
    ]


def test_events_become_what_happened():
    def event(action, **attributes):
        line = {"Action": action, "Actor": {"ID": ID, "Attributes": attributes}, "timeNano": 10**18}
        found = events.decode(json.dumps(line).encode())
        assert found is not None
        return events.to_event(found)

    assert event("die", exitCode="137").exit_code == 137
    assert event("kill", signal="15").signal == 15
    assert event("kill", signal="SIGKILL").signal == 9
    assert event("health_status: unhealthy").text == "unhealthy"
    assert event("oom").kind == "oom"
    assert event("update") is None


@given(st.binary(max_size=200))
def test_no_line_of_the_event_stream_is_too_odd(line):
    found = events.decode(line)
    assert found is None or found.container


@pytest.mark.parametrize(
    ("status", "long"),
    [
        ("Exited (0) 3 hours ago", True),
        ("Exited (137) About an hour ago", True),
        ("Exited (1) 14 minutes ago", False),
        ("Exited (1) Less than a second ago", False),
        ("", False),
    ],
)
def test_what_ended_long_ago_is_told_from_the_list(status, long):
    assert long_ended(Listed(id="x", state="exited", status=status)) is long
    assert not long_ended(Listed(id="x", state="running", status="Up 3 hours"))
