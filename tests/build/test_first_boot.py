"""A base image that restarts during its first boot builds like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import add_script, small_repository, toolkit_build

# As cloud-init of such a base image: it restarts the machine while the build waits for it.
RESTART = "if [[ ! -e /srv/restarted ]]; then\n  touch /srv/restarted\n  exec sleep 60\nfi\n"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a repository whose first step is interrupted by a restart."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    prepare = repository / "provisioners/prepare.sh"
    prepare.write_text(prepare.read_text().replace("\nmissing=()", f"\n{RESTART}missing=()"))
    add_script(repository, "10-mark.sh", "touch /etc/by-script")
    return repository


def test_a_restart_at_the_first_boot_is_survived(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """The first step is repeated after the connection was closed, and the image is complete."""
    ec2.ssh_drops(marker="/srv/restarted")
    done = toolkit_build(ec2, packer, repository, "-var", "skip_create_ami=false", timeout=120)
    assert done.code == 0, done.output[-3000:]
    assert done.output.count("shell script: ./provisioners/prepare.sh") == 2
    (image,) = ec2.images()
    assert ec2.ami(image["ImageId"]).find("/etc", test="-name by-script") == ["/etc/by-script"]
