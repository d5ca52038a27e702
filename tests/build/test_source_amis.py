"""Which source AMI a build takes, of those that match the filter of the HCL."""

from __future__ import annotations

from typing import Any

import pytest

from packer_toolkit.build.image_preparation import choose_source_amis
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.source_amis import describe_rejected, find_source_amis, make_arguments
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import VersionState
from packer_toolkit.errors import CommandFailedError
from packer_toolkit.pipeline import plan
from rig.aws import image_tags, run_tags

BASE = image_tags("packer-ami-base")
PAST, FUTURE = "2026-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


class Ec2:
    """DescribeImages, which returns the same images for each question."""

    def __init__(self, *images: dict[str, Any]) -> None:
        self.images = images
        self.filters: dict[str, str] = {}

    def describe_images(self, **query: Any) -> dict[str, Any]:
        """Return the images."""
        self.filters = {each["Name"]: each["Values"][0] for each in query["Filters"]}
        return {"Images": list(self.images)}


def image(
    number: int, tags: dict[str, str] | None = None, state: str = "available", deprecated: str = ""
) -> dict[str, Any]:
    """Return an image; a higher number is a newer one."""
    return {
        "ImageId": f"ami-{number}",
        "Name": f"base-{number}",
        "CreationDate": f"2026-11-{number:02}T00:00:00.000Z",
        "State": state,
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        **({"DeprecationTime": deprecated} if deprecated else {}),
    }


def make_values(**raw: str) -> Values:
    """Return the values of a repository that builds on own images."""
    return Values(
        {
            "var.architectures": '[\n  "x86_64"\n]',
            "var.image_name": "web",
            "var.source_ami_ids": "{}",
            "var.source_ami_names": '{\n  "x86_64" = "base-*"\n}',
            "var.source_ami_owners": '[\n  "self"\n]',
            "local.run_tags": '{\n  "Repository" = "packer-ami-web"\n}',
            **{name.replace("__", "."): text for name, text in raw.items()},
        }
    )


@pytest.mark.parametrize(
    ("newer", "reason"),
    [
        (image(2, run_tags("packer-ami-base")), "is unfinished: its tag ExpiresAt is 2"),
        (image(2, {"ExpiresAt": "2020-01-01T00:00:00Z"}), "is unfinished"),
        (image(2, {"ExpiresAt": "2020-01-01"}), "is unfinished"),
        (image(2, image_tags("packer-ami-web")), "is an image of this repository"),
        (image(2, run_tags("packer-ami-web")), "is an image of this repository"),
        (image(2, BASE, deprecated=PAST), f"has been deprecated since {PAST}"),
    ],
)
def test_a_newer_image_that_must_not_be_taken(newer: dict[str, Any], reason: str) -> None:
    """Plan and build take the newest finished image of another repository (review C1)."""
    ec2, values = Ec2(newer, image(1, BASE)), make_values()
    assert plan.find_base_images(ec2, values) == {"x86_64": "ami-1"}
    choices = find_source_amis(ec2, values)
    assert make_arguments(choices, values) == ['-var=source_ami_ids={"x86_64": "ami-1"}']
    (line,) = describe_rejected(choices)
    assert line.startswith(
        f"Source AMI for x86_64: ami-1 (base-1), because ami-2 (base-2) {reason}"
    )


@pytest.mark.parametrize(
    "newer",
    [
        image(2, BASE),
        image(2),
        image(2, {"Repository": "packer-ami-website", "ManagedBy": "packer"}),
        image(2, {"ExpiresAt": "never"}),
        image(2, {"ExpiresAt": "tomorrow"}),
        image(2, BASE, deprecated=FUTURE),
    ],
)
def test_the_newest_image_is_taken_as_ever(newer: dict[str, Any]) -> None:
    """Without a reason against it Packer's own filter decides (review C1)."""
    ec2, values = Ec2(image(1, BASE), newer), make_values()
    assert plan.find_base_images(ec2, values) == {"x86_64": "ami-2"}
    assert make_arguments(find_source_amis(ec2, values), values) == []
    assert ec2.filters["state"] == "available"


