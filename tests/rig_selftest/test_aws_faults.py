"""Faults come when they were ordered, look like EC2's, and leave what a real one leaves."""

from __future__ import annotations

import signal
import time

import pytest
from botocore.exceptions import ClientError

from rig.aws import Ec2, RigError
from rig_selftest.conftest import Probe


def code_of(ec2: Ec2, action: str = "describe_regions", service: str = "ec2") -> str | None:
    """Call the API and return the error's code, None when there was none."""
    try:
        getattr(ec2.client(service), action)()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


@pytest.mark.parametrize(
    ("order", "hits"),
    [
        ({"at": 2}, [0, 1, 0, 0, 0]),
        ({"at": [1, 4]}, [1, 0, 0, 1, 0]),
        ({"first": 3}, [1, 1, 1, 0, 0]),
        ({"every": 2}, [0, 1, 0, 1, 0]),
        ({}, [1, 1, 1, 1, 1]),
    ],
)
def test_a_fault_hits_the_calls_that_were_ordered(
    ec2: Ec2, order: dict[str, int], hits: list[int]
) -> None:
    """Counting starts with the order, and other actions do not count."""
    code_of(ec2)
    fault = ec2.fault("DescribeRegions", "throttle", **order)  # type: ignore[arg-type]
    seen = []
    for _ in hits:
        assert code_of(ec2, "describe_vpcs") is None
        seen.append(int(code_of(ec2) is not None))
    assert seen == hits
    assert fault.hits == sum(hits)


@pytest.mark.parametrize(
    ("kind", "service", "action", "code", "status"),
    [
        ("throttle", "ec2", "describe_regions", "RequestLimitExceeded", 503),
        ("error", "ec2", "describe_regions", "InternalError", 500),
        ("deny", "ec2", "describe_regions", "UnauthorizedOperation", 403),
        ("expire", "ec2", "describe_regions", "RequestExpired", 400),
        ("throttle", "sts", "get_caller_identity", "Throttling", 400),
        ("expire", "sts", "get_caller_identity", "ExpiredToken", 403),
        ("throttle", "ssm", "describe_parameters", "ThrottlingException", 400),
        ("deny", "ssm", "describe_parameters", "AccessDeniedException", 400),
        ("expire", "ecr", "get_authorization_token", "ExpiredTokenException", 400),
        ("error", "kms", "list_keys", "InternalServerError", 500),
    ],
)
def test_a_fault_speaks_the_language_of_the_service(
    ec2: Ec2, kind: str, service: str, action: str, code: str, status: int
) -> None:
    """Code and status are those that the service documents, and the record has them."""
    ec2.fault("*", kind)
    assert code_of(ec2, action, service) == code
    (call,) = ec2.calls()
    assert (call.service, call.status, call.error, call.fault) == (service, status, code, kind)


def test_a_fault_can_be_of_any_kind_and_for_some_parameters(ec2: Ec2) -> None:
    """A custom code, for calls that name one region."""
    ec2.fault(
        "DescribeRegions",
        code="OptInRequired",
        status=401,
        message="You are not subscribed",
        where={"RegionNames": ["us-east-1"]},
    )
    assert code_of(ec2) is None
    with pytest.raises(ClientError, match=r"OptInRequired.*You are not subscribed"):
        ec2.client().describe_regions(RegionNames=["us-east-1"])


def test_an_answer_can_get_lost_after_the_call_was_carried_out(ec2: Ec2) -> None:
    """The key pair is there though the caller saw an error."""
    ec2.fault("CreateKeyPair", "error", after=True)
    with pytest.raises(ClientError):
        ec2.client().create_key_pair(KeyName="k")
    assert [pair["name"] for pair in ec2.leftovers()["key-pair"]] == ["k"]


def test_an_unknown_kind_of_fault_is_refused(ec2: Ec2) -> None:
    """A misspelt order must not become a test that passes."""
    with pytest.raises(RigError, match="no fault of kind 'throtle'"):
        ec2.fault("RunInstances", "throtle")


def test_unknown_keys_are_refused(ec2: Ec2) -> None:
    """A program that lost the rig's credentials on its way does not get through by luck."""
    with pytest.raises(ClientError, match="AuthFailure"):
        ec2.client(aws_access_key_id="AKIAOTHER").describe_regions()


def test_a_session_expires_when_its_time_is_over(ec2: Ec2) -> None:
    """STS tells the end, and after it the key is worth nothing."""
    ec2.sessions(seconds=0.5)
    issued = ec2.client("sts").assume_role(
        RoleArn="arn:aws:iam::123456789012:role/builder", RoleSessionName="session"
    )["Credentials"]
    session = ec2.client(
        aws_access_key_id=issued["AccessKeyId"],
        aws_secret_access_key=issued["SecretAccessKey"],
        aws_session_token=issued["SessionToken"],
    )
    session.describe_regions()
    assert ec2.calls("DescribeRegions")[0].principal == (
        "arn:aws:sts::123456789012:assumed-role/builder/session"
    )
    time.sleep(0.6)
    with pytest.raises(ClientError, match="RequestExpired"):
        session.describe_regions()


def test_a_key_expires_after_so_many_calls(ec2: Ec2) -> None:
    """As static keys are revoked in the middle of a build."""
    ec2.expire_key(after_calls=1)
    assert [code_of(ec2), code_of(ec2)] == [None, "RequestExpired"]


