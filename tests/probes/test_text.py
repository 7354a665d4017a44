"""The one door: no escape, no control character and no secret passes it, and what people need to read does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import text


@given(st.binary(max_size=600))
def test_nothing_that_moves_a_cursor_passes(data: bytes) -> None:
    for said in (text.clean(data), text.line(data), text.block(data)):
        assert not [c for c in said if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
        assert "\u202e" not in said


@given(st.text(max_size=300))
def test_what_was_cleaned_stays_as_it_is(raw: str) -> None:
    once = text.line(raw)
    assert text.clean(once) == once


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "line",
    [
        f"postgresql://shop:{SECRET}@db:5432/shop?ssl=1",
        f"redis://:{SECRET}@cache",
        f"DB_PASS={SECRET} retry=3",
        f"MYSQL_PWD={SECRET}",
        f"STRIPE_KEY={SECRET}",
        f"SENTRY_DSN={SECRET}",
        f"ENCRYPTION_KEY: {SECRET}",
        f"  - SIGNING_KEY: two {SECRET}",
        f"PASSWORD: correct horse {SECRET}",
        f"password: a,b{SECRET}",
        f'{{"password": "two {SECRET}", "user": "x"}}',
        f"Settings(api_token='{SECRET}', debug=True)",
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}==",
        f"GET /?token={SECRET} HTTP/1.1",
        f"redis-server --requirepass {SECRET}",
        f"['--password', '{SECRET}']",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(line: str) -> None:
    said = text.line(line)
    assert SECRET not in said
    assert text.HIDDEN in said


@pytest.mark.parametrize(
    "line",
    [
        'FATAL:  password authentication failed for user "shop"',
        "asyncpg.exceptions.InvalidPasswordError: password authentication failed",
        "KeyError: 'API_TOKEN'",
        "max_tokens=1024 prompt_tokens: 512",
        "PWD=/app PYTHONPATH=/srv",
        "monkey=3 tokenizers_parallelism=false",
        "[2026-11-22 09:21:50 +0000] [2530] [INFO] Started server process [2530]",
        "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
    ],
)
def test_what_a_person_needs_is_shown(line: str) -> None:
    assert text.line(line) == line


def test_the_environment_is_hidden_by_name_and_by_shape() -> None:
    said = text.environment(
        {"DB_PASS": "x", "PGPASSFILE": "/x", "URL": "mysql://a:b@c/d", "SSL_KEY_FILE": "/k", "EMPTY_KEY": ""}
    )
    assert said == {
        "DB_PASS": text.HIDDEN,
        "PGPASSFILE": "/x",
        "URL": f"mysql://a:{text.HIDDEN}@c/d",
        "SSL_KEY_FILE": "/k",
        "EMPTY_KEY": "",
    }


def test_arguments_are_hidden_as_options_and_within_a_shell_s_text() -> None:
    said = text.arguments(
        ["sh", "-c", f"run postgresql://a:{SECRET}@h password={SECRET}", f"--token={SECRET}", "--pass", SECRET]
    )
    assert said == (
        "sh",
        "-c",
        f"run postgresql://a:{text.HIDDEN}@h password={text.HIDDEN}",
        f"--token={text.HIDDEN}",
        "--pass",
        text.HIDDEN,
    )


def test_a_long_line_is_cut_and_says_so() -> None:
    assert text.clean("x" * 10_000, 100) == "x" * 99 + "…"
