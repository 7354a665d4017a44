"""Pool sizes in configuration files: ``.env``, INI, TOML, YAML, JSON. Only the numbers are kept of any."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MOST_BYTES = 256 << 10
"""Of one file; what goes on beyond is not taken for a whole file."""
NAMES = (
    "settings.toml", "config.toml", "settings.yaml", "settings.yml", "config.yaml", "config.yml", "settings.json",
    "config.json", "settings.ini", "config.ini", "alembic.ini", "pyproject.toml",
)  # fmt: skip
FOLDERS = ("", "config/", "conf/")
"""Where they usually lie, below the directory that the service is started in."""
_SIZE = re.compile(r"(?i)(?:(?:sqlalchemy|database|db|postgres(?:ql)?|pg|mysql|asyncpg|engine)[._-]?)*pool[._-]?size")
_OVERFLOW = re.compile(
    r"(?i)(?:(?:sqlalchemy|database|db|postgres(?:ql)?|pg|mysql|engine)[._-]?)*(?:pool[._-]?)?max[._-]?overflow"
)
_WHOLE = re.compile(r"(?i)(?:(?:database|db|postgres(?:ql)?|pg|mysql|asyncpg)[._-]?)*pool[._-]?max[._-]?size")
_DATABASE = frozenset(
    {
        "asyncpg", "database", "databases", "datasource", "db", "dbs", "engine", "mariadb", "mysql", "orm", "pg",
        "pgsql", "postgres", "postgresql", "sql", "sqlalchemy",
    }
)  # fmt: skip
"""Words in the name of a section that say that a pool in it is one of database connections."""
_OTHER = frozenset(
    {
        "amqp", "cache", "celery", "elastic", "elasticsearch", "executor", "http", "httpx", "kafka", "ldap",
        "memcached", "mongo", "mongodb", "rabbitmq", "redis", "smtp", "thread", "threads", "worker", "workers",
    }
)  # fmt: skip
"""Words that say that it is not."""
_PROFILES = frozenset({"default", "global", "production", "staging", "development", "testing"})
"""Dynaconf's: what stands in these stands at the top."""
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_BARE = re.compile(r"(?i)pool[._-]?size|max[._-]?overflow")
"""SQLAlchemy's own names."""
_PREFIXED = re.compile(r"(?i)(?:sqlalchemy|database|db|postgres(?:ql)?|pg|mysql|asyncpg|engine)[._-]?.+")
_LONGEST_NAME = 80
_DEPTH = 12
_MOST_SECTIONS = 5000


class Sizes(NamedTuple):
    """What a file says of a worker's pool."""

    size: int
    overflow: int | None


def variables(data: bytes) -> dict[str, str]:
    """The entries of a ``.env`` file."""
    found: dict[str, str] = {}
    for line in data[:MOST_BYTES].decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        name = name.strip().removeprefix("export ").strip()
        if equals and name.isidentifier():
            value = value.partition(" #")[0].strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[name] = value[1:-1] if quoted else value
    return found


def sizes(name: str, data: bytes) -> Sizes | None:
    """What a file says; ``None`` where that is nothing, or differs between its sections."""
    if len(data) >= MOST_BYTES:
        return None
    try:
        document = _loaded(name, data)
    except Exception:  # noqa: BLE001 -- parsers of four formats fail in many ways: none of these says a size
        return None
    found = {one for where, section in _sections(document) if (one := _said(where, section)) is not None}
    return next(iter(found)) if len(found) == 1 else None


def _loaded(name: str, data: bytes) -> Any:
    kind = name.rpartition(".")[2]
    if kind == "toml":
        return tomllib.loads(data.decode())
    if kind in {"yaml", "yml"}:
        from probes import yamlload

        return yamlload.load(data)
    if kind == "json":
        return json.loads(data)
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(data.decode())
    return {section: dict(parser.items(section)) for section in parser.sections()}


_Where = tuple[str, ...]
"""Names of the sections around, the outermost first."""


def _sections(document: Any) -> Iterator[tuple[_Where, Mapping[object, Any]]]:
    """All mappings in it, so many at most."""
    open_nodes: list[tuple[Any, _Where]] = [(document, ())]
    for _ in range(_MOST_SECTIONS):
        if not open_nodes:
            return
        node, where = open_nodes.pop()
        if isinstance(node, Mapping):
            yield where, node
            if len(where) < _DEPTH:
                open_nodes += [(one, (*where, str(name)[:_LONGEST_NAME])) for name, one in node.items()]
        elif isinstance(node, list) and len(where) < _DEPTH:
            open_nodes += [(one, (*where, "")) for one in node]


def _said(where: _Where, section: Mapping[object, Any]) -> Sizes | None:
    words = {word.lower() for name in where for word in _WORDS.findall(name)}
    if words & _OTHER:
        return None
    if not words & _DATABASE:
        is_top = all(name.lower() in _PROFILES for name in where)
        section = {
            name: value
            for name, value in section.items()
            if isinstance(name, str) and (_PREFIXED.match(name) or (is_top and _BARE.fullmatch(name)))
        }
    size, overflow, whole = (_number(section, names) for names in (_SIZE, _OVERFLOW, _WHOLE))
    if size is not None:
        return Sizes(size, overflow) if size > 0 else None
    return Sizes(whole, 0) if whole else None


def _number(section: Mapping[object, Any], names: re.Pattern[str]) -> int | None:
    for name, value in section.items():
        if (
            isinstance(name, str)
            and len(name) <= _LONGEST_NAME
            and names.fullmatch(name)
            and not isinstance(value, bool)
        ):
            said = str(value).strip() if isinstance(value, (int, str)) else ""
            plain = said.removeprefix("-")
            if plain.isascii() and plain.isdecimal() and len(plain) < 6:
                return max(-1, int(said))
    return None
