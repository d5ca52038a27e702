"""The answers file of this template is found under any name; another template's is never used."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from packer_toolkit.repository import answers_file
from rig.repositories.small_template import ANSWERS as TEMPLATE_FILE
from rig.repositories.state import files, state
from rig.repositories.template import ROOT, git, release, render
from rig.run.toolkit import run_toolkit

pytestmark = pytest.mark.integration

DEFAULT = ".copier-answers.yml"
NAMES = [
    ".copier-answers.ami.yml",
    ".copier-answers.packer-ami.yaml",
    ".copier/ami.yml",
    ".config/copier/answers.yaml",
    "packer/answers.yml",
    "template.yml",
    ".answers",
]


def commit(repository: Path) -> None:
    """Commit everything, also what git ignores."""
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Ours")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return another template, with newer releases and a question of the same name."""
    folder = tmp_path_factory.mktemp("other") / "other"
    (folder / "template").mkdir(parents=True)
    git(folder, "init", "--quiet", "-b", "main")
    (folder / "copier.yml").write_text(
        "_subdirectory: template\nimage_name: {type: str, default: shop}\n"
        "shop: {type: str, default: one}\n"
        "_migrations: [{version: v3.1.0, command: 'touch migrated'}]\n"
    )
    (folder / "template" / TEMPLATE_FILE).write_text("{{ _copier_answers | to_nice_yaml }}")
    (folder / "template" / "shop.txt").write_text("one\n")
    release(folder, "v3.0.0")
    (folder / "template" / "shop.txt").write_text("two\n")
    release(folder, "v3.1.0")
    return folder


def make(small: Path, folder: Path, name: str, other: Path | None = None) -> Path:
    """Make a repository from the small template's first release, beside another template's files.

    Args:
        small: the small template.
        folder: the repository.
        name: the path of the answers file of the small template.
        other: the other template.
    """
    if other:
        render(other, folder, vcs_ref="v3.0.0")
    render(small, folder, vcs_ref="v1.0.0", answers_file=name, overwrite=True)
    git(folder, "init", "--quiet", "--template=", "-b", "main")
    commit(folder)
    return folder


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_found(
    small: Path, other: Path, made_by: dict[str, Path], tmp_path: Path, name: str, beside: bool
) -> None:
    """An update works with any name, and another template's file stays as it is (field 4)."""
    project = make(small, tmp_path / "web", name, other if beside else None)
    before = state(project)
    answer = run_toolkit(project, "template-check", "--json")
    assert (answer.code, answer.json["template"]) == (1, str(small))
    assert (answer.json["release"], answer.json["newest"]) == ("v1.0.0", "v2.1.0")
    assert run_toolkit(project, "template-diff", "--json").json["to"] == "v2.1.0"
    assert state(project) == before
    assert run_toolkit(project, "template-update").code == 0
    recorded = yaml.safe_load((project / name).read_text())
    assert (recorded["_src_path"], recorded["_commit"]) == (str(small), "v2.1.0")
    if beside:
        assert yaml.safe_load((project / DEFAULT).read_text())["_commit"] == "v3.0.0"
        assert (project / "shop.txt").read_text() == "one\n"
    else:
        assert not (project / DEFAULT).exists()
    expected = files(made_by["v2.1.0"])
    del expected[DEFAULT]
    assert {path: item for path, item in files(project).items() if path in expected} == expected
    assert run_toolkit(project, "template-update", "--undo").code == 0
    assert state(project) == before


def test_default_name_beside_another(small: Path, other: Path, tmp_path: Path) -> None:
    """The default name is ours where another template has a name of its own (field 4)."""
    project = make(small, tmp_path / "web", DEFAULT)
    render(other, project, vcs_ref="v3.0.0", answers_file=".copier-answers.shop.yml")
    commit(project)
    assert run_toolkit(project, "template-check", "--json").json["template"] == str(small)


