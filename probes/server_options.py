"""The options of the servers' command lines: which take a value, and what fastops calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from probes.base import Frozen, Value

Program = Literal["gunicorn", "uvicorn", "hypercorn", "granian", "fastapi"]
PROGRAMS: tuple[Program, ...] = ("gunicorn", "uvicorn", "hypercorn", "granian", "fastapi")

NUMBERS = frozenset(
    {
        "port",
        "workers",
        "threads",
        "timeout",
        "graceful_timeout",
        "keepalive",
        "max_requests",
        "max_requests_jitter",
        "limit_concurrency",
    }
)
SWITCHES = frozenset({"preload", "reload", "factory"})


class Table(Frozen, frozen=True):
    """One program's options."""

    names: Mapping[str, str]
    """Option → fastops' name of the setting."""
    values: frozenset[str]
    """Options that take a value."""
    flags: frozenset[str]
    """Options that take none."""
    off: frozenset[str] = frozenset()
    """Flags that switch their setting off."""
    abbreviates: bool = False
    """argparse: an unambiguous beginning of a long option will do."""


def _table(
    names: str, values: str = "", flags: str = "", off: str = "", *, switches: str = "", abbreviates: bool = False
) -> Table:
    named = dict(pair.split("=") for pair in names.split())
    switched = dict(pair.split("=") for pair in (switches + " " + off).split())
    return Table(
        names={**named, **switched},
        values=frozenset(named) | frozenset(values.split()),
        flags=frozenset(switched) | frozenset(flags.split()),
        off=frozenset(pair.partition("=")[0] for pair in off.split()),
        abbreviates=abbreviates,
    )


