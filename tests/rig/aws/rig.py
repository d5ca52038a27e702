"""The rig as a test sees it.

def test_build(ec2):
    done = ec2.run(["packer", "build", "."], cwd=repository)
    assert done.code == 0
    assert ec2.calls("CreateImage")[0].params["Name"] == "web-1.2.3"
    assert ec2.leftovers() == {"image": [...], "snapshot": [...]}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from rig import CHECKOUT
from rig.aws.credentials import STATIC_KEY, STATIC_SECRET
from rig.aws.instances import LABEL, docker, parent_image, sweep
from rig.aws.parents import PUBLISHERS

# 127.77.0.0/16 and as many more as there are rigs at once.
_FIRST_NETWORK, _LAST_NETWORK = 77, 200
# From "answered" to "the program has read the answer".
ANSWERED_SECONDS = 0.2
# Marks a program and what it starts.
FAMILY = "RIG_EC2_FAMILY"

Moment = Literal["before", "during", "after"]


class Spawned(subprocess.Popen[str]):
    """A process that `Ec2.spawn` started; `mark` is in the environment of all its descendants."""

    mark: str


class RigError(RuntimeError):
    """The rig itself failed, or was asked for something that it cannot do."""


@dataclass(frozen=True)
class Call:
    """One recorded call of the AWS API.

    Attributes:
        n: Number in the record, from 1.
        time: When it came, Unix time; `seconds` is how long the answer took.
        service, action, region: As in AWS's API reference.
        params: With the names and types of the API reference, as boto3 takes them.
        access_key, principal: Who signed it; None when nobody did.
        status: HTTP status of the answer; `error` and `message` when it was an error.
        fault: Kind of the ordered fault that answered, or None.
        ids: Ids of EC2 resources in the answer.
        resource_tags: Tags that the resources in the parameters had before the call, by ID, or by
            the name of a key pair.
    """

    n: int
    time: float
    seconds: float
    service: str | None
    protocol: str
    region: str | None
    action: str
    params: dict[str, Any]
    access_key: str | None
    principal: str | None
    status: int
    error: str | None
    message: str | None
    fault: str | None
    ids: list[str]
    resource_tags: dict[str, dict[str, str]]

    def __getitem__(self, name: str) -> Any:
        """Return a parameter, None when the call did not have it."""
        return self.params.get(name)

    def tags(self, resource: str) -> dict[str, str]:
        """Return the tags that the call asked for on one kind of resource."""
        return {
            tag["Key"]: tag["Value"]
            for each in self.params.get("TagSpecifications", [])
            if each["ResourceType"] == resource
            for tag in each["Tags"]
        }


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Attributes:
        code: Exit code; negative is the signal that ended it.
        output: Standard output and error, in the order of writing.
        seconds: How long it ran.
        printed: When each line of the output came, in seconds after the start.
    """

    code: int
    output: str
    seconds: float
    printed: tuple[float, ...] = ()


@dataclass(frozen=True)
class Held:
    """A call that is kept waiting for the test."""

    _rig: Ec2
    _number: int

    def came(self, timeout: float = 60) -> bool:
        """Wait for the call, and tell whether it has come."""
        return bool(self._rig.admin("reached", number=self._number, timeout=timeout))

    def release(self) -> None:
        """Let it go on."""
        self._rig.admin("release", number=self._number)


@dataclass(frozen=True)
class Fault:
    """A fault that was ordered."""

    _rig: Ec2
    _number: int

    @property
    def hits(self) -> int:
        """How many calls it has answered: a test that never met its fault proves nothing."""
        return int(self._rig.admin("fault_state", number=self._number)["hits"])


