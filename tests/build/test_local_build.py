"""A rendered repository, unmodified, builds docker.local with real Packer and Ansible."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.docker.engine import DockerEngine
from rig.host.tools import Packer
from rig.repositories.repository import unique_name
from rig.repositories.template import git, release, render


@dataclass
class Build:
    """One finished build and what it made."""

    repository: Path
    release: str
    demo: bool
    image: str
    output: str
    engine: DockerEngine

    def shell(self, script: str) -> str:
        """Run a script in a container of the image and return what it printed."""
        return self.engine.docker("run", "--rm", self.image, "sh", "-euc", script).stdout


def build(
    repository: Path, packer: Packer, engine: DockerEngine, *options: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the build that the rendered README names."""
    command = ("build", "-color=false", "-only=docker.local", *options, ".")
    return packer.run(*command, cwd=repository, env=engine.env, check=check)


VARIANTS = [
    pytest.param(
        (release, demo),
        id=f"debian-{release}-{'demo' if demo else 'plain'}",
        marks=pytest.mark.xdist_group(f"local-build-{release}-{demo}"),
    )
    for release in ("12", "13")
    for demo in (True, False)
]


@pytest.fixture(scope="module", params=VARIANTS)
def built(
    request: pytest.FixtureRequest,
    template: Path,
    packer: Packer,
    docker_engine: DockerEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Build]:
    """Return a build of the repository as rendered."""
    release, demo = request.param
    request.getfixturevalue(f"debian_{release}")
    name = f"local-{release}-{'demo' if demo else 'plain'}"
    answers = {"image_name": name, "parent_image": f"debian-{release}", "keep_demo": demo}
    repository = render(template, tmp_path_factory.mktemp("local") / f"packer-ami-{name}", answers)
    result = build(repository, packer, docker_engine)
    image = f"packer-ami-{name}:local"
    yield Build(repository, release, demo, image, result.stdout, docker_engine)
    docker_engine.docker("rmi", "--force", image)


def test_the_build_leaves_the_repository_as_it_was(built: Build) -> None:
    """What a build writes is ignored by git."""
    assert git(built.repository, "status", "--porcelain") == ""


def test_the_manifest_names_what_was_built(built: Build) -> None:
    """The manifest holds the one artifact of the run with its origin."""
    manifest = json.loads((built.repository / "manifest.json").read_text())
    (entry,) = manifest["builds"]
    assert entry["packer_run_uuid"] == manifest["last_run_uuid"]
    assert entry["custom_data"] == {
        "architecture": "local",
        "commit": git(built.repository, "rev-parse", "HEAD"),
        "image_name": built.image.removeprefix("packer-ami-").removesuffix(":local"),
        "source_ami": f"debian:{built.release}",
        "template_version": "v1.0.0",
        "toolkit_version": "none",
        "version": entry["custom_data"]["version"],
    }
    assert re.fullmatch(r"0\.0\.0-dev\.\d{14}", entry["custom_data"]["version"])
    image_id = built.engine.docker("inspect", "--format={{.Id}}", built.image).stdout.strip()
    assert entry["artifact_id"] == image_id


def test_the_image_says_what_it_is(built: Build) -> None:
    """The release file names image, commit and parent."""
    text = built.shell("cat /etc/image-release")
    assert f'IMAGE_COMMIT="{git(built.repository, "rev-parse", "HEAD")}"' in text
    assert f'IMAGE_PARENT="debian:{built.release}"' in text


def test_the_baseline_is_set(built: Build) -> None:
    """Time sync and unattended security updates are installed and enabled."""
    built.shell(
        "test -x /usr/sbin/chronyd\n"
        "test -e /etc/systemd/system/multi-user.target.wants/chrony.service\n"
        "test -x /usr/bin/unattended-upgrade\n"
        "grep -q 'Unattended-Upgrade \"1\"' /etc/apt/apt.conf.d/20auto-upgrades\n"
    )


