"""Invalid data files, destinations, projects, machines and templates are reported.

Each test is a row of docs/bad-input.md: the exit code, what the person reads, and that nothing of
theirs is lost or overwritten unasked. Where Copier has no hook for a template, the test holds what
Copier does today, so that the page stays true.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from rig.repositories.copier_command import Outcome, contents, other_copier, run_copier
from rig.repositories.template import ROOT, git, render
from rig.run.terminal import copier

DEFAULTS = ("--trust", "--defaults", "--data=image_name=web")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "packer-ami-web"


def copy(template: Path | str, destination: Path | str, *options: str, cwd: Path) -> Outcome:
    """Run `copier copy` with the defaults."""
    return run_copier("copy", *DEFAULTS, *options, str(template), str(destination), cwd=cwd)


def update(project: Path, *options: str, **more: object) -> Outcome:
    """Run `copier update` with the recorded answers."""
    return run_copier("update", "--trust", "--defaults", *options, cwd=project, **more)  # type: ignore[arg-type]


def assert_line(outcome: Outcome, *said: str, code: int = 1) -> None:
    """Assert that a command failed with exactly one line that contains some strings."""
    assert outcome.code == code, outcome
    (line,) = outcome.complaints
    assert all(part in line for part in said), line


def assert_traceback(outcome: Outcome, *said: str) -> None:
    """Assert that a command failed with a traceback of Copier whose end has some strings."""
    assert outcome.code == 1, outcome
    assert "Traceback (most recent call last):" in outcome.complaints
    end = "\n".join(outcome.complaints[-4:])
    assert all(part in end for part in said), end


# --- Options and data files -----------------------------------------------------------------------


def test_data_file_is_missing(template: Path, destination: Path) -> None:
    """A missing data file leads to a usage error of one line and the help."""
    outcome = copy(template, destination, "--data-file=gone.yml", cwd=destination.parent)
    assert outcome.code == 2
    assert "gone.yml" in outcome.stdout.splitlines()[0]
    assert "Traceback" not in outcome.stderr
    assert not destination.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("image_name: [", "answers.yml", id="no YAML"),
        pytest.param("- image_name", "'list' object has no attribute 'items'", id="list"),
        pytest.param("", "'NoneType' object has no attribute 'items'", id="empty"),
        pytest.param("12: web", "Input should be a valid string", id="number as a name"),
    ],
)
def test_data_file_cannot_be_used(template: Path, destination: Path, text: str, said: str) -> None:
    """An unusable data file leads to a traceback of Copier, and nothing is written."""
    (destination.parent / "answers.yml").write_text(text)
    outcome = copy(template, destination, "--data-file=answers.yml", cwd=destination.parent)
    assert_traceback(outcome, said)
    assert not destination.exists()


def test_data_without_equals_sign(template: Path, destination: Path) -> None:
    """--data without an equals sign leads to a traceback of Copier."""
    outcome = copy(template, destination, "--data=image_name", cwd=destination.parent)
    assert_traceback(outcome, "not enough values to unpack")
    assert not destination.exists()


def test_reserved_name_of_copier(template: Path, destination: Path) -> None:
    """An answer with a reserved name of Copier leads to a traceback."""
    outcome = copy(template, destination, "--data=_folder_name=web", cwd=destination.parent)
    assert_traceback(outcome, "multiple values for keyword argument '_folder_name'")
    assert not destination.exists()


def test_unknown_option(template: Path, destination: Path) -> None:
    """An unknown option leads to a usage error of one line and the help."""
    outcome = copy(template, destination, "--deflaults", cwd=destination.parent)
    assert outcome.code == 2
    assert "deflaults" in outcome.stdout.splitlines()[0]
    assert not destination.exists()


def test_no_terminal_and_no_defaults(template: Path, destination: Path) -> None:
    """Without a terminal and --defaults, Copier fails with one line."""
    outcome = run_copier("copy", "--trust", template, destination, cwd=destination.parent)
    assert outcome.code == 1
    assert outcome.complaints[-1] == (
        "Interactive session required: Use `--defaults` and/or `--data`/`--data-file`"
    )
    assert outcome.complaints[:-1] == ["Warning: Input is not a terminal (fd=0)."]
    assert not destination.exists()


@pytest.mark.parametrize("text", ["defaults: [", "defaults: 3"])
def test_settings_cannot_be_read(
    template: Path, destination: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Unreadable settings lead to a traceback of Copier."""
    settings = destination.parent / "settings.yml"
    settings.write_text(text)
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    outcome = copy(template, destination, cwd=destination.parent)
    assert outcome.code == 1
    assert "Traceback" in outcome.stderr
    assert not destination.exists()


