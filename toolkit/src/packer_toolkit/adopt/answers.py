"""Derive answers to the questions of the template from the files of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.adopt import legacy_json
from packer_toolkit.adopt.aws_answers import find_aws
from packer_toolkit.adopt.base_image_answers import find_base_image
from packer_toolkit.adopt.ci_config import CiConfig
from packer_toolkit.adopt.found import FoundAnswers
from packer_toolkit.adopt.image_answers import find_image
from packer_toolkit.adopt.source_values import SourceValues
from packer_toolkit.errors import SetupError
from packer_toolkit.hcl.folder import read_packer
from packer_toolkit.hcl.sources import Packer, list_folders
from packer_toolkit.text.paths import join_paths


@dataclass
class PackerFiles:
    """The Packer files of a repository.

    Attributes:
        folder: The folder that was read, relative to the repository; "" for none.
        packer: What its files contain.
        notes: Other folders with Packer files, and files that could not be read.
    """

    folder: str = ""
    packer: Packer = field(default_factory=Packer)
    notes: list[str] = field(default_factory=list)


def read_packer_files(repository: Path, chosen: Path | None) -> PackerFiles:
    """Read the Packer files of a repository.

    Args:
        repository: The folder that is adopted.
        chosen: The folder to read; None for the one nearest to the top that has sources.

    Raises:
        SetupError: The chosen folder has no sources.
    """
    files = PackerFiles()
    folders: list[tuple[str, Packer]] = []
    for folder, paths in list_folders(chosen or repository):
        packer = read_packer(repository, paths)
        older = legacy_json.read_json_templates(repository, paths)
        packer.sources += older.sources
        packer.variables = {**older.variables, **packer.variables}
        packer.unread += older.unread
        if packer.sources or packer.unread or packer.variables:
            folders.append((folder.relative_to(repository).as_posix(), packer))
        files.notes += [f"{place} was not read: {reason}" for place, reason in packer.unread]
        if chosen:
            break
    with_sources = [(name, packer) for name, packer in folders if packer.sources]
    if not with_sources:
        if chosen:
            raise SetupError(f"{chosen} has no Packer file with a source of an AMI")
        files.notes.append("no Packer file with a source of an AMI was found")
        files.packer = folders[0][1] if folders else Packer()
        return files
    files.folder, files.packer = with_sources[0]
    if len(with_sources) > 1:
        others = [name for name, _ in with_sources[1:]]
        files.notes.append(
            f"Packer files were read in {files.folder}; there are more in {join_paths(others)}: "
            "--packer FOLDER reads another folder"
        )
    return files


def find_answers(
    repository: Path,
    packer: Packer,
    ci_config: CiConfig,
    base_images: Mapping[str, Any],
    found: FoundAnswers,
) -> None:
    """Find the answers.

    Args:
        repository: The folder that is adopted.
        packer: Its Packer files.
        ci_config: Its CI and task configuration.
        base_images: The base images of the template by answer, from includes/base_images.jinja.
        found: Gets the answers.
    """
    found.notes += [f"{place} was not read: {reason}" for place, reason in ci_config.unread]
    values = SourceValues(packer, found)
    find_image(values, repository.name, ci_config.remote.get("name"))
    find_base_image(values, base_images)
    find_aws(values, ci_config)
    found.add_value("github_host", ci_config.remote.get("host"))
    found.add_value("github_organization", ci_config.remote.get("owner"))
    found.add_value("github_runner", ci_config.runner)
