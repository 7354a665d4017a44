"""The size of a pool is found in source and files as they really look, and is not told where it cannot be."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from textwrap import dedent

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixes.signatures import _cases
from probes import app_module
from probes.database import poolcode, poolfiles, poolsearch
from probes.database.budget import NOTHING, Found, Stated
from probes.database.poolsearch import Place
from probes.model import Deployment, Replica, Setting
from probes.pools import Variables

ENGINE = "from sqlalchemy.ext.asyncio import create_async_engine\n"


async def _search(
    files: Mapping[str, str], environment: Mapping[str, str] = {}, *, module: str = "shop.main", roots: str = "/app"
) -> Found:
    async def read(path: str) -> bytes | None:
        asked.append(path)
        size = max(0, poolsearch.MODULE_BYTES - 100) if path.startswith("/app/big") else 0
        if size:
            return b"#" * size
        return dedent(files[path]).encode() if path in files else None

    asked: list[str] = []
    found = await poolsearch.search(read, Place((roots,), module), environment)
    assert len(asked) <= poolsearch.MOST_READS
    return found


async def _one(source: str, **environment: str) -> Stated | None:
    """The pool that one module makes."""
    return (await _search({"/app/shop/main.py": source}, environment)).code


@pytest.mark.parametrize(
    ("source", "size", "overflow"),
    [
        (ENGINE + "engine = create_async_engine(URL, pool_size=20, max_overflow=30)", 20, 30),
        (ENGINE + "engine = create_async_engine(URL, pool_size=7)", 7, 10),
        (ENGINE + "engine = create_async_engine(URL)", 5, 10),
        (ENGINE + "engine = create_async_engine(URL, max_overflow=-1)", 5, -1),
        (ENGINE + "engine = create_async_engine(URL, pool_size=0)", 0, -1),
        ("import sqlalchemy as sa\nengine = sa.create_engine(URL, pool_size=3, max_overflow=0)", 3, 0),
        ("from sqlmodel import create_engine, Session\nengine = create_engine(URL, pool_size=4)", 4, 10),
        (ENGINE + "SIZE = 8\nengine = create_async_engine(URL, pool_size=SIZE)", 8, 10),
        (ENGINE + "OPTIONS = {'pool_size': 9, 'max_overflow': 1}\nengine = create_async_engine(URL, **OPTIONS)", 9, 1),
        (ENGINE + "engine = create_async_engine(URL, **dict(pool_size=2, max_overflow=2))", 2, 2),
        (ENGINE + "def make():\n    size = 6\n    return create_async_engine(URL, pool_size=size)", 6, 10),
        (
            "import asyncpg\nasync def start():\n    return await asyncpg.create_pool(URL, min_size=1, max_size=12)",
            12,
            0,
        ),
        ("import asyncpg\nasync def start():\n    return await asyncpg.create_pool(URL)", 10, 0),
        ("from psycopg_pool import AsyncConnectionPool\npool = AsyncConnectionPool(URL, min_size=2, max_size=9)", 9, 0),
        ("from psycopg_pool import AsyncConnectionPool\npool = AsyncConnectionPool(URL, min_size=2)", 2, 0),
        ("from psycopg_pool import ConnectionPool\npool = ConnectionPool(URL)", 4, 0),
        ("from psycopg2.pool import ThreadedConnectionPool\npool = ThreadedConnectionPool(1, 20, dsn=URL)", 20, 0),
        ("import aiomysql\nasync def start():\n    await aiomysql.create_pool(host='db', maxsize=25)", 25, 0),
    ],
)
async def test_what_a_call_says(source: str, size: int, overflow: int) -> None:
    found = await _one(source)
    assert found is not None
    assert (found.size, found.overflow) == (size, overflow)
    assert "/app/shop/main.py:" in found.source


async def test_a_default_is_named_as_that() -> None:
    found = await _one(ENGINE + "engine = create_async_engine(URL)")
    assert found is not None
    assert found.source == "the library's default, source /app/shop/main.py:2"


@pytest.mark.parametrize(
    "value",
    [
        "int(os.environ['POOL'])",
        "int(os.getenv('POOL', '5'))",
        "int(os.environ.get('POOL') or 5)",
        "os.getenv('NOT_SET', 5) and 11",
    ],
)
async def test_variables_are_looked_up_and_named(value: str) -> None:
    source = f"import os\n{ENGINE}engine = create_async_engine(URL, pool_size={value}, max_overflow=0)"
    found = await _one(source, POOL="17")
    if "and" in value:
        assert found is None
    else:
        assert found == Stated(17, 0, "source /app/shop/main.py:3, POOL", Variables(("POOL",)))


async def test_a_variable_that_is_not_set_has_its_default() -> None:
    source = f"import os\n{ENGINE}engine = create_async_engine(URL, pool_size=int(os.getenv('POOL', '6')))"
    assert await _one(source) == Stated(6, 10, "source /app/shop/main.py:3", Variables())


SETTINGS = """
    from pydantic import Field
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_", env_file=".env")
        pool_size: int = 12
        overflow: int = Field(default=3, validation_alias="DB_OVERFLOW")

    settings = Settings()