# --- The destination ------------------------------------------------------------------------------

OWN = {"README.md": "my own text\n", "notes/own.txt": "more\n", ".gitignore": "/secret\n"}


@pytest.fixture
def own_files(destination: Path) -> Path:
    """Return a destination with the user's own files, some at paths of the template."""
    for name, text in OWN.items():
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        (destination / name).write_text(text)
    return destination


def assert_own_files_are_kept(destination: Path) -> None:
    """Assert that none of the user's own files has changed."""
    assert {name: (destination / name).read_text() for name in OWN} == OWN


def test_non_empty_destination_without_a_terminal(template: Path, own_files: Path) -> None:
    """Without a terminal, Copier stops at the first file that it would have to ask about."""
    outcome = copy(template, own_files, "--quiet", cwd=own_files.parent)
    assert outcome.code == 1
    assert outcome.complaints[-1] == "Interactive session required: Consider using `--overwrite`"
    assert "Traceback" not in outcome.stderr
    assert_own_files_are_kept(own_files)


def test_non_empty_destination_on_a_terminal(template: Path, own_files: Path) -> None:
    """Copier asks about each file, and the answer no keeps it."""
    options = ("--quiet", str(template), str(own_files))
    with copier("copy", *DEFAULTS, *options, cwd=own_files.parent) as terminal:
        terminal.wait_for("Overwrite .gitignore?")
        terminal.send("n")
        terminal.wait_for("Overwrite README.md?")
        terminal.send("n")
        assert terminal.wait_for_end() == 0
    assert_own_files_are_kept(own_files)


def test_overwrite_takes_only_files_of_the_template(template: Path, own_files: Path) -> None:
    """--overwrite replaces only files of the template."""
    outcome = copy(template, own_files, "--overwrite", cwd=own_files.parent)
    assert outcome.code == 0, outcome
    assert (own_files / "notes/own.txt").read_text() == OWN["notes/own.txt"]
    assert (own_files / "README.md").read_text() != OWN["README.md"]


def test_destination_is_a_file(template: Path, destination: Path) -> None:
    """A file as the destination is refused with one line, and does not change."""
    destination.write_text("mine\n")
    outcome = copy(template, destination, cwd=destination.parent)
    assert_line(outcome, f"{destination} is refused as the destination: it is a file.")
    assert destination.read_text() == "mine\n"


def test_unwritable_destination(template: Path, tmp_path: Path) -> None:
    """An unwritable destination leads to a traceback of Copier that ends with the path."""
    parent = tmp_path / "locked"
    parent.mkdir()
    parent.chmod(0o555)
    # Root may write anywhere, unless that is taken away.
    rights = "-dac_override,-dac_read_search"
    setpriv = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
    outcome = run_copier(
        "copy",
        *DEFAULTS,
        template,
        parent / "web",
        cwd=tmp_path,
        prefix=setpriv if os.geteuid() == 0 else (),
    )
    assert_traceback(outcome, "PermissionError: [Errno 13] Permission denied: ", str(parent))
    assert list(parent.iterdir()) == []


# --- The project ----------------------------------------------------------------------------------


def assert_left_alone(project: Path, outcome: Outcome, before: object) -> None:
    """Assert that a command failed and did not change the project."""
    assert outcome.code != 0
    assert contents(project) == before


def test_dirty_project(project: Path) -> None:
    """An update of a project with an untracked file is refused."""
    (project / "notes.txt").write_text("mine\n")
    before = contents(project)
    outcome = update(project)
    assert_line(outcome, "Destination repository is dirty", "commit or stash")
    assert_left_alone(project, outcome, before)


def test_project_without_git(project: Path) -> None:
    """An update of a project without git is refused."""
    shutil.rmtree(project / ".git")
    before = contents(project)
    outcome = update(project)
    assert_line(outcome, "Updating is only supported in git-tracked subprojects.")
    assert_left_alone(project, outcome, before)


