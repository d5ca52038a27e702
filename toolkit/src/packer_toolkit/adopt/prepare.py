"""Prepare the adoption of a repository: find the answers, choose the release, and render it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.adopt.adoption import Adoption, BaselineAnswer, Origin
from packer_toolkit.adopt.answers import find_answers, read_packer_files
from packer_toolkit.adopt.ci_config import read_ci_config
from packer_toolkit.adopt.compare import compare_files, find_nearest_release
from packer_toolkit.adopt.found import FoundAnswers
from packer_toolkit.adopt.renders import Renders, prepare_copier
from packer_toolkit.aws import partitions
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.git.command import Git, GitError, explain_ownership
from packer_toolkit.hcl.sources import Place
from packer_toolkit.repository.answers_file import (
    BESIDE_ANOTHER,
    DEFAULT,
    find_answers_files,
    names_template,
    parse_answers,
)
from packer_toolkit.template.project import Project, require_committed
from packer_toolkit.template.source import find_release, list_releases

_QUESTION = re.compile(
    "_.*|(image|parent|aws|github)_.+|toolkit_image|personal_role_variable|keep_demo|start_git"
)


@dataclass(frozen=True)
class AdoptionRequest:
    """What the user wants to adopt, and how.

    Attributes:
        folder: The repository, or a folder of one.
        template: Address of the template.
        release: The baseline; None for the release that is most similar to the folder.
        packer_folder: The folder with the Packer files; None to look for it.
        answers_file: Path of the answers file; None for the default.
        data: Answers that the user gave.
        ask: Whether to ask the user for answers that are not found.
        write: Whether files are going to be written: then everything must be committed.
        allow_defaults: Whether all answers may be defaults, because there is no Packer file.
        report: Called with a line for the user.
    """

    folder: Path
    template: str
    release: str | None = None
    packer_folder: Path | None = None
    answers_file: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    ask: bool = False
    write: bool = False
    allow_defaults: bool = False
    report: Callable[[str], None] = lambda _: None


@contextmanager
def prepare_adoption(request: AdoptionRequest) -> Iterator[Adoption]:
    """Prepare an adoption; this writes nothing.

    Yields:
        The adoption; its render is deleted afterwards.

    Raises:
        SetupError: The folder cannot be adopted; the message has the next step.
        RemoteError: The template cannot be fetched.
    """
    folder = request.folder
    git = require_repository(folder)
    answers_file = choose_answers_file(folder, request.answers_file, git)
    if request.write:
        # So that the added files can be distinguished from other work, committed alone, and undone.
        require_committed(Project(folder.absolute()))
    if request.packer_folder and not request.packer_folder.is_relative_to(folder):
        raise SetupError(
            f"--packer {request.packer_folder}: it is not in {folder}; choose a folder below it"
        )
    source = request.template
    if "://" not in source and Path(source).expanduser().is_dir():
        source = str(Path(source).expanduser().resolve())
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch, prepare_copier():
        renders = Renders(source, Path(scratch), folder.name, answers_file, request.data)
        yield _prepare(request, renders, git)


def _prepare(request: AdoptionRequest, renders: Renders, git: Git) -> Adoption:
    folder, source, answers_file = request.folder, renders.source, renders.answers_file
    tags = [
        release.tag
        for release in list_releases(source, "--template")
        if not release.version.is_prerelease
    ]
    chosen = find_release(source, request.release, "--template").tag if request.release else None
    if not (chosen or tags):
        raise RemoteError(
            f"the template {remove_secrets(source)} has no release: it has no tag such as v1.0.0; "
            "check --template"
        )
    renders.fetch()
    packer_files = read_packer_files(folder, request.packer_folder)
    if not (packer_files.folder or request.allow_defaults):
        raise SetupError(
            f"{folder} has no Packer file with a source of an AMI, so that all answers "
            "would be guesses; choose the folder that has one with --packer, or use --defaults"
        )
    ci_config = read_ci_config(folder, git)

    def find(tag: str) -> FoundAnswers:
        found = FoundAnswers(packer_files.folder, notes=list(packer_files.notes))
        # The answers of an answers file without a release come before others.
        for question, value in _read_answers(folder / answers_file).items():
            found.add(question, value, Place(answers_file, 0))
        find_answers(folder, packer_files.packer, ci_config, renders.read_base_images(tag), found)
        found.add("start_git", True, Place("git", 0))
        demo = renders.list_demo(tag)
        has_demo = bool(demo) and all((folder / path).is_file() for path in demo)
        found.add("keep_demo", has_demo, Place(demo[0] if has_demo else "none of its files", 0))
        return found

    tag = chosen or tags[-1]
    found = find(tag)
    if not chosen and len(tags) > 1:

        def render(tag: str) -> Path:
            # What one release refuses, another one may accept.
            answers = FoundAnswers(found.folder, dict(found.answers))
            return renders.render(tag, answers)[0]

        tag = find_nearest_release(folder, tags, render, answers_file, request.report)
        found = find(tag)
    _require_partition(found, request.data)
    path, refused = renders.render(tag, found)
    if request.ask:
        request.report("Answer the questions that no file answers; press Enter for the default.")
        path = renders.run_copier(tag, found, ask=True)
    return Adoption(
        folder,
        source,
        tag,
        path,
        _describe_answers(path / answers_file, found, request),
        found,
        answers_file,
        refused,
        compare_files(folder, path, answers_file),
    )


def _describe_answers(
    file: Path, found: FoundAnswers, request: AdoptionRequest
) -> dict[str, BaselineAnswer]:
    origins: dict[str, tuple[Origin, Place | None]] = {
        **{name: ("found", value.place) for name, value in found.answers.items()},
        **dict.fromkeys(request.data, ("given", None)),
    }
    other: tuple[Origin, None] = ("asked" if request.ask else "default", None)
    return {
        name: BaselineAnswer(value, *origins.get(name, other))
        for name, value in _read_answers(file).items()
    }


def _require_partition(found: FoundAnswers, data: Mapping[str, Any]) -> None:
    """Refuse a repository that builds in another partition; a default region would be wrong there.

    Args:
        found: Gets notes on values that are left out, where the region is a supported one.
        data: Answers that the user gave.

    Raises:
        SetupError: No supported region is known.
    """
    values = [(value, partitions.describe_refusal(str(value.value))) for value in found.unsupported]
    if values and "aws_region" not in data and "aws_region" not in found.answers:
        value, reason = values[0]
        raise SetupError(
            f"{value.value} ({value.place}): {reason}; nothing was added. To adopt the repository "
            "for a region of that partition, add --data aws_region=REGION"
        )
    found.notes += [
        f"{value.value} ({value.place}) was left out: {reason}" for value, reason in values
    ]


def require_repository(folder: Path) -> Git:
    """Make sure that a folder can be adopted.

    Raises:
        SetupError: It cannot; the message has the next step.
    """
    git = Git(folder)
    try:
        git.text("rev-parse", "--show-toplevel")
        git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitError as error:
        raise SetupError(
            explain_ownership(folder, error.reason)
            or f"{folder} is not a git repository with a commit; run git init and commit everything"
        ) from None
    return git


def choose_answers_file(folder: Path, wanted: str | None, git: Git) -> str:
    """Choose the path of the answers file that is added, which no other template uses.

    Args:
        folder: The folder that is adopted.
        wanted: The path that the user gave, relative to the folder; None for the default.
        git: Git in the folder.

    Raises:
        SetupError: This template has an answers file in the folder, or the file cannot be added.
    """
    for path in find_answers_files(folder):
        answers = parse_answers((folder / path).read_bytes(), str(folder / path))
        if answers.get("_commit"):
            raise SetupError(
                f"{folder / path} already connects this repository to "
                f"{remove_secrets(str(answers.get('_src_path')))} at {answers['_commit']}; "
                "check for a newer release with: task template-check"
            )
        return path
    if wanted is None:
        wanted = BESIDE_ANOTHER if _is_of_another_template(folder / DEFAULT) else DEFAULT
    place = Path(os.path.normpath(folder / wanted))
    if not place.is_relative_to(folder) or place == folder:
        raise SetupError(
            f"--answers-file {wanted}: the file is outside of {folder}; choose a path below it"
        )
    if place.is_symlink() or (place.exists() and not place.is_file()):
        raise SetupError(f"{place} is not a file; delete it first")
    if _is_of_another_template(place):
        raise SetupError(
            f"{place} is an answers file of another template; choose another name: "
            f"--answers-file {BESIDE_ANOTHER}"
        )
    path = place.relative_to(folder).as_posix()
    if git.filter_ignored([path]):
        raise SetupError(f"git ignores {path}; remove it from .gitignore first")
    return path


def _is_of_another_template(file: Path) -> bool:
    """Report whether a file has answers to questions of another template."""
    if not file.is_file() or not names_template(file.read_bytes()):
        return False
    try:
        answers = parse_answers(file.read_bytes(), str(file))
    except SetupError:
        return True
    # Copier records no release where it could not read the template as a git repository.
    return "_commit" in answers or not all(map(_QUESTION.fullmatch, answers))


def _read_answers(file: Path) -> dict[str, Any]:
    """Return the answers of an answers file; {} without the file."""
    answers = parse_answers(file.read_bytes(), str(file)) if file.is_file() else {}
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def find_own_template() -> str | None:
    """Return the address of the template that this command was installed from, as by uvx."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution("packer-toolkit").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    return str(origin["url"]) if origin.get("vcs_info", {}).get("vcs") == "git" else None
