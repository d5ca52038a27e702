"""The arguments of `packer build`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Options that take a value, also as the next word.
WITH_VALUE = {"var", "var-file", "only", "except", "on-error", "parallel-builds"}


@dataclass(frozen=True)
class Arguments:
    """The arguments of `packer build`, parsed as Packer parses them.

    Attributes:
        options: Pairs of a name, without hyphens, and a value; the value is empty for a switch.
        words: Words after the options: the folder with the HCL.
    """

    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def get_all(self, name: str) -> list[str]:
        """Return the values of an option."""
        return [value for option, value in self.options if option == name]

    def get_last(self, name: str) -> str:
        """Return the last value of an option, which Packer uses; empty without one."""
        return (self.get_all(name) or [""])[-1]

    def drop_variable(self, name: str) -> Arguments:
        """Return these arguments without -var for a variable."""
        options = [
            (option, value)
            for option, value in self.options
            if not (option == "var" and value.partition("=")[0] == name)
        ]
        return Arguments(tuple(options), self.words)

    @property
    def template(self) -> Path:
        """Return the folder or file with the HCL."""
        return Path(self.words[0] if self.words else ".")

    @property
    def folder(self) -> Path:
        """Return the folder of the repository."""
        path = self.template
        return path if path.is_dir() else path.parent


def read_arguments(words: Sequence[str]) -> Arguments:
    """Parse the arguments of `packer build`."""
    options = []
    remaining = list(words)
    while remaining and remaining[0].startswith("-") and remaining[0] not in ("-", "--"):
        name, equals, value = remaining.pop(0).lstrip("-").partition("=")
        if not equals and name in WITH_VALUE and remaining:
            value = remaining.pop(0)
        options.append((name, value))
    if remaining[:1] == ["--"]:
        del remaining[0]
    return Arguments(tuple(options), tuple(remaining))
