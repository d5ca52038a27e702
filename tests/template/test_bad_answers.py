"""Copier refuses invalid answers with one line: question, value, reason and accepted values.

Each test is a row of docs/bad-input.md. Nothing is written, and an existing project stays as it is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.repositories.copier_command import Outcome, contents, other_copier, run_copier
from rig.repositories.template import git, render
from rig.repositories.template_rules import rules

# See docs/decisions/0001-one-line-refusals.md.
PREFIX = "'dict object' has no attribute "

Refused = Callable[..., str]


def assert_one_line(outcome: Outcome, question: str, shown: str | None = None) -> str:
    """Assert that a command refused an answer with one line, and return the line."""
    assert outcome.code == 1, outcome
    assert "Traceback" not in outcome.stderr
    (line,) = outcome.complaints
    assert line.startswith(PREFIX)
    assert f'{question}="' in line
    if shown is not None:
        assert f'{question}="{shown}" is refused: ' in line
    assert ". Accepted: " in line
    if question in rules().accepted:
        assert rules().accepted[question] in line
    return line


@pytest.fixture(scope="session")
def folder_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template as a plain folder, which Copier does not clone."""
    folder = tmp_path_factory.mktemp("folder") / "template"
    return Path(shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git")))


@pytest.fixture
def refused(folder_template: Path, tmp_path: Path) -> Refused:
    """Return a function that copies with an invalid answer and asserts that nothing is created."""

    def copy_with(question: str, *options: str, shown: str | None = None) -> str:
        destination = tmp_path / "packer-ami-web"
        outcome = run_copier(
            "copy", "--trust", "--defaults", *options, folder_template, destination, cwd=tmp_path
        )
        line = assert_one_line(outcome, question, shown)
        assert not destination.exists()
        return line

    return copy_with


def data(**answers: object) -> list[str]:
    """Format answers as options."""
    return [f"--data={question}={value}" for question, value in answers.items()]


def data_file(folder: Path, text: str) -> list[str]:
    """Write answers to a file, and return the option for it."""
    file = folder / "answers.yml"
    file.write_text(text)
    return [f"--data-file={file}"]


def edit_answers(project: Path, **answers: object) -> None:
    """Edit recorded answers, and commit."""
    file = project / ".copier-answers.yml"
    lines = [
        line for line in file.read_text().splitlines() if line.partition(":")[0] not in answers
    ]
    lines += [f"{question}: {json.dumps(value)}" for question, value in answers.items()]
    file.write_text("\n".join(lines) + "\n")
    git(project, "commit", "--all", "--message=Edit the answers")


def assert_refused_and_untouched(project: Path, question: str, *command: str | Path) -> str:
    """Assert that a command refuses an answer and does not change the project."""
    before = contents(project), git(project, "rev-parse", "HEAD"), git(project, "ls-files", "-s")
    outcome = run_copier(*command, cwd=project)
    line = assert_one_line(outcome, question)
    after = contents(project), git(project, "rev-parse", "HEAD"), git(project, "ls-files", "-s")
    assert after == before
    return line


# --- One question ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "value", "reason"),
    [
        ("image_name", "packer-ami-web", "must omit packer-ami-; e.g. web"),
        ("image_name", "1e3", "must be a-z, 0-9, -; e.g. web-server"),
        ("image_description", " web", "must have no spaces around it"),
        ("aws_management_account", "1234", "must be 12 digits"),
        ("aws_region", "moon", "must be a region; e.g. eu-central-1"),
        ("aws_copy_regions", "eu-west-1,moon", "item 2 must be a region code"),
        ("aws_copy_regions", "eu-west-1,eu-west-1", "must list eu-west-1 once"),
        ("image_consumers", "everybody", "item 1 must be an ID or ARN"),
        ("aws_kms_key", "packer-ami", "must be an alias, key ID or ARN"),
        ("github_host", "https://github.com", "must be a hostname; e.g. github.com"),
        ("github_organization", "my organization", "must be letters, digits, -"),
        ("github_runner", "$(id)", "must be labels; e.g. linux, arm64"),
        ("aws_build_role", "builder", "must be the ARN of an IAM role"),
        ("aws_release_role", "releaser", "must be the ARN of an IAM role"),
        ("toolkit_image", "toolkit:1.0", "must be registry/name with no tag"),
        ("personal_role_variable", "role", "must be A-Z, 0-9 and _"),
    ],
)
def test_wrong_form(refused: Refused, question: str, value: str, reason: str) -> None:
    """A string that breaks its question's rule is refused with the reason."""
    line = refused(question, *data(**{question: value}), shown=value)
    assert f" is refused: {reason}. " in line


