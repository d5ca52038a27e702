"""The entry point finds base credentials wherever they are, and leads every tool to the role."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from packer_toolkit.aws import role as aws_access
from packer_toolkit.errors import SetupError
from rig.aws import Ec2
from rig.aws.credentials import STATIC_KEY, STATIC_SECRET
from rig.host.tools import Packer
from rig.servers.web import Handler, serving

ROLE = "arn:aws:iam::111122223333:role/team/packer-builder"
SHOW = "from packer_toolkit.aws.identity import read_identity; print(read_identity().describe())"
SETTINGS = "AWS_REGION=eu-west-1\nAWS_ACCOUNT_ID=111122223333\nPERSONAL_ROLE_VARIABLE=MY_ROLE\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a person's home, with a repository in it as the present folder."""
    home = tmp_path / "höme of a person"
    (home / ".aws" / "sso" / "cache").mkdir(parents=True)
    (home / "repository").mkdir()
    (home / "repository" / "toolkit.env").write_text(SETTINGS)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "repository")
    return home


@pytest.fixture
def rig(ec2: Ec2) -> dict[str, str]:
    """Return the environment that leads to the rig, without credentials."""
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_EC2_METADATA_DISABLED")
    return {name: ec2.env[name] for name in names}


KEYS = {"AWS_ACCESS_KEY_ID": STATIC_KEY, "AWS_SECRET_ACCESS_KEY": STATIC_SECRET}


@pytest.fixture(autouse=True)
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a container the entry point's folders go with it; here they would stay."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))


