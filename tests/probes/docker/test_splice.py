"""A YAML text is changed in one place and stays the same, byte for byte, in every other."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from probes import splice
from probes.target import Refused

COMPOSE = """\
# the shop
version: "3.8"   # kept
x-logging: &log
  driver: json-file

services:
  web:   # the front
    image: "shop:1"      # pinned
    command: gunicorn app:app -b 127.0.0.1:8000   # server
    environment:
      - A=1      # one
      - B=two
    mem_limit:    256m   # too low
    logging: *log

  # the database
  db:
    image: 'postgres:16'
    deploy: {resources: {limits: {cpus: "1", memory: 512M}}}
    ulimits:
      nofile: { soft: 1024, hard: 4096 }
"""
MEM = ("services", "web", "mem_limit")


def changed_span(before: str, after: str) -> tuple[str, str]:
    """What of the one is not in the other, after the common beginning and end are taken away."""
    start = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def test_a_scalar_changes_and_its_comment_and_spacing_stay():
    after = splice.set_value(COMPOSE, MEM, "1g")
    assert after == COMPOSE.replace("mem_limit:    256m   # too low", "mem_limit:    1g   # too low")


TABBED = """\
services:\t# all
  web:\t\t# the front
    image: "shop:1"\t# pinned
    command: [gunicorn,\tapp:app, -b,\t127.0.0.1:8000]\t# server
    environment:
      - A=1\t# one
      - B=two\t
    mem_limit:\t256m\t# too low
    ulimits:\t# few
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (MEM, "1g", "256m", "1g"),
        (("services", "web", "image"), "shop:2", "shop:1", "shop:2"),
        (("services", "web", "environment"), ["A=1", "B=3"], "B=two", "B=3"),
        (("services", "web", "environment"), ["A=1", "B=two", "C=x"], "B=two\t\n", "B=two\t\n      - C=x\n"),
        (
            ("services", "web", "command"),
            ["gunicorn", "app:app", "-b", "0.0.0.0:8000"],
            "127.0.0.1:8000]",
            "0.0.0.0:8000]",
        ),
        (("services", "web", "ulimits", "nofile"), 9, "# few\n", "# few\n      nofile: 9\n"),
        (("services", "web", "mem_reservation"), "1g", "# few\n", "# few\n    mem_reservation: 1g\n"),
    ],
)
def test_tabs_between_values_and_before_comments_stay(path, value, old, new):
    assert splice.set_value(TABBED, path, value) == TABBED.replace(old, new)


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  \tb: 1\n", "a: 1\n\t# c\nb: 2\n"])
def test_a_tab_that_indents_is_no_yaml_and_its_line_is_named(text):
    with pytest.raises(Refused, match="not valid YAML in line 2"):
        splice.set_value(text, ("a",), "2")


def test_what_is_written_reads_the_same_by_older_parsers_too():
    assert splice.set_value("a: [x]\n", ("a",), ["0?"]) == 'a: ["0?"]\n'


def test_quotes_are_kept():
    after = splice.set_value(COMPOSE, ("services", "db", "image"), "postgres:17")
    assert after == COMPOSE.replace("'postgres:16'", "'postgres:17'")


def test_flow_mappings_are_edited_inside():
    path = ("services", "db", "deploy", "resources", "limits", "memory")
    assert splice.set_value(COMPOSE, path, "2G") == COMPOSE.replace("512M", "2G")
    after = splice.set_value(COMPOSE, (*path[:-1], "pids"), 100)
    assert after == COMPOSE.replace("memory: 512M}", "memory: 512M, pids: 100}")
    after = splice.set_value(COMPOSE, ("services", "db", "ulimits", "nofile", "soft"), 4096)
    assert after == COMPOSE.replace("soft: 1024", "soft: 4096")


def test_missing_mappings_are_made_behind_the_last_entry_at_the_right_indentation():
    after = splice.set_value(COMPOSE, ("services", "web", "ulimits", "nofile", "soft"), 65536)
    made = "    logging: *log\n    ulimits:\n      nofile:\n        soft: 65536\n"
    assert after == COMPOSE.replace("    logging: *log\n", made)


