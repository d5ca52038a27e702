"""Answers that conflict are refused with one line, before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rig.repositories.copier_command import contents, run_copier
from rig.repositories.template import git, release, render, snapshot
from rig.repositories.template_rules import rules
from rig.run.terminal import copier

KEY_ID = "12345678-90ab-cdef-1234-567890abcdef"
KEY = f"arn:aws:kms:eu-west-1:111122223333:key/{KEY_ID}"
ALIAS = "arn:aws:kms:eu-west-1:111122223333:alias/packer-ami"
MULTI_REGION = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234567890abcdef1234567890abcdef"

OWN = {"parent_image": "own", "parent_owner": "self"}
BOTH = "[x86_64, arm64]"
REFUSED = [
    # A key of another region, in each form of an ARN.
    ("aws_kms_key", {"aws_kms_key": KEY}, "must be a key in eu-central-1"),
    ("aws_kms_key", {"aws_kms_key": ALIAS}, "must be a key in eu-central-1"),
    ("aws_kms_key", {"aws_kms_key": MULTI_REGION}, "must be a key in eu-central-1"),
    (
        "aws_kms_key",
        {"aws_kms_key": KEY, "aws_region": "eu-west-1", "aws_copy_regions": "us-east-1"},
        "copies need an alias or mrk- key",
    ),
    (
        "aws_kms_key",
        {"aws_kms_key": KEY_ID, "aws_copy_regions": "eu-central-1, us-east-1"},
        "copies need an alias or mrk- key",
    ),
    # Others use the image, and the key cannot be shared.
    (
        "aws_kms_key",
        {"aws_kms_key": "alias/aws/ebs", "image_consumers": "444455556666"},
        "sharing needs a key of your own",
    ),
    # One name for two processors.
    (
        "image_architectures",
        {**OWN, "parent_name": "base-x86_64-*", "image_architectures": "[arm64]"},
        "parent_name is x86_64 only",
    ),
    (
        "image_architectures",
        {**OWN, "parent_name": "base-amd64-*", "image_architectures": BOTH},
        "parent_name is x86_64 only",
    ),
    (
        "image_architectures",
        {**OWN, "parent_name": "base-aarch64-*"},
        "parent_name is arm64 only",
    ),
    (
        "image_architectures",
        {**OWN, "parent_name": "base-2026.11", "image_architectures": BOTH},
        "parent_name needs a * or ?",
    ),
    # A name that another program reads.
    ("personal_role_variable", {"personal_role_variable": "PATH"}, "other programs read it"),
]
ACCEPTED = [
    {"aws_kms_key": KEY, "aws_region": "eu-west-1"},
    {"aws_kms_key": ALIAS, "aws_region": "eu-west-1", "image_consumers": "444455556666"},
    # A key of another account is a common arrangement.
    {"aws_kms_key": KEY.replace("1111", "9999"), "aws_region": "eu-west-1"},
    # Copies that are only the region of the build are not copies.
    {"aws_kms_key": KEY_ID, "aws_copy_regions": "eu-central-1"},
    {"aws_kms_key": KEY, "aws_region": "eu-west-1", "aws_copy_regions": " eu-west-1"},
    {**OWN, "parent_name": "base-*", "image_architectures": BOTH},
    {**OWN, "parent_name": "base-2026.11", "image_architectures": "[arm64]"},
    {**OWN, "parent_name": "base-x86_64-and-arm64-*", "image_architectures": BOTH},
    {**OWN, "parent_name": "base-arm64-2026.11", "image_architectures": "[arm64]"},
    {"image_architectures": BOTH},
]


def options(answers: dict[str, str]) -> list[str]:
    """Format answers as options of Copier."""
    return [f"--data={question}={value}" for question, value in answers.items()]


@pytest.mark.parametrize(("question", "answers", "reason"), REFUSED)
def test_answers_that_do_not_fit_each_other(
    template: Path, tmp_path: Path, question: str, answers: dict[str, str], reason: str
) -> None:
    """A conflict is refused with one line that has the question and the reason (review R16)."""
    folder = tmp_path / "web"
    arguments = ("copy", "--trust", "--defaults", *options(answers), template, folder)
    outcome = run_copier(*arguments, cwd=tmp_path)
    assert outcome.code == 1, outcome
    (line,) = outcome.complaints
    assert f'{question}="' in line
    assert f" is refused: {reason}. Accepted: " in line
    assert len(f"Validation error for question '{question}': {reason}") <= 80
    assert not folder.exists()


@pytest.mark.parametrize("answers", ACCEPTED)
def test_answers_that_fit_each_other(
    template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    """Unusual combinations that work are accepted (review R16)."""
    folder = tmp_path / "web"
    arguments = ("copy", "--trust", "--defaults", *options(answers), template, folder)
    outcome = run_copier(*arguments, cwd=tmp_path)
    assert outcome.code == 0, outcome
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    for question in answers.keys() - {"image_architectures"}:
        assert recorded[question] == answers[question].strip() or question == "aws_copy_regions"


def test_an_account_that_is_named_twice_is_written_once(template: Path, tmp_path: Path) -> None:
    """A consumer that is listed twice is rendered once (review R16)."""
    answers = {"image_consumers": "444455556666, 444455556666,555566667777"}
    folder = render(template, tmp_path / "web", answers)
    values = (folder / "image.auto.pkrvars.hcl").read_text()
    assert 'ami_users    = ["444455556666", "555566667777"]' in values


def test_a_typed_architecture_that_does_not_fit_is_explained(
    template: Path, tmp_path: Path
) -> None:
    """On a terminal, the reason is shown and the question is asked again (review R16)."""
    answers = {"image_name": "web", "image_description": "x", **OWN, "parent_os": "debian-13"}
    given = [*options(answers), "--data=parent_name=base-amd64-*"]
    arguments = ("copy", "--trust", *given, str(template), str(tmp_path / "web"))
    with copier(*arguments, cwd=tmp_path) as terminal:
        terminal.wait_for("Architectures to build for")
        terminal.send("\x1b[B \r")  # down, mark arm64 as well, Enter
        terminal.wait_for("parent_name is x86_64 only")
        terminal.send(" \r")
        terminal.wait_for("ID of the AWS account that builds")


# ------------------------------------------------------------------------------------- updates


@pytest.fixture(scope="module")
def two_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template whose v1.1.0 lacks these rules, and whose v2.0.0 is today's."""
    template = snapshot(tmp_path_factory.mktemp("rules") / "template", tag="today")
    git(template, "tag", "--delete", "today")
    now = (template / "includes" / "rules.jinja").read_text()
    for reason in ("must be a key in", "parent_name needs a * or ?", "other programs read it"):
        assert reason in now
    old = now.replace('{%- elif region and value.startswith("arn:")', "{%- elif false and (region)")
    old = old.replace("{%- elif value in reserved_variables -%}", "{%- elif false -%}")
    old = old.replace("{%- set x86_64 = parent_name |", '{%- set x86_64 = "" |')
    old = old.replace('| regex_search("[*?]") -%}\nparent_name', "| length -%}\nparent_name")
    (template / "includes" / "rules.jinja").write_text(old)
    release(template, "v1.1.0")
    (template / "includes" / "rules.jinja").write_text(now)
    release(template, "v2.0.0")
    return template


