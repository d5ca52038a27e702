"""Find the answers about the image: name, description and architectures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packer_toolkit.adopt.source_values import SourceValues
from packer_toolkit.hcl.sources import UNKNOWN, Place, Source, Value

_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_GRAVITON = re.compile(r"(?:a1|[a-z]+\d+g[a-z]*)\.")
_INSTANCE = re.compile(r"[a-z]+\d+[a-z-]*\.[a-z0-9]+")
_PREFIX = "packer-ami-"


def find_image(values: SourceValues, folder: str, remote: Value | None) -> None:
    """Find name, description and architectures.

    Args:
        values: Of the sources; get the answers.
        folder: Name of the folder.
        remote: Name of the repository on GitHub.
    """
    found, variables = values.found, values.packer.variables
    names = [*([remote] if remote else []), Value(folder, Place("the folder's name", 0))]
    for name in names:
        if name.value.startswith(_PREFIX):
            found.add("image_name", name.value.removeprefix(_PREFIX), name.place)
    for question in ("image_name", "image_description"):
        variable = variables.get(question)
        if variable and variable.known and isinstance(variable.value, str):
            found.add(question, variable.value, variable.place)
    values.add_common("image_name", values.list_names(), derive_image_name)
    for name in names:
        if derived := derive_image_name(name.value):
            found.add("image_name", derived, name.place)
    descriptions = values.list_known("ami_description")
    values.add_common("image_description", descriptions, _join_known_lines)
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


def _join_known_lines(text: str) -> str:
    """Return a text in one line; "" when not all of it is known."""
    return "" if UNKNOWN in text else " ".join(text.split())