def test_a_key_without_a_value_gets_one():
    text = "services:\n    web:   # here\n    db:\n        image: x"
    after = splice.set_value(text, ("services", "web", "mem_limit"), "1g")
    assert after == "services:\n    web:   # here\n        mem_limit: 1g\n    db:\n        image: x"
    assert splice.set_value("a:   # c\nb: 1\n", ("a",), "x") == "a: x   # c\nb: 1\n"


def test_crlf_line_ends_stay_and_are_used():
    text = "services:\r\n  web:\r\n    image: x   # c\r\n  db:\r\n    image: y\r\n"
    after = splice.set_value(text, ("services", "web", "deploy", "resources"), "1")
    made = '    image: x   # c\r\n    deploy:\r\n      resources: "1"\r\n'
    assert after == text.replace("    image: x   # c\r\n", made)


def test_a_file_without_a_last_line_end_gets_none():
    assert splice.set_value("a:\n  b: 1", ("a", "c"), 2) == "a:\n  b: 1\n  c: 2"


def test_block_scalars_are_replaced_and_what_follows_stays():
    text = "web:\n  command: >\n    gunicorn\n    app:app\n\n  # next\n  image: x\n"
    assert splice.set_value(text, ("web", "command"), "uvicorn app:app") == (
        "web:\n  command: uvicorn app:app\n\n  # next\n  image: x\n"
    )


def test_lists_keep_the_comments_of_the_items_that_stay():
    text = (
        "web:\n  command:\n    - gunicorn   # server\n    - app:app\n"
        "    # bind\n    - -b\n    - '127.0.0.1:8000' # loop\n  image: x\n"
    )
    path = ("web", "command")
    assert splice.set_value(text, path, ["gunicorn", "app:app", "-b", "0.0.0.0:8000"]) == text.replace(
        "127.0.0.1", "0.0.0.0"
    )
    grown = splice.set_value(text, path, ["gunicorn", "app:app", "-b", "127.0.0.1:8000", "--timeout", "60"])
    assert grown == text.replace("# loop\n", "# loop\n    - '--timeout'\n    - '60'\n")
    shrunk = splice.set_value(text, path, ["gunicorn", "app:app"])
    assert yaml.safe_load(shrunk)["web"] == {"command": ["gunicorn", "app:app"], "image": "x"}
    assert "# server" in shrunk
    flow = 'web: {command: ["gunicorn", "app:app"]}\n'
    assert splice.set_value(flow, path, ["gunicorn", "-w", "2", "app:app"]) == (
        'web: {command: ["gunicorn", "-w", "2", "app:app"]}\n'
    )


def test_strings_that_look_like_something_else_are_quoted():
    for value in (
        "yes",
        "1",
        "0x1f",
        "a: b",
        "# c",
        "",
        "null",
        "~",
        "- x",
        "1:30",
        "é",
        "a'b\"c",
        "{x}",
        "*a",
        "&a",
        "@",
    ):
        after = splice.set_value("a: old   # c\nb: 2\n", ("a",), value)
        assert yaml.safe_load(after) == {"a": value, "b": 2}
        assert after.endswith("   # c\nb: 2\n")


