"""Find the answers file of this template, whatever its name, beside those of other templates.

An address does not identify a template: forks, mirrors, local clones and SSH aliases all lead to
the same one. The questions do: only this template records these together (decision 26).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError

DEFAULT = ".copier-answers.yml"
# Used where another template's file has the default name. Renovate reads this one, too.
BESIDE_ANOTHER = ".copier-answers.packer-ami.yml"

# sources.pkr.hcl, toolkit-host.sh and hooks/post_gen.py have the same rule.
_QUESTION = re.compile(
    rb"^[\"']?(image_name|parent_image|aws_management_account|toolkit_image)[\"']?[ \t]*:", re.M
)
_ENOUGH = 3
_ADDRESS = re.compile(rb"^[\"']?_src_path[\"']?[ \t]*:", re.M)
# Without one of these it is a file for copier copy --data-file.
_RECORDED = re.compile(rb"^[\"']?(_commit|_src_path)[\"']?[ \t]*:", re.M)
_NAME = re.compile(r"(?s).*(\.ya?ml|answers)\Z")
_DEPTH = 3
_MOST_BYTES = 1_000_000


def is_ours(text: bytes) -> bool:
    """Report whether this is the text of an answers file of this template, even a damaged one."""
    return len(set(_QUESTION.findall(text))) >= _ENOUGH and bool(_RECORDED.search(text))


def names_template(text: bytes) -> bool:
    """Report whether this is the text of an answers file of any template."""
    return bool(_ADDRESS.search(text))


def is_candidate(path: str) -> bool:
    """Report whether an answers file may have this path below the folder that it describes."""
    return path.count("/") < _DEPTH and bool(_NAME.match(path))


def describes_other_folder(path: str, has_packer_files: Callable[[str], bool]) -> bool:
    """Report whether an answers file describes a folder further down, such as images/web.

    Args:
        path: Path of the file.
        has_packer_files: Reports whether a folder above the file has Packer files.
    """
    *folders, name = path.split("/")
    if folders and name == DEFAULT and not any(part.startswith(".") for part in folders):
        return True
    return any(has_packer_files("/".join(folders[:count])) for count in range(1, len(folders) + 1))


def find_answers_files(folder: Path) -> list[str]:
    """Find the answers files of this template that describe a folder.

    A file in the folder itself takes precedence over those further down, and a file that git tracks
    over a copy that it does not track.

    Args:
        folder: The folder that the template was rendered into.

    Returns:
        Paths below the folder; for a link to another file below it, the path of that file.
    """
    paths = [path for path, text in read_candidates(folder) if is_ours(text)]
    nearest = [path for path in paths if "/" not in path] or [
        path
        for path in paths
        if not describes_other_folder(path, lambda place: any((folder / place).glob("*.pkr.hcl")))
    ]
    files = sorted({_resolve(folder, path) for path in nearest})
    return (_tracked(folder, files) or files) if len(files) > 1 else files


def choose_answers_file(folder: Path, wanted: str | None = None) -> str:
    """Choose the answers file of this template that describes a folder.

    Args:
        folder: The folder that the template was rendered into, absolute.
        wanted: The path that the user gave, relative to the folder; None to find the file.

    Returns:
        Its path below the folder; `DEFAULT` when there is no such file.

    Raises:
        SetupError: There are several, or the wanted file is not an answers file of this template.
    """
    if wanted is None:
        files = find_answers_files(folder)
        if len(files) > 1:
            raise SetupError(
                f"{folder} has several answers files of this template: {' and '.join(files)}; "
                f"choose one, such as --answers-file {files[0]}"
            )
        return files[0] if files else DEFAULT
    place = Path(os.path.normpath(folder / wanted))
    if not place.is_relative_to(folder) or place == folder:
        raise SetupError(
            f"--answers-file {wanted}: the file is outside of {folder}; "
            "run the command in the folder that the file describes"
        )
    if not place.is_file():
        raise SetupError(f"--answers-file {wanted}: {folder} has no such file; check the name")
    if not is_ours(_read(place)):
        raise SetupError(
            f"--answers-file {wanted}: the file is not an answers file of this template; "
            "omit the option, and the command finds the answers file"
        )
    return _resolve(folder, place.relative_to(folder).as_posix())


def parse_answers(text: bytes, name: str) -> dict[str, Any]:
    """Parse the text of an answers file.

    Raises:
        SetupError: The text is not a mapping in YAML.
    """
    import yaml

    try:
        answers = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SetupError(f"{name} is not valid YAML{where}; restore it with git") from None
    if not isinstance(answers, dict):
        raise SetupError(f"{name} does not contain answers; restore it with git")
    return answers


def read_answers(folder: Path) -> dict[str, Any]:
    """Read the recorded answers of a repository.

    Args:
        folder: The folder that the template was rendered into.

    Returns:
        Empty when there is not exactly one readable answers file.
    """
    files = find_answers_files(folder)
    try:
        return parse_answers((folder / files[0]).read_bytes(), files[0]) if len(files) == 1 else {}
    except (OSError, SetupError):
        return {}


def read_candidates(folder: Path, below: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the path and text of each file in a folder that may be an answers file.

    Args:
        folder: The folder that the template was rendered into.
        below: The part of it to search, which ends in /; by default all of it.
    """
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = f"{below}{entry.name}"
        # Path.is_file raises PermissionError for a link into a folder that may not be read.
        if is_candidate(path) and os.path.isfile(folder / path):
            yield path, _read(folder / path)
        elif entry.name == ".git" or path.count("/") == _DEPTH - 1:
            continue
        elif entry.is_dir(follow_symlinks=False):
            yield from read_candidates(folder, f"{path}/")


def _read(file: Path) -> bytes:
    try:
        return b"" if file.stat().st_size > _MOST_BYTES else file.read_bytes()
    except OSError:
        return b""


def _resolve(folder: Path, path: str) -> str:
    real, top = Path(os.path.realpath(folder / path)), Path(os.path.realpath(folder))
    return real.relative_to(top).as_posix() if real.is_relative_to(top) else path


def _tracked(folder: Path, paths: list[str]) -> list[str]:
    try:
        listed = Git(folder).fields("ls-files", "-z", "--", *(f":(literal){p}" for p in paths))
    except GitError:
        return []
    return [path for path in paths if path in listed]
