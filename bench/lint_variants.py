"""Print how many fully linted variants a minute the checks of tests/rendered make.

    uv run --frozen python bench/lint_variants.py [--variants N] [--workers N]

Two processes as in the tests, cold (an empty cache of passes) and then warm, each with all of
Copier, hook and git.  The promise is 20 variants a minute cold, on 2 cores with nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rig.host import tools
from rig.lint.checks import CHECKS
from rig.lint.runner import lint
from rig.repositories.template import snapshot
from rig.repositories.variants import render, variants

BATCH = 10


def render_and_lint(
    names: list[str], template: Path, folder: Path, passes: Path
) -> tuple[float, float, float, int]:
    """Return the seconds of rendering, of linting, of both on a processor, and the findings."""
    before = processor_seconds()
    start = time.perf_counter()
    trees = {}
    for name in names:
        (folder / name).mkdir(parents=True)
        trees[name] = render(template, folder / name, variants()[name])
    middle = time.perf_counter()
    found = lint(trees, CHECKS, passes)
    return (
        middle - start,
        time.perf_counter() - middle,
        processor_seconds() - before,
        sum(map(len, found.values())),
    )


def processor_seconds() -> float:
    """Return what this process and its ended children have used; other load hardly changes it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    """Run cold and warm, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=len(variants()))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    names = list(variants())[: options.variants]
    tools.packer()  # built and installed before anything is timed
    tools.checkov()
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "gitconfig"
        config.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
        os.environ |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}
        template = snapshot(Path(scratch) / "template")
        for state in ("cold", "warm"):
            start = time.perf_counter()
            with ProcessPoolExecutor(options.workers) as pool:
                jobs = [
                    pool.submit(
                        render_and_lint,
                        names[at : at + BATCH],
                        template,
                        Path(scratch) / state,
                        Path(scratch) / "passes",
                    )
                    for at in range(0, len(names), BATCH)
                ]
                results = [job.result() for job in jobs]
            wall = time.perf_counter() - start
            rendering, linting, processor, findings = map(sum, zip(*results, strict=True))
            print(
                f"{state}: {len(names)} variants in {wall:.0f} s,"
                f" {60 * len(names) / wall:.0f} a minute; {processor:.0f} s of processor,"
                f" enough for {120 * len(names) / processor:.0f} a minute on 2 idle cores;"
                f" of the workers' time {rendering:.0f} s rendering, {linting:.0f} s linting;"
                f" findings: {findings}"
            )


if __name__ == "__main__":
    main()