def test_nothing_of_the_build_is_left_in_the_image(built: Build) -> None:
    """The clean-up removed identities, histories, caches and temporary files."""
    left = built.shell(
        "ls -d /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys "
        "/root/.*_history /root/.ansible /home/*/.ansible /var/lib/apt/lists/* "
        "/var/cache/apt/archives/*.deb /tmp/* /tmp/.[!.]* /var/tmp/* 2>/dev/null || true\n"
        "test ! -e /etc/machine-id || cat /etc/machine-id\n"  # a minimal container has none
        "find /var/log -type f -size +0\n"
    )
    assert left == ""


def test_the_clean_up_is_verified(built: Build) -> None:
    """The last script finds nothing that the clean-up would have had to remove."""
    assert re.search(r"shell script: \S*/provisioners/validate\.sh\n", built.output)
    assert "validate.sh: " not in built.output


def test_an_image_without_an_auditor_says_that_nothing_was_checked(built: Build) -> None:
    """The InSpec step never passes in silence."""
    if shutil.which("cinc-auditor") or shutil.which("inspec"):
        assert "SKIPPED" not in built.output
    else:
        assert "InSpec: SKIPPED, no control was checked" in built.output


def test_the_demo_is_there_only_if_kept(built: Build) -> None:
    """Without the demo no trace of it reaches the image."""
    found = built.shell("ls -d /srv/demo /etc/systemd/system/demo.service 2>/dev/null || true")
    assert bool(found) == built.demo


def test_the_demo_serves_its_page(built: Build) -> None:
    """A container of the image answers when the unit's command runs in it."""
    if not built.demo:
        assert built.shell("grep -rl http.server /etc/systemd/system || true") == ""
        return
    command = built.shell("sed -n 's/^ExecStart=//p' /etc/systemd/system/demo.service").strip()
    # A port of this test's own: another variant may serve at the same time on the same host.
    port = "18012" if built.release == "12" else "18013"
    command = command.replace("8080", port) + " --bind 127.0.0.1"
    start = ("run", "--detach", "--rm", "--network=host", built.image, *command.split())
    container = built.engine.docker(*start).stdout.strip()
    try:
        assert _get(f"http://127.0.0.1:{port}/healthz") == "ok\n"
        name = built.image.removeprefix("packer-ami-").removesuffix(":local")
        assert f"<h1>{name}</h1>" in _get(f"http://127.0.0.1:{port}/")
    finally:
        built.engine.docker("rm", "--force", container)


