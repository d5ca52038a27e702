"""`format`, and the checks that go with it, leave symbolic links and what they lead to alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from packer_toolkit.checks.format import check_hcl_format, check_script_format, format_files
from packer_toolkit.checks.run import run_checks
from packer_toolkit.errors import SetupError
from rig.host.tools import Packer, require
from rig.repositories.template import git

HCL, FORMATTED_HCL = 'x="1"\n', 'x = "1"\n'
SHELL, FORMATTED_SHELL = (
    "#!/bin/sh\nif true; then\n    ls\nfi\n",
    "#!/bin/sh\nif true; then\n\tls\nfi\n",
)


@pytest.fixture
def root(tmp_path: Path, packer: Packer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one file of each kind that is not formatted."""
    path = [str(packer.path.parent), str(require("shfmt").parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    folder = tmp_path / "a team's répo"
    (folder / "scripts").mkdir(parents=True)
    (folder / "own.pkr.hcl").write_text(HCL)
    (folder / "scripts/own.sh").write_text(SHELL)
    git(folder, "init", "--quiet")
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> dict[Path, str]:
    """Return files beside the repository, with their content."""
    names = {"y.pkr.hcl": HCL, "y.pkrvars.hcl": HCL, "y.sh": SHELL, "noext": SHELL}
    files = {tmp_path / "outside" / name: text for name, text in names.items()}
    for file, text in files.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return files


# How a link leads out of the repository: (path of the link, where to, below the folder outside).
WAYS = {
    "a file of HCL": ("y.pkr.hcl", "y.pkr.hcl"),
    "a file of values": ("y.auto.pkrvars.hcl", "y.pkrvars.hcl"),
    "a script": ("y.sh", "y.sh"),
    "a script without extension": ("scripts/run", "noext"),
    "a folder": ("linked", "."),
}


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "new"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_outside_of_the_repository_is_written(
    way: str, committed: bool, root: Path, outside: dict[Path, str]
) -> None:
    """A link stays a link, its target stays as it is, and all else is formatted (review C31)."""
    name, target = WAYS[way]
    (root / name).symlink_to(next(iter(outside)).parent / target)
    if committed:
        git(root, "add", "--all")
    assert {each.file for each in check_hcl_format(root)} == {"own.pkr.hcl"}
    assert {each.file for each in check_script_format(root)} == {"scripts/own.sh"}
    assert format_files(root) == ["own.pkr.hcl", "scripts/own.sh"]
    assert (root / name).is_symlink()
    assert {file: file.read_text() for file in outside} == outside
    assert (root / "own.pkr.hcl").read_text() == FORMATTED_HCL
    assert (root / "scripts/own.sh").read_text() == FORMATTED_SHELL


def test_a_folder_that_became_a_link_is_left_out(root: Path, outside: dict[Path, str]) -> None:
    """A folder that became a link is left out, although git lists its files (review C31)."""
    git(root, "add", "--all")
    (root / "scripts/own.sh").unlink()
    (root / "scripts").rmdir()
    folder = next(iter(outside)).parent
    (root / "scripts").symlink_to(folder)
    (folder / "own.sh").write_text(SHELL)
    assert format_files(root) == ["own.pkr.hcl"]
    assert (folder / "own.sh").read_text() == SHELL


def test_what_a_link_inside_leads_to_is_formatted_once(root: Path) -> None:
    """The target of a link is formatted once, under its own name (review C31)."""
    (root / "again.pkr.hcl").symlink_to("own.pkr.hcl")
    (root / "again.sh").symlink_to("scripts/own.sh")
    assert format_files(root) == ["own.pkr.hcl", "scripts/own.sh"]
    assert (root / "again.sh").is_symlink()
    assert (root / "again.pkr.hcl").read_text() == FORMATTED_HCL
    assert format_files(root) == []


@pytest.mark.parametrize("target", ["nowhere", "loop.sh"], ids=["dangling", "loop"])
def test_a_link_to_nothing_stops_no_formatting(target: str, root: Path) -> None:
    """A dangling link and one to itself are left out (review C31)."""
    (root / "loop.sh").symlink_to(target)
    (root / "loop.pkr.hcl").symlink_to(target)
    assert format_files(root) == ["own.pkr.hcl", "scripts/own.sh"]


def test_a_repository_that_is_reached_by_a_link_is_formatted(root: Path, tmp_path: Path) -> None:
    """Only links inside of it count (review C31)."""
    (tmp_path / "link").symlink_to(root)
    assert format_files(tmp_path / "link") == ["own.pkr.hcl", "scripts/own.sh"]


def test_files_that_git_ignores_and_submodules_are_left_out(root: Path, tmp_path: Path) -> None:
    """Ignored files and submodules are neither checked nor formatted (review C31)."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    (other / "theirs.pkr.hcl").write_text(HCL)
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message=x")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "sub")
    (root / ".gitignore").write_text("/personal.pkrvars.hcl\n")
    (root / "personal.pkrvars.hcl").write_text(HCL)
    assert format_files(root) == ["own.pkr.hcl", "scripts/own.sh"]
    assert (root / "sub/theirs.pkr.hcl").read_text() == HCL
    assert (root / "personal.pkrvars.hcl").read_text() == HCL


def test_the_mode_of_a_file_stays(root: Path) -> None:
    """An executable script and a read-only file keep their bits (review C31)."""
    (root / "scripts/own.sh").chmod(0o755)
    (root / "own.pkr.hcl").chmod(0o640)
    format_files(root)
    assert (root / "scripts/own.sh").stat().st_mode & 0o777 == 0o755
    assert (root / "own.pkr.hcl").stat().st_mode & 0o777 == 0o640


def test_a_broken_file_does_not_stop_the_others(root: Path) -> None:
    """Its place is in the error, and shell scripts are formatted all the same (review C31)."""
    (root / "zz.pkrvars.hcl").write_text("x = {\n")
    with pytest.raises(SetupError, match=r"everything: zz\.pkrvars\.hcl:2: Missing expression"):
        format_files(root)
    assert (root / "own.pkr.hcl").read_text() == FORMATTED_HCL
    assert (root / "scripts/own.sh").read_text() == FORMATTED_SHELL


def test_scripts_that_are_links_only_are_skipped(root: Path, outside: dict[Path, str]) -> None:
    """The check reports that the repository has no script (review C31)."""
    (root / "scripts/own.sh").unlink()
    (root / "y.sh").symlink_to(next(file for file in outside if file.suffix == ".sh"))
    (result,) = run_checks(root, ["shfmt"])
    assert (result.status, result.reason) == ("skipped", "the repository has no shell script")
    assert json.dumps(asdict(result))