def run(
    *command: str | Path, env: Mapping[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command through the entry point."""
    done = subprocess.run(
        [sys.executable, "-m", "packer_toolkit.environment.entrypoint", *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for secret in (STATIC_SECRET, STATIC_KEY):
        assert secret not in done.stdout + done.stderr
    return done


def who(env: Mapping[str, str]) -> str:
    """Return the line that says who AWS takes us for."""
    return run(sys.executable, "-c", SHOW, env=env).stdout


class Credentials(Handler):
    """Answers as an instance, as a container's agent and as IAM Identity Center do."""

    def put(self) -> None:
        """Hand out a token, as the metadata service does first."""
        self._send("token")

    def get(self) -> None:
        """Hand out the rig's key."""
        end = datetime.now(timezone.utc) + timedelta(hours=1)
        if self.path.endswith("/security-credentials/"):
            self._send("node")
        elif self.path.startswith("/federation"):
            keys: dict[str, object] = {
                "accessKeyId": STATIC_KEY,
                "secretAccessKey": STATIC_SECRET,
                "sessionToken": "session",
                "expiration": int(end.timestamp() * 1000),
            }
            self._send(json.dumps({"roleCredentials": keys}))
        else:
            keys = {
                "Code": "Success",
                "AccessKeyId": STATIC_KEY,
                "SecretAccessKey": STATIC_SECRET,
                "Token": "session",
                "Expiration": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            }
            self._send(json.dumps(keys))

    def _send(self, text: str) -> None:
        self.send(200, text, **{"X-aws-ec2-metadata-token-ttl-seconds": "600"})


@pytest.fixture
def services() -> Iterator[str]:
    """Serve credentials; return the URL."""
    with serving(Credentials) as address:
        yield f"http://{address}"


def prepare(source: str, home: Path, services: str) -> dict[str, str]:
    """Put credentials into one of the places where people have them; return the environment."""
    config, credentials = home / ".aws" / "config", home / ".aws" / "credentials"
    keys = f"aws_access_key_id = {STATIC_KEY}\naws_secret_access_key = {STATIC_SECRET}\n"
    if source == "environment":
        return dict(KEYS)
    if source == "default profile":
        credentials.write_text(f"[default]\n{keys}")
    elif source == "named profile":
        credentials.write_text(f"[me]\n{keys}")
        return {"AWS_PROFILE": "me"}
    elif source == "profile in the configuration":
        config.write_text(f"[profile me]\nregion = us-east-1\n{keys}")
        return {"AWS_PROFILE": "me"}
    elif source == "web identity":
        token = home / "token"
        token.write_text("a token")
        return {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/workflow",
        }
    elif source == "container":
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{services}/creds"}
    elif source == "instance":
        return {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": services,
        }
    elif source == "SSO cache":
        config.write_text(
            "[profile me]\nsso_session = corp\nsso_account_id = 123456789012\n"
            "sso_role_name = Dev\nregion = eu-west-1\n"
            "[sso-session corp]\nsso_region = eu-west-1\n"
            "sso_start_url = https://corp.awsapps.com/start\n"
        )
        end = datetime.now(timezone.utc) + timedelta(hours=8)
        token_file = home / ".aws/sso/cache" / f"{hashlib.sha1(b'corp').hexdigest()}.json"  # noqa: S324
        token_file.write_text(
            json.dumps({"accessToken": "x", "expiresAt": f"{end:%Y-%m-%dT%H:%M:%SZ}"})
        )
        return {"AWS_PROFILE": "me", "AWS_ENDPOINT_URL_SSO": services}
    return {}


SOURCES = [
    "environment", "default profile", "named profile", "profile in the configuration",
    "web identity", "container", "instance", "SSO cache",
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_the_role_is_assumed_with_credentials_from(
    ec2: Ec2, rig: dict[str, str], home: Path, services: str, source: str
) -> None:
    """Every place where people have credentials."""
    env = {**rig, **prepare(source, home, services), "MY_ROLE": "team/packer-builder"}
    line = who(env)
    assert line.startswith(
        "AWS: account 111122223333, role packer-builder, region eu-west-1, until "
    )
    assert "in 60 minutes" in line or "in 59 minutes" in line
    call = ec2.call("AssumeRole")
    assert call["RoleArn"] == ROLE
    if source != "web identity":
        assert call.access_key == STATIC_KEY


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_role_the_credentials_are_used_as_they_are(
    ec2: Ec2, rig: dict[str, str], home: Path, services: str, source: str
) -> None:
    """Also when Taskfile.local.yml says `none`."""
    env = {**rig, **prepare(source, home, services), "MY_ROLE": "none"}
    assert who(env).startswith("AWS: account 123456789012, ")
    assert not ec2.calls("AssumeRole")


def test_all_tools_assume_it(ec2: Ec2, rig: dict[str, str], home: Path, packer: Packer) -> None:
    """The AWS CLI, boto3 and Packer take credentials from the environment in different orders."""
    env = {**rig, **KEYS, **packer.env, "MY_ROLE": ROLE}
    arn = run("aws", "sts", "get-caller-identity", "--query=Arn", "--output=text", env=env).stdout
    assert arn.startswith("arn:aws:sts::111122223333:assumed-role/packer-builder/packer-toolkit")
    (home / "repository" / "look.pkr.hcl").write_text(
        'data "amazon-ami" "debian" {\n'
        '  filters     = { name = "debian-12-amd64-*" }\n'
        '  owners      = ["136693071363"]\n'
        "  most_recent = true\n"
        "}\n"
        'source "null" "this" { communicator = "none" }\n'
        'build { sources = ["null.this"] }\n'
    )
    run(packer.path, "build", ".", env=env)
    described = ec2.call("DescribeImages")
    assert described.principal
    assert ":assumed-role/packer-builder/" in described.principal
    assert described.region == "eu-west-1"


def test_no_secret_is_readable_by_others_or_left_in_the_environment(
    rig: dict[str, str], home: Path
) -> None:
    """The base credentials move into a file of mode 0600, in a folder of mode 0700."""
    shown = json.loads(
        run(
            sys.executable, "-c",
            "import json, os; env = dict(os.environ); file = env['AWS_CONFIG_FILE'];"
            " env['modes'] = [os.stat(file).st_mode, os.stat(os.path.dirname(file)).st_mode];"
            " env['folder'] = os.path.dirname(file);"
            " print(json.dumps({k: v for k, v in env.items() if k.startswith('AWS') or k in"
            " ('modes', 'folder')}))",
            env={**rig, **KEYS, "AWS_SESSION_TOKEN": "x", "MY_ROLE": "builder"},
        ).stdout
    )  # fmt: skip
    assert [stat.S_IMODE(mode) for mode in shown.pop("modes")] == [0o600, 0o700]
    assert set(shown) == {
        "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
        "AWS_PROFILE", "AWS_REGION", "AWS_SDK_LOAD_CONFIG", "folder",
    }  # fmt: skip


def test_the_role_is_assumed_again_when_its_hour_is_over(
    ec2: Ec2, rig: dict[str, str], home: Path
) -> None:
    """A build may take longer than what role chaining allows."""
    ec2.sessions(seconds=2)
    script = (
        "import time; from packer_toolkit.aws.identity import read_identity;"
        " from packer_toolkit.aws.session import open_session; s = open_session();"
        " read_identity(s); time.sleep(2.5); read_identity(s)"
    )
    run(sys.executable, "-c", script, env={**rig, **KEYS, "MY_ROLE": "builder"})
    assert len(ec2.calls("AssumeRole")) >= 2


@pytest.mark.parametrize(
    ("role", "region", "expected"),
    [
        ("packer-builder", "eu-west-1", "arn:aws:iam::111122223333:role/packer-builder"),
        ("a/b/Builder@x", "eu-west-1", "arn:aws:iam::111122223333:role/a/b/Builder@x"),
        ("/a/Builder", "eu-west-1", "arn:aws:iam::111122223333:role/a/Builder"),
        ("arn:aws:iam::999999999999:role/x/B", "eu-west-1", None),
    ],
)
def test_a_role_is_a_name_or_an_arn(role: str, region: str, expected: str | None) -> None:
    """A name gets the account of the repository, and an ARN is used as it is."""
    assert aws_access.make_role_arn(role, "111122223333", region) == (expected or role)


@pytest.mark.parametrize(
    "role",
    [
        "AddYourRoleHere", "two words", "", "x" * 65, "ünïcode", "role\nrole_arn = other",
        "arn:aws:iam::123:role/short", "arn:aws:iam::111122223333:user/me",
        "arn:aws:sts::111122223333:assumed-role/B/session",
    ],
)  # fmt: skip
def test_what_is_no_role_is_refused(role: str) -> None:
    """Among others the placeholder, and what would add lines to the configuration file."""
    with pytest.raises(SetupError, match=r"is not a role: use|is not an IAM role ARN"):
        aws_access.make_role_arn(role, "111122223333", "eu-west-1")


def test_an_account_has_twelve_digits() -> None:
    """A mistyped one is not sent to AWS, which would answer in riddles."""
    with pytest.raises(SetupError, match="AWS_ACCOUNT_ID is '1234'"):
        aws_access.make_role_arn("builder", "1234", "eu-west-1")


def test_a_role_that_is_none_lets_nobody_act_as_somebody_else(
    ec2: Ec2, rig: dict[str, str], home: Path
) -> None:
    """What needs no AWS still runs; what needs it hears the reason."""
    env = {**rig, **KEYS, "MY_ROLE": "AddYourRoleHere"}
    assert run("echo", "hello", env=env).stdout == "hello\n"
    done = run("packer-toolkit", "legacy-deps", "/x", env=env, code=3)
    assert "MY_ROLE: 'AddYourRoleHere' is not a role: use a name" in done.stderr
    assert run("aws", "sts", "get-caller-identity", env=env, code=255).stdout == ""
    assert not ec2.calls("GetCallerIdentity")


def test_an_account_that_nobody_names_is_the_callers(
    ec2: Ec2, rig: dict[str, str], home: Path
) -> None:
    """A bare name outside of a rendered repository."""
    (home / "repository" / "toolkit.env").write_text("AWS_REGION=eu-west-1\n")
    who({**rig, **KEYS, "SOL_CET_USER_ROLE": "builder"})
    assert ec2.call("AssumeRole")["RoleArn"] == "arn:aws:iam::123456789012:role/builder"


FAILURES = {
    "no credentials": (3, "no AWS credentials"),
    "no credentials, with a role": (3, "no AWS credentials"),
    "an expired login": (3, "the AWS login has expired (GetParameters: ExpiredTokenException)"),
    "an expired login, with a role": (3, "the AWS login has expired (AssumeRole: ExpiredToken)"),
    "an expired SSO login": (3, "the AWS login has expired"),
    "an unknown key": (3, "AWS does not know these credentials"),
    "a role that is refused": (4, "the role cannot be assumed: User is not authorized"),
    "a profile that does not exist": (3, "The config profile (nobody) could not be found"),
    "a base profile that does not exist": (3, "nobody"),
    "no network": (4, "AWS cannot be reached"),
    "no network, with a role": (4, "AWS cannot be reached"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failure_is_one_line_with_the_fix(
    ec2: Ec2, rig: dict[str, str], home: Path, services: str, case: str
) -> None:
    """Each says what is wrong and what to do; none shows a traceback or a key."""
    code, said = FAILURES[case]
    env = {**rig, **KEYS}
    if "with a role" in case or "role that" in case or "base profile" in case:
        env["MY_ROLE"] = "builder"
    if case.startswith("no credentials"):
        env |= dict.fromkeys(KEYS, "")
    elif case == "an expired SSO login":
        env |= dict.fromkeys(KEYS, "") | prepare("SSO cache", home, services)
        for file in (home / ".aws/sso/cache").iterdir():
            file.write_text('{"accessToken": "x", "expiresAt": "2020-01-01T00:00:00Z"}')
    elif case.startswith("an expired login"):
        ec2.fault("*", "expire")
    elif case == "an unknown key":
        env["AWS_ACCESS_KEY_ID"] = "AKIAUNKNOWNUNKNOWN00"
    elif case == "a role that is refused":
        ec2.fault("AssumeRole", "deny")
    elif "profile" in case:
        env |= dict.fromkeys(KEYS, "") | {"AWS_PROFILE": "nobody"}
    elif case.startswith("no network"):
        env |= dict.fromkeys(rig, "http://127.0.0.1:9")
    env = {name: value for name, value in env.items() if value}
    done = run("packer-toolkit", "legacy-deps", "/x", env=env, code=code)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
    assert "; " in done.stderr, "the fix follows"


@pytest.mark.integration
def test_a_command_that_does_not_exist_is_named(home: Path) -> None:
    """With the shell's exit code."""
    assert "nonsense is not in the toolkit image" in run("nonsense", env={}, code=127).stderr


@pytest.mark.parametrize(
    "comment", [b"# f\xfcr uns", b"# \x93quoted\x94", b"\xff", b"# \xe2\x82", b"# \xef\xbb\xbf"]
)
def test_a_configuration_that_is_not_utf_8_is_read(home: Path, comment: bytes) -> None:
    """Its bytes are a comment of an old editor, and the role is written beside it (review C20)."""
    (home / ".aws" / "config").write_bytes(b"[profile me]\nregion = us-east-1\n" + comment + b"\n")
    settings = {"AWS_PROFILE": "me", "AWS_REGION": "eu-west-1", "AWS_ACCOUNT_ID": "111122223333"}
    changes = aws_access.make_environment({**settings, aws_access.DEFAULT_ROLE_VARIABLE: "builder"})
    written = Path(str(changes["AWS_CONFIG_FILE"])).read_text(encoding="utf-8")
    assert "region = us-east-1" in written
    assert "role_arn = arn:aws:iam::111122223333:role/builder" in written
    assert "source_profile = me" in written
