"""What a clean-up finds, deletes and retains, with an account in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_aws import COPY, FUTURE, HOME, REPOSITORY, FakeAws, FakeClock, make_mappings, make_tags

from packer_toolkit.build.arguments import read_arguments
from packer_toolkit.build.cleanup.after_build import BuildCleanup
from packer_toolkit.build.cleanup.calls import CredentialsExpiredError
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.request import find_leftovers
from packer_toolkit.build.cleanup.scope import DeletionResult, Scope
from packer_toolkit.build.host import Host
from packer_toolkit.build.output import PackerOutput, Progress
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.values import Values
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.signals import ReceivedSignals

BY_TIME = Scope(REPOSITORY, (HOME, COPY))
BY_RUN = Scope(REPOSITORY, (HOME, COPY), "run-1")
DONE = make_tags(ExpiresAt="never", Version="1.0.0")
ALL_KINDS = ("instance", "key-pair", "image", "snapshot", "volume", "security-group")


@pytest.fixture
def aws() -> FakeAws:
    """Return an account without resources."""
    return FakeAws()


def find(aws: FakeAws, scope: Scope = BY_TIME) -> LeftoverFinder:
    """Return a finder with the time of the account."""
    return LeftoverFinder(aws.client, scope, FakeClock())


def delete(aws: FakeAws, scope: Scope = BY_RUN, **options: Any) -> DeletionResult:
    """Delete the leftovers of a scope."""
    return LeftoverDeleter(find(aws, scope), **options).run()


def test_each_kind_is_deleted_in_order(aws: FakeAws) -> None:
    """A resource is deleted before those that it holds, in every region."""
    for region in (HOME, COPY):
        for kind in ALL_KINDS:
            aws.add(kind, make_tags(), region)
    lines: list[str] = []
    result = delete(aws, echo=lines.append)
    assert aws.list_ids() == []
    assert [each["kind"] for each in result.deleted] == [*ALL_KINDS, *ALL_KINDS]
    assert result.leftovers == []
    assert lines[0] == "deleted instance instance-1 in eu-west-1"


@pytest.mark.parametrize(
    ("kind", "tags", "state", "reason"),
    [
        ("image", make_tags(ExpiresAt=FUTURE), "", f"its build may be running until {FUTURE}"),
        ("image", make_tags(ExpiresAt="soon"), "", "its tag ExpiresAt is not a valid time: 'soon'"),
        ("image", DONE, "", "it belongs to a finished image"),
        ("image", DONE, "disabled", "it belongs to a finished image"),
        ("image", DONE, "pending", "it is pending, and its tag ExpiresAt is never"),
        ("image", DONE, "failed", "it is failed, and its tag ExpiresAt is never: delete it with"),
        ("key-pair", DONE, "", "its tag ExpiresAt is never"),
        ("image", make_tags(), "", ""),
        ("image", make_tags(ExpiresAt="2026-11-25T03:00:00"), "", ""),
    ],
)
def test_a_clean_up_by_time_explains_what_it_retains(
    aws: FakeAws, kind: str, tags: dict[str, str], state: str, reason: str
) -> None:
    """A resource is deleted when its time is over, and retained for a reason otherwise."""
    aws.add(kind, tags, **({"State": state} if state else {}))
    (resource,) = find(aws).find()
    assert resource.retained.startswith(reason) if reason else not resource.retained
    assert LeftoverDeleter(find(aws)).run().deleted == ([] if reason else [resource.resource])


def test_only_exact_tags_count(aws: FakeAws) -> None:
    """A wildcard in a tag matches nothing but itself."""
    aws.add("image", make_tags(RunId="run-10"))
    assert find(aws, Scope(REPOSITORY, (HOME,), "run-*")).find() == []


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("instance", {"Name": "terminated"}),
        ("volume", "deleting"),
        ("image", "deregistered"),
    ],
)
def test_a_deleted_resource_that_ec2_still_lists_is_ignored(
    aws: FakeAws, kind: str, state: Any
) -> None:
    """EC2 lists a resource for a while after it was deleted."""
    aws.add(kind, make_tags(), State=state)
    assert find(aws).find() == []


def test_the_snapshots_of_a_build_are_deleted_after_the_image(aws: FakeAws) -> None:
    """The description or the tags show the origin; a snapshot of the team stays."""
    own = aws.add("snapshot", {}, Description="Created by CreateImage(i-1) for image-1")
    tagged = aws.add("snapshot", make_tags())
    team = aws.add("snapshot", {})
    old = aws.add("snapshot", DONE, Description="")
    aws.add("image", make_tags(), BlockDeviceMappings=make_mappings(own, tagged, team))
    (image,) = (each for each in find(aws, BY_RUN).find() if each.kind == "image")
    assert image.snapshots == (own, tagged)
    delete(aws)
    assert aws.list_ids() == [team, old]
    names = [name for name, _ in aws.calls if not name.startswith("describe")]
    assert names.index("create_tags") < names.index("deregister_image")
    assert names.index("deregister_image") < names.index("delete_snapshot")


def test_a_snapshot_that_a_retained_image_uses_stays(aws: FakeAws) -> None:
    """Tags of the snapshot do not matter while another image needs it."""
    shared = aws.add("snapshot", make_tags())
    aws.add("image", {"Repository": "other"}, BlockDeviceMappings=make_mappings(shared))
    (resource,) = find(aws, BY_RUN).find()
    assert resource.retained == "the image image-1 uses it"
    assert delete(aws).deleted == []


def test_a_part_of_an_unfinished_image_is_abandoned(aws: FakeAws) -> None:
    """An image that is finished in one region only is deleted in all, and tagged before."""
    aws.add("image", DONE, HOME, Name="web-1")
    aws.add("image", make_tags(), COPY, Name="web-1")
    finder = find(aws)
    assert [each.retained for each in finder.find()] == ["", ""]
    assert finder.abandoned == {(HOME, "image-1")}
    LeftoverDeleter(finder).run()
    assert aws.list_ids() == []
    (tags,) = (query["Tags"] for name, query in aws.calls if name == "create_tags")
    assert {"Key": "Version", "Value": ""} in tags


def test_images_that_existed_before_are_retained(aws: FakeAws) -> None:
    """A build does not delete the images of an earlier build with the same run ID."""
    before = aws.add("image", make_tags())
    assert find(aws, BY_RUN).find_image_ids() == {before}
    scope = Scope(REPOSITORY, (HOME,), "run-1", True, frozenset({before}))
    (resource,) = find(aws, scope).find()
    assert resource.retained == "it existed before"


@pytest.mark.parametrize("code", ["ExpiredToken", "AuthFailure"])
def test_expired_credentials_end_the_clean_up(aws: FakeAws, code: str) -> None:
    """Every resource that was found is a leftover then."""
    aws.add("key-pair", make_tags())
    aws.errors["delete_key_pair"] = [code]
    result = delete(aws)
    assert result.has_expired_credentials
    (leftover,) = result.leftovers
    assert leftover["reason"] == f"the AWS credentials are no longer valid ({code})"
    aws.errors["describe_instances"] = [code]
    with pytest.raises(CredentialsExpiredError):
        find(aws).find()


@pytest.mark.parametrize(
    ("codes", "leftovers"),
    [
        (["DependencyViolation", "DependencyViolation", ""], []),
        (["DependencyViolation"], ["DependencyViolation"]),
        (["UnauthorizedOperation"], ["UnauthorizedOperation"]),
        (["InvalidGroup.NotFound"], []),
    ],
)
def test_a_refused_deletion_is_repeated_if_that_can_help(
    aws: FakeAws, codes: list[str], leftovers: list[str]
) -> None:
    """A temporary error is tried again until the time is over, a refusal is not."""
    aws.add("security-group", make_tags())
    aws.errors["delete_security_group"] = codes
    result = delete(aws, timeout=10)
    if codes == ["InvalidGroup.NotFound"]:
        # The fake keeps it, as EC2 may list what it has deleted.
        assert [each["kind"] for each in result.deleted] == ["security-group"]
        return
    assert [each["reason"].partition(":")[0] for each in result.leftovers] == leftovers


def test_a_region_that_cannot_be_listed_is_a_leftover(aws: FakeAws) -> None:
    """The reason is in one line, and other regions are cleaned up."""
    aws.add("key-pair", make_tags(), COPY)
    aws.errors["describe_instances"] = ["UnauthorizedOperation", ""]
    result = delete(aws)
    assert [(each["kind"], each["id"]) for each in result.leftovers] == [("region", HOME)]
    assert "\n" not in result.leftovers[0]["reason"]
    assert aws.list_ids() == []


def test_a_forced_clean_up_does_not_wait(aws: FakeAws) -> None:
    """What would need waiting is a leftover."""
    aws.add("instance", make_tags())
    aws.errors["terminate_instances"] = ["IncorrectState"]
    aws.add("volume", make_tags())
    result = delete(aws, is_forced=lambda: True)
    assert [each["kind"] for each in result.leftovers] == ["instance"]
    assert [each["kind"] for each in result.deleted] == ["volume"]


@pytest.mark.parametrize("code", ["InvalidInstanceID.NotFound", "", "Throttled"])
def test_volumes_wait_for_their_instances(aws: FakeAws, code: str) -> None:
    """The wait ends when the instances are terminated, not found, or the time is over."""
    aws.add("instance", make_tags())
    aws.add("volume", make_tags())
    aws.errors["instance_terminated"] = [code]
    delete(aws, timeout=5)
    assert aws.list_ids() == []


def test_credentials_that_expire_during_the_wait_are_noticed(aws: FakeAws) -> None:
    """The volume of the instance is a leftover then."""
    aws.add("instance", make_tags())
    aws.add("volume", make_tags())
    aws.errors["instance_terminated"] = ["RequestExpired"]
    assert delete(aws).has_expired_credentials


def test_a_snapshot_that_cannot_be_tagged_is_still_deleted(aws: FakeAws) -> None:
    """The user sees that it could not be tagged."""
    own = aws.add("snapshot", {}, Description="Copied for DestinationAmi image-1")
    aws.add("image", make_tags(), BlockDeviceMappings=make_mappings(own))
    aws.errors["create_tags"] = ["UnauthorizedOperation"]
    lines: list[str] = []
    delete(aws, echo=lines.append)
    assert f"cannot tag {own}: UnauthorizedOperation" in lines
    assert aws.list_ids() == []


# ------------------------------------------------------------------------------ after a build


def make_request(*words: str, **raw: str) -> BuildRequest:
    """Return the request of a build whose HCL has the tags of the template."""
    request = BuildRequest(
        read_arguments(words),
        {},
        {"PKR_VAR_run_id": "run-1"},
        BuildRequest.read(words, {}).selection,
        "",
    )
    request.values = Values(
        {
            "var.image_name": "web",
            "var.region": HOME,
            "local.run_tags": f'{{\n  "ManagedBy" = "packer"\n  "Repository" = "{REPOSITORY}"\n}}',
            **raw,
        }
    )
    return request


Clean = Callable[..., tuple[DeletionResult, list[str]]]


@pytest.fixture
def clean(aws: FakeAws) -> Clean:
    """Return a function that cleans up after a build that created an image."""

    def run(
        request: BuildRequest, *, failed: bool = True, complete: bool = False
    ) -> tuple[DeletionResult, list[str]]:
        lines: list[str] = []
        output = PackerOutput()
        output.builds["amazon-ebs.x86_64"] = Progress("amazon-ebs.x86_64")
        output.builds["amazon-ebs.x86_64"].resources.append(("image", "image-9"))
        cleanup = BuildCleanup(
            request, output, ReceivedSignals(), Host(str, lines.append, connect=aws.connect)
        )
        return cleanup.run(has_failed=failed, has_complete_images=complete), lines

    return run


def test_a_failed_build_leaves_nothing(aws: FakeAws, clean: Clean) -> None:
    """Finished images of the build are deleted, too; the log counts them."""
    aws.add("image", make_tags(ExpiresAt="never"))
    result, lines = clean(make_request())
    assert aws.list_ids() == []
    assert [each["kind"] for each in result.deleted] == ["image"]
    assert lines[-1] == "Deleted leftover resources: 1; nothing remains"
    assert clean(make_request())[1] == ["Nothing remains of this build"]


def test_without_tags_nothing_is_deleted(clean: Clean) -> None:
    """Resources of the build cannot be identified then."""
    result, lines = clean(make_request(**{"local.run_tags": "{}"}))
    assert result == DeletionResult()
    assert lines[0].startswith("Skipping clean-up: without `run_tags` in the HCL")


def test_finished_images_stay_if_only_a_local_build_failed(aws: FakeAws, clean: Clean) -> None:
    """The log has the command that deletes them."""
    image = aws.add("image", make_tags(ExpiresAt="never"))
    _, lines = clean(make_request(), complete=True)
    assert aws.list_ids() == [image]
    assert "Retained: image image-9 in eu-west-1 is finished" in lines[0]
    assert lines[0].endswith("--region eu-west-1 --finished-images")


def test_leftovers_are_kept_on_request(aws: FakeAws, clean: Clean) -> None:
    """With -on-error=abort the user wants to inspect them."""
    instance = aws.add("instance", make_tags())
    _, (line,) = clean(make_request("-on-error=abort"))
    assert aws.list_ids() == [instance]
    assert line.startswith("Leftover resources kept as requested; delete them with: packer-toolkit")


def test_a_leftover_is_printed_with_the_command_for_later(aws: FakeAws, clean: Clean) -> None:
    """The command has the role, the region and the run ID."""
    role = "arn:aws:iam::111122223333:role/builder"
    aws.add("key-pair", make_tags())
    aws.errors["delete_key_pair"] = ["UnauthorizedOperation"]
    _, lines = clean(make_request(**{"var.assume_role_arn": role}))
    assert lines[0].startswith(
        "Not deleted: key-pair key-pair-1 in eu-west-1: UnauthorizedOperation"
    )
    assert lines[1] == (
        "Some resources could not be deleted; retry later with: packer-toolkit cleanup --run-id "
        f"run-1 --repository {REPOSITORY} --region {HOME} --assume-role {role} --finished-images"
    )
    assert aws.connections == ["sweep-web", "sweep-web"]


def test_the_base_credentials_delete_if_the_role_cannot(aws: FakeAws, clean: Clean) -> None:
    """The role may have been changed during the build."""
    aws.add("key-pair", make_tags())
    aws.errors["delete_key_pair"] = ["UnauthorizedOperation", ""]
    result, _ = clean(make_request(**{"var.assume_role_arn": "arn:aws:iam::111122223333:role/x"}))
    assert aws.list_ids() == []
    assert result.leftovers == []


def test_expired_credentials_list_what_packer_printed(aws: FakeAws, clean: Clean) -> None:
    """Nothing can be listed or deleted; the command is for new credentials."""
    aws.errors["describe_instances"] = ["ExpiredToken"]
    result, lines = clean(make_request())
    assert [each["id"] for each in result.leftovers] == ["image-9"]
    assert lines[-1].startswith(
        "The AWS credentials have expired; with new credentials, run: packer-"
    )


def test_a_session_that_cannot_be_opened_makes_regions_leftovers(
    aws: FakeAws, clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the clean-up does not hide the result of the build."""

    def refuse(*_: str) -> None:
        raise RuntimeError("no\nsession")

    monkeypatch.setattr(aws, "connect", refuse)
    result, _ = clean(make_request())
    assert result.leftovers == [
        {"kind": "region", "id": HOME, "region": HOME, "reason": "no session"}
    ]


