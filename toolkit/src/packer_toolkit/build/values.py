"""What a repository's HCL comes to, as `packer inspect` tells: variables and locals."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from packer_toolkit.aws.partitions import require_supported
from packer_toolkit.errors import SetupError

_VALUE = re.compile(r'^(var|local)\.([\w-]+): "(.*)"$', re.M)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PAIR = re.compile(r'"?([\w.:/@+-]+)"? = "((?:[^"\\]|\\.)*)"')
_BUILDER = re.compile(r"^  (\S+)(?: +\((.+)\))?$", re.M)
# Variables with regions and ARNs.
_WITH_PARTITION = (
    *("var.region", "var.copy_regions", "var.kms_key_id", "var.kms_key_ids"),
    *("var.ami_org_arns", "var.ami_ou_arns", "var.assume_role_arn"),
)
# Options of `packer build` that take a value, also as the next word.
WITH_VALUE = {"var", "var-file", "only", "except", "on-error", "parallel-builds"}


@dataclass(frozen=True)
class Arguments:
    """The arguments of `packer build`, read as Packer reads them.

    Attributes:
        options: Pairs of a name, without hyphens, and a value; empty for a switch.
        words: What stands after the options: the folder with the HCL.
    """

    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def all(self, name: str) -> list[str]:
        """Return the values of an option."""
        return [value for option, value in self.options if option == name]

    def last(self, name: str, default: str = "") -> str:
        """Return the value that counts."""
        return (self.all(name) or [default])[-1]

    def without_variable(self, name: str) -> Arguments:
        """Return these arguments without -var for a variable."""
        kept = [
            (option, value)
            for option, value in self.options
            if not (option == "var" and value.partition("=")[0] == name)
        ]
        return Arguments(tuple(kept), self.words)

    @property
    def folder(self) -> Path:
        """The repository's folder."""
        path = Path(self.words[0] if self.words else ".")
        return path if path.is_dir() else path.parent


def read_arguments(words: Sequence[str]) -> Arguments:
    """Split the arguments of `packer build` into options and words."""
    options = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if not equals and name in WITH_VALUE and rest:
            value = rest.pop(0)
        options.append((name, value))
    if rest[:1] == ["--"]:
        del rest[0]
    return Arguments(tuple(options), tuple(rest))


@dataclass(frozen=True)
class Values:
    """Variables and locals.  What is not there, or no text, list or map of texts, is empty.

    Attributes:
        raw: values as Packer prints them, by names such as var.region.
        builds: names of the builds as -only and -except match them.
        kinds: the type of each build's source, such as amazon-ebs, by the build's name.
        post_processors: the post-processors of each build, such as manifest or docker-tag.name.
    """

    raw: Mapping[str, str] = field(default_factory=dict)
    builds: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    post_processors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text, such as of `var.region`."""
        return self.raw.get(name, "")

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        return [_unquote(found) for found in _STRING.findall(self.raw.get(name, ""))]

    def table(self, name: str) -> dict[str, str]:
        """Return a map of texts."""
        return {key: _unquote(text) for key, text in _PAIR.findall(self.raw.get(name, ""))}

    def is_true(self, name: str) -> bool:
        """Tell whether a value is true."""
        return self.text(name) == "true"

    @property
    def regions(self) -> list[str]:
        """The region of the build, then those that the image is copied to."""
        return [
            region
            for region in dict.fromkeys([self.text("var.region"), *self.texts("var.copy_regions")])
            if region
        ]


class InspectError(SetupError):
    """Packer cannot read the HCL.

    Attributes:
        output: All that it printed.
    """

    def __init__(self, code: int, output: str) -> None:
        self.output = output
        reason = _find_reason(output) or f"exit code {code}"
        super().__init__(f"packer inspect cannot read the HCL here: {reason}")


def inspect(
    packer: str, arguments: Arguments, environment: Mapping[str, str], folder: Path | None = None
) -> Values:
    """Ask Packer for the values of a repository; it starts no plugin for that, and calls nobody.

    Args:
        packer: The executable.
        arguments: Those of the build: -var and -var-file count.
        environment: Of the build.
        folder: Where Packer runs; None is here.

    Raises:
        InspectError: When Packer cannot read the HCL.
        SetupError: When a value is of a partition of AWS that is not supported.
    """
    options = [f"-{name}={value}" for name, value in arguments.options if name.startswith("var")]
    done = subprocess.run(
        [packer, "inspect", *options, *(arguments.words[:1] or ["."])],
        capture_output=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InspectError(done.returncode, done.stdout + done.stderr)
    raw = {f"{kind}.{name}": _unquote(text) for kind, name, text in _VALUE.findall(done.stdout)}
    kinds: dict[str, str] = {}
    post_processors: dict[str, tuple[str, ...]] = {}
    if done.stdout.startswith("Packer Inspect: JSON mode"):
        listed = done.stdout.partition("\nBuilders:\n")[2].partition("\nProvisioners:\n")[0]
        kinds = {name: kind or name for name, kind in _BUILDER.findall(listed)}
    for block, text in _blocks(done.stdout.partition("\n> builds:\n")[2]):
        _, _, rest = text.partition("\n    sources:\n")
        sources, _, rest = rest.partition("\n    provisioners:\n")
        listed = rest.partition("\n    post-processors:\n")[2]
        for source in re.findall(r"^ {6}(\S.*)$", sources, re.M):
            name = f"{block}.{source}" if block else source
            kinds[name] = source.partition(".")[0]
            post_processors[name] = tuple(re.findall(r"^ {8}(\w\S*)$", listed, re.M))
    values = Values(raw, tuple(kinds), kinds, post_processors)
    require_supported(
        (name, text)
        for name in _WITH_PARTITION
        for text in (values.text(name), *values.texts(name), *chain(*values.table(name).items()))
    )
    return values


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and content of the build blocks that `packer inspect` lists; most have no name."""
    _, *parts = re.split(r"^  > (.*):\n", text, flags=re.M)
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        yield ("" if re.fullmatch(r"<unnamed build \d+>", name) else name), content


def _find_reason(output: str) -> str:
    """Return Packer's first error in one line: its title, and its text without the source."""
    title, _, rest = output[max(output.find("Error"), 0) :].partition("\n")
    if "Error" not in title:
        return ""
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", rest))
    text = next((each for each in paragraphs if each and not each.startswith("on ")), "")
    return f"{title}: {text}" if text and not text.startswith("Error") else title


def _unquote(text: str) -> str:
    """Undo Go's quoting, which is JSON's but for rare control signs."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
