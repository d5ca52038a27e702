"""The whole way, once for each trigger: workflow, Task, toolkit, Packer, the EC2 rig, GitHub's API.

Stand-ins are GitHub, EC2's control plane, the actions' own code and the auditor.  The toolkit runs
on this machine, which is faster, and once in its container.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from rig import STANDINS
from rig.aws import Ec2
from rig.aws.credentials import ACCOUNT
from rig.docker.engine import DockerEngine
from rig.github import GitHub, Repository, events
from rig.github.act import Act
from rig.host.tools import Packer
from rig.repositories.build_reports import REPOSITORY
from rig.repositories.repository import add_script, small_repository
from rig.repositories.template import git

VERSION = version("packer-toolkit")  # of the toolkit image, too

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@pytest.fixture
def made(
    ec2: Ec2, packer: Packer, template: Path, github: GitHub, hub: Repository, tmp_path: Path
) -> Act:
    """Return a small repository whose workflow runs against the rigs."""
    checkout = small_repository(
        template,
        tmp_path / "packer-ami-web-server",
        image_name="web-server",
        toolkit_image="ghcr.io/globex/packer-toolkit",
    )
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=Small")
    hub.commits[git(checkout, "rev-parse", "HEAD")] = {}
    directory = tmp_path / "act"
    directory.mkdir()
    environment = {
        "GITHUB_API_URL": github.enterprise_url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "77",
        "GITHUB_SERVER_URL": f"http://{github.host}",
        **packer.env,
        **{name: value for name, value in ec2.env.items() if name not in _SECRETS},
    }
    credentials = {name: ec2.env[name] for name in _SECRETS if name in ec2.env}
    return Act(checkout, directory, environment, real=True, credentials=credentials)


@pytest.fixture
def contained(made: Act, docker_engine: DockerEngine, toolkit_image: str) -> Act:
    """Return the same with the toolkit in its container, on the private engine."""
    made.container = True
    made.env = {
        **{name: value for name, value in made.env.items() if not name.startswith("PACKER_")},
        **docker_engine.env,
        "TOOLKIT_IMAGE": toolkit_image,
    }
    made.variables["TOOLKIT_DOCKER_ARGS"] = "--network=host"  # the engine has no network
    return made


def path(packer: Packer, *, auditor: bool = True) -> list[Path]:
    """Return the folders with the real Packer, and with the auditor's stand-in.

    The stand-in cannot check a profile without a target; `packer-toolkit check` does without one.
    """
    return [packer.path.parent, *([STANDINS / "bin"] if auditor else [])]


def test_pull_request_is_checked_and_built(made: Act, ec2: Ec2, packer: Packer) -> None:
    """Everything but the image; nothing remains."""
    ran = made.run("pull_request", events.pull_request(), path=path(packer, auditor=False))
    assert (ran.code, ran.jobs) == (0, {"check": "success", "build": "success"}), ran.log
    assert len(ec2.calls("RunInstances")) == 1
    assert ec2.calls("CreateImage") == []
    assert ec2.leftovers() == {}
    tags = ec2.call("RunInstances").tags("instance")
    assert tags["RunId"] == "77-1"


def test_push_with_a_failing_script(made: Act, ec2: Ec2, packer: Packer, hub: Repository) -> None:
    """The run fails and nothing remains; of a test build no issue tells."""
    add_script(made.repository, "10-fail.sh", "exit 3")
    ran = made.run("push", events.push(), path=path(packer, auditor=False))
    assert ran.jobs == {"check": "success", "build": "failure"}, ran.log
    assert ran.result("build", "Build the image") == "failure"
    assert ran.result("build", "Clean up after a failed or canceled build") == "success"
    assert ec2.leftovers() == {}
    assert hub.issues == {}


def test_days(made: Act, ec2: Ec2, packer: Packer, hub: Repository) -> None:
    """A good build, one that is not needed, a failing one by hand, a good one again."""
    ran = made.run("schedule", events.schedule(), path=path(packer))
    assert (ran.code, ran.jobs) == (0, {"build": "success", "report": "success"}), ran.log
    ((status,),) = hub.statuses.values()
    parent = ec2.call("RunInstances")["ImageId"]
    assert status["description"] == f"succeeded x86_64={parent}"

    ran = made.run("schedule", events.schedule(), path=path(packer))
    assert (ran.code, ran.jobs) == (0, {"build": "success", "report": "success"}), ran.log
    assert len(ec2.calls("RunInstances")) == 1
    assert "Neither the base image nor the repository has changed" in ran.log

    add_script(made.repository, "10-fail.sh", "echo the shop is closed", "exit 3")
    by_hand = events.by_hand(kind="daily", always="true")
    ran = made.run("workflow_dispatch", by_hand, path=path(packer))
    assert ran.jobs == {"build": "failure", "report": "success"}, ran.log
    body = hub.issues[1]["body"]
    assert "the shop is closed" in body
    assert "| `amazon-ebs.x86_64` | `shell: 10-fail.sh` |" in body
    (row,) = [line for line in body.splitlines() if line.startswith("| `x86_64` |")]
    assert row.startswith(f"| `x86_64` | `{parent}` `debian-12-amd64-")
    assert row.endswith(f" | `{parent}` |")  # at the last good build, as the status knows it
    assert ACCOUNT not in body

    (made.repository / "provisioners/shell/10-fail.sh").unlink()
    ran = made.run("schedule", events.schedule(), path=path(packer))
    assert hub.open_issues() == [], ran.log
    assert ec2.calls("CreateImage") == []


def test_release_is_built_once(made: Act, ec2: Ec2, packer: Packer, hub: Repository) -> None:
    """The image, its records at the release; the same release again makes no second image."""
    hub.add_release("v1.2.3")
    ran = made.run("release", events.release("v1.2.3"), path=path(packer))
    jobs = {"build": "success", "attach": "success", "report": "success"}
    assert (ran.code, ran.jobs) == (0, jobs), ran.log
    (image,) = ec2.images()
    assert image["Name"] == "web-server-1.2.3-x86_64"
    manifest = json.loads(hub.asset("v1.2.3", "manifest.json"))
    assert manifest["builds"][0]["artifact_id"] == f"eu-west-1:{image['ImageId']}"
    report = json.loads(hub.asset("v1.2.3", "build-report.json"))
    assert (report["version"], report["kind"], report["exit_code"]) == ("1.2.3", "image", 0)
    assert "openssh-server " in hub.asset("v1.2.3", "packages-x86_64.txt").decode()

    ran = made.run("release", events.release("v1.2.3"), path=path(packer))
    assert (ran.code, ran.jobs) == (0, jobs), ran.log
    assert "no second image is created" in ran.log
    assert len(ec2.images()) == 1
    assert json.loads(hub.asset("v1.2.3", "manifest.json")) == manifest

    # As after a run that could not attach: the images and their tags tell what the build did.
    hub.releases[0]["assets"].clear()
    ran = made.run("release", events.release("v1.2.3"), path=path(packer))
    assert (ran.code, ran.jobs) == (0, jobs), ran.log
    (found,) = json.loads(hub.asset("v1.2.3", "manifest.json"))["builds"]
    for name in ("name", "builder_type", "files", "artifact_id", "custom_data"):
        assert found[name] == manifest["builds"][0][name], name


def test_release_from_the_container(contained: Act, ec2: Ec2, hub: Repository) -> None:
    """As it is on a runner: each task starts the toolkit's container, the outputs come back."""
    hub.add_release("v1.2.3")
    ran = contained.run("release", events.release("v1.2.3"))
    jobs = {"build": "success", "attach": "success", "report": "success"}
    assert (ran.code, ran.jobs) == (0, jobs), ran.log
    assert {result for _, _, result in ran.steps} <= {"success", "skipped"}, ran.log
    (image,) = ec2.images()
    assert image["Name"] == "web-server-1.2.3-x86_64"
    names = {asset["name"] for asset in hub.releases[0]["assets"]}
    assert names == {"build-report.json", "manifest.json", "packages-x86_64.txt"}
    report = json.loads(hub.asset("v1.2.3", "build-report.json"))
    assert report["toolkit_version"] == VERSION
    ((status,),) = hub.statuses.values()
    assert status["state"] == "success"
