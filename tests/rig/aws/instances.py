"""Containers that play the instances: start, stop, commit, look inside, break."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig.aws.line import BEHIND, Lines
from rig.docker.engine import SCRATCH_LABEL

BOOT = Path(__file__).with_name("boot.sh")
# Longest time from `docker run` to an open port 22; it takes about half a second.
BOOT_TIMEOUT_SECONDS = 30
LABEL = "rig.aws"


def docker(*args: str, check: bool = True, timeout: float = 120) -> str:
    """Run a docker command against DOCKER_HOST and return what it printed."""
    done = subprocess.run(
        ["docker", *args], capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise RuntimeError(f"docker {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass
class Flaw:
    """What shall be wrong with one of the next instances.

    Attributes:
        ssh: False, and nothing ever listens on port 22.
        drop_marker: Cut the SSH sessions as soon as this path exists in the instance.
        drop_after_seconds: Cut them this long after the first login.
        stay_down: After the cut nothing listens any more.
        agent: False, and the disk has no agent of Systems Manager.
        without: Programs that are not on the disk.
        full_path: A directory on a disk of its own,
        full_kilobytes: of this size.
    """

    ssh: bool = True
    drop_marker: str | None = None
    drop_after_seconds: float | None = None
    stay_down: bool = False
    agent: bool = True
    without: list[str] = field(default_factory=list)
    full_path: str | None = None
    full_kilobytes: int = 64


@dataclass
class Containers:
    """All containers of one rig."""

    rig_id: str
    state_dir: Path
    address: str  # first two octets, such as 127.77
    flaws: list[Flaw] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    round_trip: float = 0  # seconds between a byte for the next instances and its answer
    _lines: Lines = field(default_factory=Lines)
    _far: dict[str, float] = field(default_factory=dict)  # the round trip of each instance
    _agents: set[str] = field(default_factory=set)  # instances whose agent has registered
    _hidden: set[str] = field(default_factory=set)  # those whose port 22 no group opens
    _watchers: dict[str, threading.Event] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Label of everything in Docker that is this rig's."""
        return f"{LABEL}={self.rig_id}"

    def name(self, instance_id: str) -> str:
        """Name the container of an instance."""
        return f"{self.rig_id}-{instance_id}"

    def launch(
        self,
        *,
        instance_id: str,
        image: str,
        user: str,
        address: str,
        public_keys: Iterable[str],
        user_data: bytes | None,
        reachable: bool,
        has_profile: bool,
    ) -> None:
        """Start an instance and wait until it can be logged in to.

        With an instance profile, the agent of Systems Manager registers, which reaches sshd
        within the instance, whatever the security groups let in.
        """
        flaw = self.flaws.pop(0) if self.flaws else Flaw()
        seed = self.state_dir / instance_id
        seed.mkdir(parents=True)
        shutil.copy(BOOT, seed / "boot")
        (seed / "authorized_keys").write_text("".join(f"{key.strip()}\n" for key in public_keys))
        if user_data:
            (seed / "user-data").write_bytes(user_data)
        ours = address.startswith(f"{self.address}.")
        ssh = flaw.ssh and (reachable or has_profile) and ours
        if has_profile and ssh and flaw.agent:
            self._agents.add(instance_id)
            if not reachable:
                self._hidden.add(instance_id)
        if not ours:
            self.log.append(f"{instance_id}: {address} is outside {self.address}.0.0/16, no login")
        elif not reachable:
            self.log.append(f"{instance_id}: no security group lets 127.0.0.1 in on port 22")
        host = "ip-" + address.replace(".", "-")
        self._far[instance_id] = self.round_trip
        limits = []
        if flaw.full_path:
            limits = ["--tmpfs", f"{flaw.full_path}:rw,exec,size={flaw.full_kilobytes}k"]
        docker(
            "run", "--detach", "--name", self.name(instance_id),
            "--label", self.label, "--network=host",
            "--hostname", host, "--add-host", f"{host}:{address}",
            "--tmpfs", "/run:rw,exec,mode=755",
            "--volume", f"{seed}:/run/rig:ro", *limits,
            "--env", f"RIG_ADDRESS={address}", "--env", f"RIG_USER={user}",
            "--env", f"RIG_INSTANCE={instance_id}", "--env", f"RIG_SSH={'yes' if ssh else 'no'}",
            "--env", f"RIG_PORT={self._port(instance_id)}",
            "--env", f"RIG_WITHOUT={' '.join(flaw.without)}",
            "--entrypoint", "/bin/sh", image, "/run/rig/boot",
        )  # fmt: skip
        self._wait_for_boot(instance_id, address if ssh else None)
        if flaw.drop_marker or flaw.drop_after_seconds is not None:
            self._watch(instance_id, flaw)

    def start(self, instance_id: str, address: str) -> None:
        """Switch a stopped instance on again."""
        docker("start", self.name(instance_id))
        self._wait_for_boot(instance_id, address)

    def stop(self, instance_id: str) -> None:
        """Switch an instance off; its disk stays."""
        self._unwatch(instance_id)
        self._lines.close(instance_id)
        docker("stop", "--time", "2", self.name(instance_id), check=False)

    def terminate(self, instance_id: str) -> None:
        """End an instance and its disk."""
        self._unwatch(instance_id)
        self._lines.close(instance_id)
        docker("rm", "--force", "--volumes", self.name(instance_id), check=False)

    def commit(self, instance_id: str, ami_id: str) -> str:
        """Keep an instance's disk as an image and return the image's name."""
        image = f"rig-ami/{self.rig_id}:{ami_id}"
        docker(
            "commit", "--change", f"LABEL {self.label}", "--change", f"LABEL {SCRATCH_LABEL}",
            self.name(instance_id), image,
        )  # fmt: skip
        return image

    def forget_image(self, image: str) -> None:
        """Delete what `commit` made."""
        docker("image", "rm", "--force", image, check=False)

    def pid(self, instance_id: str) -> int:
        """Process id, on the host, of the instance's first process; 0 when it is off."""
        shown = docker("inspect", "--format", "{{.State.Pid}}", self.name(instance_id), check=False)
        return int(shown or 0)

    def remove_all(self) -> None:
        """End everything that carries this rig's label."""
        for instance_id in list(self._watchers):
            self._unwatch(instance_id)
        sweep(self.label)
        self._lines.close_all()
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self.state_dir.mkdir(parents=True)
        self.flaws.clear()
        self.log.clear()

    def drop_sessions(self, instance_id: str, *, stay_down: bool = False) -> int:
        """Kill the SSH sessions of an instance, as a broken line does; return how many."""
        top = self.pid(instance_id)
        if not top:
            return 0
        processes = _processes()
        listeners = {pid for pid, (parent, name) in processes.items()
                     if name == "sshd" and parent == top}  # fmt: skip
        # Only the server's side: what the step runs does not learn of it, and reports no exit code.
        family = {pid for pid in _descendants(listeners, processes)
                  if processes[pid][1].startswith("sshd")}  # fmt: skip
        dropped = 0
        for pid in family | (listeners if stay_down else set()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
                dropped += processes[pid][0] in listeners
        return dropped

    def _port(self, instance_id: str) -> int:
        """Tell where sshd of an instance listens: behind a line on another port."""
        return BEHIND if self._far[instance_id] or instance_id in self._hidden else 22

    def find_agent(self, instance_id: str, address: str) -> tuple[str, int] | None:
        """Return where the agent of an instance reaches sshd; None when there is no agent."""
        return (address, self._port(instance_id)) if instance_id in self._agents else None

    def _wait_for_boot(self, instance_id: str, address: str | None) -> None:
        deadline = time.monotonic() + BOOT_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if address is None:
                pid = self.pid(instance_id)
                if pid and Path(f"/proc/{pid}/root/run/rig-booted").exists():
                    return
            else:
                place = address, self._port(instance_id)
                with contextlib.suppress(OSError), socket.create_connection(place, 0.2):
                    break
            time.sleep(0.02)
        else:
            logs = docker("logs", "--tail", "20", self.name(instance_id), check=False)
            raise RuntimeError(f"{instance_id} did not boot in {BOOT_TIMEOUT_SECONDS} s: {logs}")
        if self._far[instance_id] and instance_id not in self._hidden:
            self._lines.open(instance_id, address, self._far[instance_id])

    def _watch(self, instance_id: str, flaw: Flaw) -> None:
        """Cut the line when the flaw says so, from a thread of its own."""
        end = self._watchers[instance_id] = threading.Event()
        top = self.pid(instance_id)

        def watch() -> None:
            due: float | None = None
            while not end.wait(0.05):
                if flaw.drop_marker and Path(f"/proc/{top}/root{flaw.drop_marker}").exists():
                    break
                if flaw.drop_after_seconds is not None:
                    if due is None and _logged_in(top):
                        due = time.monotonic() + flaw.drop_after_seconds
                    if due is not None and time.monotonic() >= due:
                        break
            else:
                return
            count = self.drop_sessions(instance_id, stay_down=flaw.stay_down)
            self.log.append(f"{instance_id}: dropped {count} SSH sessions")

        threading.Thread(target=watch, daemon=True).start()

    def _unwatch(self, instance_id: str) -> None:
        with contextlib.suppress(KeyError):
            self._watchers.pop(instance_id).set()


def sweep(label: str) -> None:
    """Remove all containers and images with a label."""
    containers = docker("ps", "--all", "--quiet", "--filter", f"label={label}", check=False)
    if containers:
        docker("rm", "--force", "--volumes", *containers.split(), check=False)
    images = docker("images", "--quiet", "--filter", f"label={label}", check=False)
    if images:
        docker("image", "rm", "--force", *set(images.split()), check=False)


def parent_image(debian: str, base: str) -> str:
    """Make the image that all parents of a Debian release boot, as a distributor ships it.

    Args:
        debian: Release number, for the name.
        base: Local image with python3, sudo and openssh-server.

    Returns:
        The image's name: no host keys and an empty machine-id, which the first boot makes.
    """
    name = f"rig-parent:{debian}"
    recipe = (
        f"FROM {base}\n"
        "RUN rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id && : > /etc/machine-id"
        # What the base image tells containers about certificates, logins have to hear from PAM.
        " && (env | grep -E '_(CERT|BUNDLE|FILE|CERTS)=/etc/ssl/' >> /etc/environment || true)\n"
    )
    label = "rig.aws.recipe"
    identity = docker("image", "inspect", "--format", "{{.Id}}", base)
    recipe += f"LABEL {label}={hashlib.sha256((recipe + identity).encode()).hexdigest()}\n"
    known = docker(
        "image",
        "inspect",
        "--format",
        f'{{{{ index .Config.Labels "{label}" }}}}',
        name,
        check=False,
    )
    if known and known in recipe:
        return name
    subprocess.run(
        ["docker", "build", "--quiet", "--network=host", "--tag", name, "-"],
        input=recipe, text=True, check=True, capture_output=True,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    return name


def _processes() -> dict[int, tuple[int, str]]:
    """List the host's processes: id, then parent's id and name."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = (entry / "stat").read_text()
                name, rest = text[text.index("(") + 1 :].rsplit(")", 1)
                found[int(entry.name)] = (int(rest.split()[1]), name)
    return found


def _descendants(roots: Iterable[int], processes: dict[int, Any]) -> set[int]:
    found: set[int] = set()
    edge = set(roots)
    while edge:
        edge = {pid for pid, (parent, _) in processes.items() if parent in edge} - found
        found |= edge
    return found


def _logged_in(top: int) -> bool:
    processes = _processes()
    listeners = {p for p, (parent, name) in processes.items() if parent == top and name == "sshd"}
    # Before the login there are only sshd's own processes.
    return any(
        not processes[pid][1].startswith("sshd") for pid in _descendants(listeners, processes)
    )