def test_an_entry_of_its_own_is_changed_beside_those_that_a_merge_key_takes_over() -> None:
    text = "x: &c\n  mem: 1\n  restart: always\nweb:\n  <<: *c  # common\n  mem: 512m # own\n"
    assert splice.set_value(text, ("web", "mem"), "1g") == text.replace("512m", "1g")
    with pytest.raises(Refused, match="merge key"):
        splice.set_value(text, ("web", "command"), "uvicorn")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("web: &w\n  mem: 1\nother: *w\n", "anchor"),
        ("base: &w\n  mem: 1\nweb: *w\n", "alias"),
        ("base: &b {mem: 1}\nweb:\n  <<: *b\n  image: x\n", "merge key"),
        ("web:\n  mem: &m 1\nother: *m\n", "anchor"),
        ("web:\n  mem: !override 1\n", "tag"),
        ("web:\n  mem: 1\n  mem: 2\n", "twice"),
        ("web:\n  mem: 1\n---\nweb: 2\n", "document"),
        ("{% if x %}\nweb:\n  mem: 1\n", "not valid"),
        ("web:\n  mem: {{ mem }}\n", "single value"),
        ("web: {{ web }}\n", "template"),
        ("web:\n\tmem: 1\n", "not valid"),
        ("- web\n", "not a mapping"),
        ("web: [1]\n", "not a mapping"),
        ("", "not a mapping"),
        ("a: " + "x" * (1 << 20), "larger"),
    ],
)
def test_what_is_shared_or_unclear_is_refused_with_a_sentence(text: str, word: str):
    with pytest.raises(Refused, match=word) as refused:
        splice.set_value(text, ("web", "mem"), "2")
    assert str(refused.value).startswith("The text cannot be edited safely: ")
    assert str(refused.value).endswith(".")


def test_an_alias_bomb_is_refused_in_time():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(Refused):
        splice.set_value("\n".join([*lines, "web: {mem: 1}"]), ("web", "mem"), "2")


words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"], exclude_characters="\ufeff\u2028\u2029\x85"), max_size=12
)
keys = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)
values = st.recursive(
    words | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(keys, st.dictionaries(keys, values, min_size=1, max_size=4), min_size=1, max_size=4)


@given(documents, st.data())
def test_whatever_the_document_only_the_wanted_path_changes(document: dict, data: st.DataObject):
    text = yaml.safe_dump(
        document,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=data.draw(st.sampled_from([False, None])),
        indent=data.draw(st.sampled_from([2, 4])),
        line_break=data.draw(st.sampled_from(["\n", "\r\n"])),
    )
    text = (
        "".join(
            line if data.draw(st.booleans()) else f"# a comment{splice.newline_of(text)}{line}"
            for line in text.splitlines(keepends=True)
        )
        if "\n  \n" not in text and not any(q in text for q in "|>\"'")
        else text
    )
    outer = data.draw(st.sampled_from(sorted(document)))
    inner = data.draw(st.sampled_from(sorted(document[outer])) | keys)
    value = data.draw(words | st.integers(0, 10**12))
    try:
        after = splice.set_value(text, (outer, inner), value)
    except Refused:
        held = document[outer].get(inner)
        assert isinstance(held, (list, dict)), f"refused without need: {text!r}"
        return
    wanted = {**document, outer: {**document[outer], inner: value}}
    assert yaml.safe_load(after) == wanted
    removed, added = changed_span(text, after)
    assert len(removed) <= len(str(document[outer].get(inner, ""))) * 12 + 16
    assert "# a comment" not in added


simple = st.from_regex(r"[a-z]{3,8}[0-9]{1,3}", fullmatch=True)


@given(simple, st.sampled_from(["", "'", '"']), simple)
def test_setting_the_old_value_again_gives_the_old_bytes(old: str, style: str, new: str):
    text = f"# c\nweb:\n  mem:  {style}{old}{style}   # kept\n  x: 1\n"
    there = splice.set_value(text, ("web", "mem"), new)
    assert there == text.replace(f"{style}{old}{style} ", f"{style}{new}{style} ")
    assert splice.set_value(there, ("web", "mem"), old) == text


@given(st.lists(words, min_size=1, max_size=6), st.lists(words, min_size=1, max_size=6), st.sampled_from([False, True]))
def test_any_list_becomes_any_other(old: list[str], new: list[str], flow: bool):
    body = yaml.safe_dump({"web": {"command": old, "z": 1}}, default_flow_style=flow, allow_unicode=True, width=10**9)
    text = f"# top\n{body}# end\n"
    after = splice.set_value(text, ("web", "command"), new)
    assert yaml.safe_load(after) == {"web": {"command": new, "z": 1}}
    assert after.startswith("# top\n")
    assert after.endswith("# end\n")
