"""`task --list` shows the eight tasks that everybody knows, and seven more."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from rig.repositories.template import ROOT

pytestmark = pytest.mark.integration

# As the page about packer builds shows it, from which this project starts.
SEED = """\
task: Available tasks for this project:
* ansible-collection-init:         Initialize new ansible collection with the base structure
* ansible-collection-install:      Install new ansible collection via ansible-galaxy
* ansible-collection-update:       Update ansible collection via ansible-galaxy
* ansible-validate-playbooks:      Validate ansible playbooks
* create-legacy-packer-deps:       Create legacy ssm parameter files locally
* docker-login:                    Login to docker registry on aws ecr
* docker-run:                      Execute packer-toolkit container with interactive bash
* packer-build:                    Execute packer-toolkit container and start packer build
"""
OURS = {
    "check",
    "doctor",
    "format",
    "packer-build-local",
    "template-check",
    "template-diff",
    "template-update",
}


def lines(listing: str) -> list[tuple[str, str]]:
    """Return names and descriptions, in their order."""
    first, *rest = listing.splitlines()
    assert first == "task: Available tasks for this project:"
    found = [re.fullmatch(r"\* ([a-z-]+): +(\S.*)", line) for line in rest]
    assert all(found), listing
    return [(match[1], match[2].rstrip()) for match in found if match]


def listed(folder: Path, *options: str) -> str:
    """Return what `task --list` prints in a folder."""
    command = ["task", "--color=false", "--list", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_seeds_tasks_are_listed_word_for_word(repository: Path) -> None:
    """The names, descriptions and columns are the same; ours are between them (issue 12)."""
    listing = listed(repository)
    shown = lines(listing)
    seed = lines(SEED)
    assert len(seed) == 8
    assert [each for each in shown if each[0] not in OURS] == seed
    columns = {re.match(r"\* [a-z-]+: +", line)[0] for line in listing.splitlines()[1:]}
    assert len({len(column) for column in columns}) == 1
    names = [name for name, _ in shown]
    assert names == sorted({*OURS, *(name for name, _ in seed)})


def test_the_list_is_the_same_from_every_folder(repository: Path) -> None:
    """Task looks for Taskfile.yml upwards; without a task's name it prints the list."""
    below = repository / "inspec/controls"
    assert listed(below) == listed(repository)
    env = {**os.environ, "NO_COLOR": "1"}  # it hands no option on to the list
    bare = subprocess.run(["task"], cwd=below, env=env, capture_output=True, text=True, check=True)
    assert bare.stdout == listed(repository)


def test_a_persons_own_tasks_are_listed_under_local(repository: Path) -> None:
    """Taskfile.local.yml is a Taskfile like any other."""
    own = "version: '3'\ntasks:\n  hello:\n    desc: Say hello\n    cmds: [echo hello]\n"
    (repository / "Taskfile.local.yml").write_text(own)
    more = [each for each in lines_with_colons(listed(repository)) if each not in lines(SEED)]
    assert "local:hello" in dict(more)
    names = {task["name"] for task in json.loads(listed(repository, "--json"))["tasks"]}
    assert "local:hello" in names


def lines_with_colons(listing: str) -> list[tuple[str, str]]:
    """Return names, which may hold colons, and descriptions."""
    return [(match[1], match[2]) for match in re.finditer(r"^\* (\S+): +(\S.*?) *$", listing, re.M)]


def test_the_page_about_tasks_names_each_of_them(repository: Path) -> None:
    """docs/tasks.md has a row for each, with the same words."""
    page = (ROOT / "docs/tasks.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+?) \|", page, re.M)
    assert sorted(rows) == sorted(lines(listed(repository)))


REFUSED = {
    "version: '3'\ndotenv: [.env]\n": "Included Taskfiles can't have dotenv",
    "version: '3.49'\n": "Taskfiles versions should match",
    "env: {A: b}\n": "Missing schema version",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_task_refuses_in_a_local_taskfile_is_documented(repository: Path, text: str) -> None:
    """The reason that Task prints is on the page, and the example warns of it (field 35)."""
    (repository / "Taskfile.local.yml").write_text(text)
    done = subprocess.run(
        ["task", "--list"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert REFUSED[text] in done.stderr
    assert f"`{REFUSED[text]}`" in (ROOT / "docs/tasks.md").read_text()
    example = (repository / "Taskfile.local.yml.example").read_text()
    assert "another version" in example
    assert "`dotenv:`" in example


@pytest.mark.parametrize(
    "text",
    [
        "version: '3'\nenv: {GREETING: {sh: sed -n s/WORD=//p words}}\ntasks:\n"
        "  hello: {cmds: [echo $GREETING]}\n",
        "version: '3'\ntasks:\n  hello: {dotenv: [words], cmds: [echo $WORD]}\n",
    ],
    ids=["env with sh", "dotenv of a task"],
)
def test_documented_ways_to_read_a_file_of_variables_work(
    repository: Path, tmp_path: Path, text: str
) -> None:
    """Both ways that the page names instead of `dotenv:` at the top set a variable (field 35)."""
    # Task expands a dollar in the path of a dotenv file.
    repository = repository.rename(tmp_path / "plain")
    (repository / "Taskfile.local.yml").write_text(text)
    (repository / "words").write_text("WORD=hello\n")
    done = subprocess.run(
        ["task", "local:hello"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "hello\n"
