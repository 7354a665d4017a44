"""What the database's signatures share: towards whom an error was, whose log a line is, and the verdict from places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

from fixes.model import Fires, Severity, Verdict, View
from fixes.signatures import _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.base import Value
from probes.loghits import LogHit, Pattern

CONTEXT = 20
"""Lines kept around a match: an exception stands that far below the driver's own frames."""
QUOTE = r"\\?[\"']"
"""A quotation mark, also as JSON escapes it."""

_DATABASE = (
    r"asyncpg|psycopg2?|psycopg_(?:pool|c|binary)|aiomysql|asyncmy|aiopg|pymysql|MySQLdb|pg8000|mysql\.connector|"
    r"mysql/connector|sqlalchemy|databases|tortoise|peewee|sqlmodel"
)
_OTHERS = (
    r"redis|aioredis|valkey|httpx|httpcore|aiohttp|requests|urllib3?|http/client\.py|celery|kombu|amqp|aio_pika|aiormq|"
    r"pika|aiokafka|kafka|confluent_kafka|aiobotocore|botocore|boto3|grpc|smtplib|aiosmtplib|elasticsearch|"
    r"elastic_transport|opensearchpy|pymongo|motor|websockets|paramiko|nats|hvac|ldap3|memcache|pymemcache"
)
_NAMED = re.compile(rf"(?:^|[\s/\\\"'(<|])(?:(?P<database>{_DATABASE})|(?P<other>{_OTHERS}))[./\\]")
_RECORD = re.compile(r"\b(?:DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL|LOG)\b[:\]|\"]?\s")
_SAYS_DATABASE = re.compile(r"(?i)\b(?:database|postgres(?:ql)?|pgsql|mysql|mariadb|db)\b")
_SAYS_OTHER = re.compile(
    r"(?i)\b(?:redis|cache|broker|rabbitmq|kafka|celery|https?://|upstream|api call|webhook|smtp)\b"
)
_SERVER_LOG = re.compile(r"(?:^|\s)\[\d+(?:-\d+)?\](?:\s+\S+@\S+)?:?\s+(?:FATAL|ERROR|LOG|WARNING):\s")
_CLIENT = re.compile(r"\w(?:Error|Exception|Timeout)\b|connection to server|error connecting|pool-\d")
_AT_START = re.compile(
    r"Application startup failed|Worker failed to boot|Worker exiting \(pid|Shutting down: Master|failed to start|"
    r"in _startup\b|in lifespan\b|in startup\b|Waiting for application startup|<frozen importlib|in spawn_worker|"
    r"Unexpected exit from worker"
)
_EXCEPTION = re.compile(
    r"^(?:.*?[|\]]:? +|[|\s]*)(?P<name>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|gaierror))(?::|\s*$)"
)
_GAIERROR = re.compile(r"^(?:.*?[|\]]:? +|[|\s]*)(?:socket\.)?(?P<name>gaierror):")

ENDING = _wording.told(
    "db/shutdown", r"Waiting for application shutdown\.|Handling signal: (?:term|int|quit)|Worker exiting \(pid"
)
"""A server, or one of its workers, goes down in order."""
_CHAIN_LINES = 150
"""Between two parts of one chained traceback."""
_ENDING_LINES = 60
_ENDING_TIME = timedelta(seconds=15)


def pattern(key: str, regex: str) -> Pattern:
    """A pattern with the neighbours that tell towards whom it is."""
    return _wording.unquoted(f"db/{key}", regex, CONTEXT)


def toward(hit: LogHit) -> bool | None:
    """Whether an error belongs to a database's driver; ``None`` where nothing tells.

    The nearest library above the line decides, then what the line itself says, then who took the error over.
    """
    own, *above = reversed(_above(hit))
    found = _named(own)
    if found is None and _SAYS_OTHER.search(own):
        found = False
    if found is None:
        found = next((told for line in above if (told := _named(line)) is not None), None)
    if found is None and _SAYS_DATABASE.search(own):
        found = True
    if found is None:
        found = next((told for line in _record(hit.after) if (told := _named(line)) is not None), None)
    return found


def _above(hit: LogHit) -> list[str]:
    """The lines of the same record down to the matched one; of a traceback in JSON, all of it."""
    kept: list[str] = []
    for line in reversed(hit.before):
        kept.append(line)
        if _RECORD.search(line):
            if "Traceback" not in line and "Exception in" not in line:
                kept.pop()
            break
    return [*reversed(kept), *_shared.unfolded(hit.sample.rstrip())]


def _record(lines: Sequence[str]) -> list[str]:
    """The lines up to the next record."""
    end = next((i for i, line in enumerate(lines) if _RECORD.search(line)), len(lines))
    return list(lines[:end])


