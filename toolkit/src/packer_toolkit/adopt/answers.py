"""Derive answers to the questions of the template from the files of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.adopt import legacy_json
from packer_toolkit.adopt.base_image_answers import find_base_image
from packer_toolkit.adopt.ci_config import CiConfig
from packer_toolkit.adopt.found import FoundAnswers, SourceValues
from packer_toolkit.errors import SetupError
from packer_toolkit.hcl.folder import read_packer
from packer_toolkit.hcl.sources import UNKNOWN, Packer, Place, Source, Value, list_folders
from packer_toolkit.text.lines import join_lines
from packer_toolkit.text.paths import join_paths

_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_GRAVITON = re.compile(r"(?:a1|[a-z]+\d+g[a-z]*)\.")
_INSTANCE = re.compile(r"[a-z]+\d+[a-z-]*\.[a-z0-9]+")
_PREFIX = "packer-ami-"


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
            raise SetupError(
                f"{chosen} has no Packer file with a source of an AMI; choose another folder with "
                "--packer, or omit it"
            )
        files.notes.append("no Packer file with a source of an AMI was found")
        files.packer = folders[0][1] if folders else Packer()
        return files
    files.folder, files.packer = with_sources[0]
    if len(with_sources) > 1:
        others = [name for name, _ in with_sources[1:]]
        files.notes.append(
            f"Packer files were read in {files.folder}; to read those of another folder, add "
            f"--packer and its name: {join_paths(others)}"
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
    _find_image(values, repository.name, ci_config.remote.get("name"))
    find_base_image(values, base_images)
    _find_aws(values, ci_config)
    found.add_value("github_host", ci_config.remote.get("host"))
    found.add_value("github_organization", ci_config.remote.get("owner"))
    found.add_value("github_runner", ci_config.runner)


def _find_image(values: SourceValues, folder: str, remote: Value | None) -> None:
    """Find name, description and architectures of the image."""
    found, variables = values.found, values.packer.variables
    names = [*([remote] if remote else []), Value(folder, Place("the folder's name", 0))]
    for name in names:
        if name.value.startswith(_PREFIX):
            found.add("image_name", name.value.removeprefix(_PREFIX), name.place)
    for question in ("image_name", "image_description"):
        variable = variables.get(question)
        if variable and variable.known and isinstance(variable.value, str):
            found.add(question, variable.value, variable.place)
    # Parts of the name of an AMI may be known only in a build.
    ami_names = [source.values.get("ami_name") for source in values.packer.sources]
    values.add_common("image_name", list(filter(None, ami_names)), derive_image_name)
    for name in names:
        if derived := derive_image_name(name.value):
            found.add("image_name", derived, name.place)
    values.add_common("image_description", values.list_known("ami_description"), join_lines)
    places: dict[str, Place] = {}
    for source in values.packer.sources:
        for architecture, place in _find_architecture(values, source):
            places.setdefault(architecture, place)
    if places:
        architectures = [name for name in ("x86_64", "arm64") if name in places]
        found.add("image_architectures", architectures, places[architectures[0]])


def _find_architecture(values: SourceValues, source: Source) -> Iterable[tuple[str, Place]]:
    named = values.get_filter(source, "filters.architecture") or source.get("ami_architecture")
    if named and named.value in _ARCHITECTURES:
        return [(_ARCHITECTURES[named.value], named.place)]
    for value in (values.get_filter(source, "filters.name"), source.get("ami_name")):
        for word, architecture in _ARCHITECTURES.items():
            if value and word in str(value.value):
                return [(architecture, value.place)]
    kind = source.get("instance_type")
    if kind and _INSTANCE.fullmatch(str(kind.value)):
        return [("arm64" if _GRAVITON.match(kind.value) else "x86_64", kind.place)]
    return []


def derive_image_name(text: str) -> str:
    """Return the name of the image in the name of an AMI or a repository; "" when it has none.

    It ends before parts that only a build knows, versions, dates and architectures.
    """
    name = text.split(UNKNOWN)[0].lower().removeprefix(_PREFIX)
    name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    ending = r"-(?:x86-64|amd64|arm64|aarch64|hvm|ami|v?\d+(?:-\d+)*)$"
    while re.search(ending, name):
        name = re.sub(ending, "", name)
    return name if re.match(r"[a-z]", name) and len(name) > 1 else ""


def _find_aws(values: SourceValues, ci_config: CiConfig) -> None:
    """Find region, copies, consumers, key, roles and accounts."""
    found = values.found
    regions = values.keep_supported(values.list_known("region", "ami_region"))
    values.add_common("aws_region", regions, str)
    found.add_value("aws_region", ci_config.region)
    region = found.answers.get("aws_region")
    copies = values.list_items("ami_regions")
    if others := [item for item, _ in copies if not region or item != region.value]:
        found.add("aws_copy_regions", ", ".join(others), copies[0][1])
    if consumers := values.list_items("ami_users", "ami_org_arns", "ami_ou_arns"):
        names = ", ".join(item for item, _ in consumers)
        found.add("image_consumers", names, consumers[0][1])
    for item, place in values.list_items("ami_groups"):
        if item == "all":
            found.notes.append(
                f"the image is public ({place}); the template shares with names only"
            )
    keys = values.list_known("kms_key_id", "launch_block_device_mappings.kms_key_id")
    # The default key of the account is not an answer.
    own_keys = [key for key in keys if not str(key.value).startswith("alias/aws/")]
    values.add_common("aws_kms_key", own_keys, str)
    found.add_value("aws_build_role", ci_config.role)
    # Without another role, the role of releases built everything.
    question = "aws_release_role" if ci_config.role else "aws_build_role"
    found.add_value(question, ci_config.release_role)
    found.add_value("toolkit_image", ci_config.toolkit)
    found.add_value("personal_role_variable", ci_config.role_variable)
    roles = values.keep_supported(values.list_known("assume_role.role_arn"))
    for value in (
        found.answers.get("aws_build_role"),
        *roles[:1],
        found.answers.get("toolkit_image"),
        found.answers.get("aws_kms_key"),
    ):
        if value and (account := re.search(r"\d{12}", str(value.value))):
            found.add("aws_management_account", account[0], value.place)
