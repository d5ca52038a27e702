"""Reads the recipes of CONTRIBUTING.md and applies them to a copy of the repository.

A recipe is a section below "Recipes".  A line in it that has one of these forms is a step; BLOCK is
the fenced block below it, and ANCHOR is how one line of the file begins:

Create `FILE`:                          write BLOCK into a new file
At the end of `FILE`:                   add BLOCK
In `FILE`, before `ANCHOR`:             add BLOCK before the line
In `FILE`, after `ANCHOR`:              add BLOCK after the line
In `FILE`, before each `ANCHOR`:        add BLOCK before each line that begins so
In `FILE`, replace `OLD` with `NEW`.    replace OLD, which occurs once; `replace each` replaces all
Run:                                    run BLOCK in bash
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.repositories.template import ROOT, git

PAGE = ROOT / "CONTRIBUTING.md"
_CODE = re.compile(r"``(.+?)``(?!`)|`([^`]+)`")
_FENCE = re.compile(r"\n\n( *)```\w*\n(.*?)\n\1```$", re.M | re.S)
# The form of a step without its code, and whether a block follows.
_FORMS: Mapping[str, bool] = {
    "Create CODE:": True,
    "At the end of CODE:": True,
    "In CODE, before CODE:": True,
    "In CODE, after CODE:": True,
    "In CODE, before each CODE:": True,
    "In CODE, replace CODE with CODE.": False,
    "In CODE, replace each CODE with CODE.": False,
    "Run:": True,
}


@dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Attributes:
        form: A key of _FORMS.
        code: What the sentence names, in its order: the file, then anchor or old and new text.
        block: The lines of the block; "" where the form has none.
    """

    form: str
    code: tuple[str, ...]
    block: str


def read_recipes() -> dict[str, list[Step]]:
    """Return the steps of each recipe by its heading.

    Raises:
        ValueError: When a sentence looks like a step and is not, or a block belongs to no step.
    """
    _, _, text = PAGE.read_text().partition("\n## Recipes\n")
    _, *parts = re.split(r"^### (.+)\n", text, flags=re.M)
    return {
        heading: _read_steps(heading, recipe)
        for heading, recipe in zip(parts[::2], parts[1::2], strict=True)
    }


def _read_steps(heading: str, recipe: str) -> list[Step]:
    steps = []
    for line in re.finditer(r"^.*$", recipe, re.M):
        sentence = re.sub(r"^(?:\d+\. | +)", "", line[0])
        form = _CODE.sub("CODE", sentence)
        if form in _FORMS:
            code = tuple(doubled or single for doubled, single in _CODE.findall(sentence))
            fence = _FENCE.match(recipe, line.end())
            if _FORMS[form] != bool(fence):
                raise ValueError(f"{heading}: {sentence!r}: a block is missing or superfluous")
            block = re.sub(rf"^{fence[1]}", "", fence[2], flags=re.M) + "\n" if fence else ""
            steps.append(Step(form, code, block))
        elif form.startswith(("Create CODE", "At the end of CODE", "In CODE", "Run:")):
            raise ValueError(f"{heading}: {sentence!r}: not a step; see recipes.py")
    blocks = len(re.findall(r"^ *```\w+$", recipe, re.M))
    if blocks != sum(bool(step.block) for step in steps):
        raise ValueError(f"{heading}: a block belongs to no step")
    return steps


def copy_repository(folder: Path) -> Path:
    """Copy the files of the working tree, uncommitted ones too, into a new Git repository.

    Returns:
        The copy, committed and tagged v1.99.0 as a release of the template.
    """
    folder.mkdir(parents=True)
    options = ["--cached", "--others", "--exclude-standard"]
    for name in git(ROOT, "ls-files", *options).splitlines():
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git(folder, "init", "--quiet", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Copy")
    git(folder, "tag", "v1.99.0")
    return folder


def apply_step(step: Step, copy: Path) -> None:
    """Do in a copy of the repository what a step asks for.

    Raises:
        AssertionError: When an anchor or the old text is not in the file exactly once, or a command
            fails.
    """
    if step.form == "Run:":
        run(copy, step.block)
        return
    name, *rest = step.code
    file = copy / name
    if step.form == "Create CODE:":
        assert not file.exists(), f"{name} exists"
        file.write_text(step.block)
        return
    text = file.read_text()
    every = " each " in step.form
    if "replace" in step.form:
        old, new = rest
        assert text.count(old) >= 1 if every else text.count(old) == 1, f"{name}: {old}"
        file.write_text(text.replace(old, new))
    elif step.form.startswith("At the end"):
        file.write_text(text + step.block)
    else:
        (anchor,) = rest
        lines = text.splitlines(keepends=True)
        places = [n for n, line in enumerate(lines) if line.strip().startswith(anchor)]
        assert len(places) >= 1 if every else len(places) == 1, f"{name}: {anchor}: {places}"
        for place in reversed(places):
            lines.insert(place + ("after" in step.form), step.block)
        file.write_text("".join(lines))


def run(copy: Path, script: str) -> str:
    """Run commands in a copy of the repository, with its own toolkit and this environment's tools.

    Returns:
        What they printed.

    Raises:
        AssertionError: When one fails, with what it printed.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    process = subprocess.run(
        ["bash", "-o", "errexit", "-c", script],
        cwd=copy,
        env={
            **env,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(copy / "toolkit" / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "UV_FROZEN": "1",
            "UV_NO_SYNC": "1",
            "UV_PROJECT_ENVIRONMENT": sys.prefix,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, textwrap.indent(process.stdout, "  ")
    return process.stdout
