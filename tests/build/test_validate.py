# ruff: noqa: S108 - the paths are those of a container
"""provisioners/validate.sh finds whatever an edited cleanup.sh leaves in an image."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_cleanup import MOUNTS

from rig.docker import base_images
from rig.docker.engine import DockerEngine
from rig.repositories.template import ROOT

PROVISIONERS = ROOT / "template" / "provisioners"
CLEANUP = (PROVISIONERS / "cleanup.sh").read_text().replace("\\\n", "")

# A machine ID, which cloud images have and container images do not.
MACHINES = {"with a machine ID": "echo 0123 >/etc/machine-id", "container": "rm -f /etc/machine-id"}
WITHOUT_APT = "rm -f /usr/bin/apt-get"
STUB = "printf '#!/bin/sh\n' >/usr/bin/{0} && chmod 755 /usr/bin/{0}"


@dataclass(frozen=True)
class Break:
    """A statement of cleanup.sh that a team deletes.

    Attributes:
        statement: How the statement begins.
        leftovers: Paths that the build leaves there; those that end with a slash are folders.
        before: What is done to the machine before.
        findings: What validate.sh names, where it is something else than the leftovers.
    """

    statement: str
    leftovers: tuple[str, ...]
    before: str = ":"
    findings: tuple[str, ...] = ()


BREAKS = (
    Break(
        "userdel --force --remove",
        (),
        "useradd --create-home builder",
        ("/etc/passwd: has the temporary account builder", "/home/builder: belongs to"),
    ),
    Break('rm -f "/etc/sudoers.d/', ("/etc/sudoers.d/builder",)),
    Break("apt-get clean", ("/var/cache/apt/archives/tree_2_amd64.deb",)),
    Break("rm -rf /var/lib/apt/lists/*", ("/var/lib/apt/lists/deb.example_Packages",)),
    Break(
        "rm -rf /var/cache/dnf/*",
        ("/var/cache/dnf/updates/",),
        f"{WITHOUT_APT}; {STUB.format('dnf')}",
    ),
    Break(
        "rm -rf /var/cache/yum/*",
        ("/var/cache/yum/x86_64/",),
        f"{WITHOUT_APT}; {STUB.format('yum')}",
    ),
    Break(
        "rm -f /etc/ssh/ssh_host_*_key",
        ("/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub"),
    ),
    Break(
        'rm -f "${home}/.ssh/authorized_keys"',
        (
            "/root/.ssh/authorized_keys",
            "/root/.ssh/known_hosts",
            "/srv/app/.ssh/authorized_keys",
            "/srv/app/.ssh/known_hosts",
        ),
        "useradd --home-dir /srv/app app",
    ),
    Break(": >/etc/machine-id", (), ":", ("/etc/machine-id: machine ID, which must be empty",)),
    Break(
        "rm -f /var/lib/dbus/machine-id",
        (
            "/var/lib/dbus/machine-id",
            "/var/lib/systemd/random-seed",
            "/var/lib/systemd/credential.secret",
        ),
        "rm -f /var/lib/dbus/machine-id",  # a link
    ),
    Break(
        "rm -rf /var/lib/amazon/ssm/i-*",
        (
            "/var/lib/amazon/ssm/i-0123/",
            "/var/lib/amazon/ssm/Vault/",
            "/var/lib/amazon/ssm/runtimeconfig/",
        ),
    ),
    Break(
        "rm -f /var/lib/dhcp/*.leases",
        (
            "/var/lib/dhcp/dhclient.eth0.leases",
            "/var/lib/dhclient/dhclient--eth0.lease",
            "/var/lib/NetworkManager/internal-eth0.lease",
        ),
    ),
    Break(
        "rm -rf /var/lib/cloud/instance ",
        (
            "/var/lib/cloud/instance/",
            "/var/lib/cloud/instances/i-0123/",
            "/var/lib/cloud/data/instance-id",
            "/var/lib/cloud/sem/config_scripts_per_once.once",
        ),
    ),
    Break(
        "rm -f /root/.*_history",
        (
            "/root/.bash_history",
            "/home/admin/.python_history",
            "/root/.wget-hsts",
            "/home/admin/.wget-hsts",
        ),
    ),
    Break(
        "rm -rf /root/.ansible",
        ("/root/.ansible/", "/home/admin/.ansible/", "/root/.cache/", "/home/admin/.cache/"),
    ),
    Break(
        "find /tmp /var/tmp -xdev -mindepth 1 -ignore_readdir_race ! -type d",
        ("/tmp/script.sh", "/var/tmp/.hidden", "/tmp/a/b/file"),
    ),
    Break("find /tmp /var/tmp -xdev -mindepth 1 -depth", ("/tmp/empty/", "/var/tmp/a/b/")),
    Break(
        "find /var/log -type f \\(",
        ("/var/log/app.log.1", "/var/log/a/app.log.2.gz"),
    ),
    Break("find /var/log -type f -exec truncate", ("/var/log/dpkg.log", "/var/log/a/app.log")),
    Break("rm -rf /var/log/journal/*", ("/var/log/journal/0123/",)),
)

# Statements without which the image contains no more than before.
REPEATED = ("dnf clean all", "yum clean all", "cloud-init clean")


def delete_statement(beginning: str) -> str:
    """Return cleanup.sh with one statement replaced by one that does nothing."""
    pattern = rf"^( *){re.escape(beginning)}.*$"
    text, count = re.subn(pattern, r"\1:", CLEANUP, flags=re.MULTILINE)
    assert count == 1, beginning
    return text


def create(paths: tuple[str, ...]) -> str:
    """Return a script that creates files with content, and folders."""
    lines = [":"]
    for path in paths:
        folder = path if path.endswith("/") else path.rpartition("/")[0]
        lines.append(f"mkdir -p {folder}")
        if not path.endswith("/"):
            lines.append(f"echo content >{path}")
    return "\n".join(lines)


def validate(
    engine: DockerEngine,
    folder: Path,
    before: str,
    *,
    cleanup: str = CLEANUP,
    between: str = ":",
    image: str = "",
    options: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run cleanup.sh and validate.sh in a new container, as Packer does in a build.

    Args:
        engine: The engine.
        folder: An empty folder, for the scripts.
        before: What the build does to the machine.
        cleanup: The text of cleanup.sh.
        between: What happens between both scripts.
        image: The base image; empty: Debian 12.
        options: Further options of `docker run`.
    """
    (folder / "cleanup.sh").write_text(cleanup)
    (folder / "validate.sh").write_text((PROVISIONERS / "validate.sh").read_text())
    line = (
        f"set -e\n{before}\nsleep 0.05\nbash /scripts/cleanup.sh &>/dev/null\n"
        f"sleep 0.05\n{between}\n"
        # As Packer uploads it.
        "cp /scripts/validate.sh /tmp/script_4711.sh && chmod 755 /tmp/script_4711.sh\n"
        "exec env /tmp/script_4711.sh"
    )
    volume = f"--volume={folder}:/scripts:ro"
    users = "--env=TEMPORARY_USERS=builder other"
    image = image or base_images.debian(engine, "12")
    words = ("run", "--rm", "--network=host", volume, users, *options, image, "bash", "-c", line)
    return engine.docker(*words, check=False)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("flavor", ["12", "13", "12-bare", "12-cloud"])
