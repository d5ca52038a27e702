"""Find the answers about the base image: one of the template's, or one of the team's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from packer_toolkit.adopt.found import SourceValues
from packer_toolkit.hcl.sources import Value
from packer_toolkit.text.paths import join_paths

# Owners that AWS has a name for; the accounts are those of includes/base_images.jinja.
_ALIASES = {"amazon": "137112412989", "aws-marketplace": "679593333241"}
# Part of the name of an image -> the answer for its operating system.
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


def find_base_image(values: SourceValues, base_images: Mapping[str, Any]) -> None:
    """Find the base image.

    Args:
        values: Of the sources; get the answers.
        base_images: The base images of the template by answer.
    """
    found = values.found
    names = values.list_filters("filters.name")
    owner = next(iter(values.list_filters("owners")), None)
    if not names:
        for image in values.list_known("source_ami")[:1]:
            found.notes.append(
                f"the base image is {image.value} ({image.place}): its name and owner are not in "
                "the file, and a build uses the newest image with a name"
            )
        return
    owners = owner.value if owner and isinstance(owner.value, list) else []
    if owner and isinstance(owner.value, str):
        owners = [part.strip() for part in owner.value.split(",")]
    if len(owners) > 1:
        found.notes.append(f"the base image has several owners: {join_paths(owners)}")
        return
    answers = {_find_answer(str(value.value), owners, base_images) for value in names}
    if len(answers) == 1 and None not in answers:
        found.add("parent_image", answers.pop(), names[0].place)
        return
    # A name filter that matches every architecture.
    patterns = {re.sub(r"x86_64|amd64|arm64|aarch64", "*", str(value.value)) for value in names}
    if len(patterns) > 1:
        places = join_paths([f"{value.value} ({value.place})" for value in names])
        found.notes.append(f"the sources have several base images: {places}")
        return
    found.add("parent_image", "own", names[0].place)
    found.add("parent_name", patterns.pop(), names[0].place)
    if owners and owner:
        found.add("parent_owner", _ALIASES.get(str(owners[0]), str(owners[0])), owner.place)
    _find_system(values, names, base_images)


def _find_answer(name: str, owners: Sequence[Any], base_images: Mapping[str, Any]) -> str | None:
    """Return the answer whose images a filter matches, if the template has it."""
    start = _find_start(name)
    accounts = [_ALIASES.get(str(owner), str(owner)) for owner in owners]
    for answer, image in base_images.items():
        ours = _find_start(str(image["name"]["x86_64"]))
        is_similar = start.startswith(ours) or (len(start) >= 6 and ours.startswith(start))
        if accounts == [image["owner"]] and is_similar:
            return answer
    return None


def _find_system(
    values: SourceValues, names: Sequence[Value], base_images: Mapping[str, Any]
) -> None:
    """Find the operating system of the team's base image."""
    for name in names:
        for pattern, answer in _SYSTEMS:
            if answer in base_images and re.search(pattern, str(name.value), re.IGNORECASE):
                values.found.add("parent_os", answer, name.place)
                return
    for user in values.list_known("ssh_username", "communicator.ssh_username")[:1]:
        fits = (
            "fits several operating systems"
            if user.value in {"ec2-user", "ubuntu", "admin"}
            else "is not one of the template's"
        )
        values.found.notes.append(f"the login user {user.value} ({user.place}) {fits}")


def _find_start(name: str) -> str:
    """Return the start of the names that a filter matches, without folders and architecture."""
    last = name.rpartition("/")[2].lstrip("*")
    text = re.split(r"[*?\[]|-(?:x86_64|amd64|arm64|aarch64|hvm)\b", last)[0]
    return text.rstrip("-._")
