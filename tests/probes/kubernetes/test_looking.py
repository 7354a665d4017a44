"""What a container is, told by its files: read round by round by a program that runs here as it would there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.targets.kubernetes import lookprogram
from probes.targets.kubernetes.looking import ROUNDS, Look
from probes.targets.kubernetes.lookprogram import Request
from probes.targets.kubernetes.told import Told
from tests.probes.kubernetes._cluster import container, pod, pod_view
from tests.probes.kubernetes._inside import Inside

SITE = "/opt/venv/lib/python3.12/site-packages"
PACKAGES = {f"{SITE}/{one}.dist-info/METADATA": "" for one in ("fastapi-0.115.2", "uvicorn-0.34.0", "starlette-0.41.0")}
UVICORN = ["uvicorn", "main:app"]
SERVE = "import os\nimport uvicorn\nfrom fastapi import FastAPI\napp = FastAPI()\n"
LOOPBACK = f"{SERVE}uvicorn.run(app, host=os.environ.get('LISTEN', '127.0.0.1'), port=8000)\n"
DJANGO = "from django.core.asgi import get_asgi_application\napp = get_asgi_application()\n"
STARLETTE = "from starlette.applications import Starlette\napp = Starlette()\n"
BY_HAND = "async def app(scope, receive, send):\n    pass\n"


def look(root: Path, files: dict[str, str], argv: list[str] | None = None, **first: Any) -> tuple[Told, Inside]:
    """Looks into a container that holds these files; ``None`` is the command of its image."""
    made = container(command=argv, args=None, env=first.pop("env", []))
    (found,) = pod_view(pod(spec={"containers": [made]})).template.containers
    inside = Inside(root, **first)
    inside.write({**PACKAGES, **files})
    known = Look(found)
    while (request := known.request()) is not None:
        known.take(inside.run(request.argv("python3"), request.stdin()))
    return known.told(), inside


@pytest.mark.parametrize(
    ("source", "framework", "why"),
    [
        (f"{SERVE}", "fastapi", "made by fastapi 0.115.2 in /app/main.py"),
        (DJANGO, "other", "made by Django"),
        (STARLETTE, "other", "made by Starlette"),
        ("from litestar import Litestar\napp = Litestar([])\n", "other", "made by Litestar"),
        ("from quart import Quart\napp = Quart(__name__)\n", "other", "made by Quart"),
        (BY_HAND, "other", "an ASGI callable of its own"),
    ],
)
def test_the_source_of_what_a_server_serves_tells_in_one_round(
    tmp_path: Path, source: str, framework: str, why: str
) -> None:
    told, inside = look(tmp_path, {"/app/main.py": source}, UVICORN)
    found = told.inside["app"]
    assert (found.framework, found.by_source) == (framework, True)
    assert why in found.why
    assert len(inside.wanted) == 1
    assert told.packages["fastapi"] == "0.115.2"


def test_a_server_that_is_started_in_code_is_found_with_what_it_binds(tmp_path: Path) -> None:
    for argv in (["python", "-m", "serve"], ["python3", "serve.py"], ["python3", "/app/serve.py"]):
        told, _ = look(tmp_path, {"/app/serve.py": LOOPBACK}, argv)
        found = told.inside["app"]
        assert (found.framework, found.by_source) == ("fastapi", True)
        assert found.command is not None
        assert found.command.binds() == (("127.0.0.1", 8000),)


def test_variables_of_the_image_count_and_those_of_the_description_more(tmp_path: Path) -> None:
    files, argv, image = {"/app/serve.py": LOOPBACK}, ["python", "-m", "serve"], {"LISTEN": "0.0.0.0"}
    found = look(tmp_path, files, argv, environment=image)[0].inside["app"]
    assert found.command is not None
    assert found.command.binds() == (("0.0.0.0", 8000),)
    env = [{"name": "LISTEN", "value": "10.0.0.7"}]
    found = look(tmp_path, files, argv, environment=image, env=env)[0].inside["app"]
    assert found.command is not None
    assert found.command.binds() == (("10.0.0.7", 8000),)


def test_the_command_of_an_image_is_that_of_its_first_process(tmp_path: Path) -> None:
    first = ["/opt/venv/bin/python", "/opt/venv/bin/uvicorn", "main:app", "--workers", "3"]
    found = look(tmp_path, {"/app/main.py": SERVE}, argv=first)[0].inside["app"]
    assert found.framework == "fastapi"
    found = _image(tmp_path, first).inside["app"]
    assert (found.framework, found.by_source) == ("fastapi", True)
    assert found.command is not None
    assert found.command.settings["workers"].value == 3


def _image(root: Path, argv: list[str]) -> Told:
    (found,) = pod_view(pod(spec={"containers": [container(command=None, args=None)]})).template.containers
    inside, known = Inside(root, argv=argv), Look(found)
    while (request := known.request()) is not None:
        known.take(inside.run(request.argv("python3"), request.stdin()))
    return known.told()


def test_imports_are_followed_round_by_round(tmp_path: Path) -> None:
    files = {
        "/app/main.py": "from shop import make\napp = make()\n",
        "/app/shop/__init__.py": "from .factory import make\n",
        "/app/shop/factory.py": "from fastapi import FastAPI\ndef make():\n    return FastAPI()\n",
    }
    told, inside = look(tmp_path, files, UVICORN)
    assert told.inside["app"].framework == "fastapi"
    assert "/app/shop/factory.py" in told.inside["app"].why
    assert 1 < len(inside.wanted) <= ROUNDS


def test_a_chain_that_does_not_end_within_the_bounds_proves_nothing(tmp_path: Path) -> None:
    files = {f"/app/m{i}.py": f"from m{i + 1} import app\n" for i in range(20)} | {"/app/m20.py": DJANGO}
    told, inside = look(tmp_path, {**files, "/app/main.py": "from m0 import app\n"}, UVICORN)
    assert len(inside.wanted) == ROUNDS
    assert not told.inside["app"].by_source
    assert told.inside["app"].framework != "other"


def test_an_editable_installation_is_found(tmp_path: Path) -> None:
    files = {f"{SITE}/shop.pth": "/src/shop\nimport os\n", "/src/shop/web/api.py": STARLETTE}
    files |= {"/src/shop/web/__init__.py": ""}
    told, _ = look(tmp_path, files, ["uvicorn", "web.api:app"])
    assert (told.inside["app"].framework, told.inside["app"].by_source) == ("other", True)


def test_a_script_that_starts_the_server_is_read(tmp_path: Path) -> None:
    files = {"/start.sh": "#!/bin/sh\nexec uvicorn main:app --host 127.0.0.1 --port 81\n", "/app/main.py": SERVE}
    found = look(tmp_path, files, ["/start.sh"])[0].inside["app"]
    assert (found.framework, found.by_source) == ("fastapi", True)
    assert found.command is not None
    assert found.command.binds() == (("127.0.0.1", 81),)


def test_no_secret_leaves_a_look(tmp_path: Path) -> None:
    code = "import uvicorn, fastapi\nuvicorn.run(fastapi.FastAPI(), root_path='postgres://u:hunter2hunter2@db/x')\n"
    told, _ = look(tmp_path, {"/app/s.py": code}, ["python", "s.py"], environment={"API_TOKEN": "hunter2hunter2"})
    assert told.inside["app"].framework == "fastapi"
    assert "hunter2" not in repr(told)


def ran(request: Request, cwd: Path, **environment: str) -> lookprogram.Seen:
    done = subprocess.run(
        request.argv(sys.executable),
        input=request.stdin(),
        stdout=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        check=True,
    )
    return lookprogram.read(done.stdout)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "large.py").write_bytes(b"\xff" * (1 << 20))
    paths = ["pipe.py", "folder.py", "loop.py", "large.py", "absent.py", "large.py/below", "a\0b", "\u00e4" * 300]
    files = (*(f"{tmp_path}/{one}" for one in paths), "/dev/zero")
    seen = ran(Request(files=files, cwd="/"), tmp_path)
    assert set(seen.files) == set(files)
    large = seen.files[f"{tmp_path}/large.py"].text
    assert large == "\xff" * (1 << 18)
    assert all(one.text is None for path, one in seen.files.items() if not path.endswith("large.py"))
    assert seen.files[f"{tmp_path}/loop.py"].unreadable
    assert not seen.files[f"{tmp_path}/absent.py"].unreadable


def test_one_round_is_bounded_whatever_is_asked(tmp_path: Path) -> None:
    for index in range(30):
        (tmp_path / f"{index}.py").write_bytes(b"\x00\xff" * (1 << 17))
    request = Request(files=tuple(f"{tmp_path}/{index}.py" for index in range(30)), cwd="/")
    seen = ran(request, tmp_path)
    assert 1 <= len(seen.files) < 30


def test_the_applications_code_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('ran')\n")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('ran')\n")
    seen = ran(Request(prefixes=(str(tmp_path),)), tmp_path, PYTHONPATH=str(tmp_path), PYTHONSTARTUP="json.py")
    assert seen.cwd
    assert seen.environment["PYTHONPATH"] == str(tmp_path)


def test_the_program_is_understood_by_old_interpreters() -> None:
    ast.parse(lookprogram._PROGRAM, feature_version=(3, 6))


def test_a_path_from_the_root_takes_no_second_round(tmp_path: Path) -> None:
    files = {"/app/main.py": SERVE, "/lib/python3/dist-packages/six-1.0.dist-info/METADATA": ""}
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin:/sbin"}
    told, inside = look(tmp_path, files, UVICORN, environment=path)
    assert told.inside["app"].by_source
    assert len(inside.wanted) == 1


@given(st.binary() | st.from_regex(rb'\{"files":\{"/a":\{"text":"[^"]{0,9}"\}\},"argv":\[.{0,9}\]\}', fullmatch=True))
def test_whatever_is_printed_is_understood_or_refused(output: bytes) -> None:
    (found,) = pod_view(pod()).template.containers
    known = Look(found)
    known.request()
    try:
        known.take(output)
    except ValueError:
        return
    assert known.request() is None or known.told() is not None
