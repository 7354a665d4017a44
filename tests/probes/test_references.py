"""What says where a secret is kept can be read; a secret that begins like that is hidden."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from probes import text
from probes.references import is_reference

REFERENCES = (
    "vault:secret/data/shop#DB_PASSWORD",
    ">>vault:secret/data/shop#password#3",
    "ref+vault://secret/shop/db#/password",
    "ref+awssecrets://shop/db?region=eu-west-1#/password",
    "secretref+gcpsecrets://shop-prod/db-password?version=3",
    "${DB_PASSWORD}",
    "$(DB_PASSWORD)",
    "op://Private/Shop database/password",
    "op://shop/6bc3qzzcgvvmpm6ee5ydvzr5ie/admin/password",
    "sm://shop-prod/db-password#2",
    "gcp-sm://projects/shop-prod/secrets/db-password/versions/latest",
    "projects/123456789012/secrets/db-password/versions/7",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbC1dE",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbC1dE:password::",
    "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/shop/db-password",
    "file:///run/secrets/db_password",
    "/run/secrets/db_password",
    "/var/run/secrets/shop/db-password",
)
BEGINNINGS = (
    *("vault:", ">>vault:", "ref+vault://", "ref+echo://", "op://", "sm://", "gcp-sm://", "berglas://", "arn:aws:"),
    *("file://", "file:///", "projects/", "/", "/run/", "$", "#"),
)
PLACES = ("${", "$(", "/run/secrets/", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:")
"""Behind which one name is all there is."""


def shown(value: str) -> str:
    return text.environment({"DB_PASSWORD": value})["DB_PASSWORD"]


@pytest.mark.parametrize("value", REFERENCES)
def test_a_reference_is_shown_as_it_stands(value: str) -> None:
    assert shown(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "vault:hunter2",
        "vault:secret/data/shop",
        "vault:hunter2#password",
        "op://hunter2",
        "sm://hunter2",
        "file:///home/app/hunter2",
        "/hunter2",
        "$hunter2",
        "${DB_PASSWORD:-hunter2}",
        "${DB_PASSWORD}hunter2",
        "$(echo hunter2)",
        "ref+echo://hunter2/x",
        "ref+vault://secret/shop?secret_id=hunter2#/password",
        "arn:aws:iam::123456789012:role/hunter2",
        "postgresql://app:hunter2@db/app",
        "vault:secret/data/shop#hunter2@x",
        "/run/secrets/../../hunter2 ",
        "/run/secrets/db\nhunter2",
        "vault:secret/data/AKIAIOSFODNN7EXAMPLE#x",
        "vault:secret/data/ghp_abcdefghijklmnopqrst#x",
        "/run/secrets/wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    ],
)
def test_what_only_begins_like_a_reference_is_hidden(value: str) -> None:
    assert shown(value) == text.HIDDEN


ONE_PIECE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=60)


@given(st.sampled_from(BEGINNINGS), ONE_PIECE)
def test_no_beginning_makes_a_secret_of_one_piece_readable(beginning: str, secret: str) -> None:
    assert shown(beginning + secret) == text.HIDDEN


@given(
    st.sampled_from(PLACES),
    ONE_PIECE,
    st.sampled_from("!@%^&*=+?<>,;'\"|~` \t\n"),
    ONE_PIECE,
    st.sampled_from(["", "}", ")"]),
)
def test_no_place_shows_what_is_no_name(place: str, before: str, odd: str, after: str, end: str) -> None:
    assert shown(place + before + odd + after + end) == text.HIDDEN


@given(st.sampled_from(REFERENCES), st.text(min_size=1, max_size=40))
def test_nothing_that_no_name_has_stands_behind_a_reference(reference: str, more: str) -> None:
    assume(not set(more) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/:#> +"))
    assert shown(reference + more) == text.HIDDEN
    assert shown(more + reference) == text.HIDDEN


@given(
    st.from_regex(r"[A-Za-z0-9]{20,60}", fullmatch=True), st.sampled_from(["vault:{}/x#y", "vault:x/y#{}", "sm://x/{}"])
)
def test_a_part_that_may_be_a_token_is_hidden(token: str, form: str) -> None:
    assume(any(c.islower() for c in token) and any(c.isupper() for c in token) and any(c.isdigit() for c in token))
    assert shown(form.format(token)) == text.HIDDEN


@given(st.text(max_size=400))
def test_what_is_shown_of_a_secret_s_variable_is_a_whole_reference_in_plain_words(value: str) -> None:
    said = shown(value)
    assert said in ("", text.HIDDEN) or (said == value and is_reference(value))
