"""`packer-toolkit sweep` deletes what carries the exact tags, and nothing else."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from rig.aws.rig import Ec2, Kill, image_tags, run_tags
from rig.iam.fixtures import RequireAllowed
from rig.repositories.repository import TOOLKIT
from rig.repositories.template import ROOT
from rig.run.result import Result
from rig.run.terminal import ENTER, Terminal

REPOSITORY = "packer-ami-small"
HERE, THERE = "eu-west-1", "us-east-1"
SCOPE = ("--repository", REPOSITORY, "--region", HERE, "--region", THERE)


def _time(hours: float) -> str:
    when = datetime.now(timezone.utc) + timedelta(hours=hours)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


PAST, FUTURE = _time(-1), _time(1)


def tags(kind: str, **changes: str) -> list[dict[str, Any]]:
    """Tag something as a build of run-1 does, whose time is past, with changes."""
    values = {"ManagedBy": "packer", "Repository": REPOSITORY, "RunId": "run-1", "ExpiresAt": PAST}
    values |= changes
    pairs = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": kind, "Tags": pairs}]


@pytest.fixture
def leave(ec2: Ec2) -> Leave:
    """Return what makes leftovers."""
    return Leave(ec2)


class Leave:
    """Makes leftovers, each returned by its id; **changes are changed tags."""

    def __init__(self, ec2: Ec2) -> None:
        self.ec2 = ec2
        self.count = 0

    def group(self, region: str = HERE, **changes: str) -> str:
        """Make a security group."""
        self.count += 1
        client = self.ec2.client(region_name=region)
        name = f"group-{self.count}"
        spec = tags("security-group", **changes)
        done = client.create_security_group(
            GroupName=name, Description=name, TagSpecifications=spec
        )
        return str(done["GroupId"])

    def key(self, region: str = HERE, **changes: str) -> str:
        """Make a key pair."""
        self.count += 1
        client = self.ec2.client(region_name=region)
        name = f"packer_{self.count}"
        client.create_key_pair(KeyName=name, TagSpecifications=tags("key-pair", **changes))
        return name

    def volume(self, region: str = HERE, **changes: str) -> str:
        """Make a volume."""
        client = self.ec2.client(region_name=region)
        spec = tags("volume", **changes)
        done = client.create_volume(AvailabilityZone=f"{region}a", Size=1, TagSpecifications=spec)
        return str(done["VolumeId"])

    def instance(self, group: str, key: str, **changes: str) -> str:
        """Start an instance."""
        done = self.ec2.client().run_instances(
            ImageId=self.ec2.newest_parent("debian-12-amd64-*"),
            InstanceType="t3.micro",
            KeyName=key,
            SecurityGroupIds=[group],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=tags("instance", **changes) + tags("volume", **changes),
        )
        return str(done["Instances"][0]["InstanceId"])

    def image(self, instance: str, *, snapshot_tagged: bool = True, **changes: str) -> str:
        """Make an image of an instance, perhaps with a snapshot that carries no tags."""
        self.count += 1
        spec = tags("image", **changes)
        spec += tags("snapshot", **changes) if snapshot_tagged else []
        name = f"small-{self.count}"
        done = self.ec2.client().create_image(
            InstanceId=instance, Name=name, TagSpecifications=spec
        )
        return str(done["ImageId"])


def sweep(ec2: Ec2, *options: str, scope: tuple[str, ...] = SCOPE, **more: Any) -> Result:
    """Run the command for this repository in both regions."""
    return ec2.run([*TOOLKIT, "sweep", *scope, *options], **more)


def left(ec2: Ec2) -> set[str]:
    """Return ids, and names of key pairs, of what is there."""
    return {
        thing["name"] if kind == "key-pair" else thing["id"]
        for kind, things in ec2.leftovers().items()
        for thing in things
        if kind != "network-interface"
    }


def test_everything_of_one_build_goes(
    ec2: Ec2, leave: Leave, require_allowed: RequireAllowed
) -> None:
    """Each kind, in each region, whatever holds what; docs/aws-actions-sweep.txt has the calls.

    The clean-up role and the release role of Terraform allow each of them.
    """
    group, key = leave.group(), leave.key()
    instance = leave.instance(group, key)
    leave.image(instance, snapshot_tagged=False)
    leave.image(instance)
    client = ec2.client()
    spec = tags("snapshot")  # of an image that somebody has deregistered already
    client.create_snapshot(VolumeId=leave.volume(), TagSpecifications=spec)
    leave.group(THERE)
    leave.key(THERE)
    leave.volume(THERE)
    before = len(ec2.calls())
    done = sweep(ec2, "--run-id", "run-1", "--yes")
    assert done.code == 0, done.output
    assert ec2.leftovers() == {}
    assert "0 not deleted, 0 retained" in done.output.splitlines()[-1]
    file = ROOT / "docs/aws-actions-sweep.txt"
    listed = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    calls = ec2.calls()[before:]
    called = sorted({f"{each.service}:{each.action}" for each in calls})
    assert listed == called, f"write these lines into {file.name}:\n" + "\n".join(called)
    for role in ("cleanup", "release"):
        require_allowed("small", role, calls)


def test_sweep_of_a_test_build_touches_no_image(
    ec2: Ec2, leave: Leave, require_allowed: RequireAllowed
) -> None:
    """What a killed test build leaves is deleted without a permission for images.

    So the build role needs the actions of docs/aws-actions-sweep.txt without those of images and
    snapshots, and without ec2:CreateTags.  (review R5)
    """
    leave.instance(leave.group(), leave.key())
    leave.volume()
    before = len(ec2.calls())
    done = sweep(ec2, "--run-id", "run-1", "--yes")
    assert done.code == 0, done.output
    assert ec2.leftovers() == {}
    called = {each.action for each in ec2.calls()[before:]}
    assert called & {"CreateTags", "DeregisterImage", "DeleteSnapshot"} == set()
    require_allowed("small", "build", ec2.calls()[before:])


def test_what_belongs_to_others_stays(ec2: Ec2, leave: Leave) -> None:
    """Another build, another repository, another maker, no tags at all, another region."""
    others = {
        leave.group(RunId="run-2"),
        leave.group(RunId="run-11"),
        leave.group(Repository="packer-ami-smaller"),
        leave.group(ManagedBy="terraform"),
        leave.group("eu-north-1"),
        leave.key(RunId=""),
    }
    mine = leave.key()
    done = sweep(ec2, "--run-id", "run-1", "--yes", "--json")
    result = json.loads(done.output[done.output.index("\n{") :])
    assert [each["id"] for each in result["swept"]] == [mine]
    assert left(ec2) == others


def test_by_time_only_what_is_past_goes(ec2: Ec2, leave: Leave) -> None:
    """Builds that may be running, finished images and odd times stay, each with its reason."""
    group, key = leave.group(ExpiresAt=FUTURE), leave.key(ExpiresAt="tomorrow")
    instance = leave.instance(group, key, ExpiresAt=FUTURE)
    finished = leave.image(instance, ExpiresAt="never")
    gone = {leave.group(), leave.key(THERE), leave.volume(RunId="run-9"), leave.image(instance)}
    before = left(ec2)
    done = sweep(ec2, "--yes")
    assert done.code == 0, done.output
    assert gone.isdisjoint(left(ec2))
    assert left(ec2) >= {group, key, instance, finished}
    # Its snapshot carries tags before the image goes, in case the sweep is ended between the two.
    actions = [call.action for call in ec2.calls()]
    assert "CreateTags" in actions[: actions.index("DeregisterImage")]
    snapshots = {name for name in before - left(ec2) if name.startswith("snap-")}
    assert len(snapshots) == 1
    assert f"retained instance {instance} in {HERE}: its build may be running until" in done.output
    assert f"retained image {finished} in {HERE}: it belongs to a finished image" in done.output
    assert (
        f"retained key-pair {key} in {HERE}: its tag ExpiresAt is not a valid time" in done.output
    )


@pytest.mark.parametrize("too", [False, True], ids=["kept", "asked for"])
def test_finished_images_go_only_when_asked_for(ec2: Ec2, leave: Leave, too: bool) -> None:
    """Also with the id of their build: it may be the release that everybody uses."""
    instance = leave.instance(leave.group(), leave.key())
    finished = leave.image(instance, ExpiresAt="never")
    done = sweep(ec2, "--run-id", "run-1", "--yes", *(["--finished-images"] if too else []))
    assert done.code == 0, done.output
    assert set(ec2.leftovers()) == (set() if too else {"image", "snapshot"})
    assert (finished in left(ec2)) is not too


def test_a_dry_run_deletes_nothing(ec2: Ec2, leave: Leave) -> None:
    """It shows what would go, and counts."""
    key = leave.key()
    done = sweep(ec2, "--dry-run")
    assert done.code == 0
    assert f"would delete key-pair {key} in {HERE}" in done.output
    assert "1 to delete, 0 deleted, 0 not deleted, 0 retained" in done.output
    assert left(ec2) == {key}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "add --yes to delete the resources, or --dry-run to list them"),
        (("--finished-images", "--yes"), "--finished-images needs --run-id"),
    ],
)
def test_without_a_clear_order_nothing_happens(
    ec2: Ec2, leave: Leave, options: tuple[str, ...], says: str
) -> None:
    """No terminal that could be asked: exit code 2."""
    leave.key()
    done = sweep(ec2, *options)
    assert (done.code, left(ec2) != set()) == (2, True)
    assert says in done.output


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(ec2: Ec2, leave: Leave, tmp_path: Path, answer: str) -> None:
    """On a terminal; no is the default."""
    leave.key()
    env = {**ec2.env}
    with Terminal(*TOOLKIT, "sweep", *SCOPE, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("Delete 1 resource? [y/N]")
        terminal.send("y" if answer == "y" else "", ENTER)
        terminal.wait_for_end()
    assert (left(ec2) == set()) == (answer == "y")


def test_more_than_expected_is_not_deleted(ec2: Ec2, leave: Leave) -> None:
    """A wrong tag must not empty an account."""
    keys = {leave.key() for _ in range(3)}
    done = sweep(ec2, "--yes", "--at-most", "2")
    assert done.code == 1
    assert "repeat the command with --max-deletions 3" in done.output
    assert left(ec2) == keys
    looked = sweep(ec2, "--dry-run", "--at-most", "2")
    assert looked.code == 0
    assert "3 to delete, 0 deleted" in looked.output


def test_what_cannot_be_deleted_is_told(ec2: Ec2, leave: Leave) -> None:
    """The rest goes; exit code 1; the reason is EC2's."""
    group, key = leave.group(), leave.key()
    ec2.add_fault("DeleteSecurityGroup", "deny")
    done = sweep(ec2, "--yes", "--json")
    assert done.code == 1
    result = json.loads(done.output[done.output.index("\n{") : done.output.rindex("}") + 1])
    assert [each["id"] for each in result["swept"]] == [key]
    (kept_back,) = result["left"]
    assert kept_back["id"] == group
    assert "UnauthorizedOperation" in kept_back["reason"]
    assert result["counts"] == {"found": 2, "swept": 1, "left": 1, "kept": 0}


