"""The questions work on a terminal of 80 columns and 24 lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.repositories.copier_command import contents
from rig.repositories.template import ROOT, git, render
from rig.repositories.template_rules import rules
from rig.run.terminal import COLUMNS, CTRL_C, DOWN, ENTER, ERASE, SPACE, UP, Terminal, copier

QUESTIONS: dict[str, dict[str, Any]] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
OWN_PARENT = {"parent_owner", "parent_name", "parent_os"}
# What Copier puts before a question.
MARK = "🎤 "


def help_lines(question: str) -> list[str]:
    """Return the lines of a question as they must appear on the screen."""
    return (MARK + QUESTIONS[question]["help"]).splitlines()


def wait_for_question(terminal: Terminal, question: str) -> list[str]:
    """Wait until a question is asked; return the lines below it.

    Every line of it has to be there as it was written: none cut, none broken inside a word.
    """
    wanted = help_lines(question)

    def begin(screen: list[str]) -> int:
        lines = range(len(screen) - len(wanted))
        return next((i for i in lines if screen[i : i + len(wanted)] == wanted), -1)

    def asked(screen: list[str]) -> bool:
        # Below the question stands the answer, or the cursor where it will be typed; drawn last.
        line = begin(screen) + len(wanted)
        return begin(screen) >= 0 and (bool(screen[line]) or terminal.cursor == (line, 3))

    screen = terminal.wait_for(asked)
    return screen[begin(screen) + len(wanted) :]


def answers_of(destination: Path) -> dict[str, Any]:
    """Return the recorded answers, without Copier's own values."""
    recorded = yaml.safe_load((destination / ".copier-answers.yml").read_text())
    return {name: value for name, value in recorded.items() if not name.startswith("_")}


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "packer-ami-web"


def data_but(*asked: str) -> list[str]:
    """Return options with answers to all questions except some."""
    given = {
        "image_name": "web",
        "image_description": "Web server",
        "parent_image": "debian-12",
        "image_architectures": "[x86_64]",
        "aws_management_account": "222233334444",
        "aws_region": "eu-west-1",
        "aws_copy_regions": "",
        "image_consumers": "",
        "aws_kms_key": "",
        "github_host": "github.com",
        "github_organization": "shop",
        "github_runner": "ubuntu-24.04",
        "aws_build_role": "arn:aws:iam::222233334444:role/builder",
        "aws_release_role": "arn:aws:iam::222233334444:role/builder",
        "toolkit_image": "ghcr.io/shop/packer-toolkit",
        "personal_role_variable": "ROLE",
        "keep_demo": "false",
        "start_git": "false",
    }
    assert {*given, *OWN_PARENT} == set(QUESTIONS)
    return [f"--data={name}={value}" for name, value in given.items() if name not in asked]


def test_keys_choose_every_answer(template: Path, destination: Path) -> None:
    """Typed strings and choices by arrow keys and space bar become the recorded answers."""
    typed = {
        "image_name": "shop-web",
        "image_description": "Web server of the shop",
        "parent_owner": "222233334444",
        "parent_name": "CIS-AMZN2-2023*",
        "aws_management_account": "333344445555",
        "aws_region": "eu-west-1",
        "aws_copy_regions": "eu-west-2, us-east-1",
        "image_consumers": "444455556666",
        "github_host": "github.example.com",
        "github_organization": "shop",
        "github_runner": "self-hosted, linux",
        "personal_role_variable": "SHOP_ROLE",
    }
    keys = {
        "parent_image": [UP],  # from the first choice to the last
        "parent_os": [DOWN, DOWN, UP],
        "image_architectures": [DOWN, SPACE],
    }
    with copier("copy", "--trust", template, destination, cwd=destination.parent) as terminal:
        for question, details in QUESTIONS.items():
            below = wait_for_question(terminal, question)
            if question in typed:
                terminal.send(ERASE, typed[question], ENTER)
            elif details["type"] == "bool":
                terminal.send("y" if question == "keep_demo" else "n")
            else:
                assert all(len(title) < COLUMNS - 5 for title in details.get("choices", ()))
                for title in details.get("choices", ()):
                    assert any(line.endswith(f" {title}") for line in below), below
                terminal.send(*keys.get(question, ()), ENTER)
        assert terminal.wait_for_end() == 0
    assert answers_of(destination) == {
        **typed,
        "parent_image": "own",
        "parent_os": "ubuntu-26.04",
        "image_architectures": ["x86_64", "arm64"],
        "aws_kms_key": "alias/packer-ami",
        "aws_build_role": "arn:aws:iam::333344445555:role/packer-ami-builder",
        "aws_release_role": "arn:aws:iam::333344445555:role/packer-ami-builder",
        "toolkit_image": "333344445555.dkr.ecr.eu-west-1.amazonaws.com/packer-toolkit",
        "keep_demo": True,
        "start_git": False,
    }


def test_enter_accepts_every_default(template: Path, destination: Path, tmp_path: Path) -> None:
    """Enter accepts each default, and questions about an own base image are not asked."""
    with copier("copy", "--trust", template, destination, cwd=destination.parent) as terminal:
        for question in QUESTIONS:
            if question not in OWN_PARENT:
                wait_for_question(terminal, question)
                terminal.send(ENTER)
        assert terminal.wait_for_end() == 0
        for question in OWN_PARENT:
            assert help_lines(question)[0] not in terminal.everything
    unasked = render(template, tmp_path / "unasked" / destination.name)
    assert answers_of(destination) == answers_of(unasked)


