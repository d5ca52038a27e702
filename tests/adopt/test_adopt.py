"""What adoption adds, asks and refuses, and what updates make of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from click.testing import CliRunner, Result
from shapes import NEW_FILE

from packer_toolkit.adopt.adoption import Adoption
from packer_toolkit.adopt.prepare import find_own_template
from packer_toolkit.cli.template.adopt import command as adopt_command
from packer_toolkit.cli.template.update import command as update_command
from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.template.source import format_uvx_requirement
from rig.repositories.hook import git_state, tree
from rig.repositories.template import ROOT, git, hand_over_environment, release, render
from rig.run.terminal import DOWN, ENTER, ERASE, SPACE, Terminal
from rig.run.toolkit import run_toolkit

pytestmark = pytest.mark.integration

Make = Callable[[str], Path]
ANSWERS = ".copier-answers.yml"


def run(repository: Path, template: Path | str, *options: str) -> Result:
    """Run the command without a terminal; its errors are raised."""
    hand_over_environment()
    command = [str(repository), "--template", str(template), *options]
    result = CliRunner().invoke(
        adopt_command, command, catch_exceptions=False, standalone_mode=False
    )
    assert result.return_value == 0
    return result


def as_json(repository: Path, template: Path, *options: str) -> dict[str, Any]:
    """Run the command with --json and return what it says."""
    said: dict[str, Any] = json.loads(run(repository, template, "--json", *options).stdout)
    return said


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Ours")


def update(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run template-update and return its verdict."""
    monkeypatch.chdir(repository)
    result = CliRunner().invoke(
        update_command, ["--trust", "--json"], catch_exceptions=False, standalone_mode=False
    )
    verdict: dict[str, Any] = json.loads(result.stdout)
    return verdict


@pytest.fixture
def older_copy(two_releases: Path, tmp_path: Path) -> Path:
    """Return a copy of v1.0.0, as people make one: no answers file, values and files their own."""
    made = render(
        two_releases,
        tmp_path / "packer-ami-web",
        {"image_name": "web", "parent_image": "debian-12", "image_architectures": ["arm64"]},
        vcs_ref="v1.0.0",
    )
    shutil.rmtree(made / ".git")
    (made / ANSWERS).unlink()
    shutil.rmtree(made / "inspec")
    variables = made / "variables.pkr.hcl"
    variables.write_text(variables.read_text().replace("default     = 6", "default     = 9"))
    git(tmp_path, "init", "--quiet", str(made))
    commit(made)
    return made


# ------------------------------------------------------------------------------- the baseline