@dataclass(frozen=True)
class Ami:
    """The disk of an AMI, looked at without booting it."""

    _rig: Ec2
    ami_id: str

    @property
    def image(self) -> str:
        """Name of the Docker image."""
        return str(self._rig.admin("image", ami_id=self.ami_id))

    def sh(self, script: str) -> str:
        """Run a shell script as root on the disk and return its output.

        Raises:
            RigError: When it fails.
        """
        done = self._rig.docker(
            "run", "--rm", "--network=none", "--tmpfs", "/run", "--entrypoint", "/bin/sh",
            self.image, "-euc", script, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RigError(f"exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.sh(f"cat '{path}'")

    def find(self, *paths: str, test: str = "-mindepth 1") -> list[str]:
        """List what `find PATHS TEST` finds; paths that do not exist hold nothing."""
        there = " ".join(f"'{path}'" for path in paths)
        script = f"for p in {there}; do [ ! -e $p ] || find $p {test}; done"
        return sorted(self.sh(script).split("\n")[:-1])


@dataclass
class Ec2:
    """A running rig.

    Use it as a context manager, or through the `ec2` fixture.

    Args:
        docker_env: What leads the docker client to an engine: `DockerEngine.env`.
        bases: Release of Debian to the base image that its parents are made of.
        region: Where the credentials point.
    """

    docker_env: Mapping[str, str]
    bases: Mapping[str, str]
    region: str = "eu-west-1"
    port: int = 0
    vpc_id: str = ""
    subnet_id: str = ""
    cidr: str = ""
    _server: subprocess.Popen[str] | None = None
    _lock: IO[str] | None = None
    _network: int = 0
    _state: tempfile.TemporaryDirectory[str] | None = None
    _ran: list[Spawned] = field(default_factory=list)

    def __enter__(self) -> Ec2:
        """Start the rig."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything that it started."""
        self.stop()

    def start(self) -> Ec2:
        """Take an address range and start the server process."""
        self._lock, self._network = _take_network()
        self._state = tempfile.TemporaryDirectory(
            prefix="rig-ec2-",
            ignore_cleanup_errors=True,  # the server, which may outlive us, removes it first
        )
        images = {}
        for release, base in self.bases.items():
            with _docker_environment(self.docker_env):
                images[release] = parent_image(release, base)
        with _docker_environment(self.docker_env):
            _sweep_the_dead()
        config = {
            "rig_id": f"rig-{self._network}",
            "address": f"127.{self._network}",
            "state_dir": self._state.name,
            "region": self.region,
            "images": images,
        }
        log = (Path(self._state.name) / "server.log").open("w")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "rig.aws.server", json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for pytest; the server ends when pytest lets go
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))},
                **self.docker_env,
                "PYTHONPATH": str(CHECKOUT / "tests"),
            },
        )
        log.close()
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            reason = self.server_log()
            self.stop()
            raise RigError(f"the server did not start: {reason}")
        for name, value in json.loads(line).items():
            setattr(self, name, value)
        return self

    def stop(self) -> None:
        """End all processes that `run` left, the server and its containers."""
        for process in self._ran:
            _end_family(process)
        self._ran.clear()
        if self._server:
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            with contextlib.suppress(ProcessLookupError):
                self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(30)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server.stdin.close()
            self._server.stdout.close()
            self._server = None
        if self._state:
            self._state.cleanup()
            self._state = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def reset(self) -> None:
        """Return to the state of the start, with the same address and keys."""
        for process in self._ran:
            _end_family(process)
        self._ran.clear()
        self.admin("reset")
        for name, value in self.admin("network").items():
            setattr(self, name, value)

    # -- for the program under test

    @property
    def url(self) -> str:
        """Endpoint of all services."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment that turns any AWS client, and a rendered repository, to the rig."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            # Packer's plugin assumes a profile's role with a client that knows only this one.
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ACCESS_KEY_ID": STATIC_KEY,
            "AWS_SECRET_ACCESS_KEY": STATIC_SECRET,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PKR_VAR_vpc_id": self.vpc_id,
            "PKR_VAR_subnet_id": self.subnet_id,
            "PKR_VAR_ssh_interface": "private_ip",
            "PKR_VAR_ssh_source_cidrs": '["127.0.0.1/32"]',
        }

    def client(self, service: str = "ec2", **options: Any) -> Any:
        """Make a boto3 client for the rig; OPTIONS are boto3's."""
        import boto3
        from botocore.config import Config

        settings = {
            "region_name": self.region,
            "endpoint_url": self.url,
            "aws_access_key_id": STATIC_KEY,
            "aws_secret_access_key": STATIC_SECRET,
            "config": Config(retries={"total_max_attempts": 1}),
        }
        create: Any = boto3.client  # typed for each service by name
        return create(service, **{**settings, **options})

    def spawn(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Spawned:
        """Start a program in the rig's environment, in a process group of its own."""
        mark = uuid.uuid4().hex
        process = Spawned(
            # Under nohup, whatever is started ignores SIGHUP as we do.
            ["/usr/bin/env", "--default-signal=HUP", *command],
            cwd=cwd,
            env={**os.environ, **self.env, **(env or {}), FAMILY: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        process.mark = mark
        self._ran.append(process)
        return process

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        kill_at: str | None = None,
        kill_nth: int = 1,
        kill_moment: Moment = "after",
        kill_when: str | Sequence[str] = (),
        with_signal: signal.Signals = signal.SIGTERM,
        everything: bool = False,
        timeout: float = 300,
    ) -> Finished:
        """Run a program in the rig's environment, and perhaps kill it in the middle.

        Args:
            command: Program and arguments.
            cwd: Working directory.
            env: Variables beside the machine's and the rig's own.
            kill_at: Action at whose call the signal is sent.
            kill_nth: Which call of that action.
            kill_moment: `before` the call is carried out; `during`: it is carried out, and its
                answer on the way; `after`: the program has got the answer.
            kill_when: Or a text at whose first appearance in the output the signal is sent; of
                several, once at each, in this order.
            with_signal: The signal.
            everything: Signal all that it has started too, wherever that runs: as when a machine
                loses its power, or a runner ends a job.
            timeout: Seconds until it is killed for good.

        Raises:
            RigError: When it takes longer, or the moment to kill it never came.
        """
        held = self.hold(kill_at, kill_nth, moment=kill_moment) if kill_at else None
        texts = [kill_when] if isinstance(kill_when, str) else list(kill_when)
        began = time.monotonic()
        process = self.spawn(command, cwd=cwd, env=env)
        ended = threading.Event()
        killed = threading.Event()

        def send() -> None:
            for pid in _family(process) if everything else [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, with_signal)
            killed.set()

        def kill() -> None:
            assert held is not None
            while not ended.is_set():
                if held.came(timeout=0.2):
                    if kill_moment == "after":
                        time.sleep(ANSWERED_SECONDS)
                    send()
                    if kill_moment != "after":
                        time.sleep(ANSWERED_SECONDS)  # the signal may be handed on
                    held.release()
                    return

        killer = threading.Thread(target=kill, daemon=True)
        if held:
            killer.start()
        lines: list[str] = []
        printed: list[float] = []

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                printed.append(time.monotonic() - began)
                if texts and texts[0] in line:
                    del texts[0]
                    send()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            output = "".join(lines)
            raise RigError(f"still running after {timeout} s:\n{output[-3000:]}") from None
        finally:
            ended.set()
            seconds = time.monotonic() - began
            _end_family(process)  # children that outlived it, such as Packer's plugins
            process.wait()
            self._ran.remove(process)
            reader.join(10)
            assert process.stdout is not None
            process.stdout.close()
            if held:
                killer.join()
        output = "".join(lines)
        if held and not killed.is_set():
            raise RigError(f"ended without {kill_at} number {kill_nth}:\n{output[-3000:]}")
        if texts:
            raise RigError(f"ended without printing {texts[0]!r}:\n{output[-3000:]}")
        return Finished(process.returncode, output, seconds, tuple(printed))

    # -- questions

    def calls(self, action: str | None = None, **params: Any) -> list[Call]:
        """List the recorded calls, oldest first.

        Args:
            action: Only this action.
            params: Only calls with these parameters, by equality.
        """
        return [
            Call(**entry)
            for entry in self.admin("calls")
            if action in (None, entry["action"])
            and all(entry["params"].get(name) == value for name, value in params.items())
        ]

    def call(self, action: str, **params: Any) -> Call:
        """Return the only call of an action.

        Raises:
            RigError: When there was none, or several.
        """
        found = self.calls(action, **params)
        if len(found) != 1:
            raise RigError(f"{len(found)} calls of {action}, not one")
        return found[0]

    def actions(self) -> list[str]:
        """List what was called, as IAM names it: `ec2:RunInstances`, sorted."""
        return sorted({f"{call.service}:{call.action}" for call in self.calls()})

    def leftovers(self) -> dict[str, list[dict[str, Any]]]:
        """List what is there and was not at the start; kinds with nothing are left out.

        Returns:
            instance, key-pair, security-group, volume, snapshot, image, network-interface: each
            a list of dicts with id, region, name and tags.
        """
        return {kind: things for kind, things in self.admin("leftovers").items() if things}

    def ami(self, ami_id: str) -> Ami:
        """Look into an AMI."""
        return Ami(self, ami_id)

    def images(self) -> list[dict[str, Any]]:
        """Describe the account's own AMIs at home, as EC2 does."""
        return list(self.client().describe_images(Owners=["self"])["Images"])

    def newest_parent(self, name: str) -> str:
        """Return the id of the newest image of a known publisher whose name fits a pattern."""
        filters = [{"Name": "name", "Values": [name]}]
        found = self.client().describe_images(Owners=list(PUBLISHERS), Filters=filters)
        return str(max(found["Images"], key=lambda image: image["CreationDate"])["ImageId"])

    def open_sessions(self) -> list[str]:
        """List the sessions of Session Manager that have not been terminated."""
        return list(self.admin("open_sessions"))

    def container(self, instance_id: str) -> str:
        """Name the container of an instance."""
        return str(self.admin("container", instance_id=instance_id))

    def instance_sh(self, instance_id: str, script: str) -> str:
        """Run a shell script as root in a running instance, past SSH."""
        name = self.container(instance_id)
        return str(self.docker("exec", name, "sh", "-euc", script).stdout)

    @contextlib.contextmanager
    def boot(self, ami_id: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Run an instance of an AMI with a login key and an open port 22, and terminate it.

        Yields:
            EC2's description of the instance, and with it `KeyFile`: path of the private key.
        """
        client = self.client()
        name = f"boot-{time.time_ns()}"
        pair = client.create_key_pair(KeyName=name, KeyType="ed25519")
        group = client.create_security_group(GroupName=name, Description=name, VpcId=self.vpc_id)
        client.authorize_security_group_ingress(
            GroupId=group["GroupId"],
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": 22,
                    "ToPort": 22,
                    "IpRanges": [{"CidrIp": "127.0.0.1/32"}],
                }
            ],
        )
        assert self._state is not None
        key = Path(self._state.name) / f"{name}.pem"
        key.touch(mode=0o600)
        key.write_text(pair["KeyMaterial"])
        arch = client.describe_images(ImageIds=[ami_id])["Images"][0]["Architecture"]
        request = {
            "ImageId": ami_id,
            "InstanceType": "t4g.micro" if arch == "arm64" else "t3.micro",
            "KeyName": name,
            "SubnetId": self.subnet_id,
            "SecurityGroupIds": [group["GroupId"]],
            "MinCount": 1,
            "MaxCount": 1,
            **options,
        }
        instance_id = client.run_instances(**request)["Instances"][0]["InstanceId"]
        try:
            described = client.describe_instances(InstanceIds=[instance_id])
            yield {**described["Reservations"][0]["Instances"][0], "KeyFile": str(key)}
        finally:
            client.terminate_instances(InstanceIds=[instance_id])
            client.delete_security_group(GroupId=group["GroupId"])
            client.delete_key_pair(KeyName=name)
            key.unlink()

    def ssh(self, instance: Mapping[str, Any], user: str, command: str) -> Finished:
        """Run a command in an instance that `boot` gave, over SSH."""
        began = time.monotonic()
        done = subprocess.run(
            [
                "ssh", "-i", instance["KeyFile"], "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
                "-o", f"UserKnownHostsFile={os.devnull}", "-o", "LogLevel=ERROR",
                "-F", "none", f"{user}@{instance['PrivateIpAddress']}", command,
            ],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    # -- orders

    def fault(
        self,
        action: str,
        kind: str = "custom",
        *,
        at: int | Sequence[int] = (),
        first: int = 0,
        every: int = 0,
        after: bool = False,
        where: Mapping[str, Any] | None = None,
        code: str = "",
        status: int = 400,
        message: str = "",
    ) -> Fault:
        """Let calls fail from now on.

        Args:
            action: Which, or `*`.
            kind: throttle, error, deny, expire, unknown-key, or custom with code and status.
            at: Number or numbers of the calls, counted from now, first is 1.
            first: The first so many.
            every: Every so manieth; without at, first and every it is all.
            after: The call is carried out, and only the answer is lost.
            where: Parameters that the call must have.
            code: Error code of a custom fault,
            status: its HTTP status,
            message: and its message.
        """
        number = self.admin(
            "fault", action=action, kind=kind, at=[at] if isinstance(at, int) else list(at),
            first=first, every=every, after=after, where=dict(where or {}), code=code,
            status=status, message=message,
        )  # fmt: skip
        return Fault(self, number)

    def hold(self, action: str, at: int = 1, *, moment: Moment = "before") -> Held:
        """Keep the AT-th call of an action waiting, for at most a minute.

        Args:
            action: Which.
            at: Number of the call, counted from now.
            moment: `before` or `during`, see `run`; `after` only tells, and keeps nothing waiting.
        """
        order = {"action": action, "kind": "hold", "at": [at], "after": moment != "before"}
        number = self.admin("fault", **order)
        held = Held(self, number)
        if moment == "after":
            held.release()
        return held

    def clear_faults(self) -> None:
        """Take back all faults."""
        self.admin("clear_faults")

    def add_image(
        self,
        name: str,
        tags: Mapping[str, str] | None = None,
        *,
        state: str = "available",
        region: str | None = None,
        created: str = "2026-11-01T08:00:00Z",
        deprecated: str | None = None,
        owner: str | None = None,
        architecture: str = "x86_64",
        snapshot: str | None = None,
        snapshot_tags: Mapping[str, str] | None = None,
    ) -> str:
        """Register an image that no build made, with a disk that boots, and return its ID.

        ec2.add_image("web-1.0.0-x86_64", run_tags("packer-ami-web"), state="pending")

        Args:
            name: Its name; others may have the same one.
            tags: Its tags, such as `run_tags` or `image_tags` of this module; only the owner sees
                them, so an image of another account takes none.
            state: pending, available, failed, invalid, error, disabled, ...
            region: Where; by default at home.
            created: Its creation date.
            deprecated: The time from which it is deprecated.
            owner: Account ID; by default our own.
            architecture: x86_64 or arm64.
            snapshot: ID of the snapshot that it uses; by default a new one.
            snapshot_tags: Tags of that new one; by default the image's.
        """
        if tags and owner:
            raise RigError("only its owner sees the tags of an image")
        return str(
            self.admin(
                "add_image", region=region or self.region, name=name, tags=dict(tags or {}),
                state=state, created=created, deprecated=deprecated, owner=owner,
                architecture=architecture, snapshot=snapshot,
                snapshot_tags=None if snapshot_tags is None else dict(snapshot_tags),
            )
        )  # fmt: skip

    def deny_key(self, denied: bool = True) -> None:
        """Let EC2 lack permissions for the KMS key: launches and copies fail as on EC2."""
        self.admin("deny_key", denied=denied)

    def no_agent(self) -> None:
        """Let the next instance have no agent of Systems Manager, as Debian's images do."""
        self.admin("flaw", agent=False)

    def no_scp(self) -> None:
        """Let the next instance have no program `scp`, as hardened images do."""
        self.admin("flaw", without=["/usr/bin/scp"])

    def no_sftp(self) -> None:
        """Let sshd of the next instance offer no SFTP, as hardened images do."""
        self.admin("flaw", without=["/usr/lib/openssh/sftp-server"])

    def ssh_never_opens(self) -> None:
        """Let the next instance never listen on port 22."""
        self.admin("flaw", ssh=False)

    def ssh_drops(
        self,
        *,
        marker: str | None = None,
        after_seconds: float | None = None,
        stay_down: bool = False,
    ) -> None:
        """Let the next instance cut its SSH sessions.

        Args:
            marker: As soon as this path exists in it.
            after_seconds: So long after the first login.
            stay_down: And never listens again.
        """
        self.admin(
            "flaw", drop_marker=marker, drop_after_seconds=after_seconds, stay_down=stay_down
        )

    def disk_full(self, path: str, kilobytes: int = 64) -> None:
        """Give the next instance a small disk of its own at an absolute path."""
        self.admin("flaw", full_path=path, full_kilobytes=kilobytes)

    def no_flaw(self) -> None:
        """Let the next instance be sound; so that an order is for the second one."""
        self.admin("flaw")

    def sessions(self, *, seconds: float | None = None, calls: int | None = None) -> None:
        """Set how long sessions that STS issues from now on are good for.

        Args:
            seconds: Told as `Expiration`, so that clients can renew in time.
            calls: Not told: the key expires after so many calls, whatever was promised.
        """
        self.admin("sessions", seconds=seconds, calls=calls)

    def expire_key(self, access_key: str = STATIC_KEY, after_calls: int = 0) -> None:
        """Let a key expire after so many more calls."""
        self.admin("expire", access_key=access_key, after_calls=after_calls)

    def pace(self, *, running: float = 0, stopped: float = 0, available: float = 0) -> None:
        """Set the seconds that an instance's start and stop, and a new AMI, are pending."""
        self.admin("pace", running=running, stopped=stopped, available=available)

    def distance(self, round_trip: float) -> None:
        """Set the seconds between a byte, to the API or the next instances, and its answer."""
        self.admin("distance", round_trip=round_trip)

    # -- below the surface

    def without_shim(self, name: str) -> None:
        """Reset, and let moto be as it is in one respect until the next reset."""
        self.admin("reset", without=name)

    def docker(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a docker command against the rig's engine."""
        return subprocess.run(
            ["docker", *args], env={**os.environ, **self.docker_env},
            capture_output=True, text=True, check=check,
        )  # fmt: skip

    def server_log(self) -> str:
        """Return what the server complained about."""
        assert self._state is not None
        return (Path(self._state.name) / "server.log").read_text()[-3000:]

    def admin(self, name: str, /, **arguments: Any) -> Any:
        """Call the admin interface."""
        request = urllib.request.Request(  # noqa: S310 - always http on loopback
            f"{self.url}/_rig/{name}", data=json.dumps(arguments).encode(), method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RigError(f"{name}: {error.read().decode().strip()}") from None


def run_tags(repository: str, **changes: str | None) -> dict[str, str]:
    """Return the tags of an image whose build was killed, with changes; None removes a tag.

    Args:
        repository: Value of the tag Repository, such as packer-ami-web.
        changes: Tags and their values.
    """
    expires = datetime.now(timezone.utc) + timedelta(hours=5)
    tags = {
        "Name": f"{repository}-build",
        "ExpiresAt": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ManagedBy": "packer",
        "Repository": repository,
        "RunId": "run-1",
        **changes,
    }
    return {name: value for name, value in tags.items() if value is not None}


def image_tags(repository: str, version: str = "1.0.0", **changes: str | None) -> dict[str, str]:
    """Return the tags of a finished image, with changes; None removes a tag.

    Args:
        repository: Value of the tag Repository, such as packer-ami-web.
        version: Of the image.
        changes: Tags and their values.
    """
    tags = {
        "Name": f"{repository.removeprefix('packer-ami-')}-{version}",
        "Commit": "0123456789abcdef0123456789abcdef01234567",
        "ExpiresAt": "never",
        "SourceAMI": "ami-0aaaaaaaaaaaaaaaa",
        "TemplateVersion": "v1.0.0",
        "ToolkitVersion": "1.0.0",
        "Version": version,
        **changes,
    }
    return run_tags(repository, **tags)


def _take_network() -> tuple[IO[str], int]:
    """Take the second octet of a free address range, for as long as the file is open."""
    for number in range(_FIRST_NETWORK, _LAST_NETWORK):
        if lock := _lock_network(number):
            return lock, number
    raise RigError("no address range is free in 127.0.0.0/8")


def _lock_network(number: int) -> IO[str] | None:
    folder = Path(tempfile.gettempdir()) / "rig-ec2-networks"
    folder.mkdir(exist_ok=True)
    lock = (folder / f"127.{number}").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _sweep_the_dead() -> None:
    """Remove the containers of rigs that nobody holds the address range of any more."""
    shown = docker("ps", "--all", "--filter", f"label={LABEL}", "--format",
                   f'{{{{.Label "{LABEL}"}}}}')  # fmt: skip
    for rig_id in set(shown.split()):
        if lock := _lock_network(int(rig_id.removeprefix("rig-"))):
            sweep(f"{LABEL}={rig_id}")
            lock.close()


def _family(process: Spawned) -> list[int]:
    """List a process and all that it has started, in whatever session and whosever child."""
    family = {process.pid}
    mark = f"\0{FAMILY}={process.mark}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in b"\0" + (entry / "environ").read_bytes():
                    family.add(int(entry.name))
    return sorted(family)


def _end_family(process: Spawned) -> None:
    """Kill what is left of a process of ours and of all that it has started."""
    while True:
        alive = [pid for pid in _family(process) if pid != process.pid]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if not alive:
            return
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


@contextlib.contextmanager
def _docker_environment(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
