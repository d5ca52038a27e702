"""The arguments of `packer build`, and the builds that -only and -except select."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packer_toolkit.errors import SetupError

# Options that take a value, also as the next word.
WITH_VALUE = {"var", "var-file", "only", "except", "on-error", "parallel-builds"}
EC2_BUILDS = ("amazon-ebs.x86_64", "amazon-ebs.arm64")
LOCAL_BUILD = "docker.local"
# The default of -only: a local build is built only if -only selects it.
DEFAULT_ONLY = "amazon-ebs.*"
# Types of sources that need neither AWS nor another cloud: their artifacts stay on the machine.
LOCAL_KINDS = frozenset(
    [
        "docker",
        "file",
        "hyperv-iso",
        "hyperv-vmcx",
        "incus",
        "lxc",
        "lxd",
        "null",
        "parallels-iso",
        "parallels-ipsw",
        "parallels-pvm",
        "podman",
        "qemu",
        "vagrant",
        "virtualbox-iso",
        "virtualbox-ovf",
        "virtualbox-vm",
    ]
)


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


@dataclass(frozen=True)
class Selection:
    """The patterns of -only and -except.

    Attributes:
        only: Patterns of -only, or the default.
        without: Patterns of -except.
    """

    only: tuple[str, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, arguments: Arguments) -> Selection:
        """Read the patterns from the arguments of `packer build`; repeated options add up.

        Raises:
            SetupError: If a pattern is not valid, such as [z-a].
        """
        only = [part for text in arguments.get_all("only") for part in text.split(",")]
        without = [part for text in arguments.get_all("except") for part in text.split(",")]
        for pattern in (*only, *without):
            try:
                re.compile(_translate_pattern(pattern))
            except re.error as error:
                raise SetupError(
                    f"-only or -except {pattern!r}: it is not a valid pattern ({error}); use names "
                    "of builds with *, ? and [a-z]"
                ) from None
        return cls(tuple(only) or (DEFAULT_ONLY,), tuple(without))

    def select(self, names: Sequence[str]) -> list[str]:
        """Return the names of the builds that are selected."""
        return [name for name in names if matches(self.only, name) and not self.excludes(name)]

    def excludes(self, name: str) -> bool:
        """Return whether -except excludes a build or a post-processor."""
        return matches(self.without, name)

    def excludes_post_processor(self, post_processor: str) -> bool:
        """Return whether -except excludes a post-processor, such as manifest or docker-tag.name."""
        return self.excludes(post_processor.partition(".")[2] or post_processor)


def matches(patterns: Sequence[str], name: str) -> bool:
    """Return whether one of several patterns of Packer matches a name."""
    return any(re.fullmatch(_translate_pattern(pattern), name, re.S) for pattern in patterns)


def _translate_pattern(pattern: str) -> str:
    """Translate a pattern of gobwas/glob without separators, as Packer uses it, for `re`.

    Braces are not supported, because Packer splits the option at each comma.
    """
    parts = []
    for match in re.finditer(r"\\(.)|(\*+)|(\?)|\[(!?)([^\]]+)\]|(.)", pattern, re.S):
        escaped, star, one, negated, chosen, other = match.groups()
        if star:
            parts.append(".*")
        elif one:
            parts.append(".")
        elif chosen:
            inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", chosen)
            parts.append(f"[{'^' if negated else ''}{inside}]")
        else:
            parts.append(re.escape(escaped or other))
    return "".join(parts)
