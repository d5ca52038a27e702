"""The rendered repository, unmodified, builds its AMIs on EC2's interface, as its HCL promises."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rig.aws.rig import Call, Ec2, Finished
from rig.host.machine import path_without
from rig.host.tools import Packer
from rig.iam.fixtures import RequireAllowed
from rig.iam.proof import find_refused
from rig.iam.roles import PlannedRoles
from rig.repositories.repository import (
    FULL_ANSWERS,
    PROGRAMS,
    ROLE,
    SESSION_MANAGER,
    add_script,
    build,
    manifest,
    small_repository,
    toolkit_build,
)
from rig.repositories.template import ROOT, git, render


@dataclass
class Built:
    """One finished build, with everything that the rig recorded of it."""

    repository: Path
    done: Finished
    calls: list[Call]
    amis: dict[str, dict[str, str]]
    ec2: Ec2

    def of(self, action: str) -> list[Call]:
        """Return the calls of one action."""
        return [call for call in self.calls if call.action == action]


def render_and_build(
    ec2: Ec2,
    packer: Packer,
    template: Path,
    destination: Path,
    answers: dict[str, Any],
    *options: str,
) -> Built:
    """Render, initialise without a network, validate and build."""
    repository = render(template, destination, answers)
    for command in (("init", "."), ("validate", ".")):
        packer.run(*command, cwd=repository, env={"PKR_VAR_run_id": "run-77"})
    done = build(ec2, packer, repository, *options, env={"PKR_VAR_run_id": "run-77"})
    assert done.code == 0, done.output[-4000:]
    return Built(repository, done, ec2.calls(), manifest(repository), ec2)


# --- Every promise of the HCL, and the call that shows it -------------------------------------


@pytest.fixture(scope="module")
def full(
    ec2_of_the_worker: Ec2,
    template: Path,
    packer: Packer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """Return a build with the demo, both architectures, copies, a key, consumers and a role."""
    ec2_of_the_worker.reset()
    destination = tmp_path_factory.mktemp("full") / "packer-ami-web-server"
    answers = dict(FULL_ANSWERS)
    yield render_and_build(ec2_of_the_worker, packer, template, destination, answers, *ROLE)
    ec2_of_the_worker.reset()


RUN_TAGS = {
    "Name": "packer-ami-web-server-build",
    "ManagedBy": "packer",
    "Repository": "packer-ami-web-server",
    "RunId": "run-77",
}


def _tags_are(tags: dict[str, str]) -> None:
    assert {name: tags.get(name) for name in RUN_TAGS} == RUN_TAGS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", tags["ExpiresAt"])


def parent_by_owner_and_filter(built: Built) -> None:
    """The parent is found by owner, name and architecture."""
    found = [call for call in built.of("DescribeImages") if call["Owners"] == ["136693071363"]]
    filters = [{f["Name"]: f["Values"][0] for f in call["Filters"]} for call in found]
    by_architecture = sorted(filters, key=lambda item: item["architecture"])
    assert [
        (item["architecture"], item["name"], item["root-device-type"]) for item in by_architecture
    ] == [("arm64", "debian-12-arm64-20*", "ebs"), ("x86_64", "debian-12-amd64-20*", "ebs")]


def newest_parent(built: Built) -> None:
    """Of several parents the newest one is started."""
    started = {call["ImageId"] for call in built.of("RunInstances")}
    newest = {built.ec2.newest_parent(f"debian-12-{name}-*") for name in ("amd64", "arm64")}
    assert started == newest


def builder_demands_imdsv2(built: Built) -> None:
    """The building instance answers only IMDSv2."""
    for call in built.of("RunInstances"):
        assert call["MetadataOptions"]["HttpTokens"] == "required"


def image_demands_imdsv2(built: Built) -> None:
    """So does every instance of the image, in each region."""
    asked = {c["ImageId"] for c in built.of("ModifyImageAttribute") if c["ImdsSupport"]}
    assert asked == _all_amis(built)


def encrypted_gp3_volume(built: Built) -> None:
    """The root volume is gp3 and encrypted with the key from the start."""
    for call in built.of("RunInstances"):
        (mapping,) = call["BlockDeviceMappings"]
        assert mapping["DeviceName"] == "/dev/xvda"
        assert mapping["Ebs"]["Encrypted"] is True
        assert mapping["Ebs"]["KmsKeyId"] == "alias/packer-ami"
        assert mapping["Ebs"]["VolumeType"] == "gp3"
        assert mapping["Ebs"]["DeleteOnTermination"] is True


def ed25519_key_pair(built: Built) -> None:
    """The temporary key is ed25519."""
    assert {call["KeyType"] for call in built.of("CreateKeyPair")} == {"ed25519"}


def security_group_for_the_building_host(built: Built) -> None:
    """Port 22 is open to the building host's address and to nobody else."""
    for call in built.of("AuthorizeSecurityGroupIngress"):
        (permission,) = call["IpPermissions"]
        assert (permission["FromPort"], permission["ToPort"]) == (22, 22)
        assert permission["IpRanges"] == [{"CidrIp": "127.0.0.1/32"}]
        assert not permission.get("Ipv6Ranges")
    assert len(built.of("AuthorizeSecurityGroupIngress")) == 2