def test_a_complete_clean_up_passes(
    docker_engine: DockerEngine, tmp_path: Path, machine: str, flavor: str
) -> None:
    """After cleanup.sh as the template has it, validate.sh prints nothing and succeeds."""
    release, _, kind = flavor.partition("-")
    image = base_images.debian(docker_engine, release, kind or "login")  # type: ignore[arg-type]
    leftovers = tuple(path for each in BREAKS for path in each.leftovers)
    before = f"{MACHINES[machine]}\nuseradd --create-home builder\n{create(leftovers)}"
    result = validate(docker_engine, tmp_path, before, image=image)
    assert (result.stderr, result.stdout, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("mounts", MOUNTS)
def test_mounts_below_tmp_are_not_findings(
    docker_engine: DockerEngine, tmp_path: Path, mounts: str
) -> None:
    """What is mounted below /tmp is not part of the image, so that it may stay."""
    options = tuple(MOUNTS[mounts])
    before = f"{MACHINES['container']}\nmkdir -p /tmp/x; touch /tmp/x/y"
    result = validate(docker_engine, tmp_path, before, options=options)
    assert (result.stderr, result.returncode) == ("", 0)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: str(broken.statement))
def test_each_deleted_statement_is_found(
    docker_engine: DockerEngine, tmp_path: Path, broken: Break, machine: str
) -> None:
    """Without any one statement of cleanup.sh the build fails, and each path is named."""
    if "machine-id must" in str(broken.findings) and machine == "container":
        pytest.skip("a container without a machine ID has none to keep")
    before = f"{MACHINES[machine]}\n{broken.before}\n{create(broken.leftovers)}"
    if broken.statement == ": >/etc/machine-id" and machine == "container":
        before = "echo 0123 >/etc/machine-id"
    result = validate(docker_engine, tmp_path, before, cleanup=delete_statement(broken.statement))
    assert result.returncode == 1, result.stdout
    named = [path.rstrip("/") for path in broken.leftovers]
    for finding in broken.findings or [f"validate.sh: {path}: " for path in named]:
        assert finding in result.stderr, result.stderr
    *findings, last = result.stderr.splitlines()
    assert last.startswith(f"validate.sh: FAILED, leftovers in the image: {len(findings)}; "), (
        result.stderr
    )
    assert all(re.match(r"validate\.sh: /\S+: \w", finding) for finding in findings)


