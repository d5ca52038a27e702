"""Programs are run in one way, whatever becomes of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packer_toolkit.process import NOT_ON_PATH, TIMED_OUT, Completed, run_program


@pytest.mark.parametrize(
    ("completed", "line"),
    [
        (Completed(0, "1.0\nmore\n", "a warning\n"), "1.0"),
        (Completed(0), ""),
        (Completed(1, "out\n", "first\nlast\n"), "last"),
        (Completed(1, "first\nlast\n"), "last"),
        (Completed(3), "exit code 3"),
    ],
)
def test_one_line_of_the_output_matters(completed: Completed, line: str) -> None:
    """It is the first line of a success and the last line of a failure."""
    assert completed.line == line


@pytest.mark.integration
def test_input_and_output_pass_unchanged(tmp_path: Path) -> None:
    """A program gets its input, its folder and its environment."""
    script = "import os, sys; print(sys.stdin.read(), os.getcwd(), os.environ['X']); sys.exit(3)"
    completed = run_program(
        [sys.executable, "-c", script], folder=tmp_path, env={"X": "1"}, text="in"
    )
    assert completed == Completed(3, f"in {tmp_path.resolve()} 1\n")


@pytest.mark.integration
def test_a_program_that_does_not_exist_has_the_code_of_a_shell(tmp_path: Path) -> None:
    """Neither a missing program nor a missing folder raises an error."""
    assert run_program(["no-such-program"]) == Completed(
        NOT_ON_PATH, stderr="no-such-program is not on PATH"
    )
    folder = tmp_path / "missing"
    assert run_program([sys.executable], folder=folder).stderr == f"no {folder}"
    assert run_program([tmp_path]).code == 126


@pytest.mark.integration
def test_a_program_that_takes_too_long_is_stopped() -> None:
    """The timeout is reported with the program and the seconds."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    completed = run_program(command, timeout=0.05)
    assert completed.code == TIMED_OUT
    assert completed.line == f"{sys.executable} timed out after 0.05 seconds"


@pytest.mark.integration
def test_a_signal_stops_a_program() -> None:
    """The error of the function that looks for signals reaches the caller."""

    def check_signals() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_program([sys.executable, "-c", "import time; time.sleep(60)"],
                    check_signals=check_signals)  # fmt: skip