def instance_types_fit(built: Built) -> None:
    """Each architecture is built on a processor of its own kind."""
    assert {c["InstanceType"] for c in built.of("RunInstances")} == {"m7i.large", "m7g.large"}


def instance_ends_by_shutdown(built: Built) -> None:
    """An instance that shuts itself down is gone, not stopped and paid for."""
    behaviour = {call["InstanceInitiatedShutdownBehavior"] for call in built.of("RunInstances")}
    assert behaviour == {"terminate"}


def run_tags_on_what_runs(built: Built) -> None:
    """Instance, volume, key pair and security group carry the run's tags from their creation."""
    for call in built.of("RunInstances"):
        _tags_are(call.tags("instance"))
        _tags_are(call.tags("volume"))
    for call in built.of("CreateKeyPair"):
        _tags_are(call.tags("key-pair"))
    for call in built.of("CreateSecurityGroup"):
        _tags_are(call.tags("security-group"))


def run_tags_on_what_is_made(built: Built) -> None:
    """Image and snapshot carry them too from the moment they exist."""
    for call in built.of("CreateImage"):
        _tags_are(call.tags("image"))
        _tags_are(call.tags("snapshot"))


def image_tags(built: Built) -> None:
    """A finished image and its snapshots say what they are and where they come from."""
    for architecture, regions in built.amis.items():
        spelling = {"x86_64": "amd64", "arm64": "arm64"}[architecture]
        parent = built.ec2.newest_parent(f"debian-12-{spelling}-*")
        for region, ami in regions.items():
            client = built.ec2.client(region_name=region)
            image = client.describe_images(ImageIds=[ami])["Images"][0]
            snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
            described = client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
            version = image["Name"].removeprefix("web-server-").removesuffix(f"-{architecture}")
            for thing in (image, described):
                tags = {tag["Key"]: tag["Value"] for tag in thing["Tags"]}
                source_name = tags.pop("SourceAMIName")
                assert source_name.startswith(f"debian-12-{spelling}-")
                assert tags == {
                    "Name": f"web-server-{version}",
                    "Commit": git(built.repository, "rev-parse", "HEAD"),
                    "Description": "Web server of the shop: «ä», { { and ${x}",
                    "ExpiresAt": "never",
                    "ManagedBy": "packer",
                    "Repository": "packer-ami-web-server",
                    "RunId": "run-77",
                    "SourceAMI": parent,
                    "TemplateVersion": "v1.0.0",
                    "ToolkitVersion": "none",
                    "Version": version,
                }


def image_description(built: Built) -> None:
    """The description reaches EC2, what it does not take replaced."""
    described = {
        call["Description"]["Value"]
        for call in built.of("ModifyImageAttribute")
        if call["Description"]
    }
    assert described == {"Web server of the shop: ???, { { and ${x}"}


