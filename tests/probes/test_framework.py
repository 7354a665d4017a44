# ruff: noqa: E501 - tables of commands and sources read better in long lines
from __future__ import annotations

import json
import sysconfig
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import framework, rooted, servers
from probes.framework import Recognition

SITE = "/venv/lib/python3.12/site-packages"
PYTHON = {
    f"{SITE}/uvicorn-0.34.0.dist-info/METADATA": "",
    f"{SITE}/gunicorn-23.0.0.dist-info/METADATA": "",
    f"{SITE}/Flask-3.1.0.dist-info/METADATA": "",
    f"{SITE}/somelib/__init__.py": "from .core import Server, Wrapper",
    f"{SITE}/somelib/core.py": "class Server:\n    ...\nclass Wrapper:\n    ...\n",
}
FASTAPI = {
    f"{SITE}/fastapi-0.115.2.dist-info/METADATA": "",
    f"{SITE}/fastapi/__init__.py": "from .applications import FastAPI as FastAPI",
    f"{SITE}/fastapi/applications.py": "class FastAPI: ...",
}
UVICORN = ("/venv/bin/uvicorn", "main:app")


def recognise(
    files: Mapping[str, str],
    argv: tuple[str, ...] = UVICORN,
    *,
    openapi: bytes | None = None,
    label: bool | None = None,
) -> Recognition:
    """Recognition over files in memory, with /app as the working directory."""

    def read_file(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    def list_dir(path: str) -> list[str] | None:
        start = path.rstrip("/") + "/"
        names = {one[len(start) :].partition("/")[0] for one in files if one.startswith(start)}
        return sorted(names) or None

    environment = {"PATH": "/venv/bin:/usr/bin"}
    command = servers.parse(argv, environment, read_file, "/app")
    return framework.recognise(command, argv, environment, "/app", list_dir, read_file, openapi=openapi, label=label)


def main(source: str, *more: tuple[str, str]) -> dict[str, str]:
    return {**PYTHON, **FASTAPI, "/app/main.py": source, **dict(more)}


FASTAPI_SOURCES = {
    "plain": "from fastapi import FastAPI\napp = FastAPI()",
    "module attribute": "import fastapi\napp: fastapi.FastAPI = fastapi.FastAPI(title='x')",
    "renamed": "from fastapi import FastAPI as F\nthing = F()\napp = thing",
    "wrapped by middleware": "from fastapi import FastAPI\nfrom starlette.middleware.cors import CORSMiddleware\n"
    "app = CORSMiddleware(FastAPI(), allow_origins=['*'])",
    "wrapped in terms of itself": "from fastapi import FastAPI\nfrom x import M\napp = FastAPI()\napp = M(app)",
    "beside socket.io": "import socketio\nfrom fastapi import FastAPI\nweb = FastAPI()\n"
    "sio = socketio.AsyncServer()\napp = socketio.ASGIApp(sio, other_asgi_app=web)",
    "a function that makes it": "from fastapi import FastAPI\ndef make():\n    api = FastAPI()\n    return api\napp = make()",
    "a subclass": "from fastapi import FastAPI\nclass Api(FastAPI):\n    pass\napp = Api()",
    "in a branch": "import os\nfrom fastapi import FastAPI\nif os.getenv('X'):\n    app = FastAPI()\nelse:\n    app = FastAPI(debug=True)",
    "mounted in Starlette": "from fastapi import FastAPI\nfrom starlette.applications import Starlette\n"
    "from starlette.routing import Mount\napp = Starlette(routes=[Mount('/', app=FastAPI())])",
    "Flask mounted in it": "from fastapi import FastAPI\nfrom flask import Flask\nfrom a2wsgi import WSGIMiddleware\n"
    "app = FastAPI()\napp.mount('/old', WSGIMiddleware(Flask(__name__)))",
}
OTHER_SOURCES = {
    "Flask": "from flask import Flask\nfrom asgiref.wsgi import WsgiToAsgi\napp = WsgiToAsgi(Flask(__name__))",
    "Starlette": "from starlette.applications import Starlette\napp = Starlette(debug=True, routes=[])",
    "Litestar": "from litestar import Litestar\napp = Litestar(route_handlers=[])",
    "Quart": "import quart\napp = quart.Quart(__name__)",
    "Django": "from django.core.asgi import get_asgi_application\napp = get_asgi_application()",
    "Django Channels": "from channels.routing import ProtocolTypeRouter\nfrom django.core.asgi import get_asgi_application\n"
    "app = ProtocolTypeRouter({'http': get_asgi_application()})",
    "Falcon": "import falcon.asgi\napp = falcon.asgi.App()",
    "Flask, with FastAPI imported beside it": "import fastapi\nfrom flask import Flask\napp = Flask(__name__)",
    "an ASGI callable by hand": "import json\nasync def app(scope, receive, send):\n    await send(json.loads('{}'))",
    "a library of no name": "from somelib import Server\napp = Server(__name__)",
}


@pytest.mark.parametrize("source", FASTAPI_SOURCES.values(), ids=FASTAPI_SOURCES.keys())
def test_a_fastapi_application_is_recognised_by_its_source(source: str) -> None:
    found = recognise(main(source))
    assert (found.framework, found.packages["fastapi"]) == ("fastapi", "0.115.2"), found.why
    assert "made by fastapi 0.115.2 in /app/main.py" in found.why


@pytest.mark.parametrize("source", OTHER_SOURCES.values(), ids=OTHER_SOURCES.keys())
def test_another_framework_does_not_count_though_fastapi_is_installed_beside_it(source: str) -> None:
    found = recognise(main(source))
    assert found.framework == "other", found.why
    assert "/app/main.py" in found.why


def test_imports_and_factories_are_followed_through_packages() -> None:
    files = {
        **PYTHON,
        **FASTAPI,
        "/app/shop/__init__.py": "from .web import create_app",
        "/app/shop/web/__init__.py": "from ..core.factory import build as create_app",
        "/app/shop/core/__init__.py": "",
        "/app/shop/core/factory.py": "from fastapi import FastAPI\ndef build():\n    return FastAPI()",
    }
    assert "made by" in recognise(files, ("uvicorn", "--factory", "shop:create_app")).why
    assert recognise({**files, "/app/main.py": "import shop\napp = shop.create_app()"}).framework == "fastapi"


def test_the_command_of_an_asgi_server_counts_while_nothing_contradicts_it() -> None:
    assert recognise({}, ("uvicorn", "main:app")).framework == "fastapi"
    assert recognise({**PYTHON, **FASTAPI}, UVICORN).framework == "fastapi"
    assert recognise(main("this is no python(")).framework == "fastapi"
    assert recognise(main("import shop\nasync def app(scope, receive, send): ...")).framework == "fastapi"
    assert recognise(main("from somelib import Wrapper\nfrom unseen import x\napp = Wrapper(x)")).framework == "fastapi"


def test_a_server_whose_site_packages_hold_no_fastapi_is_another_framework() -> None:
    found = recognise({**PYTHON, "/app/main.py": "app = object()"})
    assert (found.framework, "not installed" in found.why) == ("other", True)


def test_fastapi_that_is_vendored_beside_the_application_is_not_missed() -> None:
    assert recognise({**PYTHON, "/app/fastapi/__init__.py": "", "/app/main.py": "app = x()"}).framework == "fastapi"


def test_gunicorn_without_an_asgi_worker_cannot_be_told() -> None:
    files = main("from fastapi import FastAPI\napp = FastAPI()")
    assert recognise(files, ("gunicorn", "main:app")).framework == "unknown"
    assert recognise(files, ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "main:app")).framework == "fastapi"
    assert recognise(files, ("gunicorn", "-k", "my.Own", "main:app")).framework == "fastapi"
    assert recognise({**PYTHON, **FASTAPI}, ("gunicorn", "-k", "my.Own", "main:app")).framework == "unknown"
    flask = main("from flask import Flask\napp = Flask(__name__)")
    assert recognise(flask, ("gunicorn", "main:app")).framework == "other"


