"""A team's tags arrive as they were written, on everything that a build creates."""

from __future__ import annotations

from pathlib import Path

from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import build, small_repository, toolkit_build

# What templates of Go, HCL and JSON give a meaning to. {{ is refused by `packer validate`:
# tests/rendered/test_value_rules.py.
TAGS = {
    "Plain": "1234",
    "Braces": "{ .Secret } { { }}} }} {",
    "{ key }}": "x",
    "Backquote": "`}}`",
    "Interpolation": "${x} %{ y }",
    "Quotes": "\"a\" 'b' \\",
}


def write_tags(repository: Path) -> None:
    """Set the tags in a values file of the team."""
    lines = []
    for key, value in TAGS.items():
        name, text = (
            part.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
            for part in (key, value)
        )
        lines.append(f'  "{name}" = "{text}"\n')
    (repository / "team.auto.pkrvars.hcl").write_text(f"tags = {{\n{''.join(lines)}}}\n")


def given(tags: dict[str, str]) -> dict[str, str]:
    """Return those of some tags that are the team's."""
    return {key: value for key, value in tags.items() if key in TAGS}


def test_tags_with_braces_arrive_as_they_are(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Plain `packer build` sets the same text on each resource and on the image (field 39)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    write_tags(repository)
    done = build(ec2, packer, repository)
    assert done.code == 0, done.output[-3000:]
    calls = ec2.calls()
    started = [call for call in calls if call.action == "RunInstances"]
    assert started
    for call in started:
        assert given(call.tags("instance")) == TAGS
        assert given(call.tags("volume")) == TAGS
    for action, kind in (("CreateKeyPair", "key-pair"), ("CreateSecurityGroup", "security-group")):
        created = [call for call in calls if call.action == action]
        assert created
        for call in created:
            assert given(call.tags(kind)) == TAGS
    client = ec2.client("ec2", region_name="eu-west-1")
    (image,) = client.describe_images(Owners=["self"])["Images"]
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    assert given(tags) == TAGS
    assert tags["SourceAMI"].startswith("ami-")
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    (found,) = client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert given({tag["Key"]: tag["Value"] for tag in found["Tags"]}) == TAGS


def test_the_toolkit_still_finds_what_such_a_build_leaves(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """The sweep after a failed build goes by the other tags, which stay readable (field 39)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    write_tags(repository)
    fault = ec2.fault("RunInstances", "deny")
    done = toolkit_build(ec2, packer, repository)
    assert (done.code, fault.hits) == (1, 1), done.output[-3000:]
    client = ec2.client("ec2", region_name="eu-west-1")
    assert client.describe_key_pairs()["KeyPairs"] == []