# ---------------------------------------------------------------------------- on request


def test_a_clean_up_on_request_shows_and_deletes(aws: FakeAws) -> None:
    """The result has the keys of `--json`, before and after the deletion."""
    key = aws.add("key-pair", make_tags())
    aws.add("image", DONE)
    lines: list[str] = []
    leftovers = find_leftovers(Scope(REPOSITORY, (HOME,)), "", lines.append, aws.connect)
    assert lines == [f"AWS: account 111122223333, user tess, region {HOME}; {HOME}; {REPOSITORY}"]
    preview = leftovers.make_result(dry_run=True)
    assert [each["id"] for each in preview["found"]] == [key]
    assert [each["reason"] for each in preview["kept"]] == ["it belongs to a finished image"]
    assert preview["swept"] == []
    result = leftovers.delete()
    assert (result["swept"], result["left"]) == (preview["found"], [])
    assert aws.connections == ["packer-toolkit-sweep"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", "the AWS credentials are no longer valid .*; log in again, and repeat"),
        ("UnauthorizedOperation", "cannot list the resources in eu-west-1: An error occurred"),
    ],
)
def test_resources_that_cannot_be_listed_are_an_error(
    aws: FakeAws, code: str, message: str
) -> None:
    """Nothing is deleted then."""
    aws.errors["describe_instances"] = [code]
    with pytest.raises(RemoteError, match=message):
        find_leftovers(Scope(REPOSITORY, (HOME,)), "", str, aws.connect)


def test_a_clean_up_needs_packer_or_options(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository and the regions come from the HCL, which Packer reads."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match="is not on PATH; add --repository and --region"):
        find_leftovers(Scope("", ()), "", str, aws.connect)