def test_the_label_wins_over_everything() -> None:
    assert recognise(main(OTHER_SOURCES["Flask"]), label=True).framework == "fastapi"
    assert recognise(main(FASTAPI_SOURCES["plain"]), label=False).framework == "other"


PRODUCTS = {
    "python -m with uvicorn.run": (
        ("python", "-m", "serve"),
        {"/app/serve/__init__.py": "", "/app/serve/__main__.py": "from .cli import go\ngo()",
         "/app/serve/cli.py": "import uvicorn\nfrom .web import api\ndef go():\n    uvicorn.run(api, port=80)",
         "/app/serve/web.py": "from fastapi import FastAPI\napi = FastAPI()"},
        "fastapi",
    ),
    "a script with an import string": (
        ("python", "run.py"),
        {"/app/run.py": "import uvicorn\nuvicorn.run('main:app')", "/app/main.py": FASTAPI_SOURCES["plain"]},
        "fastapi",
    ),
    "a script of another framework": (
        ("python", "run.py"),
        {"/app/run.py": "import uvicorn\nuvicorn.run('main:app')", "/app/main.py": OTHER_SOURCES["Litestar"]},
        "other",
    ),
    "a Flask script": (("python3", "/app/run.py"), {"/app/run.py": "from flask import Flask\nFlask('x').run()"}, "other"),
    "an entry point": (
        ("product", "server"),
        {"/venv/bin/product": "#!/venv/bin/python\nimport sys\nfrom product.cli import cli\nsys.exit(cli())",
         f"{SITE}/product/__init__.py": "", f"{SITE}/product/cli.py": "from product.server import app\nfrom uvicorn import run\nrun(app)",
         f"{SITE}/product/server.py": "from fastapi import FastAPI\napp = FastAPI()"},
        "fastapi",
    ),
    "code on the command line": (
        ("python", "-c", "import uvicorn; from main import app; uvicorn.run(app)"),
        {"/app/main.py": FASTAPI_SOURCES["plain"]},
        "fastapi",
    ),
    "a worker of a queue": (("celery", "-A", "main", "worker"), {"/app/main.py": FASTAPI_SOURCES["plain"]}, "unknown"),
}  # fmt: skip


