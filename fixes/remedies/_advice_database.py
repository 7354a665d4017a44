"""What to write for findings about the database: one function or text per signature."""

from __future__ import annotations

from collections.abc import Callable

from fixes.model import Advice, Finding
from probes.model import Deployment
from probes.text import clean

_LIFESPAN = (
    "engine = create_async_engine(\n"
    "    url, pool_size=5, max_overflow=5, pool_timeout=10, pool_recycle=3600, pool_pre_ping=True\n"
    ")"
)
_SESSION = (
    "Session = async_sessionmaker(engine, expire_on_commit=False)\n\n"
    "async def session() -> AsyncIterator[AsyncSession]:\n"
    "    async with Session() as one:   # one per request; closed, and its connection given back, after it\n"
    "        yield one\n"
)
_TLS_URLS = {
    "asyncpg": "postgresql+asyncpg://USER@HOST/NAME?ssl=verify-full   # and PGSSLROOTCERT=/etc/ssl/db-ca.pem",
    "psycopg": "postgresql+psycopg://USER@HOST/NAME?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem",
    "psycopg2": "postgresql+psycopg2://USER@HOST/NAME?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem",
    "pymysql": "mysql+pymysql://USER@HOST/NAME?ssl_ca=/etc/ssl/db-ca.pem",
    "aiomysql": 'mysql+aiomysql://USER@HOST/NAME   # and connect_args={"ssl": ssl_context}',
    "asyncmy": 'mysql+asyncmy://USER@HOST/NAME   # and connect_args={"ssl": ssl_context}',
}


def _fixed(title: str, text: str, code: str, language: str = "python") -> Callable[[Deployment, Finding], Advice]:
    return lambda _deployment, _finding: Advice(title=title, text=text, code=code, language=language)


def _driver(deployment: Deployment, finding: Finding) -> str | None:
    """The driver in use: as the finding, the loaded ones, or the installed ones say."""
    told = clean(str(finding.facts.get("driver", "")), 40)
    known = [told, *deployment.drivers, *(name.lower() for name in deployment.packages)]
    return next((name for name in known if name in _TLS_URLS), None)


def _urls(deployment: Deployment, finding: Finding) -> str:
    driver = _driver(deployment, finding)
    chosen = (driver,) if driver else tuple(_TLS_URLS)
    return "\n".join(f"DATABASE_URL={_TLS_URLS[name]}" for name in chosen)


def _tls(title: str, text: str) -> Callable[[Deployment, Finding], Advice]:
    return lambda deployment, finding: Advice(title=title, text=text, code=_urls(deployment, finding), language="sh")


def _unreachable(deployment: Deployment, finding: Finding) -> Advice:
    """The commands that tell name, route and listener apart, and a bounded retry."""
    host = clean(str(finding.facts.get("host", "")), 200)
    loopback = host in ("127.0.0.1", "localhost", "::1") and deployment.kind != "process"
    own = " Inside a container, 127.0.0.1 is the container itself: use the database's service name." if loopback else ""
    return Advice(
        title="Reach the database, and fail fast while it is away",
        text=f"Nobody answers at {host or 'the host and port of the database URL'}.{own} Look from inside the "
        f"container "
        "whether the name resolves and the port is open. At start-up wait for it with a bound; in requests give up "
        "quickly: after 5 failures, answer 503 for 60 s without trying.",
        code=(
            "class Breaker:\n"
            "    failures, until = 0, 0.0\n\n"
            "    def check(self) -> None:\n"
            "        if self.failures >= 5 and time.monotonic() < self.until:\n"
            '            raise HTTPException(503, "database away", {"Retry-After": "60"})\n\n'
            "    def failed(self) -> None:\n"
            "        self.failures += 1\n"
            "        self.until = time.monotonic() + 60\n\n"
            "    def worked(self) -> None:\n"
            "        self.failures = 0\n"
        ),
    )


def _sync_driver(_deployment: Deployment, finding: Finding) -> Advice:
    """Another driver, or eager loading where the driver is right already."""
    if finding.facts.get("lazy") is not None:
        return Advice(
            title="Load eagerly",
            text="An attribute that loads lazily does its query where nothing can await it. Ask for it with the query, "
            "keep attributes after a commit, and let no response model read what was not loaded.",
            code=(
                "statement = select(Order).options(selectinload(Order.items))\n"
                "Session = async_sessionmaker(engine, expire_on_commit=False)\n"
                "items = await order.awaitable_attrs.items   # or, with AsyncAttrs, when it is needed"
            ),
        )
    return Advice(
        title="Use an asynchronous driver",
        text="The synchronous driver holds the event loop for each statement. Name an asynchronous one in the URL and "
        "install it; endpoints that keep the synchronous one are written with def, which runs them in threads.",
        code=(
            'create_async_engine("postgresql+asyncpg://…")   # or postgresql+psycopg, mysql+asyncmy, '
            "sqlite+aiosqlite\n\n"
            '@app.get("/orders")\ndef orders() -> list[Order]:   # def, not async def, with a synchronous '
            "driver\n    ..."
        ),
    )