GUNICORN = _table(
    "-c=config --config=config -b=bind --bind=bind -w=workers --workers=workers -k=worker_class "
    "--worker-class=worker_class --threads=threads --max-requests=max_requests "
    "--max-requests-jitter=max_requests_jitter -t=timeout --timeout=timeout "
    "--graceful-timeout=graceful_timeout --keep-alive=keepalive --worker-tmp-dir=worker_tmp_dir "
    "--access-logfile=accesslog --access-logformat=access_log_format --error-logfile=errorlog "
    "--log-file=errorlog --log-config=log_config --root-path=root_path --chdir=chdir --pythonpath=pythonpath",
    "--backlog --worker-connections --limit-request-line --limit-request-fields --limit-request-field_size "
    "--reload-engine --reload-extra-file -e --env -p --pid -u --user -g --group -m --umask "
    "--forwarded-allow-ips --log-level --logger-class --log-config-json --log-syslog-to --log-syslog-prefix "
    "--log-syslog-facility --statsd-host --dogstatsd-tags --statsd-prefix -n --name --paste --paster "
    "--proxy-allow-from --protocol --uwsgi-allow-from --keyfile --certfile --ssl-version --cert-reqs "
    "--ca-certs --ciphers --http-protocols --http2-cleartext --http2-max-concurrent-streams "
    "--http2-initial-window-size --http2-max-frame-size --http2-max-header-list-size --paste-global "
    "--forwarder-headers --header-map --asgi-loop --asgi-lifespan --asgi-disconnect-grace-period "
    "--websocket-max-message-size --http-parser --dirty-app --dirty-workers --dirty-timeout --dirty-threads "
    "--dirty-graceful-timeout --control-socket --control-socket-mode --proxy-protocol",
    "--spew --check-config --print-config --no-sendfile --reuse-port -D --daemon --initgroups "
    "--disable-redirect-access-to-syslog --capture-output --log-syslog -R --enable-stdio-inheritance "
    "--enable-backlog-metric --suppress-ragged-eofs --do-handshake-on-connect --permit-obsolete-folding "
    "--strip-header-spaces --permit-unconventional-http-method --permit-unconventional-http-version "
    "--casefold-http-method --no-control-socket -v --version -h --help",
    switches="--reload=reload --preload=preload",
    abbreviates=True,
)
UVICORN = _table(
    "--host=host --port=port --uds=uds --workers=workers --limit-concurrency=limit_concurrency "
    "--limit-max-requests=max_requests --limit-max-requests-jitter=max_requests_jitter "
    "--timeout-keep-alive=keepalive --timeout-graceful-shutdown=graceful_timeout --log-config=log_config "
    "--root-path=root_path --app-dir=app_dir --interface=interface",
    "--fd --reload-dir --reload-include --reload-exclude --reload-delay --loop --http --ws --ws-max-size "
    "--ws-max-queue --ws-ping-interval --ws-ping-timeout --ws-per-message-deflate --lifespan --env-file "
    "--log-level --forwarded-allow-ips --backlog --timeout-worker-healthcheck --ssl-keyfile --ssl-certfile "
    "--ssl-keyfile-password --ssl-version --ssl-cert-reqs --ssl-ca-certs --ssl-ciphers --header "
    "--h11-max-incomplete-event-size",
    "--use-colors --no-use-colors --proxy-headers --no-proxy-headers --server-header --no-server-header "
    "--date-header --no-date-header --reset-contextvars --http2 --version --help",
    "--no-access-log=accesslog",
    switches="--reload=reload --factory=factory --access-log=accesslog",
)
FASTAPI = _table(
    "--host=host --port=port --workers=workers --root-path=root_path --app=app_name -e=entrypoint "
    "--entrypoint=entrypoint",
    "--reload-dir --forwarded-allow-ips",
    "--proxy-headers --no-proxy-headers -v --verbose -h --help",
    "--no-reload=reload",
    switches="--reload=reload",
)
HYPERCORN = _table(
    "-b=bind --bind=bind -c=config --config=config -w=workers --workers=workers -k=worker_class "
    "--worker-class=worker_class --keep-alive=keepalive --graceful-timeout=graceful_timeout "
    "--max-requests=max_requests --max-requests-jitter=max_requests_jitter --access-logfile=accesslog "
    "--access-log=accesslog --access-logformat=access_log_format --error-logfile=errorlog --log-file=errorlog "
    "--error-log=errorlog --log-config=log_config --root-path=root_path",
    "--backlog --ca-certs --certfile --cert-reqs --ciphers --read-timeout -g --group --keyfile "
    "--keyfile-password --insecure-bind --log-level -p --pid --quic-bind --server-name --statsd-host "
    "--statsd-prefix -m --umask -u --user --verify-mode --websocket-ping-interval",
    "-D --daemon --debug -h --help",
    switches="--reload=reload",
    abbreviates=True,
)
GRANIAN = _table(
    "--host=host --port=port --uds=uds --workers=workers --blocking-threads=threads --interface=interface "
    "--access-log-fmt=access_log_format --log-config=log_config --url-path-prefix=root_path "
    "--working-dir=app_dir",
    "--uds-permissions --http --blocking-threads-idle-timeout --runtime-threads --runtime-blocking-threads "
    "--runtime-mode --loop --task-impl --backlog --backpressure --http1-buffer-size "
    "--http1-header-read-timeout --http2-initial-connection-window-size --http2-initial-stream-window-size "
    "--http2-keep-alive-interval --http2-keep-alive-timeout --http2-max-concurrent-streams "
    "--http2-max-frame-size --http2-max-headers-size --http2-max-send-buffer-size --log-level "
    "--ssl-certificate --ssl-keyfile --ssl-keyfile-password --ssl-protocol-min --ssl-ca --ssl-crl "
    "--respawn-interval --rss-sample-interval --rss-samples --workers-lifetime --workers-max-rss "
    "--workers-kill-timeout --env-files --static-path-route --static-path-mount --static-path-dir-to-file "
    "--static-path-expires --metrics-scrape-interval --metrics-address --metrics-port --reload-paths "
    "--reload-ignore-dirs --reload-ignore-patterns --reload-ignore-paths --reload-tick --process-name "
    "--pid-file",
    "--ws --no-ws --http1-keep-alive --no-http1-keep-alive --http1-pipeline-flush --no-http1-pipeline-flush "
    "--http2-adaptive-window --no-http2-adaptive-window --log --no-log --ssl-client-verify "
    "--no-ssl-client-verify --respawn-failed-workers --no-respawn-failed-workers --metrics --no-metrics "
    "--reload-ignore-worker-failure --no-reload-ignore-worker-failure --version --help",
    "--no-access-log=accesslog --no-reload=reload --no-factory=factory",
    switches="--access-log=accesslog --reload=reload --factory=factory",
)
TABLES: Mapping[Program, Table] = {
    "gunicorn": GUNICORN,
    "uvicorn": UVICORN,
    "fastapi": FASTAPI,
    "hypercorn": HYPERCORN,
    "granian": GRANIAN,
}