"""
ENGINE_OF_SETTINGS = """
    from sqlalchemy.ext.asyncio import create_async_engine
    from .settings import settings

    engine = create_async_engine(settings.url, pool_size=settings.pool_size, max_overflow=settings.overflow)
"""
APPLICATION = {
    "/app/shop/main.py": "from fastapi import FastAPI\nfrom shop.api import router\napp = FastAPI()",
    "/app/shop/__init__.py": "",
    "/app/shop/api/__init__.py": "from .orders import router",
    "/app/shop/api/orders.py": "from shop import db\nrouter = 1",
    "/app/shop/db.py": ENGINE_OF_SETTINGS,
    "/app/shop/settings.py": SETTINGS,
}


async def test_imports_are_followed_and_settings_are_read_as_pydantic_does() -> None:
    assert (await _search(APPLICATION)).code == Stated(12, 3, "source /app/shop/db.py:5", Variables())
    found = (await _search(APPLICATION, {"SHOP_POOL_SIZE": "40", "DB_OVERFLOW": "0"})).code
    variables = Variables(("SHOP_POOL_SIZE",), ("DB_OVERFLOW",))
    assert found == Stated(40, 0, "source /app/shop/db.py:5, SHOP_POOL_SIZE, DB_OVERFLOW", variables)


async def test_dotenv_counts_where_it_is_read_and_the_environment_outranks_it() -> None:
    files = {**APPLICATION, "/app/.env": "SHOP_POOL_SIZE=21 # more\nexport DB_OVERFLOW='4'\nDB_PASSWORD=s3cret\n"}
    found = (await _search(files, {"DB_OVERFLOW": "1"})).code
    assert found is not None
    assert (found.size, found.overflow) == (21, 1)
    assert "s3cret" not in found.source
    plain = f"import os\n{ENGINE}engine = create_async_engine(URL, pool_size=int(os.getenv('SHOP_POOL_SIZE', 5)))"
    unread = await _search({"/app/shop/main.py": plain, "/app/.env": files["/app/.env"]})
    assert unread.code is not None
    assert unread.code.size == 5


async def test_a_script_and_its_neighbours_are_read() -> None:
    files = {
        "/srv/run.py": "import db\nimport uvicorn",
        "/srv/db.py": f"{ENGINE}e = create_async_engine(U, pool_size=3)",
    }
    found = (await _search(files, module="/srv/run.py", roots="/")).code
    assert found == Stated(3, 10, "source /srv/db.py:2", Variables())


@pytest.mark.parametrize(
    "source",
    [
        ENGINE + "engine = create_async_engine(URL, pool_size=limits()['pool'])",
        ENGINE + "engine = create_async_engine(URL, **options())",
        ENGINE + "engine = create_async_engine('sqlite+aiosqlite:///shop.db')",
        ENGINE + "from sqlalchemy.pool import NullPool\nengine = create_async_engine(URL, poolclass=NullPool)",
        ENGINE + "one = create_async_engine(URL, pool_size=3)\ntwo = create_async_engine(OTHER, pool_size=3)",
        "from redis import ConnectionPool\npool = ConnectionPool(max_size=3)",
        "from mine import create_async_engine\nengine = create_async_engine(URL, pool_size=3)",
        "def create_async_engine(*a, **k): ...\nengine = create_async_engine(URL, pool_size=3)",
        ENGINE + "engine = create_async_engine(URL, pool_size=True)",
        "this is no python",
        "",
    ],
)
async def test_what_cannot_be_told_is_not(source: str) -> None:
    assert await _search({"/app/shop/main.py": source}) == Found()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config/settings.toml", "[database]\npool_size = 15\nmax_overflow = 5\n"),
        ("config.yaml", "server: {port: 1}\ndb:\n  pool-size: 15\n  max-overflow: 5\n  password: s3cret\n"),
        ("settings.json", '{"sqlalchemy": {"poolSize": "15", "maxOverflow": "5"}}'),
        ("alembic.ini", "[alembic]\nsqlalchemy.pool_size = 15\nsqlalchemy.max_overflow = 5\nurl = %(here)s\n"),
    ],
)
async def test_files_are_read_where_the_source_does_not_say(name: str, text: str) -> None:
    found = await _search({f"/app/{name}": text, "/app/shop/main.py": "x = 1"})
    assert found == Found(file=Stated(15, 5, f"file /app/{name}"))


def test_sections_that_differ_say_nothing() -> None:
    text = b"[production]\npool_size = 50\n[development]\npool_size = 2\n"
    assert poolfiles.sizes("settings.toml", text) is None
    assert poolfiles.sizes("settings.toml", text.replace(b"50", b"2")) == poolfiles.Sizes(2, None)
    assert poolfiles.sizes("config.toml", b"[redis]\nmax_size = 9\n[db]\npool_max_size = 7\n") == poolfiles.Sizes(7, 0)


@given(st.binary(max_size=400), st.sampled_from(poolfiles.NAMES))
def test_no_file_is_too_strange(data: bytes, name: str) -> None:
    found = poolfiles.sizes(name, data)
    assert found is None or found.size > 0
    assert all(isinstance(value, str) for value in poolfiles.variables(data).values())


async def test_source_that_is_too_deep_says_nothing() -> None:
    deep = "a" + ".b" * 900
    assert await _one(f"{ENGINE}engine = create_async_engine(URL, pool_size={deep}.create_engine())") is None
    assert await _one(f"from sqlalchemy import create_engine\n{deep}.create_engine(URL)") is None


async def test_only_so_many_files_are_asked_for() -> None:
    many = "\n".join(f"import lib{n}.inner{n}" for n in range(1000))
    assert await _search({"/app/shop/main.py": many}) == Found()


async def test_only_so_much_is_read() -> None:
    many = "\n".join(f"import big{n}" for n in range(100))
    late = f"{many}\nimport late"
    files = {"/app/shop/main.py": late, "/app/late.py": f"{ENGINE}engine = create_async_engine(URL)"}
    assert await _search(files) == NOTHING


def _deployment(*command: str, app: str | None = None, **environment: str) -> tuple[Deployment, Replica]:
    replica = msgspec.structs.replace(
        _cases.replica(), command=command, working_dir="/srv/app", environment=environment
    )
    settings = {} if app is None else {"app": Setting(value=app, source="command line")}
    return msgspec.structs.replace(_cases.container(), settings=settings, replicas=(replica,)), replica


def test_the_place_is_where_the_service_is_started() -> None:
    command = ("gunicorn", "--chdir", "backend", "shop.main:app")
    found = poolsearch.place(*_deployment(*command, app="shop.main:app", PYTHONPATH="/libs:relative"))
    assert found == Place(("/srv/app", "/srv/app/backend", "/libs", "/srv/app/src"), "shop.main")
    assert poolsearch.place(*_deployment("python", "run.py")) == Place(("/srv/app", "/srv/app/src"), "/srv/app/run.py")
    assert poolsearch.place(*_deployment("./server")) is None


def test_a_service_without_a_database_is_not_searched() -> None:
    def of(drivers: tuple[str, ...], packages: Mapping[str, str]) -> bool:
        return poolsearch.may_have_pool(msgspec.structs.replace(_cases.container(), drivers=drivers, packages=packages))

    assert of((), {})
    assert of(("asyncpg",), {})
    assert of((), {"fastapi": "1", "sqlalchemy": "2"})
    assert not of(("sqlite3",), {"sqlalchemy": "2"})
    assert not of((), {"fastapi": "1", "redis": "5"})


PLAIN = "from sqlalchemy import create_engine\n"
SETTINGS_OBJECT = f"{PLAIN}from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    pool_size: int = 4\n"


@pytest.mark.parametrize(
    "source",
    [
        "if prod:\n    POOL = 20\nelse:\n    POOL = 5\ne = create_engine(URL, pool_size=POOL)",
        "POOL = 5\nif big:\n    POOL = 50\ne = create_engine(URL, pool_size=POOL)",
        "POOL = 5\nfrom local_settings import *\ne = create_engine(URL, pool_size=POOL)",
        "POOL = 5\ndef grow():\n    global POOL\n    POOL = 9\ne = create_engine(URL, pool_size=POOL)",
        "pool_size = 7\ndef make(pool_size):\n    return create_engine(URL, pool_size=pool_size)",
        "def make(size=50):\n    size = 5\n    return create_engine(URL, pool_size=size)",
        "class RedisConfig:\n    pool_size: int = 99\ncfg = load()\ne = create_engine(URL, pool_size=cfg.pool_size)",
        "engines = [create_engine(u, pool_size=10) for u in SHARDS]",
        "for u in SHARDS:\n    engines.append(create_engine(u, pool_size=10))",
        "def of(tenant):\n    return create_engine(f'postgresql://{tenant}', pool_size=10)",
        "def of(tenant):\n    url = BASE + tenant\n    return create_engine(url, pool_size=10)",
        "def make():\n    return create_engine(URL, pool_size=10)\nengines = {t: make() for t in TENANTS}",
        "e = create_engine(URL, poolclass=NullPool if test else None)",
        "e = create_engine(*args, pool_size=3)",
    ],
)
async def test_what_is_not_certain_is_not_told(source: str) -> None:
    assert await _one(PLAIN + source) is None


@pytest.mark.parametrize(
    "source",
    [
        SETTINGS_OBJECT + "s = S()\ne = create_engine(URL, pool_size=s.pool_size)",
        SETTINGS_OBJECT + "def get():\n    return S()\ns = get()\ne = create_engine(URL, pool_size=s.pool_size)",
        SETTINGS_OBJECT + "def make():\n    return create_engine(URL, pool_size=S().pool_size)",
        SETTINGS_OBJECT + "s = S(pool_size=4)\ne = create_engine(URL, pool_size=s.pool_size)",
        PLAIN + "class C:\n    POOL = 4\ne = create_engine(URL, pool_size=C.POOL)",
        PLAIN + "class A:\n    POOL = 4\nclass B(A):\n    X = 1\ne = create_engine(URL, pool_size=B.POOL)",
        PLAIN + "class D:\n    def __init__(self):\n        self.engine = create_engine(URL, pool_size=4)",
    ],
)
async def test_objects_are_followed_to_the_class_that_they_are_of(source: str) -> None:
    found = await _one(source)
    assert found is not None
    assert found.size == 4


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("import aiomysql\nasync def f():\n    return await aiomysql.create_pool(1, 30, host='db')", 30),
        ("import asyncmy\nasync def f():\n    return await asyncmy.create_pool(2, 40)", 40),
        ("import aiomysql\nasync def f():\n    return await aiomysql.create_pool(1)", 10),
    ],
)
async def test_sizes_without_a_name_are_read_where_they_stand(source: str, size: int) -> None:
    found = await _one(source)
    assert found is not None
    assert (found.size, found.source.startswith("the library's default")) == (size, size == 10)


async def test_the_file_of_variables_is_the_one_that_the_source_names() -> None:
    def source(named: str) -> str:
        inner = f"    model_config = SettingsConfigDict(env_file={named})\n"
        return SETTINGS_OBJECT + inner + "e = create_engine(URL, pool_size=S().pool_size)"

    files = {"/app/.env": "POOL_SIZE=3\n", "/app/.env.production": "POOL_SIZE=40\n"}
    expected = {
        '".env"': 3, '".env.production"': 40, '(".env", ".env.production")': 40, '".env.missing"': 4, "None": 4,
        "which()": None,
    }  # fmt: skip
    for named, size in expected.items():
        found = (await _search({**files, "/app/shop/main.py": source(named)})).code
        assert (None if found is None else found.size) == size, named


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "redis: {pool_max_size: 200}"),
        ("config.yaml", "database: {redis: {pool_size: 200}}"),
        ("config.toml", "[http]\npool_size = 200"),
        ("pyproject.toml", "[tool.x]\npool-size = 7"),
        ("config.json", '{"pool_max_size": 200}'),
    ],
)
def test_a_pool_of_something_else_is_not_the_databases(name: str, text: str) -> None:
    assert poolfiles.sizes(name, text.encode()) is None


@pytest.mark.parametrize(
    ("name", "text", "size"),
    [
        ("config.yaml", "pool_size: 9", 9),
        ("config.yaml", "app: {db_pool_size: 9}", 9),
        ("config.yaml", "app: {primaryDatabase: {pool_max_size: 9}}", 9),
        ("settings.ini", "[postgres]\npool_size = 9", 9),
    ],
)
def test_a_pool_is_the_databases_by_its_section_or_its_name(name: str, text: str, size: int) -> None:
    found = poolfiles.sizes(name, text.encode())
    assert found is not None
    assert found.size == size


def test_no_more_calls_than_some_are_looked_at_and_every_node_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = 0

    def counted(node: ast.AST) -> Iterator[ast.AST]:
        nonlocal walked
        walked += 1
        return children(node)

    children = ast.iter_child_nodes
    source = PLAIN + "create_engine(u, pool_size=n)\n" * 3000
    module = app_module.parse("main", "/app/main.py", source.encode(), package=False)
    assert module is not None
    nodes = sum(1 for _ in ast.walk(module.tree))
    monkeypatch.setattr(ast, "iter_child_nodes", counted)
    assert poolcode.pools([module], {}) == []
    assert walked <= nodes + 50 * poolcode.MOST_CALLS


def test_work_that_takes_too_long_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    module = app_module.parse("main", "/app/main.py", (PLAIN + "e = create_engine(U)").encode(), package=False)
    assert module is not None
    assert len(poolcode.pools([module], {})) == 1
    monkeypatch.setattr(poolcode, "SECONDS", -1.0)
    assert poolcode.pools([module], {}) == []
