"""Which builds of a repository -only and -except select, as Packer decides it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packer_toolkit.build.values import Arguments
from packer_toolkit.errors import SetupError

EC2_BUILDS = ("amazon-ebs.x86_64", "amazon-ebs.arm64")
LOCAL_BUILD = "docker.local"
# Where -only is not given.  A local build is never selected by leaving another one out.
DEFAULT_ONLY = "amazon-ebs.*"
# These need neither AWS nor another cloud: what they make stays on the machine.
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
        only: of -only, or the default.
        without: of -except.
    """

    only: tuple[str, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, arguments: Arguments) -> Selection:
        """Read the arguments of `packer build`; options that are given several times add up.

        Args:
            arguments: Of `packer build`.

        Raises:
            SetupError: When a pattern is not valid, such as [z-a].
        """
        only = [part for text in arguments.all("only") for part in text.split(",")]
        without = [part for text in arguments.all("except") for part in text.split(",")]
        for pattern in (*only, *without):
            try:
                re.compile(_expression(pattern))
            except re.error as error:
                raise SetupError(
                    f"-only or -except {pattern!r}: it is not a valid pattern ({error}); use names "
                    "of builds with *, ? and [a-z]"
                ) from None
        return cls(tuple(only) or (DEFAULT_ONLY,), tuple(without))

    def of_builds(self, names: Sequence[str]) -> list[str]:
        """Return the selected ones of some builds."""
        return [name for name in names if matches(self.only, name) and not self.leaves_out(name)]

    def leaves_out(self, name: str) -> bool:
        """Return whether -except names a build or a post-processor."""
        return matches(self.without, name)


def matches(patterns: Sequence[str], name: str) -> bool:
    """Return whether one of Packer's patterns matches a name."""
    return any(re.fullmatch(_expression(pattern), name, re.S) for pattern in patterns)


def _expression(pattern: str) -> str:
    """Translate a pattern of gobwas/glob, which Packer uses, with nothing that separates parts.

    Braces cannot be used, because Packer splits the option at each comma.
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
