"""Builds of repositories whose playbook needs roles and collections from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import (
    add_role,
    build,
    build_report,
    manifest,
    small_repository,
    toolkit_build,
)
from rig.repositories.template import ROOT, git
from rig.servers.galaxy import Galaxy

pytestmark = pytest.mark.integration

IMAGE = ("-var", "skip_create_ami=false")
SCRIPT = ROOT / "template/provisioners/requirements.sh"
REQUIREMENTS = "provisioners/ansible/requirements.yml"
COLLECTIONS = "provisioners/ansible/.galaxy/collections/ansible_collections"


@pytest.fixture
def galaxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Galaxy]:
    """Return a server with a collection in two versions, and a role that is one archive."""
    with Galaxy(tmp_path / "galaxy") as galaxy:
        galaxy.publish("acme.tools", "1.0.0")
        galaxy.publish("acme.tools", "2.0.0")
        galaxy.publish_role("acme.role", "1.0.0")
        monkeypatch.setenv("ANSIBLE_GALAXY_SERVER", galaxy.url)
        yield galaxy


def require(repository: Path, version: str) -> None:
    """Require the collection in a version, and the role."""
    (repository / REQUIREMENTS).write_text(
        f"---\ncollections:\n  - name: acme.tools\n    version: {version}\n"
        "roles:\n  - name: acme.role\n    version: 1.0.0\n"
    )


# ------------------------------------------------------------- two architectures, on EC2


@pytest.fixture
def repository(template: Path, tmp_path: Path, galaxy: Galaxy) -> Path:
    """Return a repository of two architectures with a role that needs both of the server."""
    repository = small_repository(
        template, tmp_path / "packer-ami-small", image_architectures=["x86_64", "arm64"]
    )
    require(repository, "1.0.0")
    add_role(repository, "own", "- ansible.builtin.include_role: {name: acme.tools.hello}\n")
    meta = repository / "provisioners/ansible/roles/own/meta/main.yml"
    meta.parent.mkdir()
    meta.write_text("---\ndependencies: [acme.role]\n")
    return repository


def test_the_toolkit_installs_once_for_all_builds(
    ec2: Ec2, packer: Packer, repository: Path, galaxy: Galaxy
) -> None:
    """Two architectures share an installation that stays (review C11, field 16)."""
    env = {"ANSIBLE_GALAXY_SERVER": galaxy.url}
    done = toolkit_build(ec2, packer, repository, *IMAGE, "-var", "version=1.0.0", env=env)
    assert done.code == 0, done.output
    assert done.output.count("acme.tools 1.0.0") == 2
    assert done.output.count("acme.role 1.0.0") == 2
    assert set(manifest(repository)) == {"x86_64", "arm64"}
    downloads = ["acme-tools-1.0.0.tar.gz", "role-acme.role-1.0.0.tar.gz"]
    assert sorted(galaxy.downloads()) == downloads
    assert git(repository, "status", "--porcelain", "--", "provisioners/ansible/.galaxy") == ""

    env = {"ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9"}
    done = toolkit_build(ec2, packer, repository, env=env)
    assert done.code == 0, done.output
    # What is not installed stops the build before anything is launched.
    require(repository, "2.0.0")
    launched = len(ec2.calls("RunInstances"))
    done = toolkit_build(ec2, packer, repository, env=env)
    assert done.code == 4, done.output
    assert "Connection refused" in done.output.splitlines()[-1]
    assert len(ec2.calls("RunInstances")) == launched
    assert build_report(repository)["exit_code"] == 4
    (repository / REQUIREMENTS).write_text("collections:\n\t- x\n")
    done = toolkit_build(ec2, packer, repository, env=env)
    assert done.code == 3, done.output
    assert f"{REQUIREMENTS}:2: not valid YAML: " in done.output.splitlines()[-1]
    assert len(ec2.calls("RunInstances")) == launched


def test_plain_packer_installs_once_for_all_builds(
    ec2: Ec2, packer: Packer, repository: Path, galaxy: Galaxy
) -> None:
    """`packer build` of two architectures installs by itself, without a race (review C11)."""
    env = {"ANSIBLE_GALAXY_SERVER": galaxy.url}
    done = build(ec2, packer, repository, *IMAGE, env=env)
    assert done.code == 0, done.output
    assert done.output.count("acme.tools 1.0.0") == 2
    downloads = ["acme-tools-1.0.0.tar.gz", "role-acme.role-1.0.0.tar.gz"]
    assert sorted(galaxy.downloads()) == downloads


# --------------------------------------------------------------- the script of plain Packer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the script, at a path with a colon and a space."""
    folder = tmp_path / "a team's: répo"
    (folder / "provisioners/ansible").mkdir(parents=True)
    (folder / "provisioners/requirements.sh").symlink_to(SCRIPT)
    (folder / "provisioners/ansible/ansible.cfg").symlink_to(
        ROOT / "template/provisioners/ansible/ansible.cfg"
    )
    return folder