def test_older_copy_gets_its_own_release_as_the_baseline(
    two_releases: Path, older_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the newest release, later changes of the template would count as edits of the team."""
    said = as_json(older_copy, two_releases)
    assert said["release"] == "v1.0.0"
    assert said["answers"]["image_name"]["value"] == "web"
    assert said["answers"]["parent_image"]["value"] == "debian-12"
    assert said["answers"]["image_architectures"]["value"] == ["arm64"]
    assert said["files"]["variables.pkr.hcl"] == "different"
    assert said["files"]["build.pkr.hcl"] == "same"
    assert said["files"]["inspec/inspec.yml"] == "missing"
    commit(older_copy)
    verdict = update(older_copy, monkeypatch)
    assert [item for item in verdict["files"] if item["conflict"]] == []
    variables = (older_copy / "variables.pkr.hcl").read_text()
    assert "default     = 9" in variables
    assert "learnt in v1.1.0" in variables
    assert "learnt in v1.1.0" in (older_copy / "build.pkr.hcl").read_text()
    assert not (older_copy / "inspec").exists()
    assert (older_copy / NEW_FILE).exists()


def _release_with(template: Path, tag: str, files: dict[str, str | None]) -> None:
    """Release a template with files changed, or removed where there is no text."""
    for path, text in files.items():
        file = template / "template" / path
        file.unlink() if text is None else file.write_text(text)
    release(template, tag)


@pytest.mark.parametrize(
    ("copied", "gone", "edited", "counts", "baseline"),
    [
        # As it was copied, with files deleted: nothing differs from its own release.
        ("v1.0.0", [".editorconfig", "renovate.json"], "", [0, 2, 3], "v1.0.0"),
        # A file that only the later releases have speaks for them, with the team's line, too.
        ("v1.2.0", ["renovate.json"], "provisioners/new.sh", [7, 5, 1], "v1.2.0"),
        # Where the file is gone that changed, all are as near: the oldest loses no update.
        ("v1.1.0", ["provisioners/prepare.sh"], "", [0, 0, 0], "v1.0.0"),
    ],
)
def test_missing_files_speak_for_no_release(
    two_releases: Path,
    tmp_path: Path,
    copied: str,
    gone: list[str],
    edited: str,
    counts: list[int],
    baseline: str,
) -> None:
    """Missing files were deleted or are newer than the copy; only present files count."""
    template = tmp_path / "template-packer-ami"
    git(tmp_path, "clone", "--quiet", str(two_releases), template.name)
    git(template, "checkout", "--quiet", "v1.0.0")
    git(template, "tag", "--delete", "v1.1.0")
    script = (template / "template" / "provisioners" / "prepare.sh").read_text()
    _release_with(template, "v1.1.0", {"provisioners/prepare.sh": f"{script}# one\n# one\n"})
    _release_with(
        template,
        "v1.2.0",
        {
            "provisioners/prepare.sh": f"{script}# one\n# one\n# two\n",
            "provisioners/new.sh": "# three\n# four\n# five\n",
        },
    )
    made = render(template, tmp_path / "packer-ami-web", {"image_name": "web"}, vcs_ref=copied)
    for path in [ANSWERS, *gone]:
        (made / path).unlink()
    if edited:
        with (made / edited).open("a") as file:
            file.write("# ours\n")
    commit(made)
    result = run(made, template, "--dry-run")
    said = re.findall(r"Compared with (\S+): (\d+) lines? differ", result.stderr)
    assert said == list(zip(["v1.0.0", "v1.1.0", "v1.2.0"], map(str, counts), strict=True))
    assert f"Baseline: {baseline} of" in result.stdout


def test_plain_copier_updates_what_was_adopted(two_releases: Path, older_copy: Path) -> None:
    """Plain Copier can update an adopted repository, because the answers file is Copier's own."""
    as_json(older_copy, two_releases)
    commit(older_copy)
    copier.run_update(older_copy, defaults=True, unsafe=True, overwrite=True, quiet=True)
    assert "default     = 9" in (older_copy / "variables.pkr.hcl").read_text()
    assert "learnt in v1.1.0" in (older_copy / "build.pkr.hcl").read_text()
    assert not (older_copy / "inspec").exists()
    assert git(older_copy, "ls-files", "--unmerged") == ""


def test_update_to_the_baseline_itself_changes_nothing(two_releases: Path, make: Make) -> None:
    """The answers file is the one that Copier would write."""
    repository = make("files-named-like-the-template's")
    as_json(repository, two_releases, "--release", "v1.0.0", "--accept", "provisioners")
    commit(repository)
    before = tree(repository), git_state(repository)
    options: dict[str, Any] = {"defaults": True, "unsafe": True, "overwrite": True, "quiet": True}
    copier.run_update(repository, vcs_ref="v1.0.0", **options)
    assert (tree(repository), git_state(repository)) == before


def test_hand_made_repository_gets_the_newest_release(two_releases: Path, make: Make) -> None:
    """A file that has only its name from the template, as README.md, determines no release."""
    assert as_json(make("json-template"), two_releases, "--dry-run")["release"] == "v1.1.0"
    said = run(make("one-file"), two_releases, "--dry-run")
    assert "Baseline: v1.1.0 of" in said.stdout
    assert "Compared with" not in said.stderr


def test_answers_file_is_as_of_a_new_repository(
    two_releases: Path, make: Make, tmp_path: Path
) -> None:
    """The answers file equals that of a new repository with the same answers, byte for byte."""
    repository = make("one-file")
    as_json(repository, two_releases)
    text = (repository / ANSWERS).read_text()
    answers = {
        name: value for name, value in yaml.safe_load(text).items() if not name.startswith("_")
    }
    assert (render(two_releases, tmp_path / "new", answers) / ANSWERS).read_text() == text


ANOTHER = "_commit: v3.0.0\n_src_path: ../other\nimage_name: shop\naws_region: us-east-1\n"


@pytest.mark.parametrize(
    "text",
    [
        ANOTHER,
        ANOTHER.replace("_commit: v3.0.0\n", "shop: one\n"),
        f"{ANOTHER}<<<<<<< before\n",
    ],
    ids=["complete", "no release", "broken"],
)
def test_another_templates_answers_stay(two_releases: Path, make: Make, text: str) -> None:
    """Adopting beside another template adds a file and takes no answer of the other (field 4)."""
    repository = make("one-file")
    (repository / ANSWERS).write_text(text)
    commit(repository)
    said = as_json(repository, two_releases)
    ours = ".copier-answers.packer-ami.yml"
    assert said["written"] == [ours]
    assert said["answers"]["image_name"]["place"] == "ami.pkr.hcl:20"
    assert (repository / ANSWERS).read_text() == text
    assert yaml.safe_load((repository / ours).read_text())["_commit"] == "v1.1.0"
    commit(repository)
    with pytest.raises(SetupError, match=f"{ours} already connects this repository to"):
        run(repository, two_releases)


def test_name_of_the_answers_file_can_be_given(two_releases: Path, make: Make) -> None:
    """The answers file gets the given name, which is not another template's (field 4)."""
    repository = make("one-file")
    (repository / ANSWERS).write_text(ANOTHER)
    commit(repository)
    with pytest.raises(SetupError, match="is an answers file of another template; choose another"):
        run(repository, two_releases, "--answers-file", ANSWERS)
    with pytest.raises(SetupError, match="is outside of"):
        run(repository, two_releases, "--answers-file", "../x.yml")
    said = as_json(repository, two_releases, "--answers-file", ".copier/ami.yml")
    assert said["written"] == [".copier/ami.yml"]
    assert run_toolkit(repository, "template-check", "--json").json["newest"] == "v1.1.0"


def test_release_beside_another_tag_is_recorded(two_releases: Path, make: Make) -> None:
    """The baseline is recorded by its release, whatever other tags its commit has (field 3)."""
    git(two_releases, "tag", "-m", "Toolkit", "toolkit-v1.1.0", "v1.1.0^{commit}")
    try:
        repository = make("one-file")
        as_json(repository, two_releases, "--release", "v1.1.0")
        assert yaml.safe_load((repository / ANSWERS).read_text())["_commit"] == "v1.1.0"
    finally:
        git(two_releases, "tag", "--delete", "toolkit-v1.1.0")


def test_answers_without_a_release_are_taken_and_completed(two_releases: Path, make: Make) -> None:
    """A file that Copier wrote without the template's git repository gets the release."""
    repository = make("one-file")
    (repository / ANSWERS).write_text(
        "_src_path: /elsewhere\nimage_name: from-the-file\naws_region: us-east-1\n"
    )
    commit(repository)
    said = as_json(repository, two_releases)
    assert said["answers"]["image_name"] == {
        "value": "from-the-file",
        "from": "found",
        "place": ANSWERS,
    }
    assert yaml.safe_load((repository / ANSWERS).read_text())["_commit"] == "v1.1.0"


def test_folder_of_a_repository_is_adopted(
    two_releases: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several images may share one repository; adopting one folder changes no other."""
    top = make("several-images")
    said = as_json(top / "images" / "web", two_releases, "--release", "v1.0.0", "--accept", "all")
    assert said["answers"]["image_name"]["value"] == "web"
    assert said["answers"]["aws_region"]["place"] == "web.pkr.hcl:3"
    commit(top)
    db = tree(top / "images" / "db")
    update(top / "images" / "web", monkeypatch)
    assert "learnt in v1.1.0" in (top / "images" / "web" / "build.pkr.hcl").read_text()
    assert tree(top / "images" / "db") == db


# ---------------------------------------------------------------------------- what is written


def test_dry_run_writes_nothing_and_shows_all(two_releases: Path, make: Make) -> None:
    """A dry run prints the answers with their lines, the files, and the diff."""
    repository = make("an-own-parent")
    before = tree(repository), git_state(repository)
    result = run(
        repository, two_releases, "--dry-run", "--accept", "renovate.json", "--accept", "*.hcl"
    )
    assert (tree(repository), git_state(repository)) == before
    assert "found: amzn2.pkr.hcl:8" in result.stdout
    assert "This would be added:" in result.stdout
    assert "+parent_name: CIS-AMZN2-2023*\n" in result.stdout
    assert "+++ b/build.pkr.hcl\n" in result.stdout
    assert "Added" not in result.stderr


def test_diff_is_one_that_git_applies(two_releases: Path, make: Make) -> None:
    """Applied to an untouched clone, the diff has the same result as the command."""
    repository = make("one-file")
    git(repository.parent, "clone", "--quiet", str(repository), "clone")
    said = as_json(repository, two_releases, "--accept", "all")
    clone = repository.parent / "clone"
    subprocess.run(["git", "-C", clone, "apply"], input=said["diff"].encode(), check=True)
    assert tree(clone) == tree(repository)
    assert said["written"] == [*said["accepted"], ANSWERS]


def test_only_accepted_files_are_added(two_releases: Path, make: Make) -> None:
    """Files are accepted by path, folder or pattern; no other file is added."""
    repository = make("one-file")
    before = tree(repository).keys()
    run(repository, two_releases, "--accept", "inspec/", "--accept", "provisioners/*.sh")
    added = tree(repository).keys() - before
    assert {path.split("/")[0] for path in added} == {ANSWERS, "inspec", "provisioners"}
    assert "provisioners/ansible/playbook.yml" not in added
    assert (repository / "provisioners" / "prepare.sh").stat().st_mode & 0o111


def test_differences_are_shown_on_request(two_releases: Path, make: Make) -> None:
    """A file that the team and the template both have stays, and can be compared."""
    repository = make("files-named-like-the-template's")
    result = run(repository, two_releases, "--dry-run", "--diff")
    assert "--- a/build.pkr.hcl\n+++ b/build.pkr.hcl\n" in result.stdout
    assert '-  sources = ["amazon-ebs.it"]\n' in result.stdout


def test_file_that_appears_meanwhile_is_not_overwritten(
    two_releases: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that appears meanwhile stays, and the files written before are deleted."""
    repository = make("one-file")

    def matching(self: Adoption, patterns: object) -> list[str]:
        (self.folder / "inspec").mkdir()
        (self.folder / "inspec" / "README.md").write_text("ours, just now\n")
        return ["build.pkr.hcl", "inspec/README.md", "inspec/inspec.yml"]

    monkeypatch.setattr(Adoption, "match_missing", matching)
    before = tree(repository)
    with pytest.raises(SetupError, match=r"inspec/README\.md cannot be written: File exists; noth"):
        run(repository, two_releases)
    after = tree(repository)
    assert "ours, just now" in after.pop("inspec/README.md")
    assert after == before


def test_ignored_files_and_those_behind_links_are_not_offered(
    two_releases: Path, make: Make
) -> None:
    """Git would not see ignored files, and files behind a link would be written outside."""
    repository = make("links-binaries-and-odd-names")
    said = as_json(repository, two_releases, "--accept", "all")
    assert said["files"]["provisioners/shell/10-update-packages.sh"] == "ignored"
    assert said["files"]["inspec/inspec.yml"] == "in the way"
    assert said["files"]["provisioners/ansible/playbook.yml"] == "in the way"
    assert not (repository / "tests" / "inspec" / "inspec.yml").exists()


def test_demo_is_kept_where_it_is(two_releases: Path, tmp_path: Path) -> None:
    """A manual copy of the template with its demo keeps the demo."""
    made = render(two_releases, tmp_path / "packer-ami-web", {"keep_demo": True})
    (made / ANSWERS).unlink()
    commit(made)
    said = as_json(made, two_releases)
    assert said["answers"]["keep_demo"]["value"] is True
    assert said["release"] == "v1.1.0"
    assert set(said["files"].values()) == {"same"}


@pytest.mark.parametrize("accept", [["Taskfile.yml", "toolkit*"], []])
def test_printed_commands_work_from_where_the_person_stands(
    two_releases: Path, make: Make, accept: list[str]
) -> None:
    """The printed commands commit only the added files, and the next command exists."""
    top = make("several-images")
    options = [part for pattern in accept for part in ("--accept", pattern)]
    command = [sys.executable, "-m", "packer_toolkit", "adopt", "images/web", *options]
    command += ["--template", str(two_releases), "--release", "v1.0.0"]
    (top / "staged-elsewhere").write_text("Ours.\n")
    git(top, "add", "staged-elsewhere")
    # As uvx runs it: its folder is in PATH only now.
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        command,
        cwd=top,
        env={**os.environ, "PATH": path, "UV": "/usr/bin/uv"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    *shown, added, then = done.stdout.splitlines()
    assert shown[-1].startswith("+")
    assert "\nThis is added:\n" in done.stdout
    printed = added.partition(" Commit: ")[2]
    subprocess.run(["bash", "-c", printed], cwd=top, check=True)
    committed = git(top, "show", "--name-only", "--format=", "HEAD").split()
    scripts = [f"toolkit-{part}.sh" for part in ("container", "engine", "host")]
    names = ["Taskfile.yml", *scripts, "toolkit.env", "toolkit.sh"] if accept else []
    assert committed == [f"images/web/{name}" for name in [ANSWERS, *names]]
    if accept:
        assert then.startswith("Then, in images/web: task template-check (or ")
    else:
        uvx = f"uvx --from 'git+file://{two_releases}@v1.0.0#subdirectory=toolkit' packer-toolkit"
        assert then.startswith(f"Then, in images/web: {uvx} template-check (or ")


def test_page_and_command_agree_on_what_is_next(
    two_releases: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has the command to commit, and the files that the tasks need."""
    page = (ROOT / "docs" / "adopting.md").read_text()
    (on_page,) = re.findall(r"^git add .*", page, re.MULTILINE)
    (accepted,) = re.findall(r"packer-toolkit template adopt (--accept .*)", page)
    monkeypatch.chdir(make("one-file"))
    said = run(Path(), two_releases, "--defaults", *shlex.split(accepted)).stderr
    (printed,) = re.findall(r"Commit: (git add .*)", said)
    assert shlex.split(printed.replace(" at v1.1.0", "")) == shlex.split(on_page)
    assert "\nThen: task template-check (or " in said


def test_installed_command_is_named(
    two_releases: Path, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the template's Taskfile, a packer-toolkit that stays on PATH is the next command."""
    installed = tmp_path / "bin" / "packer-toolkit"
    installed.parent.mkdir()
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", f"{installed.parent}:/usr/bin:/bin")
    monkeypatch.chdir(make("an-own-parent"))
    said = run(Path(), two_releases, "--release", "v1.0.0").stderr
    assert "\nThen: packer-toolkit template-check (or " in said


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        ("gh:acme/t", "git+https://github.com/acme/t.git@v1.0.0#subdirectory=toolkit"),
        ("git@example.com:acme/t.git", "git+ssh://git@example.com/acme/t.git@v1.0.0#"),
        ("https://me:secret@example.com/t.git", "git+https://example.com/t.git@v1.0.0#"),
        ("/a folder/t", "git+file:///a%20folder/t@v1.0.0#"),
    ],
)
def test_address_is_written_as_uvx_takes_it(source: str, requirement: str) -> None:
    """Short addresses of Copier are expanded in the command for uvx."""
    assert format_uvx_requirement(source, "v1.0.0").startswith(requirement)


# ------------------------------------------------------------------------------------- asking


def test_what_is_not_found_is_asked_on_a_terminal(two_releases: Path, make: Make) -> None:
    """Copier asks the other questions, then the user selects files; only then files are written."""
    repository = make("a-fixed-parent")
    given = {
        "aws_management_account": "222233334444",
        "aws_copy_regions": "",
        "image_consumers": "",
        "aws_kms_key": "",
        "github_host": "github.com",
        "github_organization": "acme",
        "github_runner": "linux",
        "toolkit_image": "example.com/packer-toolkit",
        "personal_role_variable": "ROLE",
    }
    options = [part for item in given.items() for part in ("--data", "=".join(item))]
    command = (
        sys.executable,
        "-m",
        "packer_toolkit",
        "adopt",
        "--template",
        two_releases,
        *options,
    )
    with Terminal(*command, cwd=repository) as terminal:
        terminal.wait_for("Purpose of the image")
        terminal.send(ERASE, "For the VPN", ENTER)
        terminal.wait_for("Base image to build on")
        terminal.send(DOWN, DOWN, ENTER)
        terminal.wait_for("ARN of the IAM role that workflows assume to build, such as")
        assert not (repository / ANSWERS).exists()
        terminal.send(ENTER)
        terminal.wait_for("ARN of the IAM role that workflows assume to build a release")
        terminal.send(ENTER)
        terminal.wait_for("Which files of the template")
        terminal.send(SPACE, ENTER)
        terminal.wait_for("Add these 2 files?")
        assert not (repository / ANSWERS).exists()
        terminal.send(ENTER)
        assert terminal.wait_for_end() == 0
        shown = terminal.everything
    answers = yaml.safe_load((repository / ANSWERS).read_text())
    assert answers["image_name"] == "vpn"
    assert answers["image_description"] == "For the VPN"
    assert answers["parent_image"] == "ubuntu-24.04"
    assert "found: fixed.pkr.hcl:2" in shown
    assert "This would be added:" in shown
    assert "git add" in shown
    assert (repository / ".ansible-lint").exists()


def test_nothing_is_written_when_a_person_says_no(two_releases: Path, make: Make) -> None:
    """Nothing is written when the user declines or presses Ctrl-C."""
    repository = make("no-packer-at-all")
    before = tree(repository)
    answers = repository.parent / "answers.yml"
    answered = render(two_releases, repository.parent / "all", {"parent_image": "rhel-9"}) / ANSWERS
    answers.write_text(answered.read_text())
    command = (sys.executable, "-m", "packer_toolkit", "adopt", "--template", two_releases)
    for key, code in (("n", 0), ("\x03", 130)):
        with Terminal(
            *command, "--answers", answers, "--accept", "none", cwd=repository
        ) as terminal:
            terminal.wait_for("Add this file?")
            terminal.send(key)
            assert terminal.wait_for_end() == code
            assert "Traceback" not in terminal.everything
        assert tree(repository) == before


def test_what_would_be_asked_takes_its_default_without_a_terminal(
    two_releases: Path, make: Make
) -> None:
    """Without a terminal questions get their defaults, and the output marks these."""
    said = as_json(
        make("json-template"), two_releases, "--dry-run", "--data", "github_runner=linux"
    )
    assert said["answers"]["github_organization"]["from"] == "default"
    assert said["answers"]["github_runner"] == {"value": "linux", "from": "given", "place": None}


def test_help_speaks_of_adopting() -> None:
    """The help describes adopting, and not recorded answers of an update."""
    said = CliRunner().invoke(adopt_command, ["--help"]).output
    assert "--data overrides a detected answer" in " ".join(said.split())
    assert "recorded" not in said


# ----------------------------------------------------------------------------------- refusals


def _ignore_answers(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.yml\n")


def _already(repository: Path) -> None:
    (repository / ANSWERS).write_text(
        "_commit: v1.0.0\n_src_path: https://example.com/t\n"
        "image_name: web\nparent_image: debian-12\ntoolkit_image: example.com/toolkit\n"
    )


def _no_git(repository: Path) -> None:
    shutil.rmtree(repository / ".git")


def _link(repository: Path) -> None:
    (repository / ANSWERS).symlink_to("elsewhere")


def _edited(repository: Path) -> None:
    (repository / "setup.sh").write_text("#!/bin/bash\n")


def _no_packer(repository: Path) -> None:
    for path in repository.glob("*.pkr.hcl"):
        path.unlink()
    commit(repository)


def _nothing(repository: Path) -> None:
    del repository


@pytest.mark.parametrize(
    ("prepare", "options", "kind", "says"),
    [
        (
            _already,
            [],
            SetupError,
            "already connects this repository to https://example.com/t at",
        ),
        (_no_git, [], SetupError, "is not a git repository with a commit; run git init"),
        (_ignore_answers, [], SetupError, "git ignores .copier-answers.yml; remove it"),
        (_link, [], SetupError, "is not a file; delete it first"),
        (
            _nothing,
            ["--release", "v7.0.0"],
            SetupError,
            "has no release v7.0.0; its newest are v1.1.0, v1.0.0",
        ),
        (
            _nothing,
            ["--accept", "nothing-like-it"],
            SetupError,
            "--accept nothing-like-it: the tem",
        ),
        (_nothing, ["--packer", "/"], SetupError, "--packer /: it is not in "),
        (_nothing, ["--data", "aws_region=no"], SetupError, 'aws_region="no" is refused: must be'),
        (_nothing, ["--data", "typo=no"], SetupError, 'typo="no" is refused: no question has this'),
        (
            _nothing,
            ["--template", "/nowhere/at/all"],
            RemoteError,
            "the folder does not exist; check the address in --template, the network",
        ),
        (
            _nothing,
            ["--template", "/nowhere/at/all", "--release", "v1.0.0"],
            RemoteError,
            "check the address in --template, the network",
        ),
        (_edited, [], SetupError, "there are uncommitted changes (setup.sh); commit them, or"),
        (_no_packer, [], SetupError, "has no Packer file with a source of an AMI, so that all"),
        (
            _no_packer,
            ["--dry-run"],
            SetupError,
            "choose the folder that has one with --packer, or use --defaults",
        ),
    ],
)
def test_refusal_is_one_line_and_changes_nothing(
    two_releases: Path,
    make: Make,
    prepare: Callable[[Path], None],
    options: list[str],
    kind: type[ToolkitError],
    says: str,
) -> None:
    """A refusal is one line with the thing, the reason and the next step, and changes nothing."""
    repository = make("one-file")
    prepare(repository)
    before = tree(repository)
    with pytest.raises(kind) as caught:
        run(repository, two_releases, *options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(repository) == before


def test_template_without_a_release_is_refused(two_releases: Path, make: Make) -> None:
    """A template without a release is refused, because no update could start from it."""
    repository = make("one-file")
    git(repository.parent, "clone", "--quiet", "--no-tags", str(two_releases), "untagged")
    with pytest.raises(RemoteError, match="has no release: it has no tag such as v1"):
        run(repository, repository.parent / "untagged")


def test_template_is_known_where_the_command_was_installed_from_it(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    """The template is known after uvx --from git+URL; a checkout needs --template."""
    origin = '{"url": "https://example.com/t.git", "vcs_info": {"vcs": "git"}}'

    class Distribution:
        def read_text(self, name: str) -> str:
            assert name == "direct_url.json"
            return origin

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Distribution())
    assert find_own_template() == "https://example.com/t.git"
    origin = '{"url": "file:///checkout", "dir_info": {"editable": true}}'
    assert find_own_template() is None
    command = [sys.executable, "-m", "packer_toolkit", "adopt", str(make("one-file"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "give --template URL" in result.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "lipsum.__globals__.os.system(command)",
        "lipsum.__globals__['os'].popen(command).read()",
        "cycler.__init__.__globals__.os.system(command)",
        "joiner | attr('__init__') | attr('__globals__')",
        "''.__class__.__mro__[1].__subclasses__()[0].__name__.x",
        "'{0.__class__.__init__.__globals__}'.format(lipsum).x.y",
        "1 // 0",
    ],
)
def test_the_images_of_a_release_run_no_code(
    two_releases: Path, make: Make, tmp_path: Path, expression: str
) -> None:
    """A release's list of base images cannot run Python; it is refused in one line (review C3)."""
    template = tmp_path / "template"
    shutil.copytree(two_releases, template, symlinks=True)
    reached = tmp_path / "reached"
    (template / "includes" / "base_images.jinja").write_text(
        f"{{%- set command = 'touch {reached}' -%}}\n{{%- set a = {expression} -%}}\n"
        "{{ a.b }}\n"
    )
    release(template, "v1.2.0")
    with pytest.raises(SetupError, match=r"^includes/base_images.jinja of .*; .* --vcs-ref$") as no:
        run(make("one-file"), template, "--release", "v1.2.0", "--dry-run", "--defaults")
    assert "\n" not in str(no.value)
    assert not reached.exists()


def test_trust_in_the_temporary_folder_is_not_trust_in_the_template(
    two_releases: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copier's settings do not let a release load extensions into adopt (review C3)."""
    template = tmp_path / "template"
    shutil.copytree(two_releases, template, symlinks=True)
    with (template / "copier.yml").open("a") as config:
        config.write("\n_jinja_extensions: [jinja2.ext.do]\n")
    release(template, "v1.2.0")
    settings = tmp_path / "settings.yml"
    settings.write_text("trust: [/]\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    with pytest.raises(SetupError, match="trust this template"):
        run(make("one-file"), template, "--release", "v1.2.0", "--dry-run", "--defaults")


def test_page_says_where_each_answer_is_found() -> None:
    """The page has every question of the template once."""
    page = (ROOT / "docs" / "adopting.md").read_text()
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    assert named == [name for name in questions if not name.startswith("_")]


def test_page_names_every_option() -> None:
    """The page has every option, and no other."""
    page = (ROOT / "docs" / "adopting.md").read_text()
    (table,) = re.findall(r"^\| Option .*?\n\n", page, re.MULTILINE | re.DOTALL)
    options = {
        option
        for parameter in adopt_command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z-]*", table)) == options