@pytest.mark.parametrize("state", ["pending", "failed", "error", "invalid", "disabled"])
def test_only_available_images_are_taken(state: str) -> None:
    """An image in another state is not taken, of whatever account it is (review C1)."""
    ec2 = Ec2(image(1), image(2, state=state))
    assert plan.find_base_images(ec2, make_values()) == {"x86_64": "ami-1"}


def test_a_deprecated_image_is_better_than_none() -> None:
    """The last image of a base that is not renewed any more can still be taken (review C1)."""
    ec2, values = (
        Ec2(image(1, BASE, deprecated=PAST), image(2, BASE, deprecated=PAST)),
        make_values(),
    )
    assert plan.find_base_images(ec2, values) == {"x86_64": "ami-2"}
    assert make_arguments(find_source_amis(ec2, values), values) == []


def test_without_an_acceptable_image_the_build_is_refused() -> None:
    """The error names the newest match and why it is not taken (review C1)."""
    ec2, values = Ec2(image(1, run_tags("packer-ami-base")), image(2, BASE | {"Repository":
                  "packer-ami-web"})), make_values()  # fmt: skip
    assert plan.find_base_images(ec2, values) == {}
    with pytest.raises(
        CommandFailedError, match=r"ami-2 \(base-2\), is an image of this repository; "
    ):
        make_arguments(find_source_amis(ec2, values), values)
    assert make_arguments(find_source_amis(Ec2(), values), values) == []  # Packer explains it


def test_hcl_of_an_earlier_release_gets_a_hint() -> None:
    """Without the variable no other image can be chosen, and the build is refused (review C1)."""
    values = make_values()
    old = Values({name: text for name, text in values.raw.items() if "_ids" not in name})
    ec2 = Ec2(image(1, BASE), image(2, run_tags("packer-ami-base")))
    with pytest.raises(
        CommandFailedError, match=r"no variable source_ami_ids .* task template-update"
    ):
        make_arguments(find_source_amis(ec2, old), old)
    # As before, where nothing but the deprecation is against it.
    choices = find_source_amis(Ec2(image(1, BASE), image(2, BASE, deprecated=PAST)), old)
    assert make_arguments(choices, old) == []


def test_a_given_id_is_taken() -> None:
    """An ID in the HCL is what the user decided, whatever the image's tags are (issue 11)."""
    values = make_values(var__source_ami_ids='{\n  "x86_64" = "ami-7"\n}')
    ec2 = Ec2(image(7, run_tags("packer-ami-base")))
    assert plan.find_base_images(ec2, values) == {"x86_64": "ami-7"}
    assert (ec2.filters["image-id"], "name" in ec2.filters) == ("ami-7", False)
    assert make_arguments(find_source_amis(ec2, values), values) == []


TWO = make_values(
    var__architectures='[\n  "x86_64",\n  "arm64"\n]',
    var__source_ami_ids='{\n  "x86_64" = "ami-1"\n}',
    var__source_ami_names='{\n  "x86_64" = "base-*"\n  "arm64" = "base-*"\n}',
    var__region="eu-west-1",
)


@pytest.mark.parametrize(
    ("words", "missing", "is_refused"),
    [
        ((), (), True),
        (("-only=amazon-ebs.arm64",), (), True),
        (("-only=amazon-ebs.x86_64",), (), False),
        (("-except=*.arm64",), (), False),
        ((), ("x86_64",), False),
        ((), ("arm64",), True),
    ],
)
def test_only_what_is_built_needs_a_source_ami(
    words: tuple[str, ...],
    missing: tuple[str, ...],
    is_refused: bool,
) -> None:
    """An architecture that Packer does not build cannot refuse the build (review C1)."""
    ec2 = Ec2(image(1, run_tags("packer-ami-base")))
    request = BuildRequest.read(words, {})
    request.values = TWO
    state = VersionState("1.2.3", {}, missing)
    if is_refused:
        with pytest.raises(CommandFailedError, match="source AMI for arm64: no match"):
            choose_source_amis(request, lambda _: ec2, "", state, str)
    else:
        choose_source_amis(request, lambda _: ec2, "", state, str)
        assert request.more_options == []
