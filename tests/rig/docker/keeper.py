"""The process that runs a private Docker daemon: `python -m rig.docker.keeper OWNER_PID SLOTS`.

It prints one JSON line (run_dir, data_root, keeper_pid) once the daemon answers, and goes to the
background.  It ends the daemon on SIGTERM and when the owner is gone.

Images live in numbered slots of the directory SLOTS.  A keeper holds its slot's lock as long as
it lives: test runs side by side take different slots, later ones find the images of earlier ones.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from rig.docker.engine import SCRATCH_LABEL
from rig.host.cache import fingerprint
from rig.host.machine import birth

_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 20
_PR_SET_PDEATHSIG = 1


class Keeper:
    """A slot, with the daemon that uses it."""

    def __init__(self, data_root: Path, lock: IO[str]) -> None:
        self.lock = lock  # held open: closing it frees the slot
        self.data_root = data_root
        # In /run, because a socket's path may have 107 characters only, and named after the slot,
        # so that the next user of the slot finds what a killed keeper left.
        self.name = f"template-packer-ami-{fingerprint(str(self.data_root))[:8]}"
        self.run_dir = Path("/run") / self.name
        self.dockerd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        self._end_leftovers()
        (self.run_dir / "client").mkdir(parents=True, mode=0o700)
        config = self.run_dir / "daemon.json"
        config.write_text("{}\n")
        socket = f"unix://{self.run_dir}/docker.sock"
        with (self.run_dir / "dockerd.log").open("wb") as log:
            self.dockerd = subprocess.Popen(
                [
                    "dockerd",
                    f"--config-file={config}",  # not /etc/docker/daemon.json
                    f"--host={socket}",
                    f"--data-root={self.data_root}",
                    f"--exec-root={self.run_dir}/exec",
                    f"--pidfile={self.run_dir}/pid",
                    # A containerd that the machine already runs is shared, under names of our own.
                    f"--containerd-namespace={self.name}",
                    f"--containerd-plugins-namespace={self.name}-plugins",
                    f"--cgroup-parent=/{self.name}",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-forward=false",
                    "--ip-masq=false",
                    "--group=root",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while self._docker("version").returncode:
            if self.dockerd.poll() is not None or time.monotonic() > deadline:
                log_tail = (self.run_dir / "dockerd.log").read_text(errors="replace")[-3000:]
                self.stop()
                raise SystemExit(f"dockerd's log ends with:\n{log_tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon and everything it started; keep the tagged images."""
        if self.dockerd and self.dockerd.poll() is None:
            self._remove("rm", "--force", "--volumes", listing=("ps", "--all", "--quiet"))
            self._remove(
                "rmi", "--force", listing=("images", "--quiet", f"--filter=label={SCRATCH_LABEL}")
            )
            self._docker("image", "prune", "--force")
            self._docker("volume", "prune", "--force")
            self.dockerd.terminate()
            try:
                self.dockerd.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self.dockerd.kill()
                self.dockerd.wait()
        self._end_leftovers()

    def _docker(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", f"--host=unix://{self.run_dir}/docker.sock", *args],
            env={**os.environ, "DOCKER_CONFIG": str(self.run_dir / "client")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _remove(self, *command: str, listing: tuple[str, ...]) -> None:
        found = sorted(set(self._docker(*listing).stdout.split()))
        if found:
            self._docker(*command, *found)

    def _end_leftovers(self) -> None:
        """Clear what a killed daemon leaves: processes, mounts, the run directory.

        Its processes are known by the run directory in their command line, the containers' own
        by their cgroup; both names are this slot's alone, and this process holds the slot.
        """
        deadline = time.monotonic() + _SECONDS_TO_STOP
        while pids := self._own_processes():
            if time.monotonic() > deadline:
                raise SystemExit(f"cannot end the processes {pids} of {self.run_dir}")
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)
        for mount in self._own_mounts():
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        if self.run_dir.exists():
            shutil.rmtree(self.run_dir)

    def _own_processes(self) -> list[int]:
        found = []
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == os.getpid():
                continue
            try:
                command = (process / "cmdline").read_bytes()
                cgroups = (process / "cgroup").read_bytes()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue  # it ended meanwhile
            started_here = str(self.run_dir).encode() + b"/" in command and (
                Path(os.fsdecode(command.partition(b"\0")[0])).name
                in {"dockerd", "containerd", "containerd-shim-runc-v2", "runc"}
            )
            in_container = f":/{self.name}/".encode() in cgroups
            if state != "Z" and (started_here or in_container):
                found.append(int(process.name))
        return found

    def _own_mounts(self) -> list[str]:
        """Return the mount points in our directories, innermost first.

        dockerd mounts the data root onto itself, and leaves that behind when it is killed.
        """
        roots = tuple(f"{directory}/" for directory in (self.run_dir, self.data_root))
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        points = (line.split()[4].encode().decode("unicode_escape") for line in mounts)
        return sorted((point for point in points if f"{point}/".startswith(roots)), reverse=True)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _take_slot(slots: Path) -> Keeper:
    """Return a keeper for the first slot that no other keeper holds."""
    number = 0
    while True:
        data_root = slots / f"data-{number}"
        data_root.mkdir(parents=True, exist_ok=True)
        lock = data_root.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
        else:
            return Keeper(data_root, lock)


def main() -> None:
    """Start the daemon, report it, and keep it until the owner stops it or is gone."""
    owner_pid = int(sys.argv[1])
    owner_birth = birth(owner_pid)
    report, keeper_end = os.pipe()
    if os.fork():
        # The starter waits for this half only, so nobody has to reap the other one.
        os.close(keeper_end)
        with os.fdopen(report) as lines:
            text = lines.read()
        sys.stdout.write(text)
        sys.stdout.flush()
        os._exit(0 if text.startswith("{") else 1)

    os.close(report)
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    with os.fdopen(keeper_end, "w") as starter:
        try:
            keeper = _take_slot(Path(sys.argv[2]))
            ended = False

            def end(*_: object) -> None:
                nonlocal ended
                ended = True

            signal.signal(signal.SIGTERM, end)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            keeper.start()
        except BaseException as error:
            starter.write(str(error) or repr(error))
            raise
        starter.write(
            json.dumps(
                {
                    "run_dir": str(keeper.run_dir),
                    "data_root": str(keeper.data_root),
                    "keeper_pid": os.getpid(),
                }
            )
        )
    while not ended and birth(owner_pid) == owner_birth is not None:
        time.sleep(0.1)
    keeper.stop()


if __name__ == "__main__":
    main()
