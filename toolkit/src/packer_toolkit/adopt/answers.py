"""Makes answers to the template's questions of what a repository's files say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.adopt import legacy_json
from packer_toolkit.adopt.ci_config import Surroundings
from packer_toolkit.aws import partitions
from packer_toolkit.errors import SetupError
from packer_toolkit.hcl.read import read_packer as read_hcl
from packer_toolkit.hcl.sources import UNKNOWN, Packer, Place, Source, Value, list_folders
from packer_toolkit.text.paths import join_paths

# Owners that AWS knows by a name; where the accounts are from: includes/base_images.jinja.
_ALIASES = {"amazon": "137112412989", "aws-marketplace": "679593333241"}
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_GRAVITON = re.compile(r"(?:a1|[a-z]+\d+g[a-z]*)\.")
_INSTANCE = re.compile(r"[a-z]+\d+[a-z-]*\.[a-z0-9]+")
# Signs of an operating system in names of images -> the answer.
_SYSTEMS: Sequence[tuple[str, str]] = (
    (r"al2023|amazon-?linux-?2023|amzn-?2023", "amazon-linux-2023"),
    (r"amzn2|amazon-?linux-?2(?!\d)|\bal2\b", "amazon-linux-2"),
    (r"ubuntu.*26\.?04|resolute", "ubuntu-26.04"),
    (r"ubuntu.*24\.?04|noble", "ubuntu-24.04"),
    (r"debian-?13|trixie", "debian-13"),
    (r"debian-?12|bookworm", "debian-12"),
    (r"rhel-?_?10", "rhel-10"),
    (r"rhel-?_?9", "rhel-9"),
)


@dataclass
class Found:
    """What was found out.

    Attributes:
        folder: the folder whose Packer files were read, relative to the repository; "" for none.
        answers: the answer to a question, and where it is from.
        notes: what a person should know: what was ambiguous, what could not be read.
        unsupported: values of a partition of AWS that the template does not support.
    """

    folder: str = ""
    answers: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unsupported: list[Value] = field(default_factory=list)

    def add(self, question: str, value: Any, place: Place) -> None:
        """Keep an answer, unless there is one already, or its partition is not supported."""
        if question in partitions.QUESTIONS and partitions.find_other_partition(str(value)):
            self.unsupported.append(Value(value, place))
            return
        self.answers.setdefault(question, Value(value, place))


def read_packer(repository: Path, chosen: Path | None, found: Found) -> Packer:
    """Read the Packer files of a repository.

    Args:
        repository: the folder that is adopted.
        chosen: the folder to read; None: the one nearest to the top that has sources.
        found: gets notes on what else there is.

    Raises:
        SetupError: when the chosen folder has none.
    """
    read: list[tuple[str, Packer]] = []
    for folder, files in list_folders(chosen or repository):
        packer = read_hcl(repository, files)
        older = legacy_json.read(repository, files)
        packer.sources += older.sources
        packer.variables = {**older.variables, **packer.variables}
        packer.unread += older.unread
        if packer.sources or packer.unread or packer.variables:
            read.append((folder.relative_to(repository).as_posix(), packer))
        if chosen:
            break
    with_sources = [(name, packer) for name, packer in read if packer.sources]
    for _, packer in read:
        found.notes += [f"{place} was not read: {reason}" for place, reason in packer.unread]
    if not with_sources:
        if chosen:
            raise SetupError(f"{chosen} has no Packer file with a source of an AMI")
        found.notes.append("no Packer file with a source of an AMI was found")
        return read[0][1] if read else Packer()
    found.folder, packer = with_sources[0]
    if len(with_sources) > 1:
        others = [name for name, _ in with_sources[1:]]
        found.notes.append(
            f"Packer files were read in {found.folder}; there are more in {join_paths(others)}: "
            "--packer FOLDER reads another folder"
        )
    return packer


def find(
    repository: Path,
    packer: Packer,
    around: Surroundings,
    base_images: Mapping[str, Any],
    found: Found,
) -> None:
    """Find the answers.

    Args:
        repository: the folder that is adopted.
        packer: its Packer files.
        around: what lies around them.
        base_images: the template's parent images by answer, from its includes/base_images.jinja.
        found: gets the answers.
    """
    found.notes += [f"{place} was not read: {reason}" for place, reason in around.unread]
    finder = _Finder(packer, around, base_images, found)
    finder.image(repository)
    finder.parent()
    finder.aws()
    finder.github()


class _Finder:
    def __init__(
        self,
        packer: Packer,
        around: Surroundings,
        base_images: Mapping[str, Any],
        found: Found,
    ) -> None:
        self.packer = packer
        self.around = around
        self.base_images = base_images
        self.found = found

    # ------------------------------------------------------------------------------- the image

    def image(self, repository: Path) -> None:
        """Find name, description and architectures."""
        remote = self.around.remote.get("name")
        called = [Value(repository.name, Place("the folder's name", 0))]
        if remote:
            called.insert(0, remote)
        for name in called:
            if name.value.startswith("packer-ami-"):
                self.found.add("image_name", name.value.removeprefix("packer-ami-"), name.place)
        own = self.packer.variables.get("image_name")
        if own and own.known and isinstance(own.value, str):
            self.found.add("image_name", own.value, own.place)
        self.one("image_name", self.each("ami_name"), image_name)
        for value in called:
            made = image_name(value.value)
            if made:
                self.found.add("image_name", made, value.place)
        own = self.packer.variables.get("image_description")
        if own and own.known:
            self.found.add("image_description", own.value, own.place)
        self.one("image_description", self.each("ami_description"), _line)
        seen: dict[str, Place] = {}
        for source in self.packer.sources:
            for architecture, place in self.architecture(source):
                seen.setdefault(architecture, place)
        if seen:
            names = [name for name in ("x86_64", "arm64") if name in seen]
            self.found.add("image_architectures", names, seen[names[0]])

    def architecture(self, source: Source) -> Iterable[tuple[str, Place]]:
        """Return what a source builds for."""
        named = self.parent_value(source, "filters.architecture") or source.get("ami_architecture")
        if named and named.value in _ARCHITECTURES:
            return [(_ARCHITECTURES[named.value], named.place)]
        for value in (self.parent_value(source, "filters.name"), source.get("ami_name")):
            for word, architecture in _ARCHITECTURES.items():
                if value and word in str(value.value):
                    return [(architecture, value.place)]
        kind = source.get("instance_type")
        if kind and _INSTANCE.fullmatch(str(kind.value)):
            return [("arm64" if _GRAVITON.match(kind.value) else "x86_64", kind.place)]
        return []

    # ------------------------------------------------------------------------------ the parent

    def parent_value(self, source: Source, path: str) -> Value | None:
        """Return a value of the parent image's filter: the source's own, or its data source's."""
        value = source.get(f"source_ami_filter.{path}")
        reference = source.values["source_ami"].reference if "source_ami" in source.values else ()
        if value is None and len(reference) == 3:
            data = self.packer.data.get((reference[1], reference[2]))
            value = data.get(path) if data else None
        return value

    def parent(self) -> None:
        """Find the parent image: one of the template's, or an own one."""
        names = self.each_parent("filters.name")
        owners = self.each_parent("owners")
        if not names:
            fixed = self.each("source_ami")
            if fixed:
                self.found.notes.append(
                    f"the parent image is {fixed[0].value} ({fixed[0].place}): its name and owner "
                    "are not written there, and a build takes the newest image of a name"
                )
            return
        owner = owners[0] if owners else None
        listed = owner.value if owner and isinstance(owner.value, list) else []
        if owner and isinstance(owner.value, str):
            listed = [part.strip() for part in owner.value.split(",")]
        if len(listed) > 1:
            self.found.notes.append(f"the parent image has several owners: {join_paths(listed)}")
            return
        known = {self.known_parent(value.value, listed) for value in names}
        if len(known) == 1 and None not in known:
            self.found.add("parent_image", known.pop(), names[0].place)
            return
        whole = {_without_architecture(str(value.value)) for value in names}
        if len(whole) > 1:
            self.found.notes.append(
                "the sources have several parent images: "
                + join_paths([f"{value.value} ({value.place})" for value in names])
            )
            return
        self.found.add("parent_image", "own", names[0].place)
        self.found.add("parent_name", whole.pop(), names[0].place)
        if listed and owner:
            self.found.add(
                "parent_owner", _ALIASES.get(str(listed[0]), str(listed[0])), owner.place
            )
        self.system(names)

    def known_parent(self, name: str, owners: Sequence[Any]) -> str | None:
        """Return the answer whose images a filter takes, if the template has it."""
        begin = _beginning(name)
        for answer, image in self.base_images.items():
            owner = [_ALIASES.get(str(owner), str(owner)) for owner in owners]
            ours = _beginning(str(image["name"]["x86_64"]))
            alike = begin.startswith(ours) or (len(begin) >= 6 and ours.startswith(begin))
            if owner == [image["owner"]] and alike:
                return answer
        return None

    def system(self, names: Sequence[Value]) -> None:
        """Find the operating system of an own parent image."""
        users = self.each("ssh_username", "communicator.ssh_username")
        for value in names:
            for pattern, answer in _SYSTEMS:
                if (
                    re.search(pattern, str(value.value), re.IGNORECASE)
                    and answer in self.base_images
                ):
                    self.found.add("parent_os", answer, value.place)
                    return
        if users:
            self.found.notes.append(
                f"the login user {users[0].value} ({users[0].place}) fits several operating systems"
                if users[0].value in {"ec2-user", "ubuntu", "admin"}
                else f"the login user {users[0].value} ({users[0].place}) is none of the template's"
            )

    # -------------------------------------------------------------------------------------- AWS

    def aws(self) -> None:
        """Find region, copies, consumers, key, accounts."""
        self.one("aws_region", self.supported(self.each("region", "ami_region")), str)
        if self.around.region:
            self.found.add("aws_region", self.around.region.value, self.around.region.place)
        home = self.found.answers.get("aws_region")
        copies = self.lists("ami_regions")
        elsewhere = [item for item, _ in copies if not home or item != home.value]
        if elsewhere:
            self.found.add("aws_copy_regions", ", ".join(elsewhere), copies[0][1])
        consumers = self.lists("ami_users", "ami_org_arns", "ami_ou_arns")
        if consumers:
            self.found.add(
                "image_consumers", ", ".join(item for item, _ in consumers), consumers[0][1]
            )
        for item, place in self.lists("ami_groups"):
            if item == "all":
                self.found.notes.append(
                    f"the image is public ({place}); the template shares with names only"
                )
        self.one(
            "aws_kms_key", self.each("kms_key_id", "launch_block_device_mappings.kms_key_id"), _key
        )
        if self.around.role:
            self.found.add("aws_build_role", self.around.role.value, self.around.role.place)
        if self.around.release_role:
            release = self.around.release_role
            # Without another one, the role of releases built everything.
            name = "aws_release_role" if self.around.role else "aws_build_role"
            self.found.add(name, release.value, release.place)
        roles = self.supported(self.each("assume_role.role_arn"))
        if self.around.toolkit:
            self.found.add("toolkit_image", self.around.toolkit.value, self.around.toolkit.place)
        if self.around.role_variable:
            variable = self.around.role_variable
            self.found.add("personal_role_variable", variable.value, variable.place)
        accounts = [
            (re.search(r"\d{12}", str(value.value)), value.place)
            for value in (
                self.found.answers.get("aws_build_role"),
                roles[0] if roles else None,
                self.found.answers.get("toolkit_image"),
                self.found.answers.get("aws_kms_key"),
            )
            if value
        ]
        for match, place in accounts:
            if match:
                self.found.add("aws_management_account", match[0], place)

    # ----------------------------------------------------------------------------------- GitHub

    def github(self) -> None:
        """Find host, organisation and runner."""
        for question, part in (("github_host", "host"), ("github_organization", "owner")):
            value = self.around.remote.get(part)
            if value:
                self.found.add(question, value.value, value.place)
        if self.around.runner:
            self.found.add("github_runner", self.around.runner.value, self.around.runner.place)

    # ----------------------------------------------------------------------------------- values

    def each(self, *paths: str) -> list[Value]:
        """Return the known values of all sources at a path."""
        return [value for source in self.packer.sources if (value := _partly(source, *paths))]

    def each_parent(self, path: str) -> list[Value]:
        """Return the known values of the parent images' filters of all sources."""
        values = [self.parent_value(source, path) for source in self.packer.sources]
        return [value for value in values if value]

    def lists(self, *paths: str) -> list[tuple[str, Place]]:
        """Return the items of lists in all sources, each once."""
        items: dict[str, Place] = {}
        for source in self.packer.sources:
            for path in paths:
                value = source.get(path)
                parts = value.value if value else []
                for part in parts.split(",") if isinstance(parts, str) else parts:
                    item = str(part).strip()
                    if value and item and self.supported([Value(item, value.place)]):
                        items.setdefault(item, value.place)
        return list(items.items())

    def supported(self, values: Sequence[Value]) -> list[Value]:
        """Return the values of the standard partition; the others are kept apart."""
        others = [each for each in values if partitions.find_other_partition(str(each.value))]
        self.found.unsupported += others
        return [each for each in values if each not in others]

    def one(self, question: str, values: Sequence[Value], make: Callable[[str], str]) -> None:
        """Keep an answer on which all sources agree; say so when they do not."""
        made = {make(str(value.value)): value for value in reversed(values)}
        made.pop("", None)
        if len(made) == 1:
            for answer, value in made.items():
                self.found.add(question, answer, value.place)
        elif made and question not in self.found.answers:
            each = [f"{answer} ({value.place})" for answer, value in reversed(made.items())]
            self.found.notes.append(
                f"{question} is not the same in all sources: {join_paths(each)}"
            )


