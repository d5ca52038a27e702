"""How long `packer-toolkit --help` takes, against Python that does nothing.

    uv run python bench/toolkit_startup.py [--rounds 15]

The entry point of the image is beside it: it comes before every command in the container.  Exit
code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from paired import Ratio, compare

SECONDS_AT_MOST = 0.25
PROGRAM = str(Path(sys.executable).with_name("packer-toolkit"))
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "packer-toolkit --help": [PROGRAM, "--help"],
    "packer-toolkit doctor --help": [PROGRAM, "doctor", "--help"],
    "entry point": [sys.executable, "-m", "packer_toolkit.environment.entrypoint", "true"],
}
# Click's own import is most of it; a command's module must not import boto3, rich or Copier.
BOUNDS = [
    Ratio("--help / python", "packer-toolkit --help", "python", 6.0),
    Ratio("doctor --help / --help", "packer-toolkit doctor --help", "packer-toolkit --help", 1.6),
    Ratio("entry point / python", "entry point", "python", 4.0),
]


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="counted runs of each (default 15)")
    arguments = parser.parse_args()
    kept = compare(
        {name: _runner(command) for name, command in COMMANDS.items()}, BOUNDS, arguments.rounds
    )
    return 0 if _help_is_fast(arguments.rounds) and kept else 1


def _runner(command: list[str]) -> Callable[[], None]:
    def run() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    return run


def _help_is_fast(rounds: int) -> bool:
    """Print what a person waits for, and tell whether it keeps its bound."""
    run = _runner(COMMANDS["packer-toolkit --help"])
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    median = statistics.median(taken)
    kept = median <= SECONDS_AT_MOST
    verdict = "kept" if kept else "MISSED"
    print(f"{median:8.3f} s  --help, at most {SECONDS_AT_MOST} s: {verdict}")
    return kept


if __name__ == "__main__":
    sys.exit(main())
