"""What must not be read by everybody is masked, and what a person needs to read is not."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from packer_toolkit.build.masking import Mask

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::<account>:role/x"),
        ("shared with 123456789012, 210987654321", "shared with <account>, <account>"),
        ("the key AKIAIOSFODNN7EXAMPLE", "the key ***"),
        ("https://me:pass-word@example.com/x", "https://***@example.com/x"),
        ("token ghs_abcdefghijklmnopqrstuvwx", "token ***"),
        (f"before {KEY} after", "before *** after"),
        ("password=correct-horse", "password=***"),
    ],
)
def test_what_is_published_holds_no_secret_and_no_account(text: str, masked: str) -> None:
    """Known forms, and the values of variables whose names sound like a secret."""
    assert Mask({"DB_PASSWORD": "correct-horse"}).everything(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "ami-0123456789012abcd in eu-west-1",
        "small-0.0.0-dev.20261125025641-x86_64",
        "i-0123456789012345a",
        "snap-0a123456789012b",
        "TASK [baseline : Write the release file] ****",
        "commit 123456789012345678901234567890123456abcd",
    ],
)
def test_names_of_things_stay_readable(text: str) -> None:
    """Ids, versions and commits hold digits too."""
    assert Mask({"GITHUB_TOKEN_URL": "ami-0123456789012abcd"}).everything(text) == text


def test_account_numbers_stay_for_the_person_who_watches() -> None:
    """Only what is published loses them."""
    mask = Mask({"AWS_SESSION_TOKEN": "opens-everything"})
    text = "account 123456789012: opens-everything"
    assert mask.secrets(text) == "account 123456789012: ***"


def test_short_and_empty_values_mask_nothing() -> None:
    """A value of one letter would be found in every word."""
    assert Mask({"TOKEN": "a", "SECRET": "", "PASSWORD": "on"}).everything("banana on") == (
        "banana on"
    )


def test_each_line_of_a_secret_is_masked() -> None:
    """Output comes line by line."""
    mask = Mask({"DEPLOY_PRIVATE_KEY": "first-line-of-it\nsecond-line-of-it"})
    assert mask.secrets("x second-line-of-it y") == "x *** y"


@given(st.text(min_size=8).filter(str.strip), st.text(), st.text())
def test_a_secret_is_never_in_the_result(secret: str, before: str, after: str) -> None:
    """Whatever signs it has, and whatever stands around it."""
    secret = secret.strip().strip("*<>acount")
    if len(secret) >= 8:
        assert secret not in Mask({"X_TOKEN": secret}).secrets(f"{before}{secret}{after}")
