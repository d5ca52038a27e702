"""What a run has to build, and whether: against the API that a build calls, and GitHub."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.build.values import Values
from packer_toolkit.errors import SetupError
from packer_toolkit.pipeline import plan
from packer_toolkit.pipeline.status import RecordedStatus
from rig.github import GitHub, Repository
from rig.host.tools import Packer
from rig.repositories.build_reports import SHA
from rig.repositories.template import render
from rig.run.toolkit_process import Toolkit

PARENT = "ami-0aaaaaaaaaaaaaaaa"  # 17 digits


class Ec2:
    """DescribeImages from a table: what it is asked is what `find_base_images` promises."""

    def __init__(self, images: list[dict[str, Any]]) -> None:
        self.images = images
        self.asked: list[Mapping[str, Any]] = []

    def describe_images(self, **query: Any) -> dict[str, Any]:
        """Return those whose name fits."""
        self.asked.append(query)
        name = next(f["Values"][0] for f in query["Filters"] if f["Name"] == "name")
        return {"Images": [i for i in self.images if fnmatch.fnmatchcase(i["Name"], name)]}


VALUES = Values(
    {
        "var.architectures": '[\n  "arm64",\n  "x86_64"\n]',
        "var.image_name": "web",
        "var.region": "eu-west-1",
        "var.source_ami_names": '{\n  "arm64" = "base-arm64-*"\n  "x86_64" = "base-amd64-*"\n}',
        "var.source_ami_owners": '[\n  "136693071363"\n]',
    }
)


def image(
    name: str, number: int, date: str = "2026-11-01T00:00:00.000Z", **tags: str
) -> dict[str, Any]:
    """Return an available image as EC2 describes it."""
    return {
        "Name": name,
        "ImageId": f"ami-{number:017x}",
        "CreationDate": date,
        "State": "available",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def finished(name: str, number: int, **tags: str) -> dict[str, Any]:
    """Return an image as a build leaves it that has ended."""
    repository = f"packer-ami-{name.partition('-1')[0]}"
    own = {"Repository": repository, "ManagedBy": "packer", "RunId": "r1", "ExpiresAt": "never"}
    return image(name, number, **{**own, **tags})


@pytest.mark.parametrize(
    ("event", "asked", "kind"),
    [
        ("pull_request", None, "test"),
        ("push", None, "test"),
        ("push", "release", "test"),  # only a user can select a kind
        ("schedule", None, "daily"),
        ("release", None, "release"),
        ("workflow_dispatch", "test", "test"),
        ("workflow_dispatch", "daily", "daily"),
        ("workflow_dispatch", "release", "release"),
        ("workflow_dispatch", None, "test"),  # an event without inputs
        ("", None, "test"),
    ],
)
def test_kind_of_each_event(event: str, asked: plan.BuildKind | None, kind: str) -> None:
    """As docs/pipeline.md has it."""
    assert plan.get_build_kind(event, asked) == kind


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.2.3", "1.2.3"), ("1.2.3", "1.2.3"), ("2026-11-25", "2026-11-25"), ("vanilla", "vanilla")],
)
def test_version_of_a_tag(tag: str, version: str) -> None:
    """Without the v before a number."""
    assert plan.parse_version_tag(tag) == version


@pytest.mark.parametrize(
    "tag",
    [
        "$(touch x)",
        "v1;id",
        "`id`",
        "v1 2",
        "",
        "-var",
        "v1\nbuild=true",
        "ä",
        "v" + "1" * 41,
        "a/b",
    ],
)
def test_tag_that_is_no_version_is_refused(tag: str) -> None:
    """It is shown as it was written, escaped and cut, in one line (issue 12)."""
    with pytest.raises(SetupError) as refused:
        plan.parse_version_tag(tag)
    message = str(refused.value)
    assert message.startswith(f"the tag {tag[:60]!r} ")
    assert "such as v1.2.3" in message
    assert "\n" not in message


def test_newest_parent_of_each_architecture() -> None:
    """Asked for as sources.pkr.hcl does."""
    ec2 = Ec2(
        [
            image("base-arm64-1", 1),
            image("base-amd64-1", 2, "2026-11-03T00:00:00.000Z"),
            image("base-amd64-0", 3, "2026-10-03T00:00:00.000Z"),
        ]
    )
    assert plan.find_base_images(ec2, VALUES) == {
        "arm64": f"ami-{1:017x}",
        "x86_64": f"ami-{2:017x}",
    }
    assert ec2.asked[1]["Owners"] == ["136693071363"]
    assert {f["Name"]: f["Values"][0] for f in ec2.asked[1]["Filters"]} == {
        "architecture": "x86_64",
        "name": "base-amd64-*",
        "root-device-type": "ebs",
        "state": "available",
        "virtualization-type": "hvm",
    }


def test_version_is_built_once() -> None:
    """A version of which nothing exists is built, and a finished one is not built again."""
    assert plan.plan_release(lambda _: Ec2([]), VALUES, "1.0.0").build
    one, two = finished("web-1.0.0-arm64", 1), finished("web-1.0.0-x86_64", 2)
    done = plan.plan_release(lambda _: Ec2([one, two]), VALUES, "1.0.0")
    assert (done.build, "exists already" in done.reason) == (False, True)
    assert done.images == {"arm64": f"ami-{1:017x}", "x86_64": f"ami-{2:017x}"}


@pytest.mark.parametrize(
    ("last_build", "base_images", "reason"),
    [
        ({"x86_64": "ami-1"}, {"x86_64": "ami-1"}, ""),
        ({"x86_64": "ami-1"}, {"x86_64": "ami-2"}, "The base image has changed."),
        ({"x86_64": "ami-1"}, {"x86_64": "ami-1", "arm64": "ami-3"}, "has changed."),
        # Without a base image, the build has to report that.
        ({"x86_64": "ami-1"}, {}, "The base image has changed."),
        ({}, {}, "The base image has changed."),
        (None, {"x86_64": "ami-1"}, "The last build of this commit failed."),
        ("Unknown.", {"x86_64": "ami-1"}, "Unknown."),
    ],
)
def test_daily_build_is_skipped_only_when_nothing_changed(
    last_build: dict[str, str] | str | None,
    base_images: dict[str, str],
    reason: str,
) -> None:
    """A daily build is skipped when base image and commit are those of a successful build."""
    if not isinstance(last_build, str):
        last_build = RecordedStatus(last_build is not None, last_build or {}, "")
    decision = plan.plan_daily_build(last_build, base_images)
    assert decision.build == bool(reason)
    assert reason in decision.reason
    assert decision.parents == base_images


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def repository(
    toolkit: Toolkit,
    template: Path,
    packer: Packer,
    monkeypatch: pytest.MonkeyPatch,
) -> Toolkit:
    """Return the toolkit in a rendered repository, with an EC2 that has one parent image."""
    folder = toolkit.directory / "packer-ami-web-server"
    render(template, folder, {"image_name": "web-server", "start_git": False})
    toolkit.directory = folder
    toolkit.env |= {**packer.env, "PATH": f"{packer.path.parent}{os.pathsep}{os.environ['PATH']}"}
    ec2 = Ec2([image("al2023-ami-2023.9-kernel-6.12-x86_64", 0xAAAAAAAAAAAAAAAA)])
    monkeypatch.setattr(plan, "create_clients", lambda _: lambda _: ec2)
    return toolkit


def outputs(text: str) -> dict[str, str]:
    """Read outputs as the runner does."""
    return dict(line.split("=", 1) for line in text.splitlines())


def test_command_for_each_kind(repository: Toolkit, github: GitHub, hub: Repository) -> None:
    """A test without any question; a release by its tag; a daily build by what is remembered."""
    said = outputs(repository.run("plan", GITHUB_EVENT_NAME="pull_request").stdout)
    assert (said["build"], said["kind"], said["skip_create_ami"]) == ("true", "test", "true")
    assert github.requests == []

    tag = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.3"}
    said = outputs(repository.run("plan", GITHUB_EVENT_NAME="release", **tag).stdout)
    assert (said["version"], said["skip_create_ami"]) == ("1.2.3", "false")

    daily = {"GITHUB_EVENT_NAME": "schedule"}
    said = outputs(repository.run("plan", **daily).stdout)
    assert (said["build"], said["reason"]) == ("true", "This commit has not been built before.")
    hub.add_status(SHA, "success", "packer-ami/daily", description=f"good x86_64={PARENT}")
    said = outputs(repository.run("plan", **daily).stdout)
    assert said["build"] == "false"
    assert "Neither the base image nor the repository" in said["reason"]
    said = outputs(repository.run("plan", PACKER_BUILD_ALWAYS="true", **daily).stdout)
    assert (said["build"], said["reason"]) == (
        "true",
        "A build was requested even if nothing has changed.",
    )
    hub.add_status(SHA, "failure", "packer-ami/daily")
    said = outputs(repository.run("plan", **daily).stdout)
    assert (said["build"], said["reason"]) == ("true", "The last build of this commit failed.")
    github.fault("GET", "statuses", 403)
    done = repository.run("plan", **daily)
    assert outputs(done.stdout)["build"] == "true"
    assert "the result of the last build is unknown" in done.stderr


@pytest.mark.parametrize("asked", ["nonsense", "; rm -rf /", "Release"])
def test_kind_that_there_is_not(toolkit: Toolkit, asked: str) -> None:
    """A slip of a person's must not pass for a good test build; no inputs are none."""
    env = {"GITHUB_EVENT_NAME": "workflow_dispatch"}
    done = toolkit.run("plan", code=2, PACKER_BUILD_ASKED=asked, **env)
    (error,) = done.stderr.splitlines()
    assert f"{asked!r} is not one of 'test', 'daily', 'release'" in error
    assert done.stdout == ""
    assert outputs(toolkit.run("plan", PACKER_BUILD_ASKED="", **env).stdout)["kind"] == "test"