def _schema(_deployment: Deployment, finding: Finding) -> Advice:
    """Where the schema stands, and how to bring it on."""
    missing = next(
        (
            clean(str(finding.facts[n]), 120)
            for n in ("relation", "table", "column", "field", "sqlite")
            if n in finding.facts
        ),
        "",
    )
    named = f"{missing} is not there. " if missing else ""
    return Advice(
        title="Bring code and schema together",
        text=f"{named}See which revision the database has and which one this image expects, with the service's own "
        "environment, and that the URL names the database that was migrated. Run migrations once before the new "
        "version "
        "starts, not in every worker.",
        code="alembic current\nalembic heads\nalembic upgrade head",
        language="sh",
    )


DATABASE: dict[str, Callable[[Deployment, Finding], Advice]] = {
    "db-connections-exhausted": _fixed(
        "Let the pools fit the server",
        "(pool_size + max_overflow) × workers × replicas, with the replicas of a rollout and all other "
        "services, must stay "
        "below 80 % of max_connections. Look who holds what; with many workers put a pooler between.",
        _LIFESPAN + "\n\n# psql: table pg_stat_activity;   who holds how many, and in which state",
    ),
    "db-connection-leak": _fixed(
        "Give every connection back",
        "Open sessions and connections with async with only, in one dependency; await nothing slow while a "
        "transaction is "
        "open. On the server, idle_in_transaction_session_timeout bounds the damage.",
        _SESSION,
    ),
    "db-connection-lost": _fixed(
        "Test connections before they are used",
        "pool_pre_ping tests each connection when it is taken from the pool, pool_recycle replaces those that "
        "are older "
        "than the shortest idle time-out on the way (3600 s suits most). What was lost in the middle of a "
        "statement has "
        "to be tried again by the caller, as a whole transaction.",
        "engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=3600)",
    ),
    "db-connection-shared": _fixed(
        "One session per task",
        "A session or connection serves one task at a time. Keep none at module level; inside asyncio.gather each "
        "coroutine opens its own. An engine belongs to the event loop in which it was first used.",
        _SESSION + "\nasync def count(table: type[Base]) -> int:\n    async with Session() as one:\n"
        "        return await one.scalar(select(func.count()).select_from(table))\n\n"
        "totals = await asyncio.gather(count(Order), count(Item))",
    ),
    "db-unreachable": _unreachable,
    "db-auth-failed": _fixed(
        "Compare the credentials",
        "Try the same user, password and database by hand from where the service runs. Percent-encode special "
        "characters "
        "of the password in a URL. If the secret was rotated, the service has to be started again with the new one.",
        'psql "host=HOST user=USER dbname=NAME" -c "select 1"   # asks for the password\n'
        "python -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'",
        "sh",
    ),
    "db-ssl-required": _tls(
        "Ask for TLS",
        "The server lets this user in over TLS only. Say so in the URL, in the driver's own words, and let it "
        "verify the "
        "certificate.",
    ),
    "db-ssl-verify-failed": _tls(
        "Trust the database's authority",
        "Mount the certificate of the authority that signed the server's and name it; connect by the name that the "
        "certificate was made for. Do not turn the verification off.",
    ),
    "db-ssl-unverified": _tls(
        "Verify the database's certificate",
        "require encrypts towards whoever answers. verify-full with the authority's certificate makes sure that "
        "it is the "
        "database.",
    ),
    "db-ssl-not-enforced": _tls(
        "Insist on TLS",
        "Towards another network the URL should demand encryption and verify the certificate.",
    ),
    "db-ssl-handshake-timeout": _fixed(
        "Try the handshake by hand",
        "The server agreed to TLS and then fell silent. Ask it directly, without a proxy or balancer, from inside the "
        "container; compare the port, and the packet size (MTU) on the way.",
        "openssl s_client -starttls postgres -connect HOST:5432 -brief < /dev/null\n"
        "openssl s_client -starttls mysql -connect HOST:3306 -brief < /dev/null",
        "sh",
    ),
    "db-url-invalid": _tls(
        "Write the URL for its driver",
        "Each driver has its own options: asyncpg ssl=, psycopg sslmode=, the MySQL drivers an SSL context. "
        "postgres:// is "
        "postgresql:// for SQLAlchemy.",
    ),
    "db-schema-mismatch": _schema,
    "db-pooler-prepared": _fixed(
        "Switch the statement caches off",
        "Behind a pooler in transaction mode a prepared statement may be looked for on another connection. Switch the "
        "caches off and give unique names, or use PgBouncer ≥ 1.21 with max_prepared_statements.",
        "engine = create_async_engine(   # asyncpg\n"
        "    url,\n"
        "    poolclass=NullPool,\n"
        '    connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0,\n'
        '                  "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__"},\n'
        ")\n"
        'engine = create_async_engine(url, connect_args={"prepare_threshold": None})   # psycopg 3',
    ),
    "pool-too-small": _fixed(
        "Size the pool",
        "First give connections back sooner. Then size the pool, as far as (pool_size + max_overflow) × workers "
        "× replicas "
        "stays below 80 % of the server's max_connections.",
        "engine = create_async_engine(\n"
        "    url, pool_size=20, max_overflow=30, pool_timeout=10, pool_recycle=3600, pool_pre_ping=True\n)",
    ),
    "pool-oversubscribed": _fixed(
        "Let the pools fit the server",
        "Divide 80 % of max_connections by workers × replicas, the additional ones of a rollout included: that is "
        "pool_size + max_overflow.",
        "budget = int(0.8 * max_connections) // (workers * replicas)\n"
        "engine = create_async_engine(url, pool_size=budget, max_overflow=0, pool_timeout=10)",
    ),
    "sync-driver": _sync_driver,
}
"""By signature."""
