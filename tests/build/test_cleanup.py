"""provisioners/cleanup.sh removes what it promises, on the file systems that images have."""

from __future__ import annotations

import pytest

from rig.docker import base_images
from rig.docker.engine import DockerEngine
from rig.repositories.template import ROOT

SCRIPT = ROOT / "template" / "provisioners" / "cleanup.sh"

# Kinds of mounts below the folders that are emptied -> options of `docker run`.
MOUNTS = {
    "none": [],
    "a folder": ["--tmpfs=/tmp/mounted"],
    "a folder in a folder": ["--tmpfs=/tmp/a/b/mounted"],
    "the folder itself": ["--tmpfs=/tmp:exec"],
    "a folder whose name has a space": ["--mount=type=tmpfs,target=/tmp/a mounted one"],
    "a folder whose name has a bracket": ["--tmpfs=/tmp/a[b]"],
    "a file": [f"--volume={SCRIPT}:/tmp/file:ro"],
    "a folder of /var/tmp": ["--tmpfs=/var/tmp/mounted"],
    "two folders": ["--tmpfs=/tmp/one", "--tmpfs=/var/tmp/two"],
    "the logs": ["--tmpfs=/var/log", "--tmpfs=/var/log/journal"],
}


def run_cleanup(engine: DockerEngine, options: list[str], before: str, after: str) -> str:
    """Run cleanup.sh in a new container between two lines of shell; return what they printed."""
    image = base_images.debian(engine, "12")
    line = f"set -e; {before}; bash /cleanup.sh >/dev/null; {after}"
    volume = f"--volume={SCRIPT}:/cleanup.sh:ro"
    words = ("run", "--rm", "--network=host", volume, *options, image, "bash", "-c", line)
    return engine.docker(*words).stdout


@pytest.mark.parametrize("mounts", MOUNTS)
def test_mounts_below_tmp_stay_and_the_rest_goes(docker_engine: DockerEngine, mounts: str) -> None:
    """A mount does not fail the build in its last step (field 28)."""
    before = (
        "mkdir -p /tmp/x/y /var/tmp/x; touch /tmp/x/y/file /tmp/.hidden '/tmp/a b' /var/tmp/x/file"
    )
    after = "find /tmp /var/tmp -xdev -mindepth 1 ! -type d"
    left = run_cleanup(docker_engine, MOUNTS[mounts], before, after).split("\n")
    assert [name for name in left if name and name != "/tmp/file"] == []  # noqa: S108
    folders = run_cleanup(
        docker_engine, MOUNTS[mounts], before, "test ! -e /tmp/x; test ! -e /var/tmp/x; echo gone"
    )
    assert folders.strip() == "gone"


def test_keys_of_every_account_go(docker_engine: DockerEngine) -> None:
    """Also of an account whose home is elsewhere, with its known hosts (review R21)."""
    before = (
        "useradd --create-home --home-dir /srv/app app; mkdir -p /srv/app/.ssh /root/.ssh;"
        " touch /srv/app/.ssh/authorized_keys /srv/app/.ssh/known_hosts /root/.ssh/known_hosts;"
        " mkdir -p /var/lib/amazon/ssm/i-0123 /var/lib/amazon/ssm/Vault"
    )
    after = "ls -A /srv/app/.ssh /root/.ssh /var/lib/amazon/ssm"
    printed = run_cleanup(docker_engine, [], before, after)
    assert "authorized_keys" not in printed
    assert "known_hosts" not in printed
    assert "i-0123" not in printed
    assert "Vault" not in printed
