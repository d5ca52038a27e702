"""Base images without scp, and without SFTP: a build reaches them, or its advice names the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.aws.rig import Ec2, Finished
from rig.host.tools import Packer
from rig.repositories.repository import (
    add_script,
    build,
    build_report,
    small_repository,
    toolkit_build,
)

IMAGE = ("-var", "skip_create_ami=false")


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a repository with a script."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    add_script(repository, "10-mark.sh", "touch /etc/by-script")
    return repository


def test_a_base_image_without_scp_builds(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """Scripts are uploaded and the package list is downloaded where `scp` does not exist.

    (field 22)
    """
    ec2.no_scp()
    done = toolkit_build(ec2, packer, repository, *IMAGE, timeout=120)
    assert done.code == 0, done.output[-3000:]
    (image,) = ec2.images()
    disk = ec2.ami(image["ImageId"])
    assert disk.find("/etc", test="-name by-script") == ["/etc/by-script"]
    assert disk.find("/usr/bin", test="-name scp") == []
    assert "openssh-server" in (repository / "packages-x86_64.txt").read_text()


@pytest.mark.parametrize("run", [build, toolkit_build], ids=["packer", "toolkit"])
def test_a_base_image_without_sftp_builds_with_scp(
    ec2: Ec2, packer: Packer, repository: Path, run: Callable[..., Finished]
) -> None:
    """`ssh_file_transfer_method = "scp"` in the values of the image is for a sshd without SFTP.

    (field 22)
    """
    values = repository / "image.auto.pkrvars.hcl"
    values.write_text(values.read_text() + 'ssh_file_transfer_method = "scp"\n')
    ec2.no_sftp()
    done = run(ec2, packer, repository, *IMAGE)
    assert done.code == 0, done.output[-3000:]
    assert len(ec2.images()) == 1


def test_without_sftp_the_advice_names_scp(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """Where sshd offers no SFTP the build fails soon, and the first advice is the variable.

    (field 22)
    """
    ec2.no_sftp()
    options = (*IMAGE, "-var", "ssh_timeout=1m")
    done = toolkit_build(ec2, packer, repository, *options, timeout=200)
    assert done.code == 1, done.output[-3000:]
    lines = build_report(repository)["last_lines"]
    assert 'ssh_file_transfer_method = "scp"' in suggest_fixes(lines, "shell: prepare.sh")[0], lines
    assert ec2.leftovers() == {}


def test_without_scp_the_advice_names_sftp() -> None:
    """Teams that chose scp learn what to set where a base image has no `scp`.

    (field 22)
    """
    for line in (
        "Error: SCP failed to start. This usually means that SCP is not",
        "scp: not found",
    ):
        assert 'ssh_file_transfer_method = "sftp"' in suggest_fixes([line])[0]


def test_another_way_is_refused(packer: Packer, repository: Path) -> None:
    """A mistyped way ends `packer validate` with the two that exist.  (field 22)."""
    options = ("validate", "-var", "ssh_file_transfer_method=SFTP", ".")
    done = packer.run(*options, cwd=repository, check=False)
    assert done.returncode == 1
    assert "The ssh_file_transfer_method must be sftp or scp." in done.stdout + done.stderr
