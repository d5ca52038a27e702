"""The builds of a repository that -only and -except select, as Packer selects them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packer_toolkit.build.arguments import Arguments
from packer_toolkit.errors import SetupError

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