@pytest.mark.parametrize(("argv", "files", "expected"), PRODUCTS.values(), ids=PRODUCTS.keys())
def test_a_product_with_a_command_of_its_own_is_decided_by_its_entry_module(
    argv: tuple[str, ...], files: dict[str, str], expected: str
) -> None:
    found = recognise({**PYTHON, **FASTAPI, **files}, argv)
    assert found.framework == expected, found.why


def test_the_settings_of_a_server_that_is_started_in_code_are_read_from_it() -> None:
    source = (
        "import os, uvicorn\nfrom fastapi import FastAPI\napp = FastAPI()\nHOST = '127.0.0.1'\n"
        "if __name__ == '__main__':\n"
        "    uvicorn.run('run:app', host=HOST, port=int(os.environ.get('PORT', '8080')), workers=f(), timeout_keep_alive=9)\n"
    )
    found = recognise({**PYTHON, **FASTAPI, "/app/run.py": source}, ("python", "run.py"))
    assert found.framework == "fastapi"
    assert found.command is not None
    settings = {name: (one.value, one.source) for name, one in found.command.settings.items()}
    assert (found.command.server, found.command.app) == ("uvicorn", "run:app")
    assert found.command.binds() == (("127.0.0.1", 8080),)
    assert (settings["keepalive"], settings["host"][1]) == ((9, "/app/run.py"), "/app/run.py")
    assert "workers" not in settings
    spread = recognise(
        {**PYTHON, **FASTAPI, "/app/run.py": source.replace("workers=f()", "**more")}, ("python", "run.py")
    )
    assert spread.command is not None
    assert "workers" not in spread.command.settings
    assert recognise(main(FASTAPI_SOURCES["plain"])).command is not None