def _partly(source: Source, *paths: str) -> Value | None:
    """Return a value; a name may have parts that only a build knows."""
    if paths[0] in {"ami_name"} and paths[0] in source.values:
        return source.values[paths[0]]
    return source.get(*paths)


def image_name(text: str) -> str:
    """Return the part of an AMI's or repository's name that is the image's, "" when none is left.

    What only a build knows, versions, dates and architectures come after it.
    """
    name = text.split(UNKNOWN)[0].lower().removeprefix("packer-ami-")
    name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    ending = r"-(?:x86-64|amd64|arm64|aarch64|hvm|ami|v?\d+(?:-\d+)*)$"
    while re.search(ending, name):
        name = re.sub(ending, "", name)
    return name if re.match(r"[a-z]", name) and len(name) > 1 else ""


def _line(text: str) -> str:
    """Return a text that is all known, in one line."""
    return "" if UNKNOWN in text else " ".join(text.split())


def _key(text: str) -> str:
    """Return a KMS key; the account's default key is no answer."""
    return "" if text.startswith("alias/aws/") else text


def _without_architecture(name: str) -> str:
    """Return a name filter that fits every architecture."""
    return re.sub(r"x86_64|amd64|arm64|aarch64", "*", name)


def _beginning(name: str) -> str:
    """Return how the names begin that a filter takes, without folders and architecture."""
    last = name.rpartition("/")[2].lstrip("*")
    text = re.split(r"[*?\[]|-(?:x86_64|amd64|arm64|aarch64|hvm)\b", last)[0]
    return text.rstrip("-._")


__all__ = ["Found", "find", "image_name", "read_packer"]