def _named(line: str) -> bool | None:
    """The last library that a line names: a frame's file or an exception's module."""
    found = None
    for match in _NAMED.finditer(line):
        found = match.lastgroup == "database"
    return found


def below(hit: LogHit, frame: re.Pattern[str]) -> list[str]:
    """What follows a matched frame: its own line's rest where that is a traceback in JSON, and the lines after."""
    folded = _shared.unfolded(hit.sample)
    place = next((i for i, line in enumerate(folded) if frame.search(line)), 0)
    return [*folded[place + 1 :], *hit.after]


def raised(lines: Sequence[str]) -> tuple[str, str] | None:
    """The first exception that these lines name, without its modules, and its line."""
    for line in lines:
        found = _EXCEPTION.match(line) or _GAIERROR.match(line)
        if found and not line.lstrip().startswith("raise "):
            return found["name"].rpartition(".")[2], line.strip()
    return None


def of_server(hit: LogHit) -> bool:
    """Whether a line is the database server's own: it may be about anybody's connection."""
    return bool(_SERVER_LOG.search(hit.sample)) and not _CLIENT.search(hit.sample)


def ending(view: View, place: At) -> bool:
    """Whether the service was going down in order at this place."""
    down = _shared.latest_line(view, place.replica, place.line, ENDING)
    if down is None or place.line - down.line > _ENDING_LINES:
        return False
    if down.at is not None and place.at is not None and place.at - down.at > _ENDING_TIME:
        return False
    up = _shared.latest_line(view, place.replica, place.line, _wording.STARTED, _wording.BOOTING)
    return up is None or up.line < down.line


def near(view: View, place: At, lines: int, *patterns: Pattern) -> bool:
    """Whether one of these patterns matched at most so many lines before this place."""
    found = _shared.latest_line(view, place.replica, place.line + 1, *patterns)
    return found is not None and place.line - found.line <= lines


Found = list[tuple[LogHit, At]]


def verdict(
    view: View,
    found: Iterable[tuple[LogHit, At]],
    severity: Severity,
    title: Callable[[LogHit], str],
    facts: Mapping[str, Value] | None = None,
) -> Verdict:
    """Fires on places in the log, but for failed starts that a lasting start followed."""
    judged = [(hit, place, _healed(view, hit, place)) for hit, place in found]
    left = sorted(((hit, place) for hit, place, good in judged if good is False), key=lambda one: one[1].line)
    if not left:
        return _shared.just_started() if any(good is None for *_, good in judged) else _shared.unseen(view)
    hits = list({id(hit): hit for hit, _ in left}.values())
    first, last = _shared.span([place for _, place in left])
    total = _count(view, hits, left)
    seen = _shared.seen(view, total)
    told: dict[str, Value] = {name: value for name, value in hits[-1].fields.items() if value}
    return Fires(
        severity=severity,
        title=title(hits[-1]) + seen,
        evidence=tuple(_shared.evidence_of(hit) for hit in hits[-5:]),
        count=total,
        first_at=first,
        last_at=last,
        facts=told if facts is None else facts,
    )


def _count(view: View, hits: Sequence[LogHit], found: Found) -> int:
    """How often it happened: one failure is told by several patterns, and again in each part of a chained traceback."""
    totals: dict[str, int] = {}
    for hit in hits:
        totals[hit.key] = totals.get(hit.key, 0) + _shared.count(view, hit)
    chained = [(at.replica, at.line) for _, at in _shared.places(view, _traceback.CHAINED)]
    for (hit, before), (other, after) in pairwise(
        sorted(found, key=lambda one: (one[0].key, one[1].replica, one[1].line))
    ):
        same = hit.key == other.key and before.replica == after.replica
        near = same and after.line - before.line <= _CHAIN_LINES
        told_on = after.line - before.line == 1 and other.sample.lstrip().startswith("connection to server")
        if same and told_on:
            totals[hit.key] -= 1  # libpq tries over TLS, then in clear text, and tells of both
        elif near and any(r == after.replica and before.line < line < after.line for r, line in chained):
            totals[hit.key] -= 1
    return max(1, *totals.values())


def _healed(view: View, hit: LogHit, place: At) -> bool | None:
    """Whether a failure at a start was followed by a start that lasts; ``None`` while that is too young."""
    starting = any(_AT_START.search(line) for line in (*hit.before, *_shared.unfolded(hit.sample), *hit.after))
    return _shared.came_up(view, place) if starting else False


def address(hit: LogHit) -> str:
    """`` at HOST:PORT`` as far as the line says."""
    host, port = hit.fields.get("host", ""), hit.fields.get("port", "")
    return f" at {host}{':' if port else ''}{port}" if host else ""