def test_answers_file_is_missing(project: Path) -> None:
    """An update of a project without an answers file is refused."""
    git(project, "rm", "--quiet", ".copier-answers.yml")
    git(project, "commit", "--quiet", "--message=Remove the answers")
    before = contents(project)
    outcome = update(project)
    assert_line(outcome, "cannot obtain old template references", ".copier-answers.yml")
    assert_left_alone(project, outcome, before)


def test_answers_file_is_not_yaml(project: Path) -> None:
    """Conflict markers in the answers file lead to a traceback of Copier."""
    answers = project / ".copier-answers.yml"
    answers.write_text("<<<<<<< before updating\n" + answers.read_text())
    git(project, "commit", "--quiet", "--all", "--message=Commit a conflict")
    before = contents(project)
    outcome = update(project)
    assert_traceback(outcome, ".copier-answers.yml")
    assert_left_alone(project, outcome, before)


def test_update_to_an_older_release(two_releases: Path, destination: Path) -> None:
    """An update to an older release is refused."""
    render(two_releases, destination, {"image_name": "web"})
    before = contents(destination)
    outcome = update(destination, "--vcs-ref=v1.0.0")
    assert_line(outcome, "You are downgrading from 1.1.0 to 1.0.0. Downgrades are not supported.")
    assert_left_alone(destination, outcome, before)


# --- The machine ----------------------------------------------------------------------------------


def test_copy_without_git_installed(template: Path, destination: Path) -> None:
    """Without git, the repository is created, and one line reports each missing part."""
    empty = destination.parent / "bin"
    empty.mkdir()
    arguments = ("copy", *DEFAULTS, str(template), str(destination))
    outcome = run_copier(*arguments, cwd=destination.parent, env={"PATH": str(empty)})
    assert outcome.code == 0, outcome
    assert "Git is not installed, so there is no repository; install git" in outcome.stderr
    assert "`copier update` cannot work here" in outcome.stderr
    assert (destination / "build.pkr.hcl").is_file()


def test_update_without_git_installed(project: Path) -> None:
    """An update without git leads to a traceback of Copier."""
    empty = project.parent / "bin"
    empty.mkdir()
    before = contents(project)
    outcome = update(project, env={"PATH": str(empty)})
    assert_traceback(outcome, "CommandNotFound: ('git'")
    assert_left_alone(project, outcome, before)


def test_old_copier(template: Path, destination: Path) -> None:
    """An old Copier is refused with one line that names both versions."""
    python = other_copier("9.17.2")
    options = ("copy", *DEFAULTS, str(template), str(destination))
    outcome = run_copier(*options, cwd=destination.parent, python=python)
    assert_line(outcome, "requires Copier version >= 9.18.0", "your version of Copier is 9.17.2")
    assert not destination.exists()


# --- Trust ----------------------------------------------------------------------------------------


def test_no_trust(template: Path, destination: Path) -> None:
    """A copy of an untrusted template is refused, because the template has a task."""
    outcome = run_copier("copy", "--defaults", template, destination, cwd=destination.parent)
    assert outcome.code == 4
    assert outcome.complaints == [
        "Template uses potentially unsafe feature: tasks.",
        "If you trust this template, consider adding the `--trust` option when running "
        "`copier copy/update`.",
    ]
    assert not destination.exists()


def test_no_trust_on_update(project: Path) -> None:
    """An update from an untrusted template is refused, even if it runs no task."""
    before = contents(project)
    outcome = run_copier("update", "--defaults", "--skip-tasks", cwd=project)
    assert outcome.code == 4
    assert_left_alone(project, outcome, before)


