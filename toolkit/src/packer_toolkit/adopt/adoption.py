"""An adoption: the answers and files of the baseline, those that are added, and the next steps."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from packer_toolkit.adopt.compare import FileState
from packer_toolkit.adopt.found import FoundAnswers
from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.hcl.sources import Place
from packer_toolkit.template.source import format_uvx_requirement

Origin = Literal["found", "given", "asked", "default"]


class BaselineAnswer(NamedTuple):
    """An answer of the baseline.

    Attributes:
        value: The answer.
        origin: Where it comes from.
        place: Where it was found, None when it was not.
    """

    value: Any
    origin: Origin
    place: Place | None


@dataclass
class Adoption:
    """An adoption, before anything is written.

    Attributes:
        folder: The folder that is adopted.
        source: Address of the template, as it is recorded.
        release: The release of the template that becomes the baseline.
        render: The files of the template for the answers.
        answers: By question.
        found: The answers that were found in the folder.
        answers_file: Path of the answers file, below the folder.
        refused: Found values that the template refuses: question -> reason.
        files: The files of the template, compared with those of the folder.
    """

    folder: Path
    source: str
    release: str
    render: Path
    answers: dict[str, BaselineAnswer]
    found: FoundAnswers
    answers_file: str
    refused: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)

    def list_missing(self) -> list[str]:
        """Return the files of the template that the folder does not have."""
        return [path for path, state in self.files.items() if state == "missing"]

    def match_missing(self, patterns: Sequence[str]) -> list[str]:
        """Return the missing files that match patterns.

        Args:
            patterns: all, none, paths, folders, or patterns such as inspec/*.

        Raises:
            SetupError: A pattern matches no file of the template.
        """
        matches: set[str] = set()
        for pattern in (each for each in patterns if each != "none"):
            paths = {
                path
                for path in self.files
                if pattern == "all"
                or path.startswith(f"{pattern.rstrip('/')}/")
                or fnmatchcase(path, pattern)
            }
            if not paths:
                raise SetupError(
                    f"--accept {pattern}: the template has no such file; list its files with "
                    "--dry-run"
                )
            matches |= paths
        return [path for path in self.list_missing() if path in matches]

    def diff_added(self, accepted: Sequence[str]) -> str:
        """Return a diff of the files that are going to be written."""
        return self._diff(sorted([*accepted, self.answers_file]))

    def diff_different(self) -> str:
        """Return a diff of the files of the team that differ from the template and stay."""
        return self._diff([path for path, state in self.files.items() if state == "different"])

    def _diff(self, paths: Sequence[str]) -> str:
        with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
            for side, top in (("a", self.folder), ("b", self.render)):
                (Path(scratch) / side).mkdir()
                for path in paths:
                    if (top / path).is_file():
                        copy = Path(scratch, side, path)
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(top / path, copy)
            options = ("--no-color", "--no-ext-diff", "--no-prefix", "--no-renames")
            git = Git(Path(scratch))
            result = git.run("-c", "core.autocrlf=false", "diff", "--no-index", *options, "a", "b")
        return os.fsdecode(result.stdout)

    def write(self, accepted: Sequence[str]) -> list[str]:
        """Add the accepted files, and the answers file last.

        Returns:
            The paths of the added files.

        Raises:
            SetupError: A file cannot be written; the files written before it are deleted again.
        """
        files: list[Path] = []
        folders: list[Path] = []
        try:
            for path in accepted:
                target = self.folder / path
                _create_folders(target.parent, self.folder, folders)
                # x: a file that was created in the meantime stays.
                with target.open("xb") as file:
                    files.append(target)
                    file.write((self.render / path).read_bytes())
                shutil.copymode(self.render / path, target)
            partial = self.folder / f"{self.answers_file}.partial"
            _create_folders(partial.parent, self.folder, folders)
            files.append(partial)
            shutil.copyfile(self.render / self.answers_file, partial)
            partial.replace(self.folder / self.answers_file)
        except OSError as error:
            for file_written in files:
                file_written.unlink(missing_ok=True)
            for folder in reversed(folders):
                with suppress(OSError):
                    folder.rmdir()
            raise SetupError(
                f"{error.filename} cannot be written: {error.strerror}; nothing was added, correct "
                "that and adopt again"
            ) from None
        return [*accepted, self.answers_file]


def _create_folders(folder: Path, top: Path, created: list[Path]) -> None:
    for part in [*reversed(folder.relative_to(top).parents), folder.relative_to(top)]:
        if not (top / part).is_dir():
            (top / part).mkdir()
            created.append(top / part)


def describe_commit(folder: Path, argument: Path, release: str) -> str:
    """Return the command that commits what an adoption has written.

    Everything else was committed before: it adds and commits nothing else.

    Args:
        folder: The adopted folder.
        argument: The same, as the user has named it.
        release: The template release.
    """
    git = "git" if folder == Path.cwd() else f"git -C {shlex.quote(str(argument))}"
    message = shlex.quote(f"Adopt the template at {release}")
    return f"{git} add --all . && {git} commit -m {message} ."


def find_runner(folder: Path, source: str, release: str) -> str:
    """Return what runs template-check in an adopted folder: task, packer-toolkit or uvx.

    Args:
        folder: The adopted folder.
        source: URL of the template.
        release: The template release.
    """
    taskfile, script = folder / "Taskfile.yml", folder / "toolkit-host.sh"
    if script.is_file() and taskfile.is_file() and b"\n  template-check:" in taskfile.read_bytes():
        return "task"
    # uv puts the folder of this very process first on PATH; a later command does not have it.
    own = str(Path(sys.executable).parent) if "UV" in os.environ else None
    path = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each != own]
    if shutil.which("packer-toolkit", path=os.pathsep.join(path)):
        return "packer-toolkit"
    return f"uvx --from {shlex.quote(format_uvx_requirement(source, release))} packer-toolkit"
