"""How long `packer-toolkit template fleet` takes for 10, 50 and 100 local clones.

    uv run python bench/fleet.py [--rounds 5]

The fastest round of each counts.  Exit code 1 when a repository costs more in a large fleet than in
a small one: from 50 to 100 at most 1.5 times what it costs from 10 to 50.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rig.repositories.template import git

SIZES = (10, 50, 100)
GROWTH = 1.5
_GIT_CONFIG = "[user]\n    name = Bench\n    email = bench@example.com\n"


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "gitconfig").write_text(_GIT_CONFIG)
        os.environ["GIT_CONFIG_GLOBAL"] = str(here / "gitconfig")
        fleets = make(here)
        # One of each in turn, so that whatever else the machine does meets all of them.
        taken = [{size: seconds(fleet) for size, fleet in fleets.items()} for _ in range(rounds)]
    best = {size: min(times[size] for times in taken) for size in SIZES}
    for size, time_taken in best.items():
        print(f"{size:4} repositories  {time_taken:6.2f} s  {time_taken / size:.3f} s each")
    small, middle, large = (best[size] for size in SIZES)
    first = (middle - small) / (SIZES[1] - SIZES[0])
    then = (large - middle) / (SIZES[2] - SIZES[1])
    print(f"one more costs {first:.4f} s from 10 to 50, {then:.4f} s from 50 to 100")
    return int(then > GROWTH * first)


def make(here: Path) -> Mapping[int, Path]:
    """Make a template, a hundred clones, and folders with so many of them."""
    template = here / "template"
    git(here, "init", "--quiet", str(template))
    for tag in ("v1.0.0", "v1.1.0"):
        git(template, "commit", "--quiet", "--allow-empty", "-m", tag)
        git(template, "tag", tag)
    fleets = {size: here / f"fleet-{size}" for size in SIZES}
    for size, folder in fleets.items():
        folder.mkdir()
        for index in range(size):
            clone = folder / f"packer-ami-{index:03}"
            git(folder, "init", "--quiet", str(clone))
            text = f"_commit: v1.{index % 2}.0\n_src_path: {template}\nimage_name: web\n"
            text += "parent_image: debian-12\ntoolkit_image: example.com/toolkit\n"
            (clone / ".copier-answers.yml").write_text(text)
            git(clone, "add", "--all")
            git(clone, "commit", "--quiet", "-m", "Start")
    return fleets


def seconds(folder: Path) -> float:
    """Return how long the command takes, from its start to its end."""
    command = [sys.executable, "-m", "packer_toolkit", "template", "fleet"]
    command += ["--local", str(folder), "--json"]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
