"""The rules of includes/rules.jinja accept valid answers and refuse invalid ones.

Here its macros are called one by one, with hundreds of values;
test_bad_answers.py runs the command.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import copier
import jinja2
import pytest
import yaml

from rig.repositories.template import ROOT, git, release, render, snapshot
from rig.repositories.template_rules import rules

QUESTIONS: dict[str, dict[str, Any]] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
TEXTS = [
    name
    for name, question in QUESTIONS.items()
    if question["type"] == "str" and "choices" not in question
]
CHOICES = ["parent_image", "parent_os"]
YES_OR_NO = [name for name, question in QUESTIONS.items() if question["type"] == "bool"]
MAY_BE_EMPTY = {"aws_copy_regions", "image_consumers", "aws_kms_key"}

ORGANISATION = "arn:aws:organizations::111122223333:organization/o-exampleorgid"
UNIT = "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-exam-12345678"
KEY_ID = "12345678-90ab-cdef-1234-567890abcdef"
KEY_ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}"
MULTI_REGION = "mrk-1234567890abcdef1234567890abcdef"

GOOD: dict[str, list[str]] = {
    "image_name": ["web", "a1", "web-server", "x" * 60],
    "image_description": ["A", "Grüße: {{ x }} \"quoted\" 'too' ${HOME} %{ if }", "x" * 255],
    "parent_owner": ["self", "012345678901"],
    "parent_name": ["CIS-AMZN2-2023*", "al2023-ami-*-x86_64", "a b", "[ab]?c"],
    "aws_management_account": ["111122223333", "012345670123"],
    "aws_region": ["eu-central-1", "us-west-2", "ap-southeast-7"],
    "aws_copy_regions": ["", "eu-west-1", "eu-west-1,us-east-1", "eu-west-1, us-east-1"],
    "image_consumers": ["", "111122223333", f"111122223333, {ORGANISATION}, {UNIT}"],
    "aws_kms_key": ["", "alias/packer-ami", KEY_ID, KEY_ARN, MULTI_REGION],
    "github_host": ["github.com", "github.example.com:8443", "GHE.example.org"],
    "github_organization": ["my-organization", "A", "x" * 39],
    "github_runner": ["ubuntu-24.04", "self-hosted, linux", "a,b"],
    "aws_build_role": ["arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/p/x"],
    "aws_release_role": [
        "arn:aws:iam::111122223333:role/x",
        "arn:aws:iam::111122223333:role/service-role/x",
    ],
    "toolkit_image": ["toolkit", "localhost:5000/toolkit", "ghcr.io/org/packer-toolkit"],
    "personal_role_variable": ["SOL_CET_USER_ROLE", "ROLE"],
}
BAD: dict[str, list[str]] = {
    "image_name": ["Web_Server", "packer-ami-web", "a", "1web", "web--x", "web-", "1e3", "x" * 61],
    "image_description": [" web", "web ", "a\tb", "a\x00b", "a\u202eb", "a\u2028b", "x" * 256],
    "parent_owner": ["amazon", "12345678901", "1234567890123", "SELF", " self"],
    "parent_name": ["*", "***", "ab", "web$", " web", "web ", "x" * 129, "a\tb"],
    "aws_management_account": ["1111-2222-3333", "11112222333", "\uff11" * 12],
    "aws_region": [
        "moon",
        "EU-CENTRAL-1",
        "eu-central",
        "eu-central-1a",
        "eu-west-1,us-east-1",
        "cn-north-1",
    ],
    "aws_copy_regions": ["moon", "eu-west-1,", "eu-west-1 us-east-1", "eu-west-1,eu-west-1"],
    "image_consumers": [
        "123",
        "arn",
        "arn:aws",
        "self",
        "*",
        "111122223333 111122223333",
        "111122223333,",
        KEY_ARN,
    ],
    "aws_kms_key": ["packer-ami", "alias/", "alias/a b", "key/" + KEY_ID, KEY_ARN + "/x"],
    "github_host": ["https://github.com", "github", "github.com/org", "a..b", "-a.b", "a_b.c"],
    "github_organization": ["my organization", "-a", "a-", "a--b", "org/repo", "x" * 40],
    "github_runner": ["a b", ",", "a,", "a;b", "$(id)", "x" * 65],
    "aws_build_role": [
        "packer-ami-builder",
        "arn:aws:iam::1:role/x",
        "arn:aws:iam::111122223333:user/x",
    ],
    "aws_release_role": [
        "",
        "packer-ami-releaser",
        "arn:aws:sts::111122223333:assumed-role/x/y",
        "arn:aws:iam::111122223333:role/x\n",
    ],
    "toolkit_image": ["toolkit:1.0", "Toolkit", "https://x/y", "a/b@sha256:0", "a//b", "x" * 256],
    "personal_role_variable": ["role", "AB", "1ROLE", "MY-ROLE", "X" * 65, "PATH", "AWS_PROFILE"],
}

LISTS_OF_PROCESSORS: list[Any] = [
    "[x86_64]",
    "[x86_64, arm64]",
    "[ arm64 ,x86_64 ]",
    "['x86_64']",
    '["arm64"]',
    "[x86_64,]",
    ["arm64"],
    ["x86_64", "arm64"],
]
NO_LISTS_OF_PROCESSORS: list[Any] = [
    "",
    "[]",
    "[ ]",
    "x86_64",
    "x86_64, arm64",
    "[x86]",
    "[x86_64, sparc]",
    "[[x86_64]]",
    "{x86_64: 1}",
    "[x86_64, , arm64]",
    "[x86_64",
    "['x86_64\"]",
    "- x86_64",
    "null",
    "[null]",
    "[x86_64]\n",
    f"[{'x' * 4096}]",
    [],
    {},
    {"x86_64": True},
    None,
    1,
    True,
    ["x86_64", None],
    ["x86_64", "sparc"],
    [["x86_64"]],
    [1],
]
YESES_AND_NOES: list[Any] = ["true", "YES", "y", "On", "false", "No", "n", "off", True, False]
NEITHER_YES_NOR_NO: list[Any] = ["", "maybe", "2", "1", "0", "t", "null", "~", "yes\n", " yes"]
NEITHER_YES_NOR_NO += [None, 0, 1, 2, 0.0, [], [True], {}, "x" * 4096]
# What YAML makes of an answer without quotes: 012345670123 is octal, 2026-01-01 a date.
NO_TEXTS: list[Any] = [None, True, 12, 0o12345670123, 1e3, datetime.date(2026, 1, 1), [], ["a"], {}]

# On a terminal of 80 columns Copier cuts what goes beyond them.
SCREEN = "Validation error for question '{}': {}"


def assert_refused(question: str, value: Any) -> None:
    """Assert that an answer is refused with a short reason, and with one line that names it."""
    reason = rules().why_not(question, value, {})
    assert reason, (question, value)
    if question in TEXTS and isinstance(value, str):
        assert len(SCREEN.format(question, reason)) <= 80
    with pytest.raises(jinja2.UndefinedError) as error:
        rules().refuse(question, value, reason)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 1000
    assert f"{question}=" in line
    assert f" is refused: {reason}. Accepted: {rules().accepted[question]}" in line
    if re.fullmatch(r"[\w .,:/*\[\]@-]{0,60}", str(value), re.ASCII):
        assert f'{question}="{value}" is refused: ' in line


@pytest.mark.parametrize("question", TEXTS)
def test_texts_against_the_rule_are_refused(question: str) -> None:
    """Strings that break a rule are refused, also long ones, two lines and invalid UTF-8."""
    whatever = ["x" * 4096 + "!", GOOD[question][-1] + "\n", "two\nlines", "\udcff"]
    empty = [] if question in MAY_BE_EMPTY else [""]
    for value in [*BAD[question], *whatever, *empty]:
        assert_refused(question, value)


@pytest.mark.parametrize("question", TEXTS)
def test_what_is_no_text_is_refused(question: str) -> None:
    """Values that are not strings are refused, because YAML may have converted them."""
    for value in NO_TEXTS:
        assert_refused(question, value)


@pytest.mark.parametrize("question", CHOICES)
def test_what_is_no_choice_is_refused(question: str) -> None:
    """Values that are not choices are refused, also titles and choices in another case."""
    titles = QUESTIONS[question]["choices"]
    for value in ["", *titles, "DEBIAN-13", "debian-13\n", "x" * 4096, *NO_TEXTS]:
        assert_refused(question, value)


@pytest.mark.parametrize("question", YES_OR_NO)
def test_what_is_neither_yes_nor_no_is_refused(question: str) -> None:
    """Values that are not booleans are refused; Copier itself would convert them."""
    for value in NEITHER_YES_NOR_NO:
        assert_refused(question, value)


def test_what_is_no_list_of_processors_is_refused() -> None:
    """Values that are not lists of architectures are refused."""
    for value in NO_LISTS_OF_PROCESSORS:
        assert_refused("image_architectures", value)


def test_key_has_to_fit_who_uses_the_image_and_where() -> None:
    """Keys that EC2 would reject after the build are refused."""
    key = rules().aws_kms_key
    for value in ("", "alias/aws/ebs", KEY_ARN.replace(f"key/{KEY_ID}", "alias/aws/ebs")):
        assert key(value, "111122223333", "") == "sharing needs a key of your own"
    for value in (KEY_ID, KEY_ARN):
        assert key(value, "", "eu-west-1") == "copies need an alias or mrk- key"
        assert key(value, "111122223333", "") == ""
    for value in ("alias/packer-ami", MULTI_REGION):
        assert key(value, "111122223333", "eu-west-1") == ""


def test_good_answers_pass() -> None:
    """Answers that EC2 and GitHub accept are accepted."""
    asked = rules()
    for question, values in GOOD.items():
        for value in values:
            assert asked.why_not(question, value, {}) == "", (question, value)
    for value in LISTS_OF_PROCESSORS:
        assert asked.why_not("image_architectures", value, {}) == "", value
    for question in YES_OR_NO:
        for value in YESES_AND_NOES:
            assert asked.why_not(question, value, {}) == "", value


@pytest.mark.parametrize("value", ["[ arm64 ,x86_64 ]", "['x86_64',]", ["arm64"]], ids=str)
def test_copier_reads_each_accepted_list(template: Path, tmp_path: Path, value: Any) -> None:
    """Copier can parse every list that the rule accepts."""
    data = {"image_architectures": value}
    worker = copier.run_copy(
        str(template), tmp_path, data, defaults=True, pretend=True, unsafe=True
    )
    wanted = [name for name in ("x86_64", "arm64") if name in str(value)]
    assert worker.answers.combined["image_architectures"] == wanted


def test_tables_of_the_rules_fit_the_questions() -> None:
    """The names and choices in includes/rules.jinja equal those in copier.yml."""
    asked = rules()
    assert list(asked.accepted) == list(QUESTIONS)
    assert list(asked.texts) == TEXTS
    for question in [*CHOICES, "image_architectures"]:
        assert asked.choices[question] == list(QUESTIONS[question]["choices"].values())
    assert set(asked.choices) == {*CHOICES, "image_architectures", *YES_OR_NO}
    for question in TEXTS:
        assert f"rules.{question}({question}" in QUESTIONS[question]["validator"]


def test_example_of_each_rule_is_accepted() -> None:
    """The example after "e.g." in a rule is an accepted answer."""
    asked = rules()
    for question in TEXTS:
        rule = asked.accepted[question]
        assert "; e.g. " in rule, question
        assert asked.why_not(question, rule.rpartition("; e.g. ")[2], {}) == ""


def test_questions_are_few() -> None:
    """There are at most 21 questions."""
    assert len(QUESTIONS) <= 21
    assert all(question.get("when") is not False for question in QUESTIONS.values())


def test_update_replays_answers_to_questions_that_are_gone(tmp_path: Path) -> None:
    """An update accepts recorded answers to questions that no longer exist."""
    template = snapshot(tmp_path / "template")
    now = (template / "copier.yml").read_text()
    former = "former_question:\n  type: str\n  default: former\n"
    (template / "copier.yml").write_text(now + former)
    rules_file = template / "includes" / "rules.jinja"
    rules_now = rules_file.read_text()
    known = rules_now.replace('"start_git": "', '"former_question": "former",\n  "start_git": "')
    known = known.replace('"start_git": [', '"former_question": ["former"],\n  "start_git": [')
    rules_file.write_text(known)
    release(template, "v1.1.0")
    project = render(template, tmp_path / "web", {"image_name": "web"}, vcs_ref="v1.1.0")
    assert "former_question: former" in (project / ".copier-answers.yml").read_text()
    (template / "copier.yml").write_text(now)
    rules_file.write_text(rules_now)
    release(template, "v1.2.0")
    copier.run_update(project, defaults=True, unsafe=True, overwrite=True, quiet=True)
    assert "former_question" not in (project / ".copier-answers.yml").read_text()
    assert "_commit: v1.2.0" in (project / ".copier-answers.yml").read_text()
    assert git(project, "ls-files", "--unmerged") == ""