@pytest.fixture
def as_github(two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git resolve an organization's GitHub addresses to the template."""
    (tmp_path / "ORGANIZATION").mkdir()
    (tmp_path / "ORGANIZATION" / "template-packer-ami.git").symlink_to(two_releases)
    config = tmp_path / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for address in ("https://github.com/", "git@github.com:"):
        git(tmp_path, "config", "--global", "--add", f"url.file://{tmp_path}/.insteadOf", address)


@pytest.mark.usefixtures("as_github")
@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/ORGANIZATION/template-packer-ami",
        "gh:ORGANIZATION/template-packer-ami",
        "git@github.com:ORGANIZATION/template-packer-ami.git",
    ],
)
def test_trust_in_settings(
    destination: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """With the entry of docs/start.md in the settings, copy and update need no option."""
    page = (ROOT / "docs" / "start.md").read_text()
    settings = destination.parent / "settings.yml"
    settings.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    assert list(yaml.safe_load(settings.read_text())) == ["trust"]
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    copied = run_copier(
        "copy", "--defaults", "--vcs-ref=v1.0.0", address, destination, cwd=destination.parent
    )
    assert copied.code == 0, copied
    if address.startswith("gh:"):
        updated = run_copier("update", "--defaults", cwd=destination)
        assert updated.code == 0, updated
        assert "_commit: v1.1.0" in (destination / ".copier-answers.yml").read_text()


# --- The template ---------------------------------------------------------------------------------


def test_template_does_not_exist(destination: Path) -> None:
    """A template path that does not exist leads to a traceback of Copier."""
    outcome = copy("gone", destination, cwd=destination.parent)
    assert_traceback(outcome, "ValueError: Local template must be a directory.")
    assert not destination.exists()


def test_template_cannot_be_reached(destination: Path) -> None:
    """A URL that cannot be reached leads to a traceback that ends with git's reason."""
    url = "http://127.0.0.1:9/template.git"
    outcome = copy(url, destination, cwd=destination.parent)
    assert_traceback(outcome, f"git ls-remote --tags --refs -- {url}", "unable to access")
    assert not destination.exists()


def test_release_does_not_exist(template: Path, destination: Path) -> None:
    """A release that does not exist leads to a traceback of Copier."""
    outcome = copy(template, destination, "--vcs-ref=v9.9.9", cwd=destination.parent)
    assert_traceback(outcome, "ValueError: Unknown revision: 'v9.9.9'")
    assert not destination.exists()


def test_relative_template_path(two_releases: Path, destination: Path) -> None:
    """A relative template path is recorded as an absolute path."""
    relative = os.path.relpath(two_releases, destination.parent)
    outcome = copy(relative, destination, "--vcs-ref=v1.0.0", cwd=destination.parent)
    assert outcome.code == 0, outcome
    answers = yaml.safe_load((destination / ".copier-answers.yml").read_text())
    assert answers["_src_path"] == str(two_releases.resolve())
    moved = destination.rename(destination.parent / "moved")
    updated = update(moved)
    assert updated.code == 0, updated
    assert "_commit: v1.1.0" in (moved / ".copier-answers.yml").read_text()


def assert_told_that_it_cannot_be_updated(outcome: Outcome, destination: Path) -> None:
    """Assert that a copy without a version reports it, and that its update fails."""
    assert outcome.code == 0, outcome
    assert "`copier update` cannot work here" in outcome.stderr
    assert "_commit" not in (destination / ".copier-answers.yml").read_text()
    assert_line(update(destination), "Cannot update because cannot obtain old template references")


def test_template_without_git(template: Path, destination: Path) -> None:
    """A template without git can be copied, but the copy cannot be updated."""
    folder = destination.parent / "archive"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    outcome = copy(folder, destination, cwd=destination.parent)
    assert_told_that_it_cannot_be_updated(outcome, destination)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_template_of_another_user(template: Path, destination: Path) -> None:
    """A template that belongs to another user can be copied, but not updated."""
    folder = Path(shutil.copytree(template, destination.parent / "template"))
    for path in [folder, *folder.rglob("*")]:
        os.lchown(path, 12345, 12345)
    outcome = copy(folder, destination, cwd=destination.parent)
    assert_told_that_it_cannot_be_updated(outcome, destination)


def test_git_dir_is_set(template: Path, destination: Path) -> None:
    """With GIT_DIR set, the other repository is not changed."""
    elsewhere = destination.parent / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "--quiet", "--initial-branch=main")
    outcome = run_copier(
        "copy",
        *DEFAULTS,
        template,
        destination,
        cwd=destination.parent,
        env={"GIT_DIR": str(elsewhere / ".git")},
    )
    assert_traceback(outcome, "ValueError: Unknown revision: 'v1.0.0'")
    assert not destination.exists()
    assert git(elsewhere, "status", "--porcelain") == ""