@pytest.mark.parametrize(
    ("question", "answers", "correction"),
    [
        ("aws_kms_key", {"aws_kms_key": KEY}, {"aws_kms_key": "alias/packer-ami"}),
        (
            "personal_role_variable",
            {"personal_role_variable": "AWS_PROFILE"},
            {"personal_role_variable": "SOL_CET_USER_ROLE"},
        ),
    ],
)
def test_recorded_answer_that_is_refused_now(
    two_rules: Path,
    tmp_path: Path,
    question: str,
    answers: dict[str, str],
    correction: dict[str, str],
) -> None:
    """An update fails with one line that has the option to correct the answer (review R16)."""
    folder = render(two_rules, tmp_path / "web", {"image_name": "web", **answers}, vcs_ref="v1.1.0")
    before = contents(folder)
    outcome = run_copier("update", "--trust", "--defaults", cwd=folder)
    assert outcome.code == 1, outcome
    (line,) = outcome.complaints
    assert f"Give another answer with --data {question}=ANSWER" in line
    assert contents(folder) == before
    arguments = ("update", "--trust", "--defaults", *options(correction))
    assert run_copier(*arguments, cwd=folder).code == 0
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert recorded[question] == correction[question]


@pytest.mark.parametrize("name", ["base-x86_64-*", "base-2026.11"])
def test_recorded_architectures_are_kept(two_rules: Path, tmp_path: Path, name: str) -> None:
    """An update accepts recorded architectures that conflict with the name (review R16)."""
    answers = {"image_name": "web", **OWN, "parent_name": name, "image_architectures": BOTH}
    folder = render(two_rules, tmp_path / "web", answers, vcs_ref="v1.1.0")
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    twin = Path(shutil.copytree(folder, tmp_path / "twin", symlinks=True))
    outcome = run_copier("update", "--trust", "--defaults", cwd=folder)
    assert (outcome.code, outcome.complaints) == (0, [])
    after = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert after == {**recorded, "_commit": "v2.0.0"}
    given = run_copier(
        "update", "--trust", "--defaults", f"--data=image_architectures={BOTH}", cwd=twin
    )
    assert given.code == 1
    assert "image_architectures=" in given.complaints[-1]


def test_every_reserved_variable_has_the_form_of_an_answer() -> None:
    """Every reserved variable has the form of a valid answer (review R16)."""
    assert rules().reserved_variables
    for name in rules().reserved_variables:
        assert rules().why_not("personal_role_variable", name, {}) == "other programs read it"