def test_what_waits_for_a_refused_instance_is_not_waited_for(ec2: Ec2, leave: Leave) -> None:
    """Its volume and group cannot go: told at once, not after ten minutes."""
    instance = leave.instance(leave.group(), leave.key())
    ec2.add_fault("TerminateInstances", "deny")
    done = sweep(ec2, "--yes", timeout=60)
    assert done.code == 1, done.output
    assert f"not deleted: instance {instance} in {HERE}: UnauthorizedOperation" in done.output
    assert set(ec2.leftovers()) == {"instance", "network-interface", "security-group", "volume"}


def test_no_option_has_wildcards(ec2: Ec2, leave: Leave) -> None:
    """EC2 takes an asterisk in a filter for anything; a sweep does not."""
    keys = {leave.key(), leave.key(RunId="run-2")}
    done = sweep(ec2, "--run-id", "run-*", "--yes")
    assert "0 to delete" in done.output
    done = sweep(ec2, "--yes", scope=("--repository", "packer-ami-*", "--region", HERE))
    assert "0 to delete" in done.output
    assert left(ec2) == keys


@pytest.mark.parametrize(
    ("options", "env", "code", "says"),
    [
        (("--region", "nowhere"), {}, 2, "'nowhere' must be a region, such as eu-west-1"),
        (("--assume-role", "builder"), {}, 2, "'builder' must be the ARN of a role"),
        (("--at-most", "-1"), {}, 2, "-1 is not in the range x>=0"),
        ((), {"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": ""}, 3, "profile (nobody) could not"),
        ((), {"AWS_ENDPOINT_URL_STS": "nonsense"}, 3, "nonsense; correct AWS_ENDPOINT_URL, or"),
        ((), {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}, 4, "AWS cannot be reached"),
        (
            ("--assume-role", "arn:aws:iam::123456789012:role/builder"),
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            3,
            "no AWS credentials",
        ),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    ec2: Ec2, options: tuple[str, ...], env: dict[str, str], code: int, says: str
) -> None:
    """And nothing is asked."""
    done = sweep(ec2, "--dry-run", *options, env=env)
    assert done.code == code, done.output
    (line,) = done.output.splitlines()
    assert says in line
    assert "Traceback" not in done.output
    assert ec2.calls() == []


def test_throttling_and_lost_answers_are_survived(ec2: Ec2, leave: Leave) -> None:
    """One of each call fails, one more often than boto3 tries, one is carried out all the same."""
    group, key = leave.group(), leave.key()
    instance = leave.instance(group, key)
    leave.image(instance)
    actions = ("DescribeInstances", "DescribeImages", "DeregisterImage")
    faults = [ec2.add_fault(action, "throttle", first=1) for action in actions]
    often = ec2.add_fault("TerminateInstances", "error", first=9)
    lost = ec2.add_fault("DeleteKeyPair", "error", at=1, after=True)
    done = sweep(ec2, "--run-id", "run-1", "--yes")
    assert done.code == 0, done.output
    assert [fault.hits for fault in faults] == [1] * len(faults)
    assert (often.hits, lost.hits) == (9, 1)
    assert ec2.leftovers() == {}


def test_a_group_in_use_goes_once_it_is_free(ec2: Ec2, leave: Leave) -> None:
    """EC2 frees it some seconds after the instance has ended."""
    leave.instance(leave.group(), leave.key())
    fault = ec2.add_fault("DeleteSecurityGroup", code="DependencyViolation", first=2)
    done = sweep(ec2, "--yes")
    assert done.code == 0, done.output
    assert fault.hits == 2
    assert ec2.leftovers() == {}


def test_dead_credentials_are_told(ec2: Ec2, leave: Leave) -> None:
    """Exit code 3, and what to do."""
    leave.key()
    ec2.expire_key()
    done = sweep(ec2, "--yes")
    assert done.code == 3
    (line,) = done.output.splitlines()
    assert line.startswith(
        "packer-toolkit: the AWS login has expired (GetCallerIdentity: ExpiredToken); log in with"
    )


def test_credentials_that_end_in_the_middle_are_told(ec2: Ec2, leave: Leave) -> None:
    """What is not deleted yet is listed."""
    keys = {leave.key() for _ in range(3)}
    # Who are we, twelve questions, then six and the first deletion.
    ec2.expire_key(after_calls=1 + 12 + 6 + 1)
    done = sweep(ec2, "--yes")
    assert done.code == 1
    assert len(keys & left(ec2)) == 2
    for key in keys & left(ec2):
        assert (
            f"not deleted: key-pair {key} in {HERE}: the AWS credentials are no longer valid"
            in (done.output)
        )


def test_outside_a_repository_it_says_what_it_needs(ec2: Ec2, tmp_path: Path) -> None:
    """No HCL, no scope: exit code 3."""
    env: Mapping[str, str] = {"PATH": "/usr/bin:/bin"}
    done = sweep(ec2, "--yes", scope=(), cwd=tmp_path, env=env)
    assert done.code == 3
    assert "add --repository and --region" in done.output


# --- Images that are not what their tags suggest ------------------------------------------------


def show(ec2: Ec2) -> set[str]:
    """Return the IDs of the images that exist."""
    return {image["id"] for image in ec2.leftovers().get("image", [])}


def test_an_image_that_is_finished_in_one_region_only_goes(ec2: Ec2) -> None:
    """What a build left that was killed between two regions goes, the rest stays (review C1)."""
    done, killed = image_tags(REPOSITORY), run_tags(REPOSITORY)
    half = {ec2.add_image("small-1-x86_64", done), ec2.add_image("small-1-x86_64", killed,
            region=THERE)}  # fmt: skip
    whole = {ec2.add_image("small-1-arm64", done, region=region) for region in (HERE, THERE)}
    other = ec2.add_image("small-2-x86_64", image_tags(REPOSITORY, RunId="run-2"))
    looked = sweep(ec2, "--run-id", "run-1", "--dry-run")
    assert show(ec2) == half | whole | {other}
    assert "2 to delete, 0 deleted, 0 not deleted, 4 retained" in looked.output
    assert not ec2.calls("CreateTags")
    done_ = sweep(ec2, "--run-id", "run-1", "--yes")
    assert done_.code == 0, done_.output
    assert show(ec2) == whole | {other}
    assert len(ec2.leftovers()["snapshot"]) == 3


def test_a_sweep_that_is_killed_leaves_nothing_that_looks_finished(ec2: Ec2) -> None:
    """The mark of a finished image goes before the other part of the image does (review C1)."""
    ec2.add_image("small-1-x86_64", run_tags(REPOSITORY))
    copy = ec2.add_image("small-1-x86_64", image_tags(REPOSITORY), region=THERE)
    kill = Kill(at="DeregisterImage", moment="during", signal=signal.SIGKILL)
    done = sweep(ec2, "--run-id", "run-1", "--yes", kill=kill)
    assert done.code == -signal.SIGKILL
    assert show(ec2) == {copy}
    (image,) = ec2.leftovers()["image"]
    assert image["tags"]["ExpiresAt"] != "never"


def test_by_time_an_image_goes_as_a_whole_or_not_at_all(ec2: Ec2) -> None:
    """A finished part goes with a part whose time is past, and only then (review C1)."""
    for version, expires in (("1", PAST), ("2", FUTURE)):
        ec2.add_image(f"small-{version}-x86_64", image_tags(REPOSITORY, version))
        ec2.add_image(
            f"small-{version}-x86_64", run_tags(REPOSITORY, ExpiresAt=expires), region=THERE
        )
    assert sweep(ec2, "--yes").code == 0
    assert {image["name"] for image in ec2.leftovers()["image"]} == {"small-2-x86_64"}
    assert len(show(ec2)) == 2


def test_a_released_image_stays_when_its_copy_is_retired(ec2: Ec2) -> None:
    """A time that was set on a finished copy says nothing about the image (review C1)."""
    home = ec2.add_image("small-1-x86_64", image_tags(REPOSITORY))
    ec2.add_image("small-1-x86_64", image_tags(REPOSITORY, ExpiresAt=PAST), region=THERE)
    ec2.add_image("small-1-x86_64", run_tags("packer-ami-other"), region=THERE)
    assert sweep(ec2, "--yes").code == 0
    assert home in show(ec2)
    assert len(show(ec2)) == 2
    assert sweep(ec2, "--run-id", "run-1", "--yes").code == 0
    assert home in show(ec2)


def test_the_state_of_an_image_counts(ec2: Ec2) -> None:
    """State and tag decide whether an image stays; a failed one is never finished (review C1)."""
    cases: list[tuple[str, str | None, bool, bool]] = [
        # state, ExpiresAt, and whether it stays: in a sweep by time, and by the run ID
        ("available", "never", True, True),
        ("disabled", "never", True, True),
        ("pending", "never", True, True),
        ("failed", "never", True, False),
        ("invalid", "never", True, False),
        ("error", "never", True, False),
        ("available", PAST, False, False),
        ("disabled", PAST, False, False),
        ("pending", PAST, False, False),
        ("failed", PAST, False, False),
        ("failed", FUTURE, True, False),
        ("available", None, True, False),
    ]
    stay = {}
    for number, (state, expires, by_time, by_run) in enumerate(cases):
        tags = image_tags(REPOSITORY, ExpiresAt=expires)
        id_ = ec2.add_image(f"small-{number}-x86_64", tags, state=state)
        stay[id_] = (by_time, by_run, state)
    for mode, options in enumerate((("--yes",), ("--run-id", "run-1", "--yes"))):
        done = sweep(ec2, *options)
        assert done.code == 0, done.output
        assert show(ec2) == {id_ for id_, stays in stay.items() if stays[mode]}
        assert len(ec2.leftovers()["snapshot"]) == len(show(ec2))
        finished = set(re.findall(r"retained image (\S+) in \S+ it belongs to a fin", done.output))
        assert finished == {
            id_
            for id_ in show(ec2)
            if stay[id_] in {(True, True, s) for s in ("available", "disabled")}
        }
    assert sweep(ec2, "--run-id", "run-1", "--finished-images", "--yes").code == 0
    assert ec2.leftovers() == {}


def test_a_snapshot_that_another_image_uses_stays(ec2: Ec2) -> None:
    """The snapshot of a finished image stays whatever its own tags are, untouched (review C1)."""
    past = run_tags(REPOSITORY, ExpiresAt=PAST)
    finished = ec2.add_image("small-1-x86_64", image_tags(REPOSITORY), snapshot_tags=past)
    (snapshot,) = (each["id"] for each in ec2.leftovers()["snapshot"])
    shared = ec2.add_image("small-2-x86_64", past, snapshot=snapshot)
    foreign = ec2.add_image("backup-1", {}, snapshot_tags=past)
    for options in (("--yes",), ("--run-id", "run-1", "--yes")):
        done = sweep(ec2, *options)
        assert done.code == 0, done.output
        reason = f"the image {finished} uses it"
        assert f"retained snapshot {snapshot} in {HERE}: {reason}" in done.output
        assert show(ec2) == {finished, foreign}
    assert shared not in show(ec2)
    assert {each["tags"]["ExpiresAt"] for each in ec2.leftovers()["snapshot"]} == {PAST}


def snapshot(ec2: Ec2, description: str, own: Mapping[str, str] | None = None) -> str:
    """Take a snapshot as a team does, of data that its images bring along."""
    client = ec2.client()
    volume = client.create_volume(AvailabilityZone=f"{HERE}a", Size=1)["VolumeId"]
    made = client.create_snapshot(VolumeId=volume, Description=description)["SnapshotId"]
    client.delete_volume(VolumeId=volume)
    if own:
        given = [{"Key": key, "Value": value} for key, value in own.items()]
        client.create_tags(Resources=[made], Tags=given)
    return str(made)


LATER = "2027-06-01T08:00:00Z"  # when the images were created: long after the team's snapshots


@pytest.mark.parametrize(
    "description",
    [
        "",
        "Data of the shop",
        "Created by CreateImage(i-0123456789abcdef0) for ami-0123456789abcdef0",
    ],
)
@pytest.mark.parametrize("is_tagged", [False, True])
@pytest.mark.parametrize("is_finished", [False, True])
def test_a_snapshot_of_the_team_stays(
    ec2: Ec2, description: str, is_tagged: bool, is_finished: bool
) -> None:
    """A snapshot that `ami_block_device_mappings` brought into a swept image stays.

    Packer tags it as the image's own when the image is finished; it stays all the same, also in a
    second sweep that sees the image no more.  (review R12)
    """
    of_image = (image_tags if is_finished else run_tags)(REPOSITORY, RunId="run-1")
    team = snapshot(ec2, description, of_image if is_tagged else None)
    ec2.add_image("small-1-x86_64", of_image, snapshot=team, created=LATER)
    options = ("--run-id", "run-1", "--finished-images", "--yes")
    done = sweep(ec2, *options)
    assert done.code == 0, done.output
    assert "deleted image" in done.output
    assert left(ec2) == {team}
    if is_finished and not description.startswith("Created by"):
        assert sweep(ec2, *options).code == 0
        assert left(ec2) == {team}
    before = set(of_image.values()) if is_tagged else set()
    (remaining,) = ec2.leftovers()["snapshot"]
    assert set(remaining["tags"].values()) == before, "its tags are untouched"


@pytest.mark.parametrize("is_tagged", [False, True])
def test_the_snapshot_of_a_build_goes(ec2: Ec2, is_tagged: bool) -> None:
    """A snapshot goes that EC2 made for the swept image, and one with our tags.

    The first is known by its description, which EC2 writes, also without tags.  (review R12)
    """
    own = run_tags(REPOSITORY, RunId="run-1")
    if is_tagged:
        made = snapshot(ec2, "Packer: 2026-11-01", own)
        ec2.add_image("small-1-x86_64", own, snapshot=made)
    else:
        ec2.add_image("small-1-x86_64", own, snapshot_tags={})
    done = sweep(ec2, "--run-id", "run-1", "--yes")
    assert done.code == 0, done.output
    assert ec2.leftovers() == {}
