"""A Packer that prints what a test wants, for tests of what the toolkit does with it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fake_aws import HOME, REPOSITORY

from packer_toolkit.process import Completed

RUN_TAGS = {"ManagedBy": "packer", "Repository": REPOSITORY}


def format_hcl(value: Any) -> str:
    """Format a value as `packer inspect` prints it."""
    if isinstance(value, dict):
        lines = "".join(f'  "{name}" = "{text}"\n' for name, text in value.items())
        return f"{{\n{lines}}}"
    if isinstance(value, list):
        return "[\n" + "".join(f'  "{text}",\n' for text in value) + "]"
    return str(value)


def make_values(**changes: Any) -> dict[str, Any]:
    """Return the values of a repository; a double underscore stands for a period."""
    values = {
        "var.architectures": ["x86_64"],
        "var.image_name": "web",
        "var.region": HOME,
        "var.skip_create_ami": "true",
        "var.source_ami_owners": ["136693071363"],
        "local.run_tags": RUN_TAGS,
    }
    return {**values, **{name.replace("__", "."): value for name, value in changes.items()}}


def format_inspect(
    values: dict[str, Any],
    sources: Sequence[str] = ("amazon-ebs.x86_64",),
    post_processors: Sequence[str] = ("manifest",),
) -> str:
    """Return the output of `packer inspect`."""
    lines = [f"{name}: {json.dumps(format_hcl(value))}" for name, value in values.items()]
    lines += ["", "> builds:", "", "  > <unnamed build 0>:", "", "    sources:"]
    lines += [f"      {source}" for source in sources]
    lines += ["", "    provisioners:", "      shell", "", "    post-processors:"]
    lines += [f"        {name}" for name in post_processors]
    return "\n".join(lines) + "\n"


class FakePrograms:
    """Runs programs: `packer inspect` prints values, other programs succeed.

    Attributes:
        results: Results by subcommand of Packer, instead of success.
        commands: Commands that were run.
    """

    def __init__(self, output: str) -> None:
        self.results: dict[str, list[Completed]] = {"inspect": [Completed(0, output)]}
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str | Path], **options: Any) -> Completed:
        """Run a program."""
        del options
        self.commands.append([str(part) for part in command])
        results = self.results.get(self.commands[-1][1], [Completed(0)])
        return results.pop(0) if len(results) > 1 else results[0]


class FakeProcess:
    """The process of `packer build`.

    Args:
        lines: Lines that it prints.
        code: Exit code.
        on_wait: Function that is called when the toolkit waits for the end.
    """

    pid = 2**22 + 1  # no system has such a process

    def __init__(
        self, lines: Sequence[str] = (), code: int = 0, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self.stdout = io.StringIO("".join(f"{line}\n" for line in lines))
        self.stderr = io.StringIO("log\n")
        self.code = code
        self.on_wait = on_wait
        self.signals: list[int] = []
        self.command: list[str] = []
        self.options: dict[str, Any] = {}

    def __call__(self, command: list[str], **options: Any) -> FakeProcess:
        """Start the process."""
        self.command, self.options = command, options
        return self

    def wait(self) -> int:
        """Return the exit code."""
        self.on_wait()
        return self.code

    def send_signal(self, number: int) -> None:
        """Receive a signal."""
        self.signals.append(number)

    def terminate(self) -> None:
        """Receive SIGTERM."""
        self.send_signal(15)