def test_a_database_is_another_thing() -> None:
    assert recognise({"/usr/bin/postgres": "\x7fELF"}, ("postgres", "-c", "max_connections=10")).framework == "other"
    assert recognise({}, ()).framework == "other"


FASTAPI_DOCUMENT = json.dumps(
    {"openapi": "3.1.0", "info": {"title": "x"}, "paths": {"/a": {"get": {"operationId": "read_a_a_get"}}}}
).encode()


def test_the_openapi_document_tells_what_the_source_does_not() -> None:
    assert (
        recognise({**PYTHON, **FASTAPI}, ("gunicorn", "-k", "my.Own", "main:app"), openapi=FASTAPI_DOCUMENT).framework
        == "fastapi"
    )
    assert recognise({}, ("celery",), openapi=FASTAPI_DOCUMENT).framework == "fastapi"
    assert recognise(main(OTHER_SOURCES["Quart"]), openapi=FASTAPI_DOCUMENT).framework == "other"
    foreign = FASTAPI_DOCUMENT.replace(b"read_a_a_get", b"ReadA")
    assert recognise({}, ("own-program",), openapi=foreign).framework == "other"


def test_the_real_fastapi_writes_the_document_that_is_recognised() -> None:
    from fastapi import FastAPI

    app = FastAPI()
    assert framework.is_fastapi_document(json.dumps(app.openapi()).encode())

    @app.get("/items/{item}")
    def read(item: int) -> int:
        return item

    app.openapi_schema = None
    assert framework.is_fastapi_document(json.dumps(app.openapi()).encode())


def test_the_real_packages_of_this_interpreter_are_found() -> None:
    directory = sysconfig.get_path("purelib")
    import fastapi

    found = framework.installed(
        [directory], lambda path: rooted.list_dir("/", path), lambda path: rooted.read_file("/", path)
    )
    assert found is not None
    assert found["fastapi"] == fastapi.__version__
    assert {"uvicorn", "gunicorn", "starlette", "granian", "hypercorn"} <= found.keys()


def test_nothing_listed_is_unknown_and_not_empty() -> None:
    assert framework.installed(["/nowhere"], lambda path: None, lambda path: None) is None


@given(st.text(max_size=400), st.lists(st.text(max_size=20), max_size=5))
def test_any_source_and_any_command_are_survived(source: str, argv: list[str]) -> None:
    files = main(source.encode("utf-8", "replace").decode())
    assert recognise(files).framework in ("fastapi", "other", "unknown")
    assert recognise(files, tuple(argv)).framework in ("fastapi", "other", "unknown")


@given(
    st.recursive(
        st.sampled_from(["app", "FastAPI()", "M(app)", "f()", "x.y", "lambda: app"]),
        lambda inner: st.builds("({}, {})".format, inner, inner),
    )
)
def test_circles_of_names_end(expression: str) -> None:
    source = f"from main import app\nfrom fastapi import FastAPI\ndef f():\n    return app or f()\napp = {expression}\n"
    assert recognise(main(source)).framework in ("fastapi", "other", "unknown")


@given(st.binary(max_size=300))
def test_any_openapi_body_is_survived(body: bytes) -> None:
    assert framework.is_fastapi_document(body) in (True, False)


def test_it_says_whether_the_source_told_or_something_else() -> None:
    assert recognise(main("from fastapi import FastAPI\napp = FastAPI()")).by_source
    other = recognise(main("from starlette.applications import Starlette\napp = Starlette()"))
    assert (other.framework, other.by_source) == ("other", True)
    assert not recognise({**PYTHON, **FASTAPI}).by_source
    code = "import uvicorn, fastapi\napp = fastapi.FastAPI()\nuvicorn.run(app)"
    assert recognise(main(code), ("python", "main.py")).by_source
    assert not recognise({**PYTHON, **FASTAPI}, ("python", "main.py")).by_source
