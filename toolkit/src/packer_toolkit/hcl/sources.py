"""The sources of a folder of Packer files: their values, each with its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Takes the place of what only a build knows: the time, the environment, a value of AWS.  It may be
# a part of a string, such as "web-\ue000".
UNKNOWN = "\ue000"
# The ends of the names of files whose values Packer takes without an option.
AUTOMATIC_VALUES = (".auto.pkrvars.hcl", ".auto.pkrvars.json")


@dataclass(frozen=True)
class Place:
    """A line of a file.

    Attributes:
        file: Relative to the repository.
        line: Counted from 1; 0 for the file as a whole.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Value:
    """A value with the place that sets it.

    Attributes:
        value: As in JSON; UNKNOWN, or with UNKNOWN in it, where only a build knows it.
        place: The line that sets it; for a variable, the line that gives the variable its value.
        reference: The block that the value is taken from, such as ("data", "amazon-ami", "base").
    """

    value: Any
    place: Place
    reference: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether it is not empty, and all of it is known."""
        return self.value not in (None, "", [], {}) and UNKNOWN not in str(self.value)


@dataclass
class Source:
    """A source (in JSON templates: a builder) or a data source.

    Attributes:
        kind: Such as amazon-ebs.
        name: Its name; "" when it has none.
        place: Where it begins.
        values: By path, such as region or source_ami_filter.filters.name; of repeated blocks the
            first value that is known.
    """

    kind: str
    name: str
    place: Place
    values: dict[str, Value] = field(default_factory=dict)

    def get(self, *paths: str) -> Value | None:
        """Return the value at the first of the paths that has a known one."""
        values = (self.values.get(path) for path in paths)
        return next((value for value in values if value and value.known), None)

    def add(self, path: str, value: Value) -> None:
        """Add a value; each part of an object by its own path."""
        if isinstance(value.value, dict):
            for name, part in value.value.items():
                self.add(f"{path}.{name}", Value(part, value.place))
            return
        if path not in self.values or not self.values[path].known:
            self.values[path] = value


@dataclass
class Packer:
    """The Packer files of one folder.

    Attributes:
        sources: Sources that create AMIs.
        data: Data sources, by kind and name.
        variables: Values of variables by name.
        unread: Files that could not be read: place and reason.
    """

    sources: list[Source] = field(default_factory=list)
    data: dict[tuple[str, str], Source] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    unread: list[tuple[Place, str]] = field(default_factory=list)


# Folders that never have a Packer file of the team.
_SKIPPED = {".git", ".terraform", ".venv", "node_modules", "packer_cache", "vendor"}
_DEPTH = 4


def list_folders(repository: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folders of a repository with their files, those at its top first."""
    levels: dict[int, list[tuple[Path, list[Path]]]] = {}
    for name, folders, files in os.walk(repository):
        folder = Path(name)
        depth = len(folder.relative_to(repository).parts)
        paths = [path for file in sorted(files) if (path := folder / file).is_file()]
        levels.setdefault(depth, []).append((folder, paths))
        folders[:] = sorted({*folders} - _SKIPPED) if depth < _DEPTH - 1 else []
    for level in levels.values():
        yield from level
