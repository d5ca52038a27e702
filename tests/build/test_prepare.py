"""provisioners/prepare.sh installs what the later steps need."""

from __future__ import annotations

from rig.docker import base_images
from rig.docker.engine import DockerEngine
from rig.repositories.template import ROOT

SCRIPT = ROOT / "template" / "provisioners" / "prepare.sh"


def test_a_container_without_find_gets_it(docker_engine: DockerEngine) -> None:
    """cleanup.sh needs find, which the container image of Amazon Linux 2023 does not have."""
    # As there: dnf, and not a real one, because apt itself needs find.
    dnf = r'printf "#!/bin/sh\necho dnf \$*; mv /srv/find /usr/bin/find\n" >/usr/bin/dnf'
    line = (
        f"set -e; rm /usr/bin/apt-get; mv /usr/bin/find /srv/find; {dnf}; chmod 755 /usr/bin/dnf;"
        " bash /prepare.sh; bash /prepare.sh; find /prepare.sh"
    )
    volume = f"--volume={SCRIPT}:/prepare.sh:ro"
    image = base_images.debian(docker_engine, "12")
    words = ("run", "--rm", "--network=host", volume, image, "bash", "-c", line)
    printed = docker_engine.docker(*words).stdout.splitlines()
    assert printed == [
        "Installing findutils",
        "dnf install --quiet --assumeyes findutils",
        "/prepare.sh",
    ]
