"""The database URL says something that the driver does not understand.

What it means. Each driver has its own words: asyncpg takes ``ssl=``, libpq ``sslmode=``, the MySQL drivers an object.
A URL made for one does not work with another, so no connection is made at all, usually from the first start on.

What proves it. asyncpg ``unexpected keyword argument 'sslmode'``, psycopg ``invalid URI query parameter: "ssl"`` and
``invalid connection option``, aiomysql ``'str' object has no attribute 'wrap_bio'``, asyncmy ``ssl argument must be
True, a dict``, PyMySQL ``'str' object has no attribute 'get'``, SQLAlchemy ``Can't load plugin: sqlalchemy.dialects:…``
and ``Could not parse SQLAlchemy URL``.

What it is not. A URL that is not set at all (``missing-env``). The same ``TypeError`` of another library's ``connect``.

What to do. Write the URL for the driver in use.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

KEYWORD = _database.pattern(
    "url-keyword", r"(?:connect|__init__)\(\) got an unexpected keyword argument '(?P<option>\w+)'"
)
TEXT = _database.pattern(
    "url-text",
    r"invalid URI query parameter: \\?\"(?P<option>[^\"\\]*)\\?\"|invalid connection option "
    r"\\?\"(?P<unknown>[^\"\\]*)\\?\""
    r"|invalid sslmode value: \\?\"(?P<mode>[^\"\\]*)\\?\"|`?sslmode`? parameter must be one of"
    r"|Can't load plugin: sqlalchemy\.dialects:(?P<dialect>[\w.]+)(?:[^\w.]|$)"
    r"|invalid DSN: scheme is expected to be either|missing \\?\"=\\?\" after .{0,200} in connection info string"
    r"|'str' object has no attribute 'wrap_bio'|ssl argument must be True, a dict"
    r"|invalid (?:port number: |integer value )\\?\"(?P<port>[^\"\\]*)\\?\"",
)
UNPARSED = _database.pattern("url-unparsed", r"Could not parse (?:rfc1738|SQLAlchemy) URL from ")
GET = _database.pattern("url-ssl-string", r"'str' object has no attribute 'get'")
NUMBER = _database.pattern("url-port", r"invalid literal for int\(\) with base 10: '(?P<port>[^']*)'")
_OPTIONS = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "ssl_mode", "ssl_ca", "ssl_cert_reqs", "ssl_verify_cert", "ssl",
    "channel_binding", "gssencmode", "target_session_attrs", "pgbouncer", "schema", "connection_limit", "pool_timeout",
    "application_name", "options", "charset", "connect_timeout", "prepared_statement_cache_size",
}  # fmt: skip
"""What URLs of other drivers and of ORMs carry."""
_NONE = re.compile(r"URL from (?:string )?(?:'?None'?)?\s*$")
_MYSQL_FRAMES = ("pymysql", "aiomysql", "asyncmy")


def detect(view: View) -> Verdict:
    """Fires on what drivers and SQLAlchemy say of a URL that they cannot use."""
    found = [(hit, place) for hit, place in _shared.places(view, TEXT) if _database.toward(hit) is not False]
    found += [(hit, place) for hit, place in _shared.places(view, UNPARSED) if not _NONE.search(hit.sample)]
    found += [(hit, place) for hit, place in _shared.places(view, KEYWORD) if _of_url(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, GET) if _below(hit, _MYSQL_FRAMES)]
    found += [
        (hit, place)
        for hit, place in _shared.places(view, NUMBER)
        if _below(hit, ("sqlalchemy/engine/url.py", "asyncpg/connect_utils.py"))
    ]
    return _database.verdict(view, found, "critical", _title)


def _of_url(hit: LogHit) -> bool:
    """A driver's ``connect``, with an option as URLs carry them."""
    told = _database.toward(hit)
    return hit.fields["option"] in _OPTIONS and (
        told is True or (told is None and hit.fields["option"].startswith("ssl"))
    )


def _below(hit: LogHit, modules: tuple[str, ...]) -> bool:
    near = [*hit.before[-12:], *_shared.unfolded(hit.sample)]
    return any(f"{module}" in line and 'File "' in line for line in near for module in modules)


def _title(hit: LogHit) -> str:
    fields = hit.fields
    option = fields.get("option") or fields.get("unknown")
    if option:
        return f"the database URL has the option {option}, which its driver does not know"
    if fields.get("dialect"):
        return f"the database URL begins with {fields['dialect'].replace('.', '+')}://, which SQLAlchemy does not know"
    if fields.get("port"):
        return f"the database URL has no valid port: {fields['port']}"
    if "wrap_bio" in hit.sample or "ssl argument" in hit.sample or hit.key == GET.key:
        return "the database URL has an ssl option that its driver takes only as an object"
    if fields.get("mode"):
        return f"the database URL asks for the sslmode {fields['mode']}, which there is not"
    return "the database URL cannot be understood"


_FRAME = '  File "/opt/venv/lib/python3.11/site-packages/{}", line 100, in connect\n'

SIGNATURE = Signature(
    id=SignatureId("db-url-invalid"),
    title="The database URL is not one for its driver",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("advise")),
    source="asyncpg, psycopg 2 and 3, aiomysql, asyncmy, PyMySQL; sqlalchemy/engine/url.py (1.4 to 2.1)",
    patterns=(TEXT, UNPARSED, KEYWORD, GET, NUMBER, _traceback.CHAINED, _wording.STARTED),
    explains=(SignatureId("worker-boot-failed"), SignatureId("unhandled-exceptions")),
    fires=(
        Example(
            "asyncpg",
            _FRAME.format("sqlalchemy/dialects/postgresql/asyncpg.py")
            + "TypeError: connect() got an unexpected keyword argument 'sslmode'\n",
        ),
        Example("psycopg", 'psycopg.ProgrammingError: invalid URI query parameter: "ssl"\n'),
        Example(
            "SQLAlchemy and psycopg2",
            "sqlalchemy.exc.ProgrammingError: (psycopg2.ProgrammingError) invalid dsn: invalid connection "
            'option "ssl"\n',
        ),
        Example("aiomysql", "AttributeError: 'str' object has no attribute 'wrap_bio'\n"),
        Example(
            "asyncmy", "ValueError: ssl argument must be True, a dict of ssl options, or an ssl.SSLContext, got 'str'\n"
        ),
        Example(
            "PyMySQL",
            _FRAME.format("pymysql/connections.py") + "AttributeError: 'str' object has no attribute 'get'\n",
        ),
        Example(
            "an unknown dialect", "sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:postgres\n"
        ),
        Example("an empty one", "sqlalchemy.exc.ArgumentError: Could not parse rfc1738 URL from string ''\n"),
        Example("no URL", "sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from given URL string\n"),
        Example(
            "SQLAlchemy's URL for asyncpg itself",
            "asyncpg.exceptions._base.ClientConfigurationError: invalid DSN: scheme is expected to be either "
            '"postgresql" '
            "or \"postgres\", got 'postgresql+asyncpg'\n",
        ),
    ),
    silent=(
        Example(
            "another library",
            _FRAME.format("redis/asyncio/client.py")
            + "TypeError: __init__() got an unexpected keyword argument 'ssl_cert_reqs'\n",
        ),
        Example("a class of one's own", "TypeError: Order.__init__() got an unexpected keyword argument 'schema'\n"),
        Example("a dictionary that is a string", "AttributeError: 'str' object has no attribute 'get'\n"),
        Example("not set at all", "sqlalchemy.exc.ArgumentError: Could not parse rfc1738 URL from string 'None'\n"),
    ),
)
