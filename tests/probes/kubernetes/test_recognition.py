"""FastAPI is told by command, annotation and the service's own document; what contradicts it is heard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from probes.base import Failure
from probes.model import Interest
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes import contents as contents_module
from probes.targets.kubernetes.contents import Contents
from probes.targets.kubernetes.recognition import Known, recognise
from probes.targets.kubernetes.startcommand import config_path
from probes.targets.kubernetes.told import Looked, Told
from tests.probes.kubernetes._cluster import UVICORN, Given, container, owner, pod, pod_view
from tests.probes.kubernetes._inside import Inside


def known(*containers: dict[str, Any], told: Told | None = None, enable: bool | None = None, **metadata: Any) -> Known:
    found = pod_view(pod(spec={"containers": list(containers)}, metadata=metadata))
    return recognise(found.template, enable, told or Told())


def run(*argv: str, **changes: Any) -> dict[str, Any]:
    return container(command=list(argv), args=None, **changes)


SEEN = {"app": Looked("unknown", "its source does not say")}
SHELL = "set -e; exec uvicorn main:app --host 0.0.0.0 --port ${PORT:-9000}"


@pytest.mark.parametrize(
    ("argv", "server", "port"),
    [
        (UVICORN, "uvicorn", 8000),
        (["python", "-m", "uvicorn", "main:app", "--port", "81"], "uvicorn", 81),
        (["gunicorn", "-k", "uvicorn.workers.UvicornWorker", "-b", "0.0.0.0:82", "main:app"], "gunicorn", 82),
        (["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "main:app", "--bind=:83"], "gunicorn", 83),
        (["fastapi", "run", "main.py", "--port", "84"], "uvicorn", 84),
        (["hypercorn", "main:app", "--bind", "0.0.0.0:85"], "hypercorn", 85),
        (["granian", "--interface", "asgi", "--port", "86", "main:app"], "granian", 86),
        (["sh", "-c", SHELL], "uvicorn", 9000),
        (["tini", "--", "poetry", "run", "uvicorn", "main:app", "--port", "87"], "uvicorn", 87),
    ],
)
def test_the_command_of_an_asgi_server_counts(argv: list[str], server: str, port: int) -> None:
    found = known(run(*argv))
    assert (found.framework, found.container, found.questions) == ("fastapi", "app", ())
    assert found.command is not None
    assert (found.command.server, found.command.settings["port"].value) == (server, port)


@pytest.mark.parametrize(
    "argv",
    [
        ["gunicorn", "shop:app"],
        ["gunicorn", "-k", "gthread", "shop.wsgi"],
        ["uvicorn", "shop.asgi:application"],
        ["granian", "main:app"],
        ["python", "main.py"],
        ["/entrypoint.sh"],
        ["litellm", "--port", "4000"],
    ],
)
def test_what_may_be_another_framework_is_asked_for_its_document(argv: list[str]) -> None:
    found = known(run(*argv, ports=[{"containerPort": 4000}]))
    assert (found.framework, [one.container for one in found.questions]) == ("unknown", ["app"])
    assert found.questions[0].ports[-1] == 4000
    assert known(run(*argv), told=Told(documented="app", asked=True)).framework == "fastapi"
    answered = known(run(*argv), told=Told(asked=True))
    assert (answered.framework, answered.questions) == ("unknown", ())


def test_an_image_with_its_own_command_is_asked_at_its_ports() -> None:
    found = known(container(command=None, args=None, ports=[{"containerPort": 8080}]))
    assert (found.framework, found.questions[0].ports) == ("unknown", (8080,))
    assert "image" in found.why


@pytest.mark.parametrize(
    "made",
    [
        run("nginx", "-g", "daemon off;"),
        run("redis-server"),
        run("java", "-jar", "/app/service.jar"),
        run("celery", "-A", "tasks", "worker"),
        container(command=None, args=None, image="docker.io/library/postgres:17@sha256:abc"),
        container(command=None, args=["--config", "x"], image="prom/prometheus:v3"),
    ],
)
def test_what_is_no_python_service_is_not_asked(made: dict[str, Any]) -> None:
    found = known(made)
    assert (found.framework, found.questions) == ("other", ())


def test_django_under_an_asgi_server_is_not_taken_for_fastapi() -> None:
    env = [{"name": "DJANGO_SETTINGS_MODULE", "value": "shop.settings"}]
    found = known(run(*UVICORN, env=env))
    assert found.framework == "unknown"
    assert "DJANGO_SETTINGS_MODULE" in found.why


def test_packages_that_were_read_contradict_the_command() -> None:
    found = known(container(), told=Told(inside=SEEN, packages={"uvicorn": "0.30", "starlette": "0.40"}))
    assert (found.framework, found.why) == ("other", "fastapi is not installed beside uvicorn")
    assert (
        known(container(), told=Told(inside=SEEN, packages={"uvicorn": "0.30", "fastapi": "0.115"})).framework
        == "fastapi"
    )


def test_the_annotation_outranks_everything() -> None:
    yes, no = {"fastops.io/enable": "true"}, {"fastops.io/enable": "false"}
    assert known(run("nginx"), annotations=yes).framework == "fastapi"
    assert known(container(), annotations=no).framework == "other"
    assert known(container(), enable=False).framework == "other"
    assert known(container(), enable=False, annotations=yes).framework == "fastapi"
    assert known(container(), annotations={"fastops.io/enable": "perhaps"}).framework == "fastapi"


def test_the_container_that_serves_is_found_among_sidecars() -> None:
    proxy = run("pilot-agent", "proxy", name="istio-proxy")
    assert known(proxy, container()).container == "app"
    unknown = container(command=None, args=None)
    found = known(proxy, {**unknown, "name": "a"}, {**unknown, "name": "b"})
    assert [one.container for one in found.questions] == ["a", "b"]
    found = known({**unknown, "name": "a"}, {**unknown, "name": "b"}, told=Told(documented="b", asked=True))
    assert (found.framework, found.container) == ("fastapi", "b")
    default = {"kubectl.kubernetes.io/default-container": "b", "fastops.io/enable": "true"}
    assert known({**unknown, "name": "a"}, {**unknown, "name": "b"}, annotations=default).container == "b"


def test_settings_come_from_command_and_variables_with_their_source() -> None:
    env = [{"name": "GUNICORN_CMD_ARGS", "value": "--timeout 90"}, {"name": "WEB_CONCURRENCY", "value": "3"}]
    found = known(run("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "main:app", env=env))
    assert found.command is not None
    shown = {name: (one.value, one.source) for name, one in found.command.settings.items()}
    assert shown["timeout"] == (90, "GUNICORN_CMD_ARGS")
    assert shown["workers"] == (3, "WEB_CONCURRENCY")
    assert "max_requests" not in shown, "a gunicorn.conf.py in the image may set it"


def test_what_a_hidden_variable_gives_is_unknown_and_not_the_default() -> None:
    hidden = {"configMapKeyRef": {"name": "web", "key": "x"}}
    found = known(run("uvicorn", "main:app", env=[{"name": "WEB_CONCURRENCY", "valueFrom": hidden}]))
    assert found.command is not None
    assert "workers" not in found.command.settings
    assert found.command.settings["host"].source == "default"
    found = known(run("uvicorn", "main:app", envFrom=[{"configMapRef": {"name": "web"}}]))
    assert found.command is not None
    assert "workers" not in found.command.settings
    args = ["uvicorn", "main:app", "--host", "$(HOST)"]
    found = known(run(*args, env=[{"name": "HOST", "valueFrom": hidden}]))
    assert found.command is not None
    assert "host" not in found.command.settings


def test_a_configuration_file_that_was_read_settles_what_gunicorn_does() -> None:
    argv = ["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "main:app"]
    absent = known(run(*argv, workingDir="/srv"), told=Told(files={"/srv/gunicorn.conf.py": None}))
    assert absent.command is not None
    assert (absent.command.settings["max_requests"].value, absent.command.settings["timeout"].value) == (0, 30)
    there = Told(files={"/srv/gunicorn.conf.py": b"max_requests = 7\n"})
    read = known(run(*argv, workingDir="/srv"), told=there)
    assert read.command is not None
    assert (read.command.settings["max_requests"].value, read.command.settings["timeout"].value) == (7, 30)


def test_no_secret_of_a_command_is_told() -> None:
    found = known(run("sh", "-c", "API_TOKEN=hunter2hunter2 python serve.py --token hunter2hunter2"))
    assert "hunter2" not in repr(found)


# Looking into a container


GUNICORN = ["/opt/venv/bin/gunicorn", "-k", "uvicorn_worker.UvicornWorker", "main:app"]


def gunicorn_pod(**changes: Any) -> dict[str, Any]:
    return pod("web-abc-1", spec={"containers": [run(*GUNICORN, workingDir="/srv", **changes)]})


async def looked(given: Given, inside: Inside) -> Contents:
    contents = Contents(given.fleet)
    task = asyncio.create_task(contents.run(inside))
    async with asyncio.timeout(20):
        while not contents.settled:
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    given.fleet.refresh()
    return contents


async def test_one_look_tells_packages_and_what_gunicorn_does(tmp_path: Path) -> None:
    library = tmp_path / "opt/venv/lib/python3.12/site-packages"
    for name in ("fastapi-0.115.2.dist-info", "gunicorn-27.0.1.dist-info", "boto3-1.0.dist-info"):
        (library / name).mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/gunicorn.conf.py").write_text("workers = 5\n")
    (tmp_path / "srv/main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    given = Given().put("pods", gunicorn_pod())
    inside = Inside(tmp_path)
    await looked(given, inside)
    found = given["shop/Deployment/web"]
    assert inside.asked == [("shop", "web-abc-1", "app")]
    assert {"fastapi": "0.115.2", "gunicorn": "27.0.1"}.items() <= found.packages.items()
    assert (found.server_version, found.setting("workers")) == ("27.0.1", 5)
    assert found.settings["workers"].source == "/srv/gunicorn.conf.py"
    assert found.setting("max_requests") == 0
    assert list(given.fleet.unseen(given.fleet.deployments)) == []


async def test_a_container_without_fastapi_is_taken_off_the_list(tmp_path: Path) -> None:
    library = tmp_path / "opt/venv/lib/python3.12/site-packages"
    for name in ("starlette-0.40.dist-info", "gunicorn-27.0.1.dist-info"):
        (library / name).mkdir(parents=True)
    given = Given().put("pods", gunicorn_pod())
    await looked(given, Inside(tmp_path))
    assert given.ids() == set()


async def test_what_must_not_be_looked_into_is_left_alone(tmp_path: Path) -> None:
    refusal = Unreadable(Failure("forbidden", "a command", "the API server says 403", ""))
    given = Given().put("pods", gunicorn_pod(), pod("b", of=[]))
    inside = Inside(tmp_path, refusal)
    contents = await looked(given, inside)
    assert len(inside.asked) <= 2
    assert contents.settled
    assert given["shop/Deployment/web"].packages == {}
    inside = Inside(tmp_path, ReadOnly("This session is read-only."))
    assert (await looked(given, inside)).settled


async def test_of_many_all_that_is_in_trouble_is_looked_into_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_module, "FEW", 2)
    monkeypatch.setattr(contents_module, "_MANY_SECONDS", 3600.0)
    given = Given()
    for name in ("a", "b", "c", "d", "e"):
        given.put("pods", pod(name, of=owner("StatefulSet", name), spec={"containers": [run(*GUNICORN)]}))
    inside = Inside(tmp_path, Unreadable(Failure("no-command", "a command", "there is no such program", "")))
    contents = Contents(given.fleet)
    contents.interest = Interest(troubled=frozenset(given.fleet.deployments))
    task = asyncio.create_task(contents.run(inside))
    async with asyncio.timeout(60):
        while len({one for _, one, _ in inside.asked}) < 5:
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_without_a_working_directory_the_file_is_that_of_the_first_process() -> None:
    (found,) = pod_view(pod(spec={"containers": [run(*GUNICORN, "-c", "conf/g.py")]})).template.containers
    assert config_path(found) == "/proc/1/cwd/conf/g.py"
    read = known(run(*GUNICORN, "-c", "conf/g.py"), told=Told(files={"/proc/1/cwd/conf/g.py": b"workers = 3"}))
    assert read.command is not None
    assert (read.command.settings["workers"].value, read.command.settings["workers"].source) == (3, "conf/g.py")
    assert read.command.config_file == "conf/g.py"
    (found,) = pod_view(pod()).template.containers
    assert config_path(found) is None