def shared_exactly_as_answered(built: Built) -> None:
    """Accounts, organisation and unit may launch the image in each region, and nobody else."""
    added: dict[str, list[Any]] = {}
    for call in built.of("ModifyImageAttribute"):
        permission = call["LaunchPermission"] or {}
        assert "Remove" not in permission
        added.setdefault(call["ImageId"], []).extend(permission.get("Add", []))
    answered = [
        {"UserId": "222233334444"},
        {"OrganizationArn": "arn:aws:organizations::111122223333:organization/o-abcdefghij"},
        {
            "OrganizationalUnitArn": (
                "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"
            )
        },
    ]
    assert set(added) == _all_amis(built)
    for permissions in added.values():
        assert sorted(map(str, permissions)) == sorted(map(str, answered))


def nothing_public(built: Built) -> None:
    """No call opens an image or a snapshot to everybody."""
    assert not built.of("ModifySnapshotAttribute")
    assert not [call for call in built.calls if "'all'" in str(call.params)]
    for image in built.ec2.images():
        assert image["Public"] is False


def copied_as_answered(built: Built) -> None:
    """The image exists at home and in the answered region, encrypted with the key of each."""
    assert {frozenset(regions) for regions in built.amis.values()} == {
        frozenset({"eu-west-1", "us-east-1"})
    }
    for call in built.of("CopyImage"):
        assert call["Encrypted"] is True
        assert call["KmsKeyId"] == "alias/packer-ami"


def named_with_version_and_architecture(built: Built) -> None:
    """The name tells version and architecture."""
    names = {image["Name"] for image in built.ec2.images()}
    assert len(names) == 2
    for name in names:
        assert re.fullmatch(r"web-server-0\.0\.0-dev\.\d{14}-(x86_64|arm64)", name)


def nothing_else_is_left(built: Built) -> None:
    """Only the images and their snapshots remain: no intermediate image, instance or key."""
    left = built.ec2.leftovers()
    assert set(left) == {"image", "snapshot"}
    assert {image["id"] for image in left["image"]} == _all_amis(built)
    assert len(left["snapshot"]) == len(left["image"]) == 4


def _all_amis(built: Built) -> set[str]:
    return {ami for regions in built.amis.values() for ami in regions.values()}


PROMISES: list[Callable[[Built], None]] = [
    parent_by_owner_and_filter,
    newest_parent,
    builder_demands_imdsv2,
    image_demands_imdsv2,
    encrypted_gp3_volume,
    ed25519_key_pair,
    security_group_for_the_building_host,
    instance_types_fit,
    instance_ends_by_shutdown,
    run_tags_on_what_runs,
    run_tags_on_what_is_made,
    image_tags,
    image_description,
    shared_exactly_as_answered,
    nothing_public,
    copied_as_answered,
    named_with_version_and_architecture,
    nothing_else_is_left,
]


@pytest.mark.xdist_group("ec2-full")
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_calls_show_what_the_hcl_promises(
    promise: Callable[[Built], None], full: Built
) -> None:
    """Each promise of the rendered HCL has a recorded call or a state that shows it."""
    promise(full)


@pytest.mark.xdist_group("ec2-full")
def test_the_temporary_key_stays_out_of_the_output(full: Built) -> None:
    """No private key and no secret key is printed."""
    assert "PRIVATE KEY" not in full.done.output


@pytest.mark.xdist_group("ec2-full")
def test_the_actions_of_a_build_are_written_down(full: Built) -> None:
    """docs/aws-actions-release.txt lists what a build with everything calls beside a test build.

    (review R5)
    """
    of_every_build = listed("aws-actions.txt")
    calls = [c for c in full.calls if f"{c.service}:{c.action}" not in of_every_build]
    assert_listed("aws-actions-release.txt", calls)


@pytest.mark.xdist_group("ec2-full")
def test_the_release_role_allows_a_release(full: Built, planned_roles: PlannedRoles) -> None:
    """Each call of a release is allowed under its role of Terraform, and needs all its statements.

    Other settings need the rest, as the tests of their calls show.
    """
    policy = planned_roles.permissions["web-server", "release"]
    assert find_refused([policy], full.calls) == []
    unneeded = {
        statement["Sid"]
        for statement in policy["Statement"]
        if not find_refused(
            [{"Statement": [each for each in policy["Statement"] if each != statement]}], full.calls
        )
    }
    session_manager = {"ConnectToOwn", "EndSessions", "ForwardPort"}
    profile = {"PassInstanceRole", "ReadInstanceProfile"}
    registry = {"LogInToRegistry", "PullToolkit"}
    assert unneeded == {"OnlyInRegions", *session_manager, *profile, *registry}


