"""What one `packer-toolkit build` is requested to build."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.build.arguments import (
    DEFAULT_ONLY,
    EC2_BUILDS,
    LOCAL_BUILD,
    LOCAL_KINDS,
    WITH_VALUE,
    Arguments,
    Selection,
    read_arguments,
)
from packer_toolkit.build.cleanup.scope import MANAGED_BY, Scope
from packer_toolkit.build.report import BuildType
from packer_toolkit.build.values import Values
from packer_toolkit.errors import ToolkitError
from packer_toolkit.git.command import Git
from packer_toolkit.hcl.folder import read_value
from packer_toolkit.repository.answers_file import read_answers

# True for a build that only tests.
VARIABLE = "skip_create_ami"


@dataclass
class BuildRequest:
    """The request for a build: arguments, environment, and the values of the HCL.

    Attributes:
        arguments: Arguments of `packer build`.
        environment: Environment of the caller.
        env: Environment of Packer.
        selection: Patterns of -only and -except.
        requested_value: Value of skip_create_ami that the caller requests: true, false or empty.
        values: Values of the HCL; empty until Packer has read it.
        more_options: Options that are added to those of the caller.
        images_before: IDs of finished images that have the run ID of this build already.
    """

    arguments: Arguments
    environment: Mapping[str, str]
    env: dict[str, str]
    selection: Selection
    requested_value: str
    values: Values = field(default_factory=Values)
    more_options: list[str] = field(default_factory=list)
    images_before: frozenset[str] = frozenset()

    @classmethod
    def read(cls, words: Sequence[str], environment: Mapping[str, str]) -> BuildRequest:
        """Read the request from the command line and the environment.

        Args:
            words: Arguments of `packer build`.
            environment: Environment of the caller.

        Raises:
            SetupError: If a pattern or a file of values is not valid.
        """
        arguments = read_arguments(words)
        requested_value = read_requested_value(arguments, environment)
        defaults = {
            VARIABLE: "true",
            "run_id": make_run_id(environment),
            **_read_git_values(arguments.folder.absolute()),
        }
        env = {f"PKR_VAR_{name}": value for name, value in defaults.items() if value}
        env |= {name: value for name, value in environment.items() if value or name not in env}
        return cls(arguments, environment, env, Selection.of(arguments), requested_value)

    @property
    def is_local(self) -> bool:
        """Whether no build on EC2 is selected; then AWS is not used at all."""
        names = self.values.builds or (*EC2_BUILDS, LOCAL_BUILD)
        return all(
            self.values.kinds.get(name, name.partition(".")[0]) in LOCAL_KINDS
            for name in self.selection.select(names)
        )

    @property
    def architectures(self) -> list[str]:
        """Return the architectures whose builds on EC2 are selected."""
        names = self.values.texts("var.architectures")
        return [name for name in names if self.selection.select([f"amazon-ebs.{name}"])]

    @property
    def build_type(self) -> BuildType:
        """Return what is built: local, test or image."""
        if self.is_local:
            return "local"
        return "image" if self.is_image_requested else "test"

    @property
    def is_image_requested(self) -> bool:
        """Whether the caller requests an image, with skip_create_ami=false."""
        return self.requested_value == "false" and not self.values.is_true(f"var.{VARIABLE}")

    @property
    def options(self) -> list[str]:
        """Return the options of `packer build`."""
        options = [f"-{name}={value}" if value or name in WITH_VALUE else f"-{name}"
                   for name, value in self.arguments.options]  # fmt: skip
        options += self.more_options
        return options if self.arguments.get_all("only") else [f"-only={DEFAULT_ONLY}", *options]

    @property
    def run_id(self) -> str:
        """Return the value of the tag RunId."""
        return (
            self.values.text("var.run_id")
            or self.values.table("local.run_tags").get("RunId", "")
            or self.env["PKR_VAR_run_id"]
        )

    @property
    def has_given_run_id(self) -> bool:
        """Whether the run ID was not made by this build; it may name another build, too."""
        is_given = bool(self.environment.get("PKR_VAR_run_id"))
        return is_given or self.run_id != self.env["PKR_VAR_run_id"]

    @property
    def role(self) -> str:
        """Return the ARN of the role that Packer assumes; empty if none."""
        return self.values.text("var.assume_role_arn")

    @property
    def region(self) -> str:
        """Return the region of the build."""
        return self.values.text("var.region")

    @property
    def is_interactive(self) -> bool:
        """Whether Packer asks the user questions; then its output is not read."""
        options = dict(self.arguments.options)
        return "debug" in options or options.get("on-error") == "ask"

    @property
    def keeps_leftovers(self) -> bool:
        """Whether the user wants to inspect the leftovers of a failed build."""
        return self.arguments.get_last("on-error") == "abort" or self.is_interactive

    def make_scope(self) -> Scope | None:
        """Return the resources that a clean-up may delete; None without the template's tags."""
        tags = self.values.table("local.run_tags")
        regions = tuple(self.values.regions)
        if tags.get("ManagedBy") != MANAGED_BY or not tags.get("Repository") or not regions:
            return None
        return Scope(tags["Repository"], regions, self.run_id, True, self.images_before)


def make_run_id(environment: Mapping[str, str]) -> str:
    """Make the ID of a build from the workflow's run and attempt, and random digits.

    The digits distinguish two builds of one run: the clean-up of one must not delete the other's
    resources.
    """
    run, attempt = environment.get("GITHUB_RUN_ID"), environment.get("GITHUB_RUN_ATTEMPT", "1")
    digits = secrets.token_hex(4)
    return f"{run}-{attempt}-{digits}" if run else f"local-{digits}"


def read_requested_value(arguments: Arguments, environment: Mapping[str, str]) -> str:
    """Return the value of skip_create_ami that the caller requests: true or false; empty if none.

    The command line takes precedence over the environment.  A value in an *.auto.pkrvars.hcl file
    is not a request, because it is not of the caller.

    Args:
        arguments: Arguments of `packer build`.
        environment: Environment of the caller.
    """
    for text in reversed(arguments.get_all("var")):
        name, _, value = text.partition("=")
        if name == VARIABLE:
            return _normalize(value)
    for file in reversed(arguments.get_all("var-file")):
        if (content := read_value(Path(file), VARIABLE)) is not None:
            return _normalize(str(content))
    return _normalize(environment.get(f"PKR_VAR_{VARIABLE}", ""))


def _normalize(value: str) -> str:
    text = value.strip().strip('"').lower()
    return {"0": "false", "1": "true"}.get(text, text)


def _read_git_values(folder: Path) -> dict[str, str]:
    """Return the commit and the release of the template; an empty value if only the HCL knows it.

    HCL reads files of .git. It cannot read reftables, and it cannot ask which files git tracks.
    """
    release = read_answers(folder).get("_commit")
    try:
        commit = Git(folder).text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except ToolkitError:
        commit = ""
    return {
        "git_commit": commit,
        "template_version": release if isinstance(release, str) else "",
    }
