"""The entry point turns every error into one line and an exit code."""

from __future__ import annotations

import os
import signal
from unittest import mock

import click
import pytest

from packer_toolkit.cli.main import group, main
from packer_toolkit.errors import (
    CommandFailedError,
    RemoteError,
    SetupError,
    ToolkitError,
)

failed_build = CommandFailedError("the build failed")
failed_build.code = 143


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandFailedError("the check failed"), 1, "the check failed"),
        (SetupError("git is not installed"), 3, "git is not installed"),
        (RemoteError("AWS cannot be reached"), 4, "AWS cannot be reached"),
        (ToolkitError("a bug"), 70, "a bug"),
        (failed_build, 143, "the build failed"),
        (click.UsageError("No such option."), 2, "No such option; see: packer-toolkit --help"),
        (click.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("x"), 70, "internal error: ValueError: x; please report it with the traceback "
         "that PACKER_TOOLKIT_TRACEBACK=1 prints"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is the error's own, and nothing else is printed."""
    with (
        mock.patch.object(group, "main", side_effect=error),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == code
    assert capsys.readouterr() == ("", f"packer-toolkit: {line}\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_with_its_code(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM and SIGHUP end a command with 128 and their number, after its clean-up."""
    with (
        mock.patch.object(group, "main", side_effect=lambda **_: os.kill(os.getpid(), number)),
        mock.patch.object(signal, "getsignal", return_value=signal.SIG_DFL),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == "packer-toolkit: interrupted\n"


def test_the_result_of_a_command_is_the_exit_code() -> None:
    """A command that returns a number ends with it, any other one with 0."""
    for result, code in ((1, 1), (None, 0), ("x", 0)):
        with (
            mock.patch.object(group, "main", return_value=result),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        assert ended.value.code == code


def test_a_traceback_is_printed_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """PACKER_TOOLKIT_TRACEBACK lets a bug end with its traceback."""
    monkeypatch.setenv("PACKER_TOOLKIT_TRACEBACK", "1")
    with (
        mock.patch.object(group, "main", side_effect=ValueError("x")),
        pytest.raises(ValueError, match="x"),
    ):
        main()