# What the build role must not be able to do: whoever can push a branch can run it.
OF_IMAGES = re.compile(
    r"(Create|Copy|Register|Deregister|Import|Restore|Export|Store|Enable|Disable|Modify|Reset)"
    r"\w*(Image|Snapshot)|CreateTags|DeleteTags|DeleteSnapshot"
)


def test_the_actions_of_a_test_build_are_written_down(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path, require_allowed: RequireAllowed
) -> None:
    """docs/aws-actions.txt lists exactly the actions of a test build, and none of images.

    Neither the build nor the sweep after a failed one creates, copies, shares, tags or deletes an
    image.  The build role of Terraform allows each call.  (review R5)
    """
    answers = {name: value for name, value in FULL_ANSWERS.items() if name != "keep_demo"}
    repository = small_repository(template, tmp_path / "packer-ami-web-server", **answers)
    start = len(ec2.calls())
    done = toolkit_build(ec2, packer, repository, "-var", "skip_create_ami=true", *ROLE)
    assert done.code == 0, done.output
    calls = ec2.calls()[start:]
    assert_listed("aws-actions.txt", calls)
    assert [action for action in listed("aws-actions.txt") if OF_IMAGES.search(action)] == []

    add_script(repository, "10-fail.sh", "exit 3")
    before = len(ec2.calls())
    done = toolkit_build(ec2, packer, repository, "-var", "skip_create_ami=true", *ROLE)
    assert done.code == 1, done.output
    actions = {f"{call.service}:{call.action}" for call in ec2.calls()[before:]}
    assert [action for action in actions if OF_IMAGES.search(action)] == []
    assert actions <= {*listed("aws-actions.txt"), *listed("aws-actions-sweep.txt")}
    require_allowed("web-server", "build", ec2.calls()[start:])


def test_the_actions_of_further_settings_are_written_down(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path, require_allowed: RequireAllowed
) -> None:
    """docs/aws-actions-settings.txt has what only some settings ask for, Session Manager's too.

    Without a subnet the rig's instances have no address to log in to, so that build ends at launch.
    (review R2, field 32)
    """
    ec2.client("iam").create_instance_profile(InstanceProfileName="builder")
    fault = ec2.fault("RunInstances", "deny")
    before = len(ec2.calls())
    repository = small_repository(template, tmp_path / "packer-ami-small")
    env = {
        "PKR_VAR_associate_public_ip_address": "true",
        "PKR_VAR_iam_instance_profile": "builder",
        "PKR_VAR_subnet_id": "",
    }
    assert build(ec2, packer, repository, env=env).code == 1
    assert fault.hits == 1
    ec2.clear_faults()
    # A session is terminated as soon as Packer sees that the instance has stopped.
    ec2.pace(stopped=6)
    env = {
        "PATH": os.pathsep.join([str(SESSION_MANAGER), str(PROGRAMS), os.environ["PATH"]]),
        "PKR_VAR_iam_instance_profile": "builder",
        "PKR_VAR_ssh_interface": "session_manager",
    }
    assert build(ec2, packer, repository, env=env).code == 0
    shared = ("-var", "skip_create_ami=false", "-var", 'ami_users=["222233334444"]')
    assert toolkit_build(ec2, packer, repository, *shared).code == 3
    known = [*listed("aws-actions.txt"), *listed("aws-actions-release.txt")]
    calls = [c for c in ec2.calls()[before:] if f"{c.service}:{c.action}" not in known]
    assert_listed("aws-actions-settings.txt", calls)
    require_allowed("small", "release", ec2.calls()[before:])


