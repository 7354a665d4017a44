"""The reason of a failed start is found wherever the exception was raised, however deep below the server's loader."""

from __future__ import annotations

from functools import cache

import pytest

from fixes import catalogue
from fixes.examples import view_of
from fixes.model import Example, Fires, SignatureId
from probes.logs import Matcher

_PACKAGES = "/opt/venv/lib/python3.11/site-packages"
_UVICORN = (
    "Traceback (most recent call last):\n"
    f'  File "{_PACKAGES}/uvicorn/config.py", line 434, in load_app\n'
    "    return import_from_string(self.app)\n"
    f'  File "{_PACKAGES}/uvicorn/importer.py", line 19, in import_from_string\n'
    "    module = importlib.import_module(module_str)\n"
    '  File "<frozen importlib._bootstrap>", line 1204, in _gcd_import\n'
    '  File "<frozen importlib._bootstrap>", line 1176, in _find_and_load\n'
    '  File "/srv/main.py", line 1, in <module>\n'
    "    from deeplib import api\n"
)
_GUNICORN = (
    "Traceback (most recent call last):\n"
    f'  File "{_PACKAGES}/gunicorn/arbiter.py", line 752, in spawn_worker\n'
    "    worker.init_process()\n"
    f'  File "{_PACKAGES}/gunicorn/util.py", line 420, in import_app\n'
    "    mod = importlib.import_module(module)\n"
    '  File "/srv/main.py", line 1, in <module>\n'
    "    from deeplib import api\n"
)
_ENDS = "[2026-11-23 00:47:01 +0000] [7] [ERROR] Reason: Worker failed to boot.\n"


def imports(depth: int) -> str:
    return "".join(
        f'  File "{_PACKAGES}/deeplib/m{i}.py", line 1, in <module>\n    from deeplib import m{i + 1}\n'
        for i in range(depth)
    )


@cache
def matcher() -> Matcher:
    return Matcher(catalogue.patterns())


def verdict(log: str) -> Fires:
    found = catalogue.signatures()[SignatureId("worker-boot-failed")].detect(view_of(Example("a log", log), matcher()))
    assert isinstance(found, Fires)
    return found


@pytest.mark.parametrize("depth", [0, 3, 12, 60])
@pytest.mark.parametrize(("head", "tail"), [(_UVICORN, ""), (_GUNICORN, _ENDS)])
@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError: libfoo needs version 3 of bar",
        "sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from given URL string",
        "ModuleNotFoundError: No module named '_ssl'",
    ],
)
def test_an_exception_inside_a_library_is_the_reason_and_its_line_the_evidence(head, tail, error, depth):
    found = verdict(f"{head}{imports(depth)}{error}\n{tail}")
    assert found.facts["error"] == error
    assert error in found.title
    if depth > 9:
        assert error in [one.text for one in found.evidence]


@pytest.mark.parametrize(("head", "tail"), [(_UVICORN, ""), (_GUNICORN, _ENDS)])
def test_a_frame_of_the_servers_loader_is_no_evidence_where_its_tracebacks_end_is_known(head, tail):
    told = [one.text for one in verdict(f"{head}{imports(2)}KeyError: 'DATABASE_URL'\n{tail}").evidence]
    assert "KeyError: 'DATABASE_URL'" in told
    assert not any("importer.py" in text or "util.py" in text for text in told)


def test_an_exception_is_the_reason_whatever_its_name_ends_in():
    error = "environ.compat.ImproperlyConfigured: no dialect"
    assert verdict(f"{_UVICORN}{imports(2)}{error}\n").facts["error"] == error


def test_of_a_chain_the_last_exception_is_the_reason():
    first = f"{_UVICORN}{imports(12)}KeyError: 'bar'\n\nThe above exception was the direct cause of the following"
    found = verdict(f"{first} exception:\n\nTraceback (most recent call last):\n{imports(8)}lib.ConfigError: no bar\n")
    assert found.facts["error"] == "lib.ConfigError: no bar"


def test_the_words_of_a_later_exception_of_the_same_type_are_not_taken_for_the_reason():
    later = "INFO: a line\n" * 30 + "Traceback (most recent call last):\nRuntimeError: of a task\n"
    assert verdict(f"{_UVICORN}{imports(12)}RuntimeError: no model\n{later}").facts["error"] == "RuntimeError"