def _get(url: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback http
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def small(
    template: Path, tmp_path: Path, docker_engine: DockerEngine, debian_12: str
) -> Iterator[Path]:
    """Return a repository without scripts, roles and controls, as a team may leave it."""
    # All workers share one engine: under one name, a test would see the image of another one.
    name = unique_name("small")
    answers = {"image_name": name, "parent_image": "debian-12"}
    # Blanks and signs beyond ASCII in the path are part of what must work.
    repository = render(template, tmp_path / "a team's répo" / f"packer-ami-{name}", answers)
    for part in ("provisioners/shell", "provisioners/ansible/roles", "inspec/controls"):
        shutil.rmtree(repository / part)
        (repository / part).mkdir()
    yield repository
    docker_engine.docker("rmi", "--force", image_of(repository), check=False)


def image_of(repository: Path) -> str:
    """Return the tag of the image that a local build of a repository creates."""
    return f"{repository.name}:local"


def test_empty_folders_build(small: Path, packer: Packer, docker_engine: DockerEngine) -> None:
    """A repository without scripts, roles and controls still builds."""
    build(small, packer, docker_engine)


def test_what_is_dropped_into_a_folder_runs(
    small: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """Scripts run in the order of their names, then roles, without an edit elsewhere."""
    for name in ("20-second", "10-first"):
        script = small / f"provisioners/shell/{name}.sh"
        script.write_text(f"#!/bin/sh\necho {name} $IMAGE_NAME $(id -un) >>/order\n")
        script.chmod(0o755)
    tasks = small / "provisioners/ansible/roles/third/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text(
        "---\n"
        "- name: Note the role\n"
        "  ansible.builtin.lineinfile:\n"
        "    path: /order\n"
        "    line: 'role {{ image_name }} {{ image_parent }}'\n"
    )
    build(small, packer, docker_engine)
    order = docker_engine.docker("run", "--rm", image_of(small), "cat", "/order").stdout
    name = small.name.removeprefix("packer-ami-")
    assert order == f"10-first {name} root\n20-second {name} root\nrole {name} debian:12\n"


def test_it_builds_from_another_folder(
    small: Path, tmp_path: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """`packer build DIRECTORY` works, and the manifest lies in the repository."""
    command = ("build", "-color=false", "-only=docker.local", small)
    packer.run(*command, cwd=tmp_path, env=docker_engine.env)
    assert (small / "manifest.json").exists()


def test_a_new_build_replaces_the_manifest(
    small: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """Entries of earlier runs do not pile up."""
    build(small, packer, docker_engine)
    first = json.loads((small / "manifest.json").read_text())
    build(small, packer, docker_engine)
    second = json.loads((small / "manifest.json").read_text())
    assert len(second["builds"]) == 1
    assert second["last_run_uuid"] != first["last_run_uuid"]


def test_a_failing_script_fails_the_build(
    small: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """No image is made, and no manifest of an earlier build is left to be taken for its result."""
    (small / "manifest.json").write_text('{"builds": [], "last_run_uuid": "earlier"}')
    script = small / "provisioners/shell/10-fail.sh"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    result = build(small, packer, docker_engine, check=False)
    assert result.returncode == 1
    assert "Script exited with non-zero exit status: 3" in result.stdout
    assert not (small / "manifest.json").exists()
    assert docker_engine.docker("images", "--quiet", image_of(small)).stdout == ""


def test_an_incomplete_clean_up_fails_the_build(
    small: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """Where a team has replaced cleanup.sh, each leftover is named and no image is created."""
    (small / "provisioners/cleanup.sh").write_text("#!/bin/sh\n")
    result = build(small, packer, docker_engine, check=False)
    assert result.returncode == 1
    assert "validate.sh: /etc/ssh/ssh_host_ed25519_key: SSH host key" in result.stdout
    assert "validate.sh: /tmp/packer-packages.txt: temporary file" in result.stdout
    assert "validate.sh: FAILED, " in result.stdout
    assert docker_engine.docker("images", "--quiet", image_of(small)).stdout == ""


def test_a_temporary_user_is_removed(
    small: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """Users named in temporary_users are gone from the image, with their home."""
    script = small / "provisioners/shell/10-user.sh"
    script.write_text("#!/bin/sh\nuseradd --create-home builder\n")
    script.chmod(0o755)
    values = small / "image.auto.pkrvars.hcl"
    values.write_text(values.read_text() + 'temporary_users = ["builder", "nobody-of-this-name"]\n')
    build(small, packer, docker_engine)
    check = "! id builder 2>/dev/null && ! test -e /home/builder"
    docker_engine.docker("run", "--rm", image_of(small), "sh", "-c", check)


def test_a_role_from_elsewhere_runs_in_the_version_that_is_asked_for(
    small: Path, tmp_path: Path, packer: Packer, docker_engine: DockerEngine
) -> None:
    """A role of requirements.yml is found by the roles that name it, and a changed pin is taken."""
    elsewhere = tmp_path / "acme_ext"
    (elsewhere / "tasks").mkdir(parents=True)
    (elsewhere / "meta").mkdir()
    (elsewhere / "meta/main.yml").write_text(
        "galaxy_info: {author: acme, description: external, license: MIT, min_ansible_version: 2.9}"
    )
    git(tmp_path, "init", "--quiet", str(elsewhere))
    for version in ("v1", "v2"):
        (elsewhere / "tasks/main.yml").write_text(
            "- name: Note the version\n"
            f"  ansible.builtin.copy: {{dest: /acme, content: {version}, mode: '0644'}}\n"
        )
        release(elsewhere, version)
    own = small / "provisioners/ansible/roles/own"
    for part, text in {"meta": "dependencies: [acme_ext]\n", "tasks": "[]\n"}.items():
        (own / part).mkdir(parents=True)
        (own / part / "main.yml").write_text(text)
    for version in ("v1", "v2"):
        (small / "provisioners/ansible/requirements.yml").write_text(
            f"roles: [{{name: acme_ext, src: 'git+file://{elsewhere}', version: {version}}}]\n"
        )
        build(small, packer, docker_engine)
        image = ("run", "--rm", image_of(small), "cat", "/acme")
        assert docker_engine.docker(*image).stdout == version
