"""copier.yml has few questions, and each one is explained, checked and used.

The rules of the answers have tests of their own in test_rules.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.host import tools
from rig.lint.runner import File, read_tree
from rig.repositories.template import ROOT, git, release, render, snapshot
from rig.repositories.template_rules import rules

COPIER_YML = yaml.safe_load((ROOT / "copier.yml").read_text())
QUESTIONS: dict[str, dict[str, Any]] = {
    name: question for name, question in COPIER_YML.items() if not name.startswith("_")
}
FREE_TEXTS = [
    name
    for name, question in QUESTIONS.items()
    if question["type"] == "str" and "choices" not in question
]
COPY = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults"]
ASKED_OF_OWN = {"parent_owner", "parent_name", "parent_os"}

# Another answer than the default, and what has to be answered for the question to be asked.
OTHER: dict[str, Any] = {
    "image_name": "web",
    "image_description": "Web server of the shop",
    "parent_image": "debian-12",
    "parent_owner": "222233334444",
    "parent_name": "other-*",
    "parent_os": "debian-13",
    "image_architectures": ["arm64"],
    "aws_management_account": "222233334444",
    "aws_region": "eu-west-1",
    "aws_copy_regions": "us-east-1",
    "image_consumers": "222233334444",
    "aws_kms_key": "alias/other",
    "github_host": "github.example.com",
    "github_organization": "other",
    "github_runner": "self-hosted",
    "aws_build_role": "arn:aws:iam::222233334444:role/other",
    "aws_release_role": "arn:aws:iam::222233334444:role/releases",
    "toolkit_image": "ghcr.io/other/packer-toolkit",
    "personal_role_variable": "OTHER_ROLE",
    "keep_demo": True,
}


def test_names_are_snake_case() -> None:
    """The names of questions are snake_case."""
    assert [name for name in QUESTIONS if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_says_type_and_help_first(name: str) -> None:
    """The keys of all questions have the same order."""
    order = ["type", "help", "choices", "multiselect", "default", "when", "validator"]
    keys = list(QUESTIONS[name])
    assert keys == sorted(keys, key=order.index)
    assert {"type", "help", "default"} <= set(keys)


@pytest.mark.parametrize("name", QUESTIONS)
def test_help_is_short_sentences(name: str) -> None:
    """A help text consists of sentences whose lines fit on a terminal of 80 columns."""
    lines = QUESTIONS[name]["help"].split("\n")
    assert lines[0][0].isupper()
    assert lines[-1].endswith((".", "?"))
    assert [line for line in lines if len(line) > 76 or not line.isascii()] == []


@pytest.mark.parametrize("name", [name for name in QUESTIONS if "choices" in QUESTIONS[name]])
def test_titles_of_choices_fit_a_line(name: str) -> None:
    """The titles of choices fit on one line of a terminal of 80 columns."""
    titles = list(QUESTIONS[name]["choices"])
    assert [title for title in titles if len(title) > 74] == []


@pytest.mark.parametrize("name", FREE_TEXTS)
def test_free_text_is_checked_by_the_macro_of_its_name(name: str) -> None:
    """The validator of a question only calls the macro with the name of the question."""
    called = re.fullmatch(
        r"\{% import 'includes/rules\.jinja' as rules %\}\{\{ rules\.(\w+)\((\w+)(?:, \w+)*\) \}\}",
        QUESTIONS[name]["validator"],
    )
    assert called is not None
    assert called.groups() == (name, name)
    assert callable(getattr(rules(), name))


def test_undefined_name_fails_the_copy(tmp_path: Path) -> None:
    """An undefined name in a template fails the copy."""
    template = snapshot(tmp_path / "template")
    (template / "template/slip.md.jinja").write_text("{{ image_nmae }}\n")
    release(template, "v1.0.1")
    destination = tmp_path / "packer-ami-web"
    done = subprocess.run(
        [*COPY, template, destination], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "'image_nmae' is undefined" in done.stderr
    assert not destination.exists()


def rendered(template: Path, folder: Path, **answers: Any) -> dict[str, File]:
    """Return the rendered files, without the answers file."""
    answers = {"start_git": False, **answers}
    tree = read_tree(render(template, folder / "packer-ami-example", answers))
    shutil.rmtree(folder / "packer-ami-example")
    del tree[".copier-answers.yml"]
    return tree


@pytest.fixture(scope="module")
def plain(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Any]:
    """Return the files rendered with the defaults, by whether the base image is an own one."""
    folder = tmp_path_factory.mktemp("plain")
    return {
        False: rendered(template, folder),
        True: rendered(template, folder, parent_image="own"),
    }


@pytest.mark.xdist_group("every-question")
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "start_git"])
def test_every_question_changes_the_render(
    template: Path, tmp_path: Path, plain: dict[bool, Any], name: str
) -> None:
    """Every answer changes a rendered file, except start_git."""
    own = name in ASKED_OF_OWN
    answers = {"parent_image": "own"} if own else {}
    assert rendered(template, tmp_path, **answers, **{name: OTHER[name]}) != plain[own]


@pytest.mark.parametrize("parent", ["own", "debian-12"])
def test_own_parent_is_asked_for_only_when_it_is_chosen(
    template: Path, tmp_path: Path, parent: str
) -> None:
    """Questions about an own base image are asked and recorded only if it is chosen."""
    project = render(template, tmp_path / "it", {"parent_image": parent, "start_git": False})
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert ASKED_OF_OWN & set(recorded) == (ASKED_OF_OWN if parent == "own" else set())
    assert set(QUESTIONS) - ASKED_OF_OWN <= set(recorded)


def test_rendering_needs_no_network(template: Path, tmp_path: Path) -> None:
    """A copy with its hook works without network access."""
    unshare = [str(tools.require("unshare")), "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        unshare.remove("--map-root-user")
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
            tools.missing("this machine lets nobody make a network of its own (unshare --net)")
    lonely = subprocess.run([*unshare, "cat", "/proc/net/route"], capture_output=True, check=True)
    assert len(lonely.stdout.splitlines()) <= 1  # the heading: no way out

    destination = tmp_path / "packer-ami-web"
    done = subprocess.run(
        [*unshare, *COPY, template, destination], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert git(destination, "status", "--porcelain") == ""
    assert git(destination, "rev-list", "--count", "HEAD") == "1"
