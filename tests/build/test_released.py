"""What counts as released, and what a build may delete: decided from what EC2 describes."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from packer_toolkit.build.image_preparation import delete_unfinished
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import read_version_state
from packer_toolkit.errors import CommandFailedError, RemoteError
from packer_toolkit.pipeline import plan
from rig.aws import image_tags, run_tags

HOME, COPY = "eu-west-1", "us-east-1"
X86, ARM = "x86_64", "arm64"
SHA = "0123456789abcdef0123456789abcdef01234567"
RUN = run_tags("packer-ami-web")
DONE = image_tags("packer-ami-web")


class Account:
    """DescribeImages of two regions, from a table."""

    def __init__(self) -> None:
        self.images: dict[str, list[dict[str, Any]]] = {HOME: [], COPY: []}
        self.refused: set[str] = set()

    def add(
        self,
        region: str,
        tags: Mapping[str, str],
        state: str = "available",
        architecture: str = X86,
    ) -> str:
        """Add an image of the version 1.0.0, and return its ID."""
        number = sum(map(len, self.images.values())) + 1
        image = {
            "Name": f"web-1.0.0-{architecture}",
            "ImageId": f"ami-{number:017x}",
            "CreationDate": f"2026-11-{number:02}T00:00:00.000Z",
            "State": state,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        self.images[region].append(image)
        return str(image["ImageId"])

    def client(self, region: str) -> Any:
        """Return the client of a region."""
        account = self

        class Client:
            def describe_images(self, **query: Any) -> dict[str, Any]:
                if region in account.refused:
                    error = {"Error": {"Code": "AuthFailure", "Message": "not\nenabled"}}
                    raise ClientError(error, "DescribeImages")
                assert query["Owners"] == ["self"]
                ((name,),) = (f["Values"] for f in query["Filters"] if f["Name"] == "name")
                return {
                    "Images": [
                        image
                        for image in account.images[region]
                        if fnmatch.fnmatchcase(image["Name"], name)
                        and (image["State"] != "disabled" or query.get("IncludeDisabled"))
                    ]
                }

        return Client()

    def release(self, *architectures: str, commit: str = SHA) -> Any:
        """Decide about the version 1.0.0 of a repository with these architectures."""
        return plan.plan_release(self.client, make_values(architectures, commit), "1.0.0")


def make_values(architectures: tuple[str, ...] = (X86,), commit: str = SHA) -> Values:
    """Return the values of a repository that copies to a second region."""
    names = "\n".join(f'  "{name}",' for name in architectures or (X86,))
    return Values(
        {
            "var.architectures": f"[\n{names}\n]",
            "var.copy_regions": f'[\n  "{COPY}"\n]',
            "var.image_name": "web",
            "var.region": HOME,
            "local.run_tags": '{\n  "Repository" = "packer-ami-web"\n}',
            "local.image_tags": f'{{\n  "Commit" = "{commit}"\n}}',
        }
    )


@pytest.fixture
def account() -> Account:
    """Return an account without images."""
    return Account()


def test_a_version_finished_in_every_region_is_not_built_again(account: Account) -> None:
    """A version counts as released when it is finished in every region (review C1, field 2)."""
    ids = [account.add(HOME, DONE), account.add(COPY, DONE)]
    decision = account.release()
    assert (decision.build, decision.images) == (False, {X86: ids[0]})
    (entry,) = plan.reconstruct_manifest(account.client, make_values(), "1.0.0")["builds"]
    assert entry["artifact_id"] == f"{HOME}:{ids[0]},{COPY}:{ids[1]}"
    assert entry["custom_data"] == {
        "architecture": X86,
        "commit": SHA,
        "image_name": "web",
        "source_ami": "ami-0aaaaaaaaaaaaaaaa",
        "template_version": "v1.0.0",
        "toolkit_version": "1.0.0",
        "version": "1.0.0",
    }
    assert entry["build_time"] == 1793491200


STATES = ("pending", "available", "failed", "invalid", "error", "transient", "disabled")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("copy", [None, *STATES])
def test_what_a_killed_build_left_is_built_again(
    account: Account, state: str, copy: str | None
) -> None:
    """The plan names each image with the tags of a run, in any state (review C1, field 2)."""
    ids = [account.add(HOME, RUN, state)]
    if copy:
        ids.append(account.add(COPY, RUN, copy))
    decision = account.release()
    assert decision.build
    assert f"({X86}, {HOME}, {state}, ExpiresAt 2" in decision.reason
    for id_ in ids:
        assert id_ in decision.reason
    assert "run run-1" in decision.reason
    with pytest.raises(CommandFailedError, match=r"version 1\.0\.0: it is not finished for x86_64"):
        plan.reconstruct_manifest(account.client, make_values(), "1.0.0")


@pytest.mark.parametrize(("done", "unfinished"), [(HOME, COPY), (COPY, HOME)])
def test_finished_in_one_region_only_is_unfinished(
    account: Account, done: str, unfinished: str
) -> None:
    """A build that was killed between the tags of two regions is built again (review C1)."""
    account.add(done, DONE)
    account.add(unfinished, RUN)
    assert account.release().build


@pytest.mark.parametrize("regions", [(HOME,), (COPY,)])
def test_a_finished_image_without_its_copy_is_not_deleted(
    account: Account, regions: tuple[str, ...]
) -> None:
    """A finished image that lacks a copy altogether was not left by a killed build (review C1)."""
    for region in regions:
        account.add(region, DONE)
    with pytest.raises(CommandFailedError) as refused:
        account.release()
    (other,) = {HOME, COPY} - set(regions)
    assert f"is finished, and {other} has no finished copy of it" in str(refused.value)
    assert "cleanup --run-id run-1 --finished-images" in str(refused.value)
    with pytest.raises(CommandFailedError):
        plan.reconstruct_manifest(account.client, make_values(), "1.0.0")


FOREIGN = {
    "no tags": {},
    "another repository": {**DONE, "Repository": "packer-ami-website"},
    "another repository, unfinished": {**RUN, "Repository": "packer-ami-website"},
    "no Repository": image_tags("packer-ami-web", Repository=None),
    "hostile": {"Repository": "x\n\x1b[31m" + "y" * 200},
    "no RunId": run_tags("packer-ami-web", RunId=None),
    "no ManagedBy": run_tags("packer-ami-web", ManagedBy=None),
    "no ExpiresAt": image_tags("packer-ami-web", ExpiresAt=None),
    "odd ExpiresAt": image_tags("packer-ami-web", ExpiresAt="tomorrow"),
    "Never": image_tags("packer-ami-web", ExpiresAt="Never"),
    "a time beside Version": image_tags("packer-ami-web", ExpiresAt="2026-12-01T00:00:00Z"),
    "a date beside Version": image_tags("packer-ami-web", ExpiresAt="2020-01-01"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("region", [HOME, COPY])
@pytest.mark.parametrize("beside", [None, RUN, DONE], ids=["alone", "killed", "done"])
def test_what_no_killed_build_leaves_is_refused(
    account: Account, name: str, region: str, beside: Mapping[str, str] | None
) -> None:
    """An image of others, or with edited tags, is refused in one line (review C1, field 2)."""
    (other,) = {HOME, COPY} - {region}
    finished = account.add(other, beside) if beside is not None else ""
    id_ = account.add(region, FOREIGN[name])
    with pytest.raises(CommandFailedError) as refused:
        account.release()
    assert str(refused.value).isprintable()
    # A finished image whose copy is not one of ours may be named instead.
    assert id_ in str(refused.value) or (beside == DONE and finished in str(refused.value))
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("disabled", "aws ec2 enable-image --region us-east-1"),
        ("pending", "start again once it is available"),
        ("transient", "start again once it is available"),
    ],
)
def test_a_finished_image_in_another_state_is_refused(
    account: Account, state: str, says: str
) -> None:
    """A finished image that was disabled, or a copy of it on its way, stays (review C1)."""
    account.add(HOME, DONE)
    account.add(COPY, DONE, state)
    with pytest.raises(CommandFailedError) as refused:
        account.release()
    assert "ami-" in str(refused.value)
    account.images[HOME].clear()
    with pytest.raises(CommandFailedError, match=says):
        account.release()


@pytest.mark.parametrize("state", ["available", "pending", "disabled"])
@pytest.mark.parametrize(("done", "marked"), [(HOME, COPY), (COPY, HOME)])
def test_a_released_image_that_was_marked_is_not_deleted(
    account: Account, state: str, done: str, marked: str
) -> None:
    """A developer who gives a copy of a release a time does not delete the release (review C1)."""
    account.add(done, DONE)
    id_ = account.add(marked, {**DONE, "ExpiresAt": "2026-12-01T00:00:00Z"}, state)
    with pytest.raises(CommandFailedError) as refused:
        account.release()
    assert "cleanup --run-id run-1 --finished-images" in str(refused.value)
    account.images[done].clear()
    with pytest.raises(CommandFailedError, match=rf"{id_} in .* has the tag Version of a finished"):
        account.release()


@pytest.mark.parametrize("version", ["", "of-the-team"])
def test_a_version_of_a_run_is_not_that_of_a_release(account: Account, version: str) -> None:
    """An empty Version, or one that all resources of a build have, is of no release (review C1)."""
    account.add(HOME, {**RUN, "Version": version})
    values = make_values()
    values = Values({**values.raw, "local.run_tags": '{\n  "Repository" = "packer-ami-web"\n'
                     f'  "Version" = "{version}"\n}}'})  # fmt: skip
    assert plan.plan_release(account.client, values, "1.0.0").build


@pytest.mark.parametrize("regions", [(HOME, COPY), (COPY, HOME)])
def test_what_a_build_marks_is_deletable(account: Account, regions: tuple[str, str]) -> None:
    """The next run deletes an image that was marked and then stayed (review C1)."""
    calls: list[dict[str, Any]] = []

    def get_client(region: str) -> Any:
        client = account.client(region)
        client.create_tags = lambda **call: calls.append({**call, "region": region})
        return client

    account.add(regions[0], DONE)
    account.add(regions[1], RUN)
    release = read_version_state(account.client, make_values(), "1.0.0")
    with pytest.raises(KeyboardInterrupt):
        delete_unfinished(get_client, make_values(), release, delete=interrupt)
    (call,) = calls
    tags = {**DONE, **{tag["Key"]: tag["Value"] for tag in call["Tags"]}}
    account.images[regions[0]].clear()
    account.add(regions[0], tags)
    assert len(read_version_state(account.client, make_values(), "1.0.0").unfinished) == 2


def interrupt(*_: Any, **__: Any) -> Any:
    """End a build as a signal does."""
    raise KeyboardInterrupt


def test_a_pending_image_without_tags_is_waited_for(account: Account) -> None:
    """EC2 may set the tags of a copy late, so that its owner is not known yet (review C1)."""
    account.add(HOME, RUN)
    account.add(COPY, {}, "pending")
    with pytest.raises(CommandFailedError, match="start again once it is available"):
        account.release()


@pytest.mark.parametrize("state", ["failed", "pending", "available"])
def test_of_two_images_of_one_name_the_finished_one_counts(account: Account, state: str) -> None:
    """A leftover under the name of a finished image changes nothing (review C1)."""
    account.add(HOME, RUN, state)
    id_ = account.add(HOME, DONE)
    account.add(HOME, {}, state)
    account.add(COPY, DONE)
    decision = account.release()
    assert (decision.build, decision.images) == (False, {X86: id_})


def test_regions_of_different_builds_are_not_one_version(account: Account) -> None:
    """What was tested is what ships: copies of two builds are refused (review C1)."""
    account.add(HOME, DONE)
    account.add(COPY, {**DONE, "RunId": "run-2"})
    with pytest.raises(CommandFailedError, match="images of different builds"):
        account.release()
    account.add(HOME, {**DONE, "RunId": "run-2"})
    assert account.release().images == {X86: f"ami-{3:017x}"}


def test_a_deregistered_image_does_not_exist(account: Account) -> None:
    """EC2 may show an image for a while after it was deregistered (review C1)."""
    account.add(HOME, DONE, "deregistered")
    assert "for the first time" in account.release().reason


@pytest.mark.parametrize("region", [HOME, COPY])
def test_a_region_that_cannot_be_asked_decides_nothing(account: Account, region: str) -> None:
    """An error of one region is an error of the plan, in one line (review C1)."""
    account.add(HOME, DONE)
    account.add(COPY, DONE)
    account.refused.add(region)
    with pytest.raises(RemoteError, match=f"in {region}: .*AuthFailure") as refused:
        account.release()
    assert "\n" not in str(refused.value)


def test_a_missing_architecture_is_added(account: Account) -> None:
    """A version of which one architecture is finished is completed (review C1)."""
    id_ = account.add(HOME, DONE)
    account.add(COPY, DONE)
    decision = account.release(X86, ARM)
    assert (decision.build, decision.images) == (True, {X86: id_})
    assert f"finished for {X86} {id_}: the build adds {ARM}" in decision.reason
    leftover = account.add(HOME, RUN, "pending", ARM)
    decision = account.release(X86, ARM)
    assert decision.build
    assert f"the build deletes {leftover}" in decision.reason
    with pytest.raises(CommandFailedError, match="it is not finished for arm64"):
        plan.reconstruct_manifest(account.client, make_values((X86, ARM)), "1.0.0")


@pytest.mark.parametrize("commit", ["f" * 40, "unknown", ""])
def test_an_architecture_of_another_commit_is_not_added(account: Account, commit: str) -> None:
    """Both images of a version are of one commit; otherwise the plan refuses (review C1)."""
    account.add(HOME, DONE)
    account.add(COPY, DONE)
    with pytest.raises(CommandFailedError) as refused:
        account.release(X86, ARM, commit=commit)
    assert f"was built from commit {SHA}" in str(refused.value)
    assert f"from {commit or 'unknown'};" in str(refused.value)
    assert not account.release(X86, commit=commit).build