def listed(name: str) -> list[str]:
    """Return the actions that a file of docs/ lists."""
    lines = (ROOT / "docs" / name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def assert_listed(name: str, calls: list[Call]) -> None:
    """Demand that a file of docs/ lists exactly the actions of these calls."""
    called = sorted({f"{call.service}:{call.action}" for call in calls})
    assert listed(name) == called, f"write these lines into {name}:\n" + "\n".join(called)


# --- What is in the AMI ------------------------------------------------------------------------


@pytest.mark.xdist_group("ec2-full")
def test_the_clean_up_held(full: Built) -> None:
    """The AMI holds no identity, no history and nothing temporary of the build."""
    assert full.amis
    for regions in full.amis.values():
        ami = full.ec2.ami(regions["eu-west-1"])
        assert ami.find("/etc/ssh", test="-name 'ssh_host_*'") == []
        assert ami.find("/root/.ssh", "/home", test="-name authorized_keys") == []
        assert ami.read("/etc/machine-id") == ""
        assert ami.find("/root", "/home", test="-name '.*_history' -o -name .ansible") == []
        assert ami.find("/tmp", "/var/tmp") == []  # noqa: S108 - of the image
        assert ami.find("/var/cache/apt/archives", test="-name '*.deb'") == []
        assert ami.find("/var/log", test="-type f -size +0") == []


@pytest.mark.xdist_group("ec2-full")
def test_the_ami_boots_and_serves_the_demo(full: Built) -> None:
    """An instance of the AMI answers at the demo's health page."""
    with full.ec2.boot(full.amis["x86_64"]["eu-west-1"]) as instance:
        instance_id = instance["InstanceId"]
        unit = "/etc/systemd/system/multi-user.target.wants/demo.service"
        command = full.ec2.instance_sh(instance_id, f"sed -n 's/^ExecStart=//p' {unit}").strip()
        # No systemd runs in these instances: the unit's own command is started in its place.
        address = instance["PrivateIpAddress"]
        asking = (
            "import time, urllib.request as r\n"
            "for _ in range(100):\n"
            "    try:\n"
            f"        print(r.urlopen('http://{address}:8080/healthz').read().decode()); break\n"
            "    except OSError: time.sleep(0.1)\n"
        )
        answer = full.ec2.ssh(
            instance,
            "admin",
            f'{command} --bind {address} >/dev/null 2>&1 & python3 -c "{asking}"; kill %1',
        )
        assert "ok" in answer.output, answer.output


@pytest.mark.xdist_group("ec2-full")
def test_two_instances_have_different_host_keys(full: Built) -> None:
    """Each instance makes its own identity at its first boot."""
    ami = full.amis["x86_64"]["eu-west-1"]
    with full.ec2.boot(ami) as one, full.ec2.boot(ami) as other:
        read = "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id"
        keys = {full.ec2.instance_sh(each["InstanceId"], read) for each in (one, other)}
        assert len(keys) == 2


# --- The other variants ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "architectures", [["x86_64"], ["arm64"], ["x86_64", "arm64"]], ids="+".join
)
@pytest.mark.parametrize("demo", [False, True], ids=["plain", "demo"])
def test_every_variant_builds(
    ec2: Ec2,
    packer: Packer,
    template: Path,
    tmp_path: Path,
    demo: bool,
    architectures: list[str],
) -> None:
    """With and without the demo, for each architecture and both: an AMI each, and its manifest."""
    answers = {
        "image_name": "variant",
        "parent_image": "debian-12",
        "aws_region": "eu-west-1",
        "image_architectures": architectures,
        "keep_demo": demo,
    }
    built = render_and_build(ec2, packer, template, tmp_path / "packer-ami-variant", answers)
    images = {image["ImageId"]: image for image in ec2.images()}
    assert {
        architecture: images[regions["eu-west-1"]]["Architecture"]
        for architecture, regions in built.amis.items()
    } == {architecture: architecture for architecture in architectures}
    assert git(built.repository, "status", "--porcelain") == ""
    assert set(ec2.leftovers()) == {"image", "snapshot"}
    for regions in built.amis.values():
        found = ec2.ami(regions["eu-west-1"]).find("/srv/demo", test="-name healthz")
        assert bool(found) == demo
    # Nothing was answered about sharing, copies and keys: none of it happens.
    assert not [c for c in built.of("ModifyImageAttribute") if c["LaunchPermission"]]
    assert not built.of("CopyImage")
    for call in built.of("RunInstances"):
        assert call["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_a_test_build_makes_no_image(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """skip_create_ami does everything but create the image, and leaves nothing."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    done = build(ec2, packer, repository, "-var", "skip_create_ami=true")
    assert done.code == 0, done.output
    assert not ec2.calls("CreateImage")
    assert ec2.leftovers() == {}
    assert not (repository / "manifest.json").exists()


def test_a_released_version_is_in_the_name(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """The version names the image; building it again is refused before anything starts."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    assert build(ec2, packer, repository, "-var", "version=1.2.3").code == 0
    (image,) = ec2.images()
    assert image["Name"] == "small-1.2.3-x86_64"
    again = build(ec2, packer, repository, "-var", "version=1.2.3")
    assert again.code == 1
    assert "'small-1.2.3-x86_64' is used by an existing AMI" in again.output
    assert len(ec2.calls("RunInstances")) == 1


def test_a_role_is_assumed_when_given(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """With assume_role_arn every call of EC2 is made by the role."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    role = "arn:aws:iam::123456789012:role/packer-ami-builder"
    done = build(ec2, packer, repository, "-var", f"assume_role_arn={role}")
    assert done.code == 0, done.output
    assumed = ec2.calls("AssumeRole")
    assert {call["RoleArn"] for call in assumed} == {role}
    assert {call["RoleSessionName"] for call in assumed} == {"packer-ami-small"}
    own = {call.access_key for call in assumed}
    assert not own & {call.access_key for call in ec2.calls() if call.service == "ec2"}


def test_the_organisations_own_parent(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """The parent can be an image of the management account, by name."""
    repository = small_repository(
        template,
        tmp_path / "packer-ami-small",
        parent_image="own",
        parent_owner="111122223333",
        parent_name="CIS-AMZN2-2023*",
        parent_os="amazon-linux-2",
    )
    done = build(ec2, packer, repository)
    assert done.code == 0, done.output
    assert ec2.call("RunInstances")["ImageId"] == ec2.newest_parent("CIS-AMZN2-2023*")


def test_an_untested_image_is_not_created(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Without an auditor on PATH the build fails before an image exists, and says what to do."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    path = path_without(tmp_path / "bin", "cinc-auditor", "inspec")
    done = build(ec2, packer, repository, env={"PATH": path})
    assert done.code == 1
    assert "neither cinc-auditor nor inspec is on PATH, so no image is created" in done.output
    assert ec2.leftovers() == {}
    accepted = build(ec2, packer, repository, "-var", "skip_inspec=true", env={"PATH": path})
    assert accepted.code == 0
    assert "InSpec: SKIPPED, no control was checked" in accepted.output


def test_the_standin_tells_what_it_is(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """The auditor of the rig reaches the instance with the build's key and calls itself one."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    done = build(ec2, packer, repository)
    assert done.code == 0
    assert "STAND-IN" in done.output
    assert json.loads((repository / "manifest.json").read_text())["builds"]


def test_private_ip_needs_the_building_hosts_address(
    packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Without it the plugin would open port 22 to everybody: `packer validate` refuses it."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    options = ("validate", "-var", "ssh_interface=private_ip", ".")
    done = packer.run(*options, cwd=repository, check=False)
    assert done.returncode == 1
    assert "private_ip needs ssh_source_cidrs" in done.stdout + done.stderr


def test_tags_of_the_organisation_reach_everything(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """What `tags` names is on instance, volume, key pair, security group, image and snapshot."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    done = build(ec2, packer, repository, "-var", 'tags={"CostCenter"="1234"}')
    assert done.code == 0, done.output
    asked = [
        ec2.call(action).tags(resource).get("CostCenter")
        for action, resource in (
            ("RunInstances", "instance"),
            ("RunInstances", "volume"),
            ("CreateKeyPair", "key-pair"),
            ("CreateSecurityGroup", "security-group"),
            ("CreateImage", "image"),
            ("CreateImage", "snapshot"),
        )
    ]
    assert asked == ["1234"] * 6
    for things in ec2.leftovers().values():
        assert [thing["tags"]["CostCenter"] for thing in things] == ["1234"] * len(things)
