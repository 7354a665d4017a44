"""The asynchronous counterparts of calls that block an event loop."""

from __future__ import annotations

import re
from typing import NamedTuple


class Counterpart(NamedTuple):
    """What to write instead of a blocking call."""

    matches: re.Pattern[str]
    """Searched in the call's dotted name, its module's file or its line."""
    name: str
    text: str
    code: str


_TO_THREAD = (
    "result = await asyncio.to_thread({call}, ...)   # a worker thread waits, the loop turns\n"
    "# or declare the route with `def`: FastAPI then runs it in its thread pool"
)

_TABLE: tuple[tuple[str, str, str, str], ...] = (
    (
        r"\btime\.sleep\b",
        "time.sleep",
        "asyncio.sleep lets other requests run while it waits.",
        "await asyncio.sleep(seconds)   # instead of time.sleep(seconds)",
    ),
    (
        r"\b(requests|urllib3?|http\.client|httpx\.(get|post|put|patch|delete|request|stream|Client))\b",
        "a synchronous HTTP client",
        "One httpx.AsyncClient, made once in the lifespan, keeps its connections and awaits the answers.",
        (
            "@asynccontextmanager\n"
            "async def lifespan(app: FastAPI):\n"
            "    async with httpx.AsyncClient(timeout=10) as app.state.http:\n"
            "        yield\n\n"
            "response = await request.app.state.http.get(url)   # instead of requests.get(url)"
        ),
    ),
    (
        r"\b(psycopg2|MySQLdb|pymysql|sqlite3|sqlalchemy|psycopg)\b",
        "a synchronous database driver",
        "An asynchronous driver (asyncpg, psycopg 3, aiomysql, aiosqlite) behind SQLAlchemy's async engine awaits it.",
        (
            'engine = create_async_engine("postgresql+asyncpg://...")\n'
            "async with AsyncSession(engine) as session:\n"
            "    rows = await session.execute(statement)"
        ),
    ),
    (
        r"\b(redis)\b",
        "the synchronous Redis client",
        "redis.asyncio has the same commands, awaited.",
        "from redis.asyncio import Redis\n\nvalue = await client.get(key)",
    ),
    (
        r"\b(boto3|botocore)\b",
        "boto3",
        "boto3 has no asynchronous calls: a thread waits for it.",
        _TO_THREAD.format(call="client.get_object"),
    ),
    (
        r"\b(subprocess|os\.system|os\.popen|popen)\b",
        "subprocess",
        "asyncio starts programs without waiting for them.",
        (
            "process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)\n"
            "output, _ = await asyncio.wait_for(process.communicate(), timeout=30)"
        ),
    ),
    (
        r"\b(bcrypt|argon2|passlib|scrypt|pbkdf2\w*)\b",
        "password hashing",
        "Password hashing is slow on purpose and releases the interpreter's lock: a thread can do it.",
        _TO_THREAD.format(call="verify_password"),
    ),
    (
        r"\b(open|io\.open|pathlib|shutil|read_text|read_bytes|write_text|write_bytes)\b",
        "file input and output",
        "A thread waits for the disk.",
        _TO_THREAD.format(call="Path(path).read_bytes"),
    ),
    (
        r"\b(acquire|Lock|Event|Queue|join|concurrent\.futures|result)\b",
        "a wait for a thread",
        "Waiting for a thread's lock or result stops the loop; asyncio has its own lock, event and queue.",
        "result = await asyncio.wrap_future(future)   # instead of future.result()",
    ),
)
COUNTERPARTS = tuple(Counterpart(re.compile(regex), name, text, code) for regex, name, text, code in _TABLE)
"""The most specific first."""

CPU_BOUND = Counterpart(
    re.compile(""),
    "a long computation",
    "Python code that computes holds the interpreter's lock: a thread would not free the loop, another process does.",
    "pool = ProcessPoolExecutor()   # once, in the lifespan\n"
    "result = await asyncio.get_running_loop().run_in_executor(pool, compute, data)\n"
    "# for what waits rather than computes: await asyncio.to_thread(function, ...)",
)


def counterpart(call: str) -> Counterpart:
    """What replaces this call (a dotted name, or a line of code); a computation where it is none of the known ones."""
    return next((one for one in COUNTERPARTS if one.matches.search(call)), CPU_BOUND)