def test_a_build_survives_throttling(ec2: Ec2, probe: Probe) -> None:
    """The client repeats the call, and its instance is launched once."""
    fault = ec2.fault("RunInstances", "throttle", first=2)
    done = probe()
    assert done.code == 0, done.output
    assert fault.hits == 2
    assert [call.status for call in ec2.calls("RunInstances")] == [503, 503, 200]


def test_a_denied_call_ends_the_build_and_nothing_stays(ec2: Ec2, probe: Probe) -> None:
    """Packer reports EC2's words."""
    ec2.fault("CreateImage", "deny")
    done = probe()
    assert done.code == 1
    assert "UnauthorizedOperation" in done.output
    assert ec2.leftovers() == {}


def test_a_build_with_assume_role_outlives_its_session(ec2: Ec2, probe: Probe) -> None:
    """It assumes the role again when the session that STS gave it is over."""
    ec2.sessions(seconds=2)
    done = probe(
        "-var",
        "assume_role=arn:aws:iam::123456789012:role/builder",
        "-var",
        "script=sleep 3",
    )
    assert done.code == 0, done.output
    assert len(ec2.calls("AssumeRole")) > 1
    assert ec2.call("CreateImage").principal == (
        "arn:aws:sts::123456789012:assumed-role/builder/probe"
    )


def test_an_instance_may_never_open_ssh(ec2: Ec2, probe: Probe) -> None:
    """The build gives up at its timeout, and nothing stays."""
    ec2.ssh_never_opens()
    done = probe("-var", "ssh_timeout=3s")
    assert done.code == 1
    assert "Timeout waiting for SSH" in done.output
    assert ec2.leftovers() == {}


@pytest.mark.parametrize("order", [{"marker": "/tmp/now"}, {"after_seconds": 1}])  # noqa: S108
def test_the_connection_may_break_in_a_step(
    ec2: Ec2, probe: Probe, order: dict[str, object]
) -> None:
    """At a marker that the step sets, or some time after the login."""
    ec2.ssh_drops(**order)  # type: ignore[arg-type]
    done = probe("-var", "script=touch /tmp/now; sleep 30; touch /tmp/after")
    assert done.code == 1
    assert "disconnected unexpectedly" in done.output
    assert done.seconds < 30
    assert ec2.leftovers() == {}


def test_the_disk_may_be_full(ec2: Ec2, probe: Probe) -> None:
    """A real ENOSPC, from a file system that is too small."""
    ec2.disk_full("/srv", kilobytes=64)
    done = probe("-var", "script=head -c 100k /dev/zero | sudo tee /srv/file")
    assert done.code == 1
    assert "No space left on device" in done.output
    assert ec2.leftovers() == {}


@pytest.mark.parametrize("action", ["RunInstances", "StopInstances"])
def test_sigterm_in_the_middle_lets_packer_clean_up(ec2: Ec2, probe: Probe, action: str) -> None:
    """The signal comes after the answer."""
    ec2.pace(running=2, stopped=2)  # otherwise the build has gone on before it hears the signal
    done = probe(kill_at=action, with_signal=signal.SIGTERM)
    assert done.code != 0
    assert ec2.leftovers() == {}


def test_what_packer_forgets_while_an_answer_is_on_its_way_is_tagged(
    ec2: Ec2, probe: Probe
) -> None:
    """Where the answer with the id is dropped, Packer 1.16 cannot clean up what it never knew.

    Whether it hears the signal or the answer first is a race, so there may be nothing left too.
    """
    done = probe(kill_at="RunInstances", kill_moment="during", with_signal=signal.SIGTERM)
    assert done.code != 0
    for things in ec2.leftovers().values():
        assert [thing["tags"] for thing in things] == [{"Project": "probe"}] * len(things)


def test_sigterm_while_the_image_is_pending_shows_what_packer_forgets(
    ec2: Ec2, probe: Probe
) -> None:
    """Packer 1.16 remembers an image only once it is available: image and snapshot stay, tagged."""
    ec2.pace(available=5)
    done = probe(kill_at="CreateImage", with_signal=signal.SIGTERM)
    assert done.code != 0
    left = ec2.leftovers()
    assert set(left) == {"image", "snapshot"}
    assert left["image"][0]["tags"] == left["snapshot"][0]["tags"] == {"Project": "probe"}


def test_sigkill_leaves_what_the_record_shows(ec2: Ec2, probe: Probe) -> None:
    """And no process of Packer goes on cleaning up afterwards."""
    ec2.pace(stopped=30)  # otherwise the build may be through before the signal comes
    done = probe(kill_at="StopInstances", with_signal=signal.SIGKILL, everything=True)
    assert done.code == -signal.SIGKILL
    left = ec2.leftovers()
    assert {"instance", "key-pair", "security-group", "volume"} <= set(left)
    assert left["instance"][0]["tags"] == {"Project": "probe"}


def test_a_kill_that_never_comes_is_an_error(ec2: Ec2, probe: Probe) -> None:
    """The build ended before: the test proved nothing."""
    with pytest.raises(RigError, match="ended without CopyImage number 1"):
        probe(kill_at="CopyImage")