@pytest.mark.parametrize(
    ("question", "value", "reason"),
    [
        ("parent_owner", "amazon", "must be a 12-digit ID, or self"),
        ("parent_name", "*", "must be an AMI name; e.g. base-*"),
        ("parent_name", "***", "must be more than *; e.g. base-*"),
    ],
)
def test_wrong_form_of_own_base_image(
    refused: Refused, question: str, value: str, reason: str
) -> None:
    """A string that breaks the rule of a question that only parent_image=own asks is refused."""
    line = refused(question, *data(parent_image="own", **{question: value}), shown=value)
    assert f" is refused: {reason}. " in line


def test_empty_string(refused: Refused) -> None:
    """An empty answer to a question that requires one is refused."""
    refused("image_description", *data(image_description=""), shown="")


def test_line_break(refused: Refused) -> None:
    """An answer of two lines is refused, and shown on one line."""
    line = refused("aws_copy_regions", *data(aws_copy_regions="eu-west-1\nsecret: true"))
    assert r"eu-west-1\nsecret: true" in line


def test_four_kibibytes(refused: Refused) -> None:
    """A very long answer is refused, and truncated in the message."""
    line = refused("toolkit_image", *data(toolkit_image="x" * 4096))
    assert "xxx..." in line
    assert len(line) < 500


def test_bytes_that_are_not_utf_8(refused: Refused) -> None:
    """An answer that is not UTF-8 is refused, and shown with escapes."""
    assert r"caf\udce9" in refused("image_description", *data(image_description="caf\udce9"))


@pytest.mark.parametrize(
    ("question", "yaml", "shown"),
    [
        pytest.param("image_name", "image_name: 1.0e+3", "1000.0", id="number"),
        pytest.param("aws_region", "aws_region: [eu-west-1]", "['eu-west-1']", id="list"),
        pytest.param("toolkit_image", "toolkit_image:", "None", id="null"),
        pytest.param(
            "aws_management_account",
            "aws_management_account: 012345670123",
            "1402433619",
            id="account id without quotes, which is octal",
        ),
    ],
)
def test_not_a_string_in_a_data_file(
    refused: Refused, tmp_path: Path, question: str, yaml: str, shown: str
) -> None:
    """A value that YAML does not read as a string is refused."""
    line = refused(question, *data_file(tmp_path, yaml))
    assert f'{question}="{shown}" is refused: must be a string; quote it in YAML. ' in (
        line.replace("\\'", "'")
    )


@pytest.mark.parametrize("value", ["2", ""])
def test_invalid_boolean(refused: Refused, value: str) -> None:
    """A value that Copier itself would convert to a boolean is refused."""
    line = refused("keep_demo", *data(keep_demo=value), shown=value)
    assert " is refused: must be true or false. " in line


def test_invalid_boolean_in_a_data_file(refused: Refused, tmp_path: Path) -> None:
    """A value in a file that is not a boolean is refused."""
    refused("start_git", *data_file(tmp_path, "start_git: 2"), shown="2")


@pytest.mark.parametrize("question", ["parent_image", "parent_os"])
def test_choice_that_is_not_in_the_list(refused: Refused, question: str) -> None:
    """The title of a choice is refused, because only its value is valid."""
    answers = {"parent_image": "own", question: "Debian 13"}
    line = refused(question, *data(**answers), shown="Debian 13")
    assert " is refused: must be one of the choices. " in line
    assert "debian-13" in line