def start(folder: Path, run: str, **env: str) -> subprocess.Popen[str]:
    """Start the script for one build of a run of Packer."""
    return subprocess.Popen(
        [folder / "provisioners/requirements.sh", run],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def versions(folder: Path) -> list[str]:
    """Return the installed collections with their versions."""
    return sorted(
        f"{json.loads(file.read_text())['collection_info']['name']} {file.parent.parent.name}"
        f" {json.loads(file.read_text())['collection_info']['version']}"
        for file in (folder / COLLECTIONS).glob("*/*/MANIFEST.json")
    )


def test_builds_of_one_run_share_the_installation(folder: Path, galaxy: Galaxy) -> None:
    """The first build installs, the others wait; the next run replaces it (review C11)."""
    require(folder, "1.0.0")
    for run, version in (("first", "1.0.0"), ("second", "2.0.0")):
        require(folder, version)
        galaxy.requests.clear()
        builds = [start(folder, run) for _ in range(3)]
        outputs = [each.communicate()[0] for each in builds]
        assert [each.returncode for each in builds] == [0, 0, 0], outputs
        assert versions(folder) == [f"tools acme {version}"]
        assert (folder / "provisioners/ansible/.galaxy/roles/acme.role").is_dir()
        assert len(galaxy.downloads()) == 2
    (folder / REQUIREMENTS).write_text("---\ncollections: []\nroles:\n")
    galaxy.requests.clear()
    last = start(folder, "third")
    assert (last.communicate()[0], last.returncode) == ("", 0)
    assert (versions(folder), galaxy.requests) == ([], [])


def test_a_failed_installation_fails_all_builds_of_the_run(folder: Path, galaxy: Galaxy) -> None:
    """None of them waits forever, and the old installation stays."""
    require(folder, "1.0.0")
    start(folder, "first").communicate()
    require(folder, "2.0.0")
    away = {"ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9"}
    builds = [start(folder, "second", **away) for _ in range(3)]
    outputs = [each.communicate(timeout=60)[0] for each in builds]
    assert all(each.returncode for each in builds)
    assert sum("see the output of the other build" in output for output in outputs) == 2
    assert versions(folder) == ["tools acme 1.0.0"]


NOTHING = ["", "---\n", "collections:\nroles: []\n", "collections: {} # none\n",
           "---\r\n# x\r\ncollections: []\r\nroles:\r\n", "roles: null\n...\n"]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_required_calls_nobody(text: str, folder: Path) -> None:
    """Without requirements ansible-galaxy is not called, and nothing is created (field 14)."""
    (folder / REQUIREMENTS).write_text(text, newline="")
    script = start(folder, "run", PATH="/usr/bin:/bin", ANSIBLE_GALAXY_SERVER="http://127.0.0.1:9")
    output = script.communicate()[0]
    assert (script.returncode, output) == (0, "")
    assert not (folder / "provisioners/ansible/.galaxy").exists()


FORMS = {
    "old list": "- {src: 'git+file://EXT', name: ext}\n",
    "flow mapping": "{roles: [{src: 'git+file://EXT', name: ext}]}\n",
    "byte order mark": "\ufeffroles:\n- {src: 'git+file://EXT', name: ext}\n",
    "content beside the marker": "--- {roles: ['git+file://EXT']}\n",
    "quoted key": "'roles': ['git+file://EXT']\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_plain_packer_takes_what_ansible_galaxy_takes(form: str, folder: Path) -> None:
    """The script leaves reading the file to ansible-galaxy (field 14)."""
    role = folder.parent / "ext"
    (role / "meta").mkdir(parents=True)
    (role / "meta/main.yml").write_text("galaxy_info: {author: rig}\n")
    git(role, "init", "--quiet")
    git(role, "add", "--all")
    git(role, "commit", "--quiet", "-m", "A role")
    (folder / REQUIREMENTS).write_text(FORMS[form].replace("EXT", str(role)))
    script = start(folder, "run")
    output = script.communicate()[0]
    assert script.returncode == 0, output
    assert (folder / "provisioners/ansible/.galaxy/roles/ext/meta/main.yml").exists()


@pytest.mark.parametrize("text", [*NOTHING, *FORMS.values(), "collections:\n\t- x\n"])
def test_packer_reads_a_repository_with_any_requirements(
    text: str, template: Path, tmp_path: Path, packer: Packer
) -> None:
    """The HCL of a repository is valid whatever requirements.yml has (field 14)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    (repository / REQUIREMENTS).write_text(text, newline="")
    env = {"PATH": os.environ["PATH"]}
    packer.run("inspect", ".", cwd=repository, env=env)


def test_a_link_to_nothing_is_not_ignored(folder: Path, tmp_path: Path) -> None:
    """The script reports a requirements.yml that is a link to a missing file (field 5)."""
    (folder / "provisioners/ansible/requirements.yml").symlink_to("missing.yml")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ansible-galaxy").write_text('#!/bin/sh\nprintf "galaxy %s\\n" "$*"\nexit 1\n')
    (tools / "ansible-galaxy").chmod(0o755)
    process = start(folder, "1", PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert "galaxy install -r provisioners/ansible/requirements.yml" in output
