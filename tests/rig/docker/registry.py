"""A container registry with a password, on this machine: Debian's docker-registry.

It stands for ECR, which knows one user, AWS, and passwords that end after 12 hours.
"""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from rig.docker.engine import SCRATCH_LABEL, DockerEngine
from rig.host import tools
from rig.lint.runner import tools_path

# Moto's ECR gives it to everybody.
PASSWORD = "123456789012-auth-token"  # noqa: S105 - opens nothing


class Registry:
    """A registry that one user may enter; a context manager that ends it."""

    def __init__(self, folder: Path, user: str, password: str) -> None:
        """Prepare one that keeps its images in FOLDER."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.name = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        self._user = user
        self.set_password(password)
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": self.name},
            "auth": {"htpasswd": {"realm": "rig", "path": str(folder / "htpasswd")}},
        }
        (folder / "config.yml").write_text(json.dumps(settings))  # JSON is YAML

    def set_password(self, password: str) -> None:
        """Change the password: who was logged in is a stranger now."""
        # Perl's crypt knows bcrypt, which is all that the registry takes.
        script = "print crypt($ARGV[0], q{$2y$04$abcdefghijklmnopqrstuv})"
        command = [str(tools.require("perl")), "-e", script, password]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        (self._folder / "htpasswd").write_text(f"{self._user}:{made.stdout}\n")

    def __enter__(self) -> Registry:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [tools.require("docker-registry"), "serve", self._folder / "config.yml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://{self.name}/v2/", timeout=2).close()
            except urllib.error.HTTPError as answer:
                answer.close()
                return self
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.stop()


def tiny_image(engine: DockerEngine, tag: str) -> None:
    """Put an image into an engine that holds this machine's bash and nothing else.

    It stands for packer-toolkit where only the way of an image is looked at: half a gigabyte takes
    half a minute to push and pull.
    """
    bash = tools.require("bash").resolve()
    listed = subprocess.run(["ldd", bash], capture_output=True, text=True, check=True).stdout
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in re.findall(r"(/\S+) \(0x", listed):
            tar.add(Path(name).resolve(), arcname=name)
        tar.add(bash, arcname="/usr/bin/bash")
    subprocess.run(
        ["docker", "import", f"--change=LABEL {SCRATCH_LABEL}", "-", tag],
        env={"PATH": tools_path(), **engine.env},
        input=archive.getvalue(),
        capture_output=True,
        check=True,
    )
