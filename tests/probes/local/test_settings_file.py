"""gunicorn's configuration file, edited without touching another byte."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import gunicorn_config
from probes.target import Refused
from probes.targets.local.settings_file import edited


def test_a_value_is_replaced_where_it_stands_and_all_else_stays() -> None:
    before = '# ours\ntimeout=30   # seconds\nbind  =  "127.0.0.1:8000"\nworkers = 2\n'
    after = edited(before, {"timeout": 60, "workers": 4}, {})
    assert after == '# ours\ntimeout=60   # seconds\nbind  =  "127.0.0.1:8000"\nworkers = 4\n'


def test_what_is_missing_is_appended_even_after_a_line_without_an_end() -> None:
    assert edited("workers = 2", {"max_requests": 1000}, {}) == "workers = 2\nmax_requests = 1000\n"


def test_an_empty_file_gets_the_settings_in_order() -> None:
    assert edited("", {"workers": 2, "bind": "127.0.0.1:1"}, {}) == "workers = 2\nbind = '127.0.0.1:1'\n"


def test_the_last_assignment_is_the_one_that_counts() -> None:
    assert edited("timeout = 1\ntimeout = 2\n", {"timeout": 60}, {}) == "timeout = 1\ntimeout = 60\n"


def test_an_expression_gives_way_to_the_value() -> None:
    before = "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n"
    assert edited(before, {"workers": 3}, {}) == "import multiprocessing\nworkers = 3\n"


def test_a_name_set_in_a_branch_is_overruled_at_the_end() -> None:
    before = "import os\nif os.getenv('BIG'):\n    workers = 8\n"
    assert edited(before, {"workers": 3}, {}) == before + "workers = 3\n"


def test_a_value_over_several_lines_and_behind_other_letters_is_found() -> None:
    before = 'title = "größe"; timeout = (\n    30\n)\nx = 1\n'
    assert edited(before, {"timeout": 60}, {}) == 'title = "größe"; timeout = (\n    60\n)\nx = 1\n'


def test_line_endings_are_kept() -> None:
    assert edited("workers = 2\r\n", {"timeout": 60}, {}) == "workers = 2\r\ntimeout = 60\r\n"


def test_an_annotated_assignment_is_edited() -> None:
    assert edited("timeout: int = 30\n", {"timeout": 60}, {}) == "timeout: int = 60\n"


@pytest.mark.parametrize("broken", ["workers = (\n", "\x00"])
def test_a_file_that_is_no_python_is_refused(broken: str) -> None:
    with pytest.raises(Refused):
        edited(broken, {"workers": 2}, {})


_LINES = st.sampled_from(
    [
        "",
        "# timeout = 5",
        "timeout = 30",
        "timeout =30 # x",
        "bind = 'a'  ",
        "def post_fork(s, w):\n    timeout = 3",
        "é = 'ü'; timeout = 1",
        "\ftimeout = 7",
    ]
)


@given(st.lists(_LINES, max_size=8), st.integers(1, 600))
def test_whatever_the_file_the_value_is_in_force_and_the_rest_is_as_before(lines: list[str], value: int) -> None:
    before = "\n".join(lines)
    after = edited(before, {"timeout": value}, {})
    assert gunicorn_config.read(after.encode(), {}).values["timeout"] == value
    assert edited(after, {"timeout": value}, {}) == after
    kept = [ast.dump(one) for one in ast.parse(before).body if "timeout" not in ast.dump(one)]
    assert [ast.dump(one) for one in ast.parse(after).body if "timeout" not in ast.dump(one)] == kept
