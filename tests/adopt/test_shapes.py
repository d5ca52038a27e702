"""Twenty repositories made by hand: answers are found, and an update keeps everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from shapes import NEW_FILE, SHAPES, Shape

from packer_toolkit.cli.template.adopt import command as adopt_command
from packer_toolkit.cli.template.update import command as update_command
from rig.repositories.hook import manifest, tree
from rig.repositories.template import git, hand_over_environment

pytestmark = pytest.mark.integration

Make = Callable[[str], Path]


def adopt(repository: Path, template: Path, *options: str) -> dict[str, Any]:
    """Adopt a repository at v1.0.0, and return what the command says."""
    hand_over_environment()
    command = [str(repository), "--template", str(template), "--release", "v1.0.0"]
    command += ["--defaults", "--json", *options]
    result = CliRunner().invoke(
        adopt_command,
        command,
        catch_exceptions=False,
        standalone_mode=False,
    )
    assert result.return_value == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def given(shape: Shape) -> list[str]:
    """Return the options for the answers that cannot be found."""
    return [part for name, value in shape.data.items() for part in ("--data", f"{name}={value}")]


# Every other one takes all files of the template; both ways where names meet.
CASES = [
    *((name, ("none", "all")[index % 2]) for index, name in enumerate(SHAPES)),
    ("files-named-like-the-template's", "none"),
    ("links-binaries-and-odd-names", "none"),
]


@pytest.mark.parametrize(("name", "accept"), CASES)
def test_adopted_repository_is_updated_and_keeps_everything(
    two_releases: Path, make: Make, monkeypatch: pytest.MonkeyPatch, name: str, accept: str
) -> None:
    """Answers are found at their lines; neither adoption nor update changes a file of the team."""
    shape = SHAPES[name]
    repository = make(name)
    theirs = tree(repository)
    said = adopt(repository, two_releases, "--accept", accept, *given(shape))

    found = {
        question: (answer["value"], answer["place"])
        for question, answer in said["answers"].items()
        if answer["from"] == "found" and question not in {"keep_demo", "start_git"}
    }
    assert {**found, **shape.found} == found
    for question, value in shape.data.items():
        assert said["answers"][question] == {"value": value, "from": "given", "place": None}
    assert set(said["refused"]) == set(shape.refused)
    for part in shape.notes:
        assert any(part in note for note in said["notes"]), said["notes"]

    assert not said["files"].keys() & set(manifest())
    adopted = tree(repository)
    assert {path: adopted.get(path) for path in theirs} == theirs
    added = adopted.keys() - theirs.keys()
    missing = {path for path, state in said["files"].items() if state == "missing"}
    assert added == {".copier-answers.yml"} | (missing if accept == "all" else set())
    answers = yaml.safe_load((repository / ".copier-answers.yml").read_text())
    assert (answers["_commit"], answers["_src_path"]) == ("v1.0.0", str(two_releases))

    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Adopt the template")
    monkeypatch.chdir(repository)
    result = CliRunner().invoke(
        update_command, ["--trust", "--json"], catch_exceptions=False, standalone_mode=False
    )
    verdict = json.loads(result.stdout)
    updated = tree(repository)
    conflicts = {
        path
        for path in git(repository, "diff", "--name-only", "--diff-filter=U", "-z").split("\0")
        if path
    }
    assert result.return_value == bool(conflicts), verdict
    for path, content in theirs.items():
        if path in conflicts and updated[path] != content:
            lines = (repository / path).read_text().splitlines()
            before = git(repository, "show", f"HEAD:{path}").splitlines()
            assert [line for line in before if line not in lines] == []
        elif said["files"].get(path) in {None, "in the way"}:
            assert updated[path] == content, path
    # Of the template only what is new, and what was accepted, comes.
    came = updated.keys() - adopted.keys()
    assert came <= {NEW_FILE}
    if accept == "all":
        changed = {
            path
            for path in missing
            if (file := two_releases / "template" / path).exists()
            and file.read_text().startswith("# learnt in v1.1.0")
        }
        assert "build.pkr.hcl" in changed | theirs.keys()
        for path in changed:
            assert "learnt in v1.1.0" in updated[path]
