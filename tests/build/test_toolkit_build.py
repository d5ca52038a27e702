"""`packer-toolkit build`: what it adds to `packer build`, with the real Packer against the rig.

How each fault ends is in test_ec2_faults.py.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from packer_toolkit.build import report as reports
from packer_toolkit.build.output import PHASES
from packer_toolkit.signals import ReceivedSignals
from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import (
    TOOLKIT,
    add_role,
    add_script,
    build_report,
    manifest,
    small_repository,
    toolkit_build,
    toolkit_env,
)
from rig.repositories.template import git
from rig.run.terminal import CTRL_C, Terminal

IMAGE = ("-var", "skip_create_ami=false")
SECRET = "tell-nobody-1234"  # noqa: S105 - opens nothing


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a repository that builds in seconds."""
    return small_repository(template, tmp_path / "packer-ami-small")


def test_an_image_is_reported_with_all_that_is_known(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Two architectures, a copy: who, what, where and how long; git sees none of it."""
    repository = small_repository(
        template,
        tmp_path / "packer-ami-small",
        image_architectures=["x86_64", "arm64"],
        aws_copy_regions="us-east-1",
    )
    add_script(repository, "10-hello.sh", "echo hello")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Say hello")
    env = {"PACKER_TOOLKIT_VERSION": "1.4.0", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "2"}
    done = toolkit_build(ec2, packer, repository, *IMAGE, "-var", "version=1.2.3", env=env)
    assert done.code == 0, done.output
    first = done.output.splitlines()[0]
    assert first.startswith("packer-toolkit: AWS: account 123456789012, user ")
    report = build_report(repository)
    assert set(report) == set(reports.BuildReport.__annotations__)
    assert (report["kind"], report["image_name"], report["version"]) == ("image", "small", "1.2.3")
    assert report["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert (report["template_version"], report["toolkit_version"]) == ("v1.0.0", "1.4.0")
    assert re.fullmatch(r"4711-2-[0-9a-f]{8}", report["run_id"])
    assert report["account"] is not None
    assert report["account"]["id"] == "123456789012"
    assert (report["exit_code"], report["swept"], report["left"]) == (0, [], [])
    made = manifest(repository)
    assert {build["name"] for build in report["builds"]} == {
        "amazon-ebs.x86_64", "amazon-ebs.arm64"
    }  # fmt: skip
    for build in report["builds"]:
        assert set(build) == set(reports.Build.__annotations__)
        architecture = build["name"].rpartition(".")[2]
        assert (build["ok"], build["failed_step"]) == (True, None)
        assert {each["region"]: each["id"] for each in build["images"]} == made[architecture]
        assert [each["size_gib"] for each in build["images"]] == [8, 8]
        assert build["parent"] is not None
        assert build["parent"]["name"].startswith("debian-12-")
        assert build["instance_type"] in ("m7i.large", "m7g.large")
        assert [phase["name"] for phase in build["phases"]] == [name for name, _ in PHASES]
        assert 0 < sum(phase["seconds"] for phase in build["phases"]) <= report["seconds"]
    assert sorted(each["build"] for each in report["inspec"]) == [
        "amazon-ebs.arm64", "amazon-ebs.x86_64"
    ]  # fmt: skip
    assert git(repository, "status", "--porcelain") == ""
    for things in ec2.leftovers().values():
        assert {thing["tags"]["RunId"] for thing in things} == {report["run_id"]}


def test_without_arguments_no_image_is_made(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """A test build on EC2, with a run id of its own; --json prints the report and nothing else."""
    command = f"{' '.join(TOOLKIT)} build --json 2>{repository.parent}/progress"
    done = ec2.run(["sh", "-c", command], cwd=repository, env=toolkit_env(packer))
    assert done.code == 0, done.output
    report = json.loads(done.output)
    assert report == build_report(repository)
    assert (report["kind"], report["run_id"].partition("-")[0]) == ("test", "local")
    assert ec2.call("RunInstances").tags("instance")["RunId"] == report["run_id"]
    assert not ec2.calls("CreateImage")
    assert ec2.leftovers() == {}
    assert "Connected to SSH!" in (repository.parent / "progress").read_text()


def test_a_local_build_asks_nothing_of_aws(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """Not even who it is; here without a Docker engine, so that it fails at once."""
    env = {"DOCKER_HOST": "unix:///nowhere.sock", "AWS_ACCESS_KEY_ID": ""}
    done = toolkit_build(ec2, packer, repository, "-only=docker.local", env=env)
    assert done.code == 1, done.output
    report = build_report(repository)
    assert (report["kind"], report["account"]) == ("local", None)
    assert [build["name"] for build in report["builds"]] == ["docker.local"]
    assert ec2.calls() == []


def test_secrets_and_account_numbers_stay_out_of_the_report(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """A secret of the environment is not even printed."""
    add_script(repository, "10-fail.sh", f"echo it is {SECRET} of 210987654321", "exit 1")
    done = toolkit_build(ec2, packer, repository, env={"SHOP_API_TOKEN": SECRET})
    assert done.code == 1
    assert SECRET not in done.output
    assert "it is *** of 210987654321" in done.output
    lines = build_report(repository)["last_lines"]
    assert "amazon-ebs.x86_64: it is *** of <account>" in lines
    assert not re.search(r"\b\d{12}\b", "\n".join(lines))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "no AWS credentials",
        ),
        ({"PATH": str(Path(sys.executable).parent)}, "packer is not on PATH"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    ec2: Ec2, packer: Packer, repository: Path, env: dict[str, str], says: str
) -> None:
    """One line, exit code 3, and a report for those who read it."""
    done = toolkit_build(ec2, packer, repository, env=env)
    assert done.code == 3, done.output
    assert says in done.output.splitlines()[-1]
    report = build_report(repository)
    assert (report["exit_code"], report["builds"]) == (3, [])
    assert says in report["last_lines"][0]
    assert ec2.calls("RunInstances") == []


def test_hcl_that_cannot_be_read_is_packers_to_explain(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """Its own message reaches the person, and the report is there."""
    with (repository / "image.auto.pkrvars.hcl").open("a") as values:
        values.write("volume_size = {\n")
    done = toolkit_build(ec2, packer, repository)
    assert done.code != 0
    assert "image.auto.pkrvars.hcl" in done.output
    assert build_report(repository)["exit_code"] == done.code


def test_a_clean_up_that_fails_after_success_is_made_good(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """Packer ends with 0 although its key pair is still there; the image stays."""
    ec2.fault("DeleteKeyPair", "deny", at=1)
    done = toolkit_build(ec2, packer, repository, *IMAGE)
    assert done.code == 0, done.output
    assert "Please delete the key manually" in done.output
    assert set(ec2.leftovers()) == {"image", "snapshot"}
    assert [each["kind"] for each in build_report(repository)["swept"]] == ["key-pair"]


def test_what_may_not_be_deleted_is_told_after_success_too(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """The image is good, so the exit code is 0; the report names what is left."""
    ec2.fault("DeleteKeyPair", "deny")
    done = toolkit_build(ec2, packer, repository, *IMAGE)
    assert done.code == 0, done.output
    assert "Not deleted: key-pair packer_" in done.output
    assert (
        "Some resources could not be deleted; retry later with: packer-toolkit cleanup --run-id"
        in done.output
    )
    assert set(ec2.leftovers()) == {"image", "snapshot", "key-pair"}
    assert [each["kind"] for each in build_report(repository)["left"]] == ["key-pair"]


def test_a_reader_that_goes_away_leaves_nothing_behind(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """As `head` does: the build goes on, and what it leaves is swept."""
    add_script(repository, "10-fail.sh", "exit 3")
    command = f"set -o pipefail; {' '.join(TOOLKIT)} build | head -1"
    done = ec2.run(["bash", "-c", command], cwd=repository, env=toolkit_env(packer))
    assert done.code == 1, done.output
    first, last = done.output.splitlines()
    assert first.startswith("packer-toolkit: AWS: account")
    assert last.startswith("packer-toolkit: the build failed: amazon-ebs.x86_64 in shell: 10-fail")
    assert ec2.calls("RunInstances")
    assert ec2.leftovers() == {}


def test_a_given_run_id_takes_no_earlier_image(ec2: Ec2, packer: Packer, repository: Path) -> None:
    """Two builds by one name: the failure of the second one leaves the first one's image alone."""
    env = {"PKR_VAR_run_id": "release-7"}
    assert toolkit_build(ec2, packer, repository, *IMAGE, env=env).code == 0
    before = ec2.leftovers()
    assert set(before) == {"image", "snapshot"}
    ec2.fault("CreateImage", "deny", at=1)  # one of two: the other one is finished
    both = ("-var", 'architectures=["x86_64", "arm64"]')
    done = toolkit_build(ec2, packer, repository, *IMAGE, *both, env=env)
    assert done.code == 1
    assert "AMIs were created" in done.output
    assert "Deleted leftover resources" in done.output
    assert ec2.leftovers() == before


def test_on_error_abort_leaves_everything_to_look_at(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """Somebody asked for it; the command that deletes it is printed."""
    add_script(repository, "10-fail.sh", "exit 3")
    done = toolkit_build(ec2, packer, repository, "-on-error=abort")
    assert done.code == 1
    assert {"instance", "key-pair", "security-group"} <= set(ec2.leftovers())
    found = re.search(r"delete them with: packer-toolkit (.*)", done.output)
    assert found
    swept = ec2.run([*TOOLKIT, *found[1].split(), "--yes"], cwd=repository)
    assert swept.code == 0, swept.output
    assert ec2.leftovers() == {}


def test_ctrl_c_on_a_terminal_is_one_signal_for_packer(
    ec2: Ec2, packer: Packer, repository: Path
) -> None:
    """A terminal signals everybody in the foreground; Packer would leave all behind after two."""
    task = "- name: Wait for the end\n  ansible.builtin.command: sleep 60\n"
    add_role(repository, "wait", task)
    env = {**ec2.env, **toolkit_env(packer)}
    with Terminal(*TOOLKIT, "build", cwd=repository, env=env) as terminal:
        terminal.wait_for("Wait for the end")
        terminal.send(CTRL_C)
        code = terminal.wait_for_end()
    assert code == 128 + signal.SIGINT
    assert "Cleanly cancelled builds" in terminal.everything
    assert "Traceback" not in terminal.everything
    assert ec2.leftovers() == {}


@pytest.mark.parametrize(("before", "taken"), [(signal.SIG_DFL, [1]), (signal.SIG_IGN, [])])
def test_under_nohup_a_closed_terminal_ends_nothing(
    before: signal.Handlers, taken: list[int]
) -> None:
    """`nohup` asks to ignore SIGHUP, and nobody takes it then."""
    own = signal.signal(signal.SIGHUP, before)
    try:
        signals = ReceivedSignals()
        with signals.record():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signals.numbers == taken
    finally:
        signal.signal(signal.SIGHUP, own)
