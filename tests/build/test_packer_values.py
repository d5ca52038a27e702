"""The values of the HCL, and the arguments of Packer, are read as Packer reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packer_toolkit.build.arguments import read_arguments
from packer_toolkit.build.values import inspect
from packer_toolkit.errors import SetupError
from rig.host.tools import Packer
from rig.repositories.repository import small_repository


@pytest.mark.parametrize(
    ("words", "options", "rest"),
    [
        (("-var", "a=b", "-only=x.*", "."), (("var", "a=b"), ("only", "x.*")), (".",)),
        (("--var=a=b c", "-debug"), (("var", "a=b c"), ("debug", "")), ()),
        (("-parallel-builds", "2", "there", "-x"), (("parallel-builds", "2"),), ("there", "-x")),
        (("-color=false", "--", "-odd"), (("color", "false"),), ("-odd",)),
        ((), (), ()),
    ],
)
def test_arguments_are_read_as_go_does(
    words: tuple[str, ...], options: tuple[tuple[str, str], ...], rest: tuple[str, ...]
) -> None:
    """One hyphen or two, a value after = or in the next word, the first word ends the options."""
    read = read_arguments(words)
    assert (read.options, read.words) == (options, rest)


def test_the_values_of_a_repository_are_known(
    packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Files, environment and command line count; texts, lists and maps come out as they are."""
    hostile = 'He said "ä", \\ and ${x}'
    repository = small_repository(
        template,
        tmp_path / "packer-ami-small",
        aws_copy_regions="us-east-1, eu-north-1",
        image_description=hostile,
    )
    env = {**os.environ, **packer.env, "PKR_VAR_run_id": "run-7", "PKR_VAR_version": "1.0.0"}
    arguments = read_arguments(("-var", "version=2.0.0", "-only=amazon-ebs.*"))
    values = inspect(str(packer.path), arguments, env, repository)
    assert values.regions == ["eu-west-1", "us-east-1", "eu-north-1"]
    assert values.text("var.image_description") == hostile
    assert values.text("local.version") == "2.0.0"
    assert values.is_true("var.skip_create_ami") is False
    tags = values.table("local.run_tags")
    assert (tags["RunId"], tags["Repository"]) == ("run-7", "packer-ami-small")
    assert values.table("var.instance_types")["arm64"] == "m7g.large"
    assert values.texts("var.architectures") == ["x86_64"]
    assert "amazon-ebs.x86_64" in values.builds
    assert values.text("var.nothing") == ""


def test_hcl_that_packer_cannot_read_is_told(packer: Packer, tmp_path: Path) -> None:
    """In one line, with Packer's reason."""
    (tmp_path / "x.pkr.hcl").write_text("variable {")
    with pytest.raises(SetupError, match=r"cannot read the HCL here: Error: \S"):
        inspect(str(packer.path), read_arguments(()), {**os.environ, **packer.env}, tmp_path)
