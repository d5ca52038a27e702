"""How long `template-check` takes, and what hooks and migrations add to an update.

    uv run --frozen python bench/template_check.py [--rounds 7]

`template-check` on a local template has 1.5 seconds; an update at most 1.05 times those of the same
template without hook and migrations.  Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from paired import Ratio, compare

from rig.repositories.template import ROOT, git, release, render, snapshot

SECONDS = 1.5
# Nothing to do on the way, as nearly every migration at nearly every update.
MIGRATIONS = """\
_migrations:
  - version: v1.0.1
    command: ["true"]
    when: "{{ _stage == 'before' and false }}"
  - version: v1.0.1
    command: ["true"]
    when: "{{ _stage == 'after' and false }}"
"""


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="counted runs of each (default 7)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        config = work / "gitconfig"
        config.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
        os.environ.update(GIT_CONFIG_GLOBAL=str(config), GIT_CONFIG_NOSYSTEM="1")
        whole = _template(work / "whole", bare=False)
        bare = _template(work / "bare", bare=True)
        old = render(whole, work / "a" / "packer-ami-web", vcs_ref="v1.0.0")
        old_bare = render(bare, work / "b" / "packer-ami-web", vcs_ref="v1.0.0")
        git(old_bare, "init", "--quiet")
        git(old_bare, "add", "--all")
        git(old_bare, "commit", "--quiet", "-m", "Start")
        fast = _check(old, rounds)
        kept = compare(
            {
                "update": lambda: _update(old),
                "update without hook and migrations": lambda: _update(old_bare),
            },
            [
                Ratio(
                    "update / the same without hook and migrations",
                    "update",
                    "update without hook and migrations",
                    1.05,
                )
            ],
            rounds,
        )
    return 0 if fast and kept else 1


def _template(folder: Path, bare: bool) -> Path:
    """Make two releases of the template; BARE: without its hook, and without migrations."""
    template = snapshot(folder)
    questions = template / "copier.yml"
    text = questions.read_text()
    if bare:
        for key in ("_tasks:\n", "_migrations:\n"):
            before, found, rest = text.partition(key)
            if found:
                # Up to the next key or section at the line's start.
                lines = rest.splitlines(keepends=True)
                skip = next(i for i, line in enumerate(lines) if line[:1] not in " \n")
                text = before + "".join(lines[skip:])
    elif "_migrations:" not in text:
        text += MIGRATIONS
    questions.write_text(text)
    git(template, "tag", "-d", "v1.0.0")
    release(template, "v1.0.0")
    changed = template / "template/variables.pkr.hcl"
    changed.write_text(changed.read_text() + "# The newest release.\n")
    release(template, "v1.1.0")
    return template


def _check(project: Path, rounds: int) -> bool:
    seconds = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        done = _run(project, "template", "check", "--json")
        if number:
            seconds.append(time.perf_counter() - began)
        if json.loads(done)["newest"] != "v1.1.0":
            raise SystemExit(done)
    median = statistics.median(seconds)
    print(
        f"{median:8.2f} s  template-check  ({min(seconds):.2f} to {max(seconds):.2f}), at most "
        f"{SECONDS:.2f}: {'kept' if median <= SECONDS else 'MISSED'}"
    )
    return median <= SECONDS


def _update(project: Path) -> None:
    _run(project, "template", "update", "--trust")
    git(project, "reset", "--quiet", "--hard")
    shutil.rmtree(project / ".git" / "packer-toolkit-update", ignore_errors=True)


def _run(project: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("packer-toolkit")), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    print(f"{ROOT.name}, {os.cpu_count()} cores", file=sys.stderr)
    sys.exit(main())