def test_pull_request_is_of_this_template(small: Path, other: Path, tmp_path: Path) -> None:
    """The weekly pull request is about this template, and no code of the other runs (field 4)."""
    project = make(small, tmp_path / "web", ".copier-answers.ami.yml", other)
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(project, "remote", "add", "origin", str(tmp_path / "origin.git"))
    answer = run_toolkit(project, "template-pr", "--trust", "--dry-run", "--json")
    assert answer.json["title"] == "Update from the template to v2.1.0"
    assert not (project / "migrated").exists()


def test_only_another_template(other: Path, tmp_path: Path) -> None:
    """A repository of another template alone is refused, and nothing of it runs (field 4)."""
    project = render(other, tmp_path / "shop", vcs_ref="v3.0.0")
    git(project, "init", "--quiet", "--template=", "-b", "main")
    commit(project)
    before = state(project)
    for command in ("template-check", "template-diff", "template-update", "template-pr"):
        options = ["--trust"] if command != "template-check" else []
        options += ["--dry-run"] if command == "template-pr" else []
        answer = run_toolkit(project, command, *options)
        assert (answer.code, answer.stdout) == (3, "")
        assert (
            f"was not created from this template: {DEFAULT} is an answers file of another one"
            in (answer.stderr)
        )
        assert "packer-toolkit template adopt" in answer.stderr
        assert answer.stderr.count("\n") == 1
    assert state(project) == before


def test_another_template_under_another_name(other: Path, tmp_path: Path) -> None:
    """Another template's file is not used where it has a name of its own either (field 4)."""
    project = render(other, tmp_path / "shop", vcs_ref="v3.0.0", answers_file=".copier/shop.yml")
    answer = run_toolkit(project, "template-check")
    assert (
        answer.code,
        "was not created from this template: .copier/shop.yml" in answer.stderr,
    ) == (
        3,
        True,
    )


def _broken(project: Path) -> None:
    (project / DEFAULT).write_text("_src_path: [\n  x: {\n")


def _binary(project: Path) -> None:
    (project / "data.yml").write_bytes(bytes(range(256)))


def _unreadable_link(project: Path) -> None:
    (project / "link.yml").symlink_to("nowhere")
    (project / "loop.yml").symlink_to("loop.yml")


def _folder(project: Path) -> None:
    (project / "folder.yml").mkdir()
    (project / "folder.yml" / "x").touch()


def _vault(project: Path) -> None:
    (project / "vault.yml").write_text("secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n")


def _three_equal_keys_further_down(project: Path) -> None:
    (project / "values.yml").write_text(
        "answers:\n  image_name: a\n  parent_image: b\n  toolkit_image: c\n# image_name: d\n"
    )


def _data_file(project: Path) -> None:
    (project / "data.yml").write_text(
        "image_name: a\nparent_image: b\ntoolkit_image: c\naws_management_account: '1'\n"
    )


def _two_equal_keys(project: Path) -> None:
    (project / "values.yml").write_text("image_name: a\nparent_image: b\nimage_name: c\n")