@pytest.mark.parametrize("value", ["[]", "x86_64", "[x86_64, , arm64]"])
def test_invalid_architectures(refused: Refused, value: str) -> None:
    """An invalid list of architectures is refused."""
    line = refused("image_architectures", *data(image_architectures=value), shown=value)
    assert " is refused: must be a list of architectures. " in line


def test_invalid_architectures_in_a_data_file(refused: Refused, tmp_path: Path) -> None:
    """An invalid list of architectures in a file is refused."""
    refused("image_architectures", *data_file(tmp_path, "image_architectures: [x86_64, sparc]"))


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["typo", "_src_path", "two\nlines"])
def test_unknown_question(refused: Refused, name: str) -> None:
    """An answer to an unknown question is refused, although Copier itself would ignore it."""
    line = refused(name.replace("\n", r"\n"), f"--data={name}=1")
    assert " is refused: no question has this name. " in line
    assert ", ".join(rules().accepted) in line


def test_unknown_question_in_a_data_file(refused: Refused, tmp_path: Path) -> None:
    """An answer to an unknown question in a file with valid answers is refused."""
    refused("regoin", *data_file(tmp_path, "image_name: web\nregoin: eu-west-1\n"))


@pytest.mark.parametrize(
    ("question", "value", "partition"),
    [
        ("aws_region", "us-gov-west-1", "aws-us-gov"),
        ("aws_copy_regions", "eu-west-1,cn-north-1", "aws-cn"),
        ("aws_build_role", "arn:aws-eusc:iam::111122223333:role/x", "aws-eusc"),
        ("toolkit_image", "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/x", "aws-cn"),
    ],
)
def test_other_partition(refused: Refused, question: str, value: str, partition: str) -> None:
    """A region, an ARN or a registry of another partition is not supported (review C15)."""
    line = refused(question, *data(**{question: value}), shown=value)
    assert f" is refused: {partition} is not supported. " in line


# --- Answers that do not go together --------------------------------------------------------------


def test_consumers_need_a_key_that_can_be_shared(refused: Refused) -> None:
    """Consumers without a key that can be shared are refused, as EC2 would do after the build."""
    line = refused("aws_kms_key", *data(image_consumers="111122223333", aws_kms_key=""), shown="")
    assert " is refused: sharing needs a key of your own. " in line


def test_copies_need_a_key_that_exists_everywhere(refused: Refused) -> None:
    """A single-region key is refused for an image that is copied."""
    key = "12345678-90ab-cdef-1234-567890abcdef"
    line = refused("aws_kms_key", *data(aws_copy_regions="eu-west-1", aws_kms_key=key), shown=key)
    assert " is refused: copies need an alias or mrk- key. " in line


def test_key_of_another_region(refused: Refused) -> None:
    """A key of another region is refused, because EC2 could not start the instance (review R16)."""
    key = "arn:aws:kms:eu-west-1:111122223333:alias/packer-ami"
    line = refused("aws_kms_key", *data(aws_kms_key=key), shown=key)
    assert " is refused: must be a key in eu-central-1. " in line


def test_parent_name_for_one_architecture(refused: Refused) -> None:
    """A parent_name for another architecture is refused (review R16)."""
    answers = data(parent_image="own", parent_name="base-amd64-*", image_architectures="[arm64]")
    line = refused("image_architectures", *answers, shown="[arm64]")
    assert " is refused: parent_name is x86_64 only. " in line


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("parent_owner", {"parent_owner": "self"}),
        ("parent_name", {"parent_name": "base-*", "parent_image": "debian-12"}),
        ("parent_os", {"parent_os": "debian-13"}),
    ],
)
def test_answer_to_a_question_that_is_not_asked(
    refused: Refused, question: str, answers: dict[str, str]
) -> None:
    """An answer about an own base image is refused if another base image is chosen."""
    line = refused(question, *data(**answers), shown=answers[question])
    assert " is refused: it needs parent_image=own. " in line


