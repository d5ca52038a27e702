"""Runs `packer build`: reads its output, and forwards signals."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.build.host import Host
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.output import PackerOutput
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.session_manager import SessionWatch
from packer_toolkit.github.runner_commands import escape_commands
from packer_toolkit.signals import ReceivedSignals


@dataclass
class PackerProcess:
    """The process of `packer build`.

    Args:
        request: The request.
        host: Starts and kills Packer, and prints for the user.
        signals: Signals to forward.
        mask: Masks secrets.

    Attributes:
        output: What is known from the output.
        stop_reason: Reason why the toolkit stopped the build; empty if it did not.
    """

    request: BuildRequest
    host: Host
    signals: ReceivedSignals
    mask: Mask
    output: PackerOutput = field(default_factory=PackerOutput, init=False)
    stop_reason: str = field(default="", init=False)
    _sessions: SessionWatch = field(default_factory=SessionWatch, init=False)
    _process: Any = field(default=None, init=False)
    _is_killed: bool = field(default=False, init=False)

    def run(self, packer: str) -> int:
        """Run `packer build`; return its exit code, negative after a signal.

        Args:
            packer: Path of Packer.
        """
        request = self.request
        env = dict(request.env)
        if not sys.stdout.isatty() and not env.get("GITHUB_ACTIONS"):
            env.setdefault("PACKER_NO_COLOR", "1")
        command = [packer, "build", *request.options, *(request.arguments.words or ["."])]
        try:
            if request.is_interactive:
                return self._run_interactive(command, env)
            return self._run(command, env)
        finally:
            self.signals.on_signal = lambda _: None

    def stop(self, reason: str) -> None:
        """Stop the build as a signal from outside does, and record the reason."""
        self.stop_reason = reason
        self.signals.receive(signal.SIGTERM)

    def _run(self, command: list[str], env: dict[str, str]) -> int:
        # In a session of its own: Ctrl-C on a terminal is received by this process, which forwards
        # one signal. Packer understands a second one as a request to leave all resources behind.
        since = self.host.clock.monotonic()
        process = self._process = self.host.start(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.signals.on_signal = self._forward
        if self.signals.has_any:
            self._forward(self.signals.numbers[-1])
        threads = [
            threading.Thread(target=self._read_output, args=(process.stdout, since), daemon=True),
            threading.Thread(target=self._read_log, args=(process.stderr,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        code = int(process.wait())
        _join(threads)  # children that outlive Packer may hold the pipes
        self._kill()
        _join(threads)
        for pipe, thread in zip((process.stdout, process.stderr), threads, strict=True):
            if not thread.is_alive():
                pipe.close()
        return 1 if self._is_killed else code

    def _run_interactive(self, command: list[str], env: dict[str, str]) -> int:
        """Run Packer in the terminal of the user, which gives it Ctrl-C, too."""
        process = self.host.start(command, env=env)

        def forward(number: int) -> None:
            if number != signal.SIGINT:
                process.terminate()

        self.signals.on_signal = forward
        return int(process.wait())

    def _read_output(self, lines: Any, since: float) -> None:
        mask = self.mask.follow()
        is_job = self.request.environment.get("GITHUB_ACTIONS") == "true"
        for line in lines:
            masked = mask(line)
            elapsed = self.host.clock.monotonic() - since
            name, text = self.output.read(line, elapsed, masked)
            if reason := self._sessions.read(name, text, elapsed):
                # Otherwise Packer starts sessions until ssh_timeout is over.
                self.stop_reason = f"{self.mask.secrets(reason)}; the build is stopped"
                self.host.echo(self.stop_reason)
                self._terminate()
            elif self._sessions.is_repetition(text):
                continue
            self.host.show(escape_commands(masked) if is_job else masked)
            if self.output.has_invalid_credentials and not self._is_killed:
                # Packer would try each call for minutes, all calls for a quarter of an hour.
                self._is_killed = True
                self.host.echo(
                    "AWS credentials have expired and Packer cannot clean up; stopping Packer"
                )
                self._kill()

    def _read_log(self, lines: Any) -> None:
        """Print what PACKER_LOG adds, which repeats the output."""
        mask = self.mask.follow()
        for line in lines:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(mask(line))

    def _forward(self, number: int) -> None:
        """Forward a signal: the first one lets Packer clean up, the second one kills it."""
        name = signal.Signals(number).name
        if not self.signals.is_forced:
            self.output.interrupt()
            self.host.echo(
                f"Received {name}: waiting for Packer to clean up; send it again to stop now"
            )
            self._terminate()
        else:
            self.host.echo(
                f"Received {name} again: killing Packer; resources that cannot be deleted "
                "immediately are listed"
            )
            self._kill()

    def _terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self.host.kill_group(self._process.pid, signal.SIGKILL)


def _join(threads: Sequence[threading.Thread], seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