@pytest.mark.parametrize(
    "spoil",
    [
        _broken,
        _binary,
        _unreadable_link,
        _folder,
        _vault,
        _three_equal_keys_further_down,
        _two_equal_keys,
        _data_file,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_other_files_do_not_matter(
    small: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Other YAML files, broken ones too, neither stop ours nor count as ours (field 4)."""
    project = make(small, tmp_path / "web", ".copier-answers.ami.yml")
    spoil(project)
    commit(project)
    answer = run_toolkit(project, "template-update", "--json")
    assert (answer.code, answer.json["template"]) == (0, str(small))


def test_two_of_this_template(small: Path, other: Path, tmp_path: Path) -> None:
    """Two answers files of this template are refused by name, and an option chooses (field 4)."""
    project = make(small, tmp_path / "web", "b.yml", other)
    render(small, project, vcs_ref="v1.1.0", answers_file="a.yml", overwrite=True)
    commit(project)
    answer = run_toolkit(project, "template-update")
    assert answer.code == 3
    assert "several answers files of this template: a.yml and b.yml; choose one" in answer.stderr
    assert "--answers-file a.yml" in answer.stderr
    assert answer.stderr.count("\n") == 1
    for option, expected in (("--answers-file=b.yml", "v1.0.0"), ("-a./a.yml", "v1.1.0")):
        answer = run_toolkit(project, "template-check", option, "--json")
        assert answer.json["release"] == expected
    assert run_toolkit(project, "template-update", "--answers-file", "a.yml", "--json").code == 0
    assert yaml.safe_load((project / "a.yml").read_text())["_commit"] == "v2.1.0"
    assert yaml.safe_load((project / "b.yml").read_text())["_commit"] == "v1.0.0"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (DEFAULT, "is not an answers file of this template"),
        ("missing.yml", "has no such file"),
        ("../elsewhere.yml", "is outside of"),
        (".", "is outside of"),
    ],
)
def test_option_takes_no_other_file(
    small: Path, other: Path, tmp_path: Path, wanted: str, reason: str
) -> None:
    """The option does not lead to another template's file, or out of the folder (field 4)."""
    project = make(small, tmp_path / "web", "ami.yml", other)
    answer = run_toolkit(project, "template-update", "--trust", "--answers-file", wanted)
    assert (answer.code, reason in answer.stderr) == (3, True), answer.stderr


def test_migrations_get_the_name(small: Path, other: Path, tmp_path: Path) -> None:
    """A migration is given the path of this template's answers file (field 4)."""
    template = Path(shutil.copytree(small, tmp_path / "template", symlinks=True))
    with (template / "copier.yml").open("a") as file:
        file.write(
            "_migrations:\n  - version: v3.0.0\n    command: ['sh', '-c', "
            "'echo {{ _copier_conf.answers_file }} >migrated.txt']\n"
        )
    release(template, "v3.0.0")
    project = make(small, tmp_path / "web", ".copier/ami.yml", other)
    file = project / ".copier/ami.yml"
    file.write_text(file.read_text().replace(str(small), str(template)))
    commit(project)
    assert run_toolkit(project, "template-update", "--trust").code == 0
    assert (project / "migrated.txt").read_text() == ".copier/ami.yml\n"


def test_backup_does_not_count(small: Path, tmp_path: Path) -> None:
    """An untracked copy beside the tracked file is not a second answers file (field 4)."""
    project = make(small, tmp_path / "web", DEFAULT)
    shutil.copy(project / DEFAULT, project / ".copier-answers.old.yml")
    assert run_toolkit(project, "template-check").code == 1


@pytest.mark.parametrize("name", [DEFAULT, ".copier-answers.ami.yml", ".copier/ami.yml"])
def test_file_that_git_does_not_have(small: Path, tmp_path: Path, name: str) -> None:
    """An ignored answers file is read, and refused in one line before an update (field 4)."""
    project = make(small, tmp_path / "web", name)
    (project / ".git/info").mkdir()
    (project / ".git/info/exclude").write_text(f"{name}\n")
    git(project, "rm", "--quiet", "--cached", name)
    git(project, "commit", "--quiet", "-m", "Ignored")
    assert run_toolkit(project, "template-check").code == 1
    for command in ("template-update", "template-diff"):
        answer = run_toolkit(project, command)
        assert (
            answer.code,
            f"{name} is not committed; run git add --force {name}" in answer.stderr,
        ) == (
            3,
            True,
        )


def test_link_to_the_file(small: Path, tmp_path: Path) -> None:
    """A link to the answers file counts as the file, which the update changes (field 4)."""
    project = make(small, tmp_path / "web", ".copier/ami.yml")
    (project / DEFAULT).symlink_to(".copier/ami.yml")
    commit(project)
    assert run_toolkit(project, "template-update").code == 0
    assert (project / DEFAULT).is_symlink()
    assert yaml.safe_load((project / ".copier/ami.yml").read_text())["_commit"] == "v2.1.0"


def test_link_out_of_the_repository(small: Path, tmp_path: Path) -> None:
    """A link that leads out of the folder is read, and refused before an update (field 4)."""
    project = make(small, tmp_path / "web", DEFAULT)
    (project / DEFAULT).rename(tmp_path / "elsewhere.yml")
    (project / DEFAULT).symlink_to(tmp_path / "elsewhere.yml")
    commit(project)
    assert run_toolkit(project, "template-check").code == 1
    answer = run_toolkit(project, "template-update")
    assert answer.code == 3
    assert "is a symbolic link to a file that is not in this folder" in answer.stderr


def test_damaged_file_of_this_template(small: Path, other: Path, tmp_path: Path) -> None:
    """Conflict markers in our file are reported, instead of using another's file (field 4)."""
    project = make(small, tmp_path / "web", "ami.yml", other)
    (project / "ami.yml").write_text("<<<<<<< before\n" + (project / "ami.yml").read_text())
    answer = run_toolkit(project, "template-update", "--trust")
    assert (answer.code, "ami.yml is not valid YAML" in answer.stderr) == (3, True), answer.stderr


def test_project_further_down_is_another(small: Path, tmp_path: Path) -> None:
    """A project in a folder below is named, not updated from above (field 4)."""
    top = tmp_path / "top"
    web = make(small, top / "images" / "web", ".copier-answers.ami.yml")
    (web / "image.pkr.hcl").touch()
    answer = run_toolkit(top, "template-check")
    assert (
        answer.code,
        f"the answers file is in {web}: run the command there" in answer.stderr,
    ) == (3, True)
    answer = run_toolkit(web / "scripts", "template-check")
    assert (
        answer.code,
        f"the answers file is in {web}: run the command there" in answer.stderr,
    ) == (3, True)


def test_file_in_the_folder_comes_first(small: Path, tmp_path: Path) -> None:
    """The repository's own file takes precedence over those of projects below it (field 4)."""
    project = make(small, tmp_path / "web", DEFAULT)
    render(small, project / "images" / "db", vcs_ref="v1.1.0")
    render(small, project / "images" / "web", vcs_ref="v1.1.0", answers_file="ami.yml")
    commit(project)
    assert run_toolkit(project, "template-check", "--json").json["release"] == "v1.0.0"


def test_rule_is_the_same_everywhere() -> None:
    """Python, HCL, shell and the hook recognize the file by the same questions (field 4)."""
    places = [
        Path(answers_file.__file__),
        ROOT / "template/sources.pkr.hcl",
        ROOT / "template/toolkit-host.sh",
        ROOT / "hooks/post_gen.py",
    ]
    rules = [re.findall(r"\((image_name\|[a-z_|]+)\)", place.read_text()) for place in places]
    assert rules == [rules[0]] * 4
    asked = yaml.safe_load((ROOT / "copier.yml").read_text())
    assert all(asked[question].get("when", True) for question in rules[0][0].split("|"))


def test_answers_file_of_the_real_template(template: Path, tmp_path: Path) -> None:
    """The real template's answers file is recognized, also with one question removed (field 4)."""
    made = render(template, tmp_path / "web", {"start_git": False})
    text = (made / DEFAULT).read_bytes()
    assert answers_file.is_ours(text)
    for line in text.splitlines(keepends=True):
        # Of the two lines with the template's version and address, one is enough.
        assert answers_file.is_ours(text.replace(line, b"")), line
    assert answers_file.is_ours(text.replace(b"\n", b"\r\n"))


def test_unreadable_folder_is_passed_over(small: Path, tmp_path: Path) -> None:
    """A folder that may not be read does not stop the search (field 4)."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    project = make(small, tmp_path / "web", DEFAULT)
    (project / "closed").mkdir(mode=0)
    assert run_toolkit(project, "template-check").code == 1