class Given(Frozen, frozen=True):
    """One option as it stands on a command line."""

    name: str | None
    """fastops' name; ``None`` for an option that it does not care about."""
    flag: str
    """The option in full: ``--worker-class`` also where ``--worker-c`` is written."""
    value: Value | None
    """Text, or true and false for flags; ``None`` when the value is missing."""
    first: int
    """Index of the word where it stands."""
    words: int
    """1, or 2 with the value in a word of its own."""
    prefix: str = ""
    """What stands before the value in its word: ``--bind=``, ``-w``."""


class Scan(Frozen, frozen=True):
    """A command line, taken apart."""

    given: tuple[Given, ...]
    positional: tuple[int, ...]
    """Indexes of the words that are no options."""


def _long(table: Table, flag: str) -> str:
    if flag in table.values or flag in table.flags or not table.abbreviates:
        return flag
    candidates = {one for one in table.values | table.flags if one.startswith(flag)}
    return candidates.pop() if len(candidates) == 1 else flag


def scan(words: Sequence[str], table: Table) -> Scan:
    """Takes the arguments of a program apart. Never raises; an option that nobody knows is taken for a flag."""
    given: list[Given] = []
    positional: list[int] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            positional.extend(range(at + 1, len(words)))
            break
        if not word.startswith("-") or word == "-":
            positional.append(at)
            at += 1
            continue
        given.extend([_one(words, at, table)] if word.startswith("--") else _cluster(words, at, table))
        at += given[-1].words
    return Scan(given=tuple(given), positional=tuple(positional))


def _one(words: Sequence[str], at: int, table: Table) -> Given:
    flag, equals, joined = words[at].partition("=")
    full = _long(table, flag)
    name = table.names.get(full)
    if full not in table.values:
        return Given(name=name, flag=full, value=full not in table.off, first=at, words=1)
    if equals:
        return Given(name=name, flag=full, value=joined, first=at, words=1, prefix=flag + "=")
    # gunicorn's --proxy-protocol is the one option whose value may be left out.
    missing = at + 1 >= len(words) or (full == "--proxy-protocol" and words[at + 1].startswith("-"))
    return Given(name=name, flag=full, value=None if missing else words[at + 1], first=at, words=1 if missing else 2)


def _cluster(words: Sequence[str], at: int, table: Table) -> list[Given]:
    """``-w4``, ``-w=4``, ``-w 4``, ``-Rw4``."""
    word = words[at]
    found: list[Given] = []
    for index in range(1, len(word)):
        flag = "-" + word[index]
        if flag in table.values:
            rest = word[index + 1 :]
            name = table.names.get(flag)
            if rest:
                prefix = word[: index + 1] + ("=" if rest.startswith("=") else "")
                found.append(Given(name=name, flag=flag, value=word[len(prefix) :], first=at, words=1, prefix=prefix))
            else:
                value = words[at + 1] if at + 1 < len(words) else None
                found.append(Given(name=name, flag=flag, value=value, first=at, words=1 if value is None else 2))
            return found
        found.append(Given(name=table.names.get(flag), flag=flag, value=True, first=at, words=1))
    return found


def typed(name: str, value: Value | None) -> Value | None:
    """A value in the type of its setting; ``None`` when it has no such value."""
    if isinstance(value, str) and name in NUMBERS:
        text = value.strip()
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
    if isinstance(value, str) and name in SWITCHES:
        return {"1": True, "true": True, "t": True, "yes": True, "y": True, "on": True}.get(
            value.strip().lower(), False
        )
    return value
