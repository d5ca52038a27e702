"""The values of a repository's HCL, as `packer inspect` prints them: variables and locals."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from packer_toolkit.aws.partitions import require_supported
from packer_toolkit.build.arguments import Arguments, read_arguments
from packer_toolkit.errors import SetupError
from packer_toolkit.process import Runner, run_program

_VALUE = re.compile(r'^(var|local)\.([\w-]+): "(.*)"$', re.M)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PAIR = re.compile(r'"?([\w.:/@+-]+)"? = "((?:[^"\\]|\\.)*)"')
_BUILDER = re.compile(r"^  (\S+)(?: +\((.+)\))?$", re.M)
# Variables with regions and ARNs.
_WITH_PARTITION = (
    *("var.region", "var.copy_regions", "var.kms_key_id", "var.kms_key_ids"),
    *("var.ami_org_arns", "var.ami_ou_arns", "var.assume_role_arn"),
)


@dataclass(frozen=True)
class Values:
    """Variables and locals.  A missing value, or one of another type, is empty.

    Attributes:
        raw: Values as Packer prints them, by names such as var.region.
        builds: Names of the builds as -only and -except match them.
        kinds: Type of the source of each build, such as amazon-ebs, by the name of the build.
        post_processors: Post-processors of each build, such as manifest or docker-tag.name.
    """

    raw: Mapping[str, str] = field(default_factory=dict)
    builds: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    post_processors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a string, such as of `var.region`."""
        return self.raw.get(name, "")

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        return [_unquote(text) for text in _STRING.findall(self.raw.get(name, ""))]

    def table(self, name: str) -> dict[str, str]:
        """Return a map of strings."""
        return {key: _unquote(text) for key, text in _PAIR.findall(self.raw.get(name, ""))}

    def is_true(self, name: str) -> bool:
        """Return whether a value is true."""
        return self.text(name) == "true"

    @property
    def regions(self) -> list[str]:
        """Return the region of the build, then those that the image is copied to."""
        return [
            region
            for region in dict.fromkeys([self.text("var.region"), *self.texts("var.copy_regions")])
            if region
        ]


class InspectError(SetupError):
    """Packer cannot read the HCL.

    Attributes:
        output: The whole output of Packer.
    """

    def __init__(self, code: int, output: str) -> None:
        self.output = output
        reason = _find_reason(output) or f"exit code {code}"
        super().__init__(f"packer inspect cannot read the HCL here: {reason}")


def inspect(
    packer: str,
    arguments: Arguments,
    environment: Mapping[str, str],
    folder: Path | None = None,
    run: Runner = run_program,
) -> Values:
    """Read the values of a repository with `packer inspect`, which needs no plugin and no network.

    Args:
        packer: Path of Packer.
        arguments: Arguments of the build, of which -var and -var-file are used.
        environment: Environment of the build.
        folder: Working directory of Packer; by default that of this process.
        run: Runs a program.

    Raises:
        InspectError: If Packer cannot read the HCL.
        SetupError: If a value is of a partition of AWS that is not supported.
    """
    options = [f"-{name}={value}" for name, value in arguments.options if name.startswith("var")]
    template = arguments.words[:1] or (".",)
    completed = run([packer, "inspect", *options, *template], folder=folder, env=environment)
    if completed.code:
        raise InspectError(completed.code, completed.stdout + completed.stderr)
    output = completed.stdout
    raw = {f"{kind}.{name}": _unquote(text) for kind, name, text in _VALUE.findall(output)}
    kinds: dict[str, str] = {}
    post_processors: dict[str, tuple[str, ...]] = {}
    if output.startswith("Packer Inspect: JSON mode"):
        builders = output.partition("\nBuilders:\n")[2].partition("\nProvisioners:\n")[0]
        kinds = {name: kind or name for name, kind in _BUILDER.findall(builders)}
    for block, text in _split_blocks(output.partition("\n> builds:\n")[2]):
        _, _, rest = text.partition("\n    sources:\n")
        sources, _, rest = rest.partition("\n    provisioners:\n")
        processors = rest.partition("\n    post-processors:\n")[2]
        for source in re.findall(r"^ {6}(\S.*)$", sources, re.M):
            name = f"{block}.{source}" if block else source
            kinds[name] = source.partition(".")[0]
            post_processors[name] = tuple(re.findall(r"^ {8}(\w\S*)$", processors, re.M))
    values = Values(raw, tuple(kinds), kinds, post_processors)
    require_supported(
        (name, text)
        for name in _WITH_PARTITION
        for text in (values.text(name), *values.texts(name), *chain(*values.table(name).items()))
    )
    return values


def inspect_current_folder(next_step: str, run: Runner = run_program) -> Values:
    """Read the values of the current folder's HCL, without arguments.

    Args:
        next_step: What the user does if Packer is not installed.
        run: Runs a program.

    Raises:
        SetupError: If Packer is not installed, or cannot read the HCL.
    """
    packer = shutil.which("packer")
    if not packer:
        raise SetupError(f"packer, which reads the HCL, is not on PATH; {next_step}")
    return inspect(packer, read_arguments(()), os.environ, run=run)


def _split_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and content of the build blocks that `packer inspect` lists; most have no name."""
    _, *parts = re.split(r"^  > (.*):\n", text, flags=re.M)
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        yield ("" if re.fullmatch(r"<unnamed build \d+>", name) else name), content


def _find_reason(output: str) -> str:
    """Return the first error of Packer in one line: its title, and its text without the source."""
    title, _, rest = output[max(output.find("Error"), 0) :].partition("\n")
    if "Error" not in title:
        return ""
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", rest))
    text = next((each for each in paragraphs if each and not each.startswith("on ")), "")
    return f"{title}: {text}" if text and not text.startswith("Error") else title


def _unquote(text: str) -> str:
    """Undo the quoting of Go, which is that of JSON except for rare control characters."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