def test_every_statement_that_deletes_is_in_the_table() -> None:
    """A statement that is added to cleanup.sh needs a check in validate.sh and a row here."""
    deleting = re.findall(
        r"^ *((?:rm|find|userdel|truncate|apt-get|dnf|yum|cloud-init|: >).*)$", CLEANUP, re.M
    )
    known = (*(broken.statement for broken in BREAKS), *REPEATED)
    assert len(deleting) >= len(known)
    assert [line for line in deleting if not line.startswith(known)] == []


def test_all_findings_are_reported_at_once(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Where a team has emptied cleanup.sh, one run names everything that is left."""
    leftovers = tuple(
        path
        for each in BREAKS
        for path in each.leftovers
        if "dnf" not in path and "yum" not in path
    )
    before = (
        f"{MACHINES['with a machine ID']}\nuseradd --home-dir /srv/app app\n{create(leftovers)}"
    )
    # A team that replaced the file keeps to one of its promises at least.
    result = validate(
        docker_engine, tmp_path, before, cleanup="#!/bin/sh\nsleep 0.05\n: >/etc/machine-id\n"
    )
    assert result.returncode == 1
    for path in leftovers:
        if path.endswith(("/a/b/", "/a/")):
            continue
        assert f" {path.rstrip('/')}: " in result.stderr, path


def test_what_a_service_writes_after_the_clean_up_is_not_a_finding(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    """Logs, leases and package lists of running services do not fail a build by chance."""
    written = (
        "/var/log/auth.log",
        "/var/log/journal/0123/system.journal",
        "/var/lib/amazon/ssm/Vault/Store",
        "/var/lib/apt/lists/deb.example_Packages",
        "/var/lib/dhcp/dhclient.eth0.leases",
        "/tmp/of-a-service",
    )
    between = f"{create(written)}\ntouch --date=2020-01-01 /var/lib/apt/lists/*"
    result = validate(docker_engine, tmp_path, MACHINES["with a machine ID"], between=between)
    assert (result.stderr, result.returncode) == ("", 0)


@pytest.mark.parametrize("path", ["/etc/ssh/ssh_host_rsa_key", "/root/.ssh/authorized_keys"])
def test_keys_that_come_back_are_findings(
    docker_engine: DockerEngine, tmp_path: Path, path: str
) -> None:
    """A key that something creates again after the clean-up would be in every instance."""
    result = validate(
        docker_engine, tmp_path, MACHINES["with a machine ID"], between=create((path,))
    )
    assert result.returncode == 1
    assert f"validate.sh: {path}: " in result.stderr


def test_odd_names_are_printed_in_one_line(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """A name with a space or a control character cannot break the output."""
    before = f"{MACHINES['container']}\ntouch '/tmp/a b' $'/tmp/\\e[31m'"
    cleanup = delete_statement(
        "find /tmp /var/tmp -xdev -mindepth 1 -ignore_readdir_race ! -type d"
    )
    result = validate(docker_engine, tmp_path, before, cleanup=cleanup)
    assert result.returncode == 1
    assert "/tmp/a\\ b: " in result.stderr
    assert "\x1b" not in result.stderr