def test_release_by_hand_needs_the_tag(repository: Toolkit) -> None:
    """What is built is what was tagged."""
    env = {"GITHUB_EVENT_NAME": "workflow_dispatch", "PACKER_BUILD_ASKED": "release"}
    assert "choose the tag" in repository.run("plan", code=3, **env).stderr
    done = repository.run("plan", "--json", GITHUB_REF_TYPE="tag", GITHUB_REF_NAME="v2", **env)
    assert json.loads(done.stdout)["version"] == "2"


def test_release_that_exists_gets_a_manifest(
    repository: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest.json that does not name the finished images is replaced (review C1)."""
    ec2 = Ec2([finished("web-server-1-x86_64", 1)])
    monkeypatch.setattr(plan, "create_clients", lambda _: lambda _: ec2)
    tag = {"GITHUB_EVENT_NAME": "release", "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}
    file = repository.directory / "manifest.json"
    repository.run("plan", "--json", **tag)
    assert not file.exists()
    assert outputs(repository.run("plan", **tag).stdout)["build"] == "false"
    found = json.loads(file.read_text())
    assert (len(found["builds"]), found["found_again"]) == (1, True)
    built = json.dumps({"builds": found["builds"], "last_run_uuid": "0-1"})
    file.write_text(built)
    repository.run("plan", **tag)
    assert file.read_text() == built
    for other in ("{}", '{"builds": [{"artifact_id": "eu-west-1:ami-1"}]}', '{"builds": 7}', "?"):
        file.write_text(other)
        repository.run("plan", **tag)
        assert json.loads(file.read_text()) == found


def test_outputs_go_to_the_file_of_the_runner(repository: Toolkit) -> None:
    """And a tag cannot write a second one."""
    file = repository.directory / "outputs"
    file.touch()
    env = {"GITHUB_EVENT_NAME": "release", "GITHUB_REF_TYPE": "tag", "GITHUB_OUTPUT": str(file)}
    repository.run("plan", code=3, GITHUB_REF_NAME="v1\nbuild=true", **env)
    assert file.read_text() == ""
    assert repository.run("plan", GITHUB_REF_NAME="v1", **env).stdout == ""
    assert outputs(file.read_text())["version"] == "1"
