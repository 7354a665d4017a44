"""What supervisord starts is read from its file, and stays there: nothing of it is edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import servers, supervisor
from probes.command import CannotRewrite, rewrite
from probes.intent import Desired

CONF = b"""
[supervisord]
nodaemon=true

[program:worker]
command=celery -A shop worker

[program:api]
command=/opt/venv/bin/uvicorn shop:app --host 0.0.0.0 --port %(ENV_PORT)s ; the shop
directory=/srv/shop
environment=UVICORN_WORKERS="2",MODE="a,b",PLAIN=1

[program:off]
command=uvicorn old:app
autostart=false

[program:admin]
command=gunicorn admin:app -b 127.0.0.1:8001
"""
INCLUDING = b"[supervisord]\nnodaemon=true\n[include]\nfiles = /etc/supervisor/conf.d/*.conf\n"


def test_the_programs_of_a_file_are_read_with_their_directory_and_environment():
    worker, api, admin = supervisor.read(CONF, {"PORT": "8080"}).programs
    assert worker.argv == ("celery", "-A", "shop", "worker")
    assert api.argv == ("/opt/venv/bin/uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8080")
    assert (api.directory, api.environment) == ("/srv/shop", {"UVICORN_WORKERS": "2", "MODE": "a,b", "PLAIN": "1"})
    assert admin.directory is None


@pytest.mark.parametrize(
    ("argv", "files"),
    [
        (("/usr/bin/supervisord", "-c", "/conf/s.conf"), {"/conf/s.conf": CONF}),
        (("supervisord", "-n", "--configuration=s.conf"), {"/app/s.conf": CONF}),
        (("/usr/bin/supervisord",), {"/etc/supervisord.conf": CONF}),
        (
            ("python3", "/usr/bin/supervisord", "-n"),
            {"/etc/supervisor/supervisord.conf": INCLUDING, "/etc/supervisor/conf.d/supervisord.conf": CONF},
        ),
    ],
)
def test_every_server_under_supervisord_is_found_and_none_is_edited(argv, files):
    found = servers.parse_all(argv, {"PORT": "8080"}, files.get, "/app")
    assert [(one.server, one.app, one.binds()) for one in found] == [
        ("gunicorn", "admin:app", (("127.0.0.1", 8001),)),
        ("uvicorn", "shop:app", (("0.0.0.0", 8080),)),
    ]
    assert found[1].settings["workers"].value == 2
    with pytest.raises(CannotRewrite):
        rewrite(argv, {"PORT": "8080"}, Desired(bind_host="::"), {}, files.get, "/app")


def test_one_server_under_supervisord_says_which_file_starts_it():
    one = b"[program:api]\ncommand=uvicorn shop:app\n"
    with pytest.raises(CannotRewrite, match=r"started by /s\.conf"):
        rewrite(["supervisord", "-c", "/s.conf"], {}, Desired(bind_host="::"), {}, {"/s.conf": one}.get, "/app")


@given(st.binary(max_size=400))
def test_any_file_is_read_without_failing(data: bytes):
    supervisor.read(b"[program:a]\n" + data, {})
