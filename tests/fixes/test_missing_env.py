"""What pydantic names is a field: the finding says which variable it probably is, and that this is a guess."""

from __future__ import annotations

from functools import cache

import pytest

from fixes import catalogue
from fixes.examples import view_of
from fixes.model import Example, Fires, SignatureId
from fixes.signatures import _cases
from probes.logs import Matcher

_MORE = "    For further information visit https://errors.pydantic.dev/2.14/v/missing\n"


def missing(*fields: str) -> str:
    said = "".join(f"{f}\n  Field required [type=missing, input_value={{}}, input_type=dict]\n{_MORE}" for f in fields)
    head = "pydantic_core._pydantic_core.ValidationError"
    return f"{head}: {len(fields)} validation errors for Settings\n{said}"


@cache
def matcher() -> Matcher:
    return Matcher(catalogue.patterns())


def verdict(log: str, *set_already: str, from_elsewhere: tuple[str, ...] = ()) -> Fires:
    deployment = _cases.deployment(
        _cases.replica(
            environment=dict.fromkeys(set_already, "x"),
            environment_from=dict.fromkeys(from_elsewhere, "secret shop/key"),
        )
    )
    view = view_of(Example("a log", log, deployment), matcher())
    found = catalogue.signatures()[SignatureId("missing-env")].detect(view)
    assert isinstance(found, Fires)
    return found


def test_a_field_is_named_as_it_stands_there_and_its_variable_with_the_doubt():
    found = verdict(missing("database_url"))
    assert found.title == "the setting database_url is missing (DATABASE_URL, or with a prefix)"
    assert found.facts == {"missing": "DATABASE_URL", "fields": "database_url", "prefix": ""}


def test_a_prefix_that_other_variables_share_makes_the_likely_name():
    found = verdict(missing("database_url", "secret_key"), "APP_LOG_LEVEL", "APP_PORT", "PATH", "PYTHON_VERSION")
    assert found.title.endswith("are missing: database_url, secret_key (probably APP_DATABASE_URL, APP_SECRET_KEY)")
    assert found.facts["missing"] == "APP_DATABASE_URL,APP_SECRET_KEY"
    assert found.facts["prefix"] == "APP_"
    (told,) = [one for one in found.evidence if one.source == "inspect"]
    assert told.text.startswith("APP_LOG_LEVEL, APP_PORT are set")


def test_variables_from_a_secret_count_too():
    assert verdict(missing("key"), "SHOP_MODE", from_elsewhere=("SHOP_TOKEN",)).facts["prefix"] == "SHOP_"


@pytest.mark.parametrize(
    "set_already",
    [
        ("APP_PORT",),
        ("PYTHON_VERSION", "PYTHON_SHA256", "UVICORN_HOST", "UVICORN_PORT"),
        ("APP_PORT", "APP_MODE", "SHOP_A", "SHOP_B"),
        ("API_SERVICE_HOST", "API_SERVICE_PORT", "API_PORT_80_TCP", "API_PORT_80_TCP_ADDR", "API_PORT"),
        ("DATABASE_POOL", "DATABASE_ECHO"),
        ("APP_MODE", "APP_DATABASE_URL"),
    ],
    ids=["one", "of tools", "two", "service links", "of the field itself", "set already"],
)
def test_what_is_not_obvious_is_not_guessed(set_already):
    found = verdict(missing("database_url"), *set_already)
    assert found.facts["prefix"] == ""
    assert found.facts["missing"] == "DATABASE_URL"


def test_a_nested_field_keeps_its_path():
    assert verdict(missing("db.host")).facts["missing"] == "DB__HOST"


def test_a_variable_that_the_code_asked_for_by_name_is_in_no_doubt():
    log = "  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'DATABASE_URL'\n"
    found = verdict(log, "APP_PORT", "APP_MODE")
    assert found.title == "the setting DATABASE_URL is missing"
    assert found.facts == {"missing": "DATABASE_URL"}
