"""What a folder of Packer files comes to: sources with their values, and where each stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Stands for what only a build knows: the time, the environment, a value of AWS.  It may be a part
# of a text, such as "web-\ue000".
UNKNOWN = "\ue000"


@dataclass(frozen=True)
class Place:
    """A line of a file.

    Attributes:
        file: relative to the repository.
        line: counted from 1; 0 for the file as a whole.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Value:
    """A value with the place where it is set.

    Attributes:
        value: as JSON would have it; what is not known is UNKNOWN, or holds it.
        place: where it is set; for a variable, where the variable gets its value.
        reference: of a value that is another block's, that block: ("data", "amazon-ami", "base").
    """

    value: Any
    place: Place
    reference: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether all of it is known, and there is something."""
        return self.value not in (None, "", [], {}) and UNKNOWN not in str(self.value)


@dataclass
class Source:
    """A source (in JSON templates: a builder) or a data source.

    Attributes:
        kind: such as amazon-ebs.
        name: its name, "" when it has none.
        place: where it begins.
        values: by path, such as region or source_ami_filter.filters.name; of blocks that stand
            there several times, the first that is known.
    """

    kind: str
    name: str
    place: Place
    values: dict[str, Value] = field(default_factory=dict)

    def get(self, *paths: str) -> Value | None:
        """Return the first value at one of the paths that is known."""
        for path in paths:
            value = self.values.get(path)
            if value and value.known:
                return value
        return None

    def add(self, path: str, value: Value) -> None:
        """Keep a value, and each part of an object by its own path."""
        if isinstance(value.value, dict):
            for name, part in value.value.items():
                self.add(f"{path}.{name}", Value(part, value.place))
            return
        if path not in self.values or not self.values[path].known:
            self.values[path] = value


@dataclass
class Packer:
    """What was read of one folder.

    Attributes:
        sources: sources that make AMIs.
        data: data sources, by kind and name.
        variables: variables by name.
        unread: files that could not be read: place -> reason.
    """

    sources: list[Source] = field(default_factory=list)
    data: dict[tuple[str, str], Source] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    unread: list[tuple[Place, str]] = field(default_factory=list)


# Folders in which no Packer file of a team's lies.
_SKIPPED = {".git", ".terraform", ".venv", "node_modules", "packer_cache", "vendor"}
_DEPTH = 4


def folders(repository: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folders of a repository with their files, the nearest to its top first."""
    level = [repository]
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            try:
                entries = sorted(folder.iterdir())
            except OSError:
                continue
            yield folder, [entry for entry in entries if entry.is_file()]
            below += [
                entry
                for entry in entries
                if entry.name not in _SKIPPED and entry.is_dir() and not entry.is_symlink()
            ]
        level = below