def test_wrong_input_is_explained_and_asked_again(template: Path, destination: Path) -> None:
    """An invalid answer shows the reason on one line, and a corrected one is accepted."""
    wrong_and_right = {
        "image_name": ("Web", "web"),
        "image_description": (" web", "web"),
        "parent_owner": ("amazon", "self"),
        "parent_name": ("***", "base-*"),
        "aws_management_account": ("1234", "222233334444"),
        "aws_region": ("moon", "eu-west-1"),
        "aws_copy_regions": ("eu-west-2, moon", "eu-west-2"),
        "image_consumers": ("everybody", "222233334444"),
        "aws_kms_key": (" ", "alias/shop"),
        "github_host": ("https://github.com", "github.com"),
        "github_organization": ("my shop", "my-shop"),
        "github_runner": ("a b", "a, b"),
        "aws_build_role": ("builder", "arn:aws:iam::222233334444:role/builder"),
        "aws_release_role": ("releaser", "arn:aws:iam::222233334444:role/releaser"),
        "toolkit_image": ("toolkit:1", "toolkit"),
        "personal_role_variable": ("role", "ROLE"),
    }
    with copier("copy", "--trust", template, destination, cwd=destination.parent) as terminal:
        for question in QUESTIONS:
            wait_for_question(terminal, question)
            if question in wrong_and_right:
                wrong, right = wrong_and_right[question]
                terminal.send(ERASE, wrong, ENTER)
                reason = rules().why_not(question, wrong, {})
                explained = f"Validation error for question '{question}': {reason}"
                terminal.wait_for(lambda screen, line=explained: line in screen)
                terminal.send(ERASE, right, ENTER)
            elif question == "image_architectures":
                terminal.send(SPACE, ENTER)
                explained = f"Validation error for question '{question}': choose at least one"
                terminal.wait_for(lambda screen, line=explained: line in screen)
                terminal.send(DOWN, SPACE, ENTER)
            else:
                terminal.send(*([UP] if question == "parent_image" else []), ENTER)
        assert terminal.wait_for_end() == 0
    answers = answers_of(destination)
    assert answers["image_architectures"] == ["arm64"]
    assert {name: answers[name] for name in wrong_and_right} == {
        name: right for name, (_, right) in wrong_and_right.items()
    }


def test_key_must_fit_the_consumers(template: Path, destination: Path) -> None:
    """An empty key is refused because of the consumers that were answered before."""
    options = data_but("image_consumers", "aws_kms_key")
    with copier("copy", "--trust", *options, template, destination, cwd=ROOT) as terminal:
        wait_for_question(terminal, "image_consumers")
        terminal.send("444455556666", ENTER)
        wait_for_question(terminal, "aws_kms_key")
        terminal.send(ERASE, ENTER)
        reason = "Validation error for question 'aws_kms_key': sharing needs a key of your own"
        terminal.wait_for(lambda screen: reason in screen)


@pytest.mark.parametrize(
    ("asked", "keys", "given", "reason"),
    [
        ("image_consumers", ["444455556666"], "aws_kms_key=", "sharing needs a key of your own"),
        ("parent_image", [DOWN], "parent_owner=self", "it needs parent_image=own"),
    ],
)
def test_given_answer_conflicts_with_a_typed_one(
    template: Path, destination: Path, asked: str, keys: list[str], given: str, reason: str
) -> None:
    """An answer of the command line is refused once a typed answer makes it invalid."""
    question, _, value = given.partition("=")
    options = [*data_but(asked, question), f"--data={given}"]
    with copier("copy", "--trust", *options, template, destination, cwd=ROOT) as terminal:
        wait_for_question(terminal, asked)
        terminal.send(*keys, ENTER)
        assert terminal.wait_for_end() == 1
        said = terminal.everything.replace("\n", "")
    assert f'{question}="{value}" is refused: {reason}. Accepted: ' in said
    assert "Traceback" not in said
    assert not destination.exists()


@pytest.mark.parametrize(
    "asked", ["image_name", "parent_image", "image_architectures", "start_git"]
)
def test_ctrl_c(template: Path, destination: Path, asked: str) -> None:
    """Ctrl-C stops Copier at every kind of question, and nothing is written."""
    options = data_but(asked)
    with copier("copy", "--trust", *options, template, destination, cwd=ROOT) as terminal:
        wait_for_question(terminal, asked)
        terminal.send(CTRL_C)
        assert terminal.wait_for_end() == 1
        assert "Execution stopped by user" in terminal.screen
        assert "Traceback" not in terminal.everything
    assert not destination.exists()


def test_ctrl_c_during_an_update(project: Path) -> None:
    """Ctrl-C during an update does not change the project."""
    before = contents(project)
    with copier("update", "--trust", cwd=project) as terminal:
        wait_for_question(terminal, "image_name")
        terminal.send(ENTER)
        wait_for_question(terminal, "image_description")
        terminal.send(CTRL_C)
        assert terminal.wait_for_end() == 1
        assert "Execution stopped by user" in terminal.screen
        assert "Traceback" not in terminal.everything
    assert contents(project) == before
    assert git(project, "status", "--porcelain") == ""
