"""A private Docker daemon for one test run.

It shares nothing with a Docker that the machine may run: own socket, own images, no bridge, no
firewall rules, no configuration file.  Containers use `--network=host`.

    with DockerEngine() as engine:
        engine.docker("run", "--rm", "--network=host", "debian:12", "true")

The daemon is run by a keeper process (keeper.py) that ends it when the owner stops it, and
also when the owner is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rig import CHECKOUT
from rig.host.cache import CACHE_ROOT
from rig.host.machine import HOST_ENV, birth
from rig.host.session import Session

# An image with this label is removed when its engine stops; other tagged images stay for the next
# run.  `docker commit --change "LABEL …"` sets it on what a test makes.
SCRATCH_LABEL = "template-packer-ami.scratch=1"


class DockerError(RuntimeError):
    """A docker command or the start of the daemon failed; the message holds its output."""


def why_not() -> str | None:
    """Return why no daemon can be started on this machine, or None."""
    if sys.platform != "linux":
        return "a private Docker daemon needs Linux"
    if os.geteuid() != 0:
        return "a private Docker daemon needs root"
    for program in ("dockerd", "docker"):
        if not shutil.which(program, path=_path()):
            return f"{program} is not installed; on Debian: apt-get install docker.io"
    return None


def host_env() -> dict[str, str]:
    """Return the machine's environment without what leads a client to another daemon.

    An empty DOCKER_CERT_PATH would do for Docker's own client, but not for others.
    """
    return {name: value for name, value in HOST_ENV.items() if not name.startswith("DOCKER_")}


def _path() -> str:
    # dockerd, and what it calls, lie in sbin, which is not on everybody's PATH.
    return os.pathsep.join([HOST_ENV.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


class DockerEngine:
    """A Docker daemon of our own, and the client that talks to it."""

    def __init__(self, owner_pid: int | None = None, slots: Path | None = None) -> None:
        """Prepare an engine that lives no longer than OWNER_PID, by default this process.

        SLOTS is the directory of the images' stores, by default the one in the cache.
        """
        self._owner_pid = owner_pid or os.getpid()
        self._slots = slots or CACHE_ROOT / "docker"
        self._state: dict[str, Any] | None = None

    @classmethod
    def shared(cls, session: Session) -> DockerEngine:
        """Return the engine of a whole test run, started by whoever asks first."""
        engine = cls(session.owner_pid)

        def start() -> dict[str, Any]:
            engine.start()
            return engine.state

        engine._state = session.once("docker-engine", start)
        return engine

    @classmethod
    def stop_shared(cls, session: Session) -> None:
        """Stop the engine of a test run, if anybody started it."""
        state = session.started("docker-engine")
        if state:
            engine = cls(session.owner_pid)
            engine._state = state
            engine.stop()

    @property
    def state(self) -> dict[str, Any]:
        """Return what another process needs to reach the engine: run_dir, keeper_pid."""
        if self._state is None:
            raise DockerError("the Docker engine is not running; call start() first")
        return self._state

    @property
    def run_dir(self) -> Path:
        """Return the directory of the socket, the pid file and the daemon's log."""
        return Path(self.state["run_dir"])

    @property
    def data_root(self) -> Path:
        """Return the directory of the images."""
        return Path(self.state["data_root"])

    @property
    def socket(self) -> Path:
        """Return the daemon's socket."""
        return self.run_dir / "docker.sock"

    @property
    def env(self) -> dict[str, str]:
        """Return the variables that lead any Docker client, Packer's too, to this daemon."""
        return {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.run_dir / "client"),  # no credentials, no contexts
        }

    def docker(
        self,
        *args: str | Path,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - subprocess' own word
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker client against this engine.

        Args:
            args: the command line after `docker`.
            check: whether a non-zero exit is an error.
            env: variables beside the machine's and the engine's own.
            input: text for standard input.
            timeout: seconds.

        Raises:
            DockerError: when the command failed and CHECK is set.
        """
        result = subprocess.run(
            ["docker", *map(str, args)],
            env={**host_env(), "PATH": _path(), **self.env, **(env or {})},
            input=input if input is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and result.returncode:
            raise DockerError(
                f"docker {' '.join(map(str, args))}: exit {result.returncode}\n"
                f"{result.stdout}{result.stderr}"
            )
        return result

    def start(self) -> DockerEngine:
        """Start the daemon and wait until it answers.

        Raises:
            DockerError: when it cannot start; the message ends with the daemon's log.
        """
        reason = why_not()
        if reason:
            raise DockerError(reason)
        keeper = subprocess.run(
            [sys.executable, "-m", "rig.docker.keeper", str(self._owner_pid), str(self._slots)],
            env={
                **HOST_ENV,
                "PATH": _path(),
                "PYTHONPATH": str(CHECKOUT / "tests"),
                "TEMPLATE_PACKER_AMI_CACHE": str(CACHE_ROOT),
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the daemon
            timeout=120,
            check=False,
        )
        if keeper.returncode:
            raise DockerError(f"the Docker daemon did not start\n{keeper.stdout}{keeper.stderr}")
        self._state = json.loads(keeper.stdout)
        return self

    def stop(self) -> None:
        """Remove the containers, end the daemon, unmount and delete what it left."""
        if self._state is None:
            return
        state, self._state = self._state, None
        pid = int(state["keeper_pid"])
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 90
        while Path(state["run_dir"]).exists() or birth(pid):
            if time.monotonic() > deadline:
                raise DockerError(f"the Docker engine did not stop; see {state['run_dir']}")
            time.sleep(0.05)

    def __enter__(self) -> DockerEngine:
        """Start the engine."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the engine."""
        self.stop()