# --- Where answers come from ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "default", "options"),
    [
        ("aws_region", "moon", []),
        ("parent_os", "solaris", []),
        ("aws_kms_key", "", data(image_consumers="111122223333")),
    ],
)
def test_bad_default_in_settings(
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    question: str,
    default: str,
    options: list[str],
) -> None:
    """A default in Copier's settings.yml must follow the same rules."""
    settings = tmp_path / "settings.yml"
    settings.write_text(json.dumps({"defaults": {question: default, "of_another_template": 1}}))
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    assert f'="{default}" in your Copier settings is refused: ' in refused(question, *options)


@pytest.mark.parametrize("command", ["update", "recopy"])
def test_answers_file_was_edited(project: Path, command: str) -> None:
    """An invalid answer in .copier-answers.yml is refused; Copier itself would use the default."""
    edit_answers(project, aws_region="moon")
    more = ["--overwrite"] if command == "recopy" else []
    line = assert_refused_and_untouched(
        project, "aws_region", command, "--trust", "--defaults", *more
    )
    assert 'aws_region="moon" in .copier-answers.yml is refused: ' in line


@pytest.mark.parametrize("command", ["update", "recopy"])
def test_recorded_answer_in_another_partition(project: Path, command: str) -> None:
    """The line explains how to stay at the current release (review C15)."""
    edit_answers(project, aws_region="us-gov-west-1")
    more = ["--overwrite"] if command == "recopy" else []
    line = assert_refused_and_untouched(
        project, "aws_region", command, "--trust", "--defaults", *more
    )
    assert " in .copier-answers.yml is refused: aws-us-gov is not supported. " in line
    assert "To stay at the current release, do not start updates, and delete .github/" in line


@pytest.mark.parametrize(
    ("question", "value"),
    [("aws_region", "moon"), ("parent_owner", "self")],
)
def test_bad_answer_on_update(project: Path, question: str, value: str) -> None:
    """An update refuses the same answers as a copy."""
    options = ["--trust", "--defaults", *data(**{question: value})]
    assert_refused_and_untouched(project, question, "update", *options)


def test_bad_answer_on_recopy(project: Path) -> None:
    """A recopy refuses the same answers as a copy."""
    options = ["--trust", "--defaults", "--overwrite", *data(aws_region="moon")]
    assert_refused_and_untouched(project, "aws_region", "recopy", *options)


def test_recorded_key_no_longer_fits(two_releases: Path, tmp_path: Path) -> None:
    """A recorded key that no longer fits is refused; Copier itself would drop it."""
    key = "12345678-90ab-cdef-1234-567890abcdef"
    project = render(two_releases, tmp_path / "web", {"aws_kms_key": key}, vcs_ref="v1.0.0")
    options = ["--trust", "--defaults", *data(aws_copy_regions="eu-west-1")]
    line = assert_refused_and_untouched(project, "aws_kms_key", "update", *options)
    assert f'aws_kms_key="{key}" in .copier-answers.yml is refused: copies need an alias' in line
    outcome = run_copier("update", *options, *data(aws_kms_key="alias/ours"), cwd=project)
    assert outcome.code == 0, outcome
    assert "aws_kms_key: alias/ours" in (project / ".copier-answers.yml").read_text()


def test_oldest_copier_refuses_too(
    two_releases: Path, folder_template: Path, tmp_path: Path
) -> None:
    """The oldest supported Copier refuses the same answers with one line."""
    python = other_copier("9.18.0")
    project = tmp_path / "packer-ami-web"
    copy = ["copy", "--trust", "--defaults"]
    bad = run_copier(*copy, *data(typo=1), folder_template, project, cwd=tmp_path, python=python)
    assert_one_line(bad, "typo", "1")
    good = run_copier(*copy, "--vcs-ref=v1.0.0", two_releases, project, cwd=tmp_path, python=python)
    assert good.code == 0, good
    update = ["update", "--trust", "--defaults"]
    bad = run_copier(*update, *data(aws_region="moon"), cwd=project, python=python)
    assert_one_line(bad, "aws_region", "moon")
    good = run_copier(*update, cwd=project, python=python)
    assert good.code == 0, good
    assert "_commit: v1.1.0" in (project / ".copier-answers.yml").read_text()
