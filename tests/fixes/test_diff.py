"""Diffs show every change and no secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixes.diff import CHANGED, NO_NEWLINE, redacted, reverse, unified
from probes.intent import Document
from probes.text import HIDDEN


def document(text: str) -> Document:
    return Document("file:/srv/compose.yaml", "compose", "/srv/compose.yaml", text, "")


def diff(before: str, after: str) -> str:
    return unified(document(before), document(after))


def test_a_change_is_shown_with_its_surroundings() -> None:
    before = "services:\n  web:\n    image: shop # ours\n    mem_limit: 256m\n    ports: ['80:80']\n"
    assert diff(before, before.replace("256m", "1g")) == (
        "--- /srv/compose.yaml\n+++ /srv/compose.yaml\n@@ -1,5 +1,5 @@\n services:\n   web:\n     image: shop # ours\n"
        "-    mem_limit: 256m\n+    mem_limit: 1g\n     ports: ['80:80']\n"
    )


def test_equal_texts_have_no_diff() -> None:
    assert diff("a: 1\n", "a: 1\n") == ""


def test_a_secret_that_changes_is_seen_to_change_and_not_shown() -> None:
    shown = diff("DB_PASSWORD=old-secret-1\n", "DB_PASSWORD=new-secret-2\n")
    assert f"-DB_PASSWORD={HIDDEN}\n+DB_PASSWORD={HIDDEN}{CHANGED}\n" in shown


def test_what_stands_beside_a_secret_is_still_shown() -> None:
    shown = diff('["gunicorn", "--workers 1", "TOKEN=abcdef"]\n', '["gunicorn", "--workers 4", "TOKEN=abcdef"]\n')
    assert "--workers 1" in shown
    assert "--workers 4" in shown
    assert "abcdef" not in shown


def test_differences_that_cannot_be_seen_are_named() -> None:
    assert diff("a: 1\n", "a: 1\r\n").endswith(f"-a: 1\n+a: 1{CHANGED}\n")
    assert diff("a: 1\n", "a: 1").endswith(f"-a: 1\n+a: 1\n{NO_NEWLINE}\n")


def test_escape_sequences_do_not_reach_the_screen() -> None:
    assert "\x1b" not in diff("a\n", "b\x1b[31mred\n")


SECRET_NAMES = [
    "DB_PASSWORD",
    "api_key",
    "SECRET_KEY",
    "AUTH_TOKEN",
    "SENTRY_DSN",
    "session_key",
    "DB_PASS",
    "password_salt",
]
LAYOUTS = {
    "environment file": "DEBUG=1\n{name}={value}\nPORT=80\n",
    "yaml mapping": "environment:\n  {name}: {value}\n  PORT: 80\n",
    "yaml mapping, quoted": "environment:\n  {name}: \"{value}\"\n  'PORT': 80\n",
    "yaml list": "environment:\n  - {name}={value}\n  - PORT=80\n",
    "yaml list, quoted": 'environment:\n  - "{name}={value}"\n',
    "yaml flow": "environment: {{{name}: {value}, PORT: 80}}\n",
    "yaml block scalar": "environment:\n  {name}: |\n    {value}\n    {value}\n  PORT: 80\n",
    "yaml folded scalar with a tag": "environment:\n  {name}: !x >-  # note\n\n    {value}\n  PORT: 80\n",
    "yaml value on the next line": "environment:\n  {name}:\n    {value}\n  PORT: 80\n",
    "json": '{{\n  "{name}": "{value}",\n  "PORT": 80\n}}\n',
    "json list of assignments": '{{"Env": [\n  "{name}={value}",\n  "PORT=80"\n]}}\n',
    "python": 'workers = 3\nraw_env = ["{name}={value}", "PORT=80"]\n',
    "python triple quotes": 'workers = 3\n{name} = """{value}\n{value}\n"""\nbind = ":80"\n',
    "option": "command: gunicorn --{name} {value} --workers 3\n",
    "option with equals": "command: gunicorn --{name}={value} --workers 3\n",
    "option in a list": "command:\n  - gunicorn\n  - --{name}\n  - {value}\n  - --workers=3\n",
    "option in a json list": 'command: ["gunicorn", "--{name}", "{value}", "--workers=3"]\n',
    "url": "DATABASE_URL=postgresql://app:{value}@db/app\nPORT=80\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(
    name=st.sampled_from(SECRET_NAMES),
    values=st.tuples(*[st.from_regex(r"[A-Za-z0-9]{4}[A-Za-z0-9_.!+]{2,20}[A-Za-z0-9]", fullmatch=True)] * 2),
)
@settings(max_examples=25, deadline=None)
def test_no_layout_shows_a_secret_and_none_hides_its_change(layout: str, name: str, values: tuple[str, str]) -> None:
    old, new = values
    frame = LAYOUTS[layout].format(name=name, value="")
    assume(all(value not in frame and value.lower() not in frame.lower() for value in values))
    before, after = (LAYOUTS[layout].format(name=name, value=value) for value in values)
    shown = diff(before, after)
    assert old not in shown
    assert new not in shown
    assert old not in redacted(before)
    if old != new:
        assert CHANGED in shown
    else:
        assert shown == ""


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_texts_have_a_diff_exactly_when_they_differ(before: str, after: str) -> None:
    shown = diff(before, after)
    assert bool(shown) == (before != after)
    if shown:
        assert any(one.startswith(("-", "+")) for one in shown.splitlines()[2:])


LINES = st.lists(st.sampled_from(["a", "b", "workers: 3", "limit: 1g", ""]), max_size=12).map(
    lambda lines: "".join(f"{one}\n" for one in lines)
)


@given(LINES, LINES)
@settings(deadline=None)
def test_reversing_a_diff_gives_one_that_swaps_what_was_added_and_removed(before: str, after: str) -> None:
    def counted(text: str, sign: str) -> list[str]:
        return sorted(one[1:] for one in text.splitlines()[2:] if one.startswith(sign))

    there = diff(before, after)
    back = reverse(there)
    assert counted(back, "+") == counted(there, "-")
    assert counted(back, "-") == counted(there, "+")
    assert reverse(back) == there


def test_patch_understands_the_diff(tmp_path: Path) -> None:
    before = "".join(f"line {n}\n" for n in range(40))
    after = before.replace("line 3\n", "").replace("line 30\n", "line 30\nnew\n") + "end"
    (tmp_path / "file").write_text(before)
    ran = subprocess.run(["patch", "file"], input=diff(before, after), cwd=tmp_path, text=True, capture_output=True)
    assert ran.returncode == 0, ran.stdout
    assert (tmp_path / "file").read_text() == after


@pytest.mark.parametrize("scheme", ["Bearer", "basic", "Token"])
def test_a_scheme_before_a_credential_does_not_uncover_it(scheme: str) -> None:
    shown = redacted(f"- curl -H 'Authorization: {scheme} hunter2-and-more' http://billing/\n")
    assert "hunter2" not in shown
    assert "http://billing/" in shown


def test_a_private_key_is_hidden_as_a_block() -> None:
    text = "tls: |\n  -----BEGIN PRIVATE KEY-----\n  MIIabc\n  -----END PRIVATE KEY-----\nport: 80\n"
    assert "MIIabc" not in redacted(text)
    assert "port: 80" in redacted(text)


WORDS = st.lists(st.from_regex(r"[A-Za-z]{3}zq[a-z]{2,8}", fullmatch=True), min_size=1, max_size=9)
SPACES = st.sampled_from([" ", "\n", "  ", "\n\n", ": ", "' ", '" ', " # ", ", ", "\t", "\\", " = "])


@given(
    words=WORDS,
    data=st.data(),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    flow=st.sampled_from([None, True, False]),
    as_list=st.booleans(),
    width=st.sampled_from([10, 30, 80]),
)
@settings(max_examples=150, deadline=None)
def test_no_style_of_a_yaml_scalar_shows_any_line_of_a_secret(
    words: list[str], data: st.DataObject, style: str | None, flow: bool | None, as_list: bool, width: int
) -> None:
    secret = "".join(one + data.draw(SPACES) for one in words)
    name = data.draw(st.sampled_from(SECRET_NAMES))
    environment = ["PORT=80", f"{name}={secret}", "A=1"] if as_list else {"A": "1", name: secret, "PORT": "80"}

    def text(limit: str) -> str:
        service = {"environment": environment, "command": ["run", f"--{name}", secret], "mem_limit": limit}
        return yaml.dump(service, default_style=style, default_flow_style=flow, width=width, sort_keys=False)

    shown = diff(text("256m"), text("512m"))
    assert "256m" in shown
    assert "512m" in shown
    for word in words:
        assert word not in shown
        assert word not in redacted(text("256m"))


@pytest.mark.parametrize(
    "text",
    [
        'environment:\n  PASSWORD: "first\n    second-part-leaks"\n  PORT: 80\n',
        "environment:\n  PASSWORD: 'first\n\n    second-part-leaks'\n  PORT: 80\n",
        "environment:\n  PASSWORD: first\n    second-part-leaks\n  PORT: 80\n",
        "environment:\n  - PASSWORD=first\n    second-part-leaks\n  - PORT: 80\n",
        'environment:\n  - "PASSWORD=first\n\nsecond-part-leaks"\n  - PORT: 80\n',
        "environment: {PASSWORD: first\n  second-part-leaks, PORT: 80}\n",
        "environment:\n  PASSWORD: &a !!str first\n    second-part-leaks\n  PORT: 80\n",
        "x-common: &a first second-part-leaks\nenvironment:\n  PASSWORD: *a\n  PORT: 80\n",
        "command: >\n  run --password\n  second-part-leaks\nPORT: 80\n",
        "environment:\n  ? PASSWORD\n  : first\n    second-part-leaks\n  PORT: 80\n",
        'A: "\u2028"\nB: "\x85"\nPASSWORD: "first\n  second-part-leaks"\nPORT: 80\n',
    ],
)
def test_a_secret_that_goes_on_over_the_line_is_hidden_to_its_end(text: str) -> None:
    shown = redacted(text)
    assert "second-part-leaks" not in shown
    assert "80" in shown


def test_a_quoted_secret_of_an_environment_file_is_hidden_to_its_end() -> None:
    shown = redacted('A=1\nPASSWORD="first\nsecond-part-leaks"\nPORT=80\n')
    assert "second-part-leaks" not in shown
    assert "PORT=80" in shown


def test_a_long_command_with_a_secret_on_one_line_still_shows_its_others() -> None:
    text = "command: >\n  run --broker redis://:hunter2@queue/0\n  --concurrency {}\n"
    shown = diff(text.format(4), text.format(8))
    assert "hunter2" not in shown
    assert "+  --concurrency 8" in shown


def test_the_name_of_an_entry_of_a_secret_is_shown_and_nothing_that_looks_like_its_value() -> None:
    text = "env:\n- name: TOKEN\n  valueFrom:\n    secretKeyRef:\n      key: {}\n      name: web\n"
    assert "key: TOKEN" in redacted(text.format("TOKEN"))
    assert "sk_live" not in redacted(text.format("sk_live_9a8b7c6d5e4f3a2b1c0d"))
    assert "hunter2" not in redacted("secret:\n  key: hunter2\n")
    assert "hunter2" not in redacted("secretKeyRef:\n  password: hunter2\n")
