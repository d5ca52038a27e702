"""How long `copier copy` and `copier update` take, against what they could take at best.

    uv run --group bench python bench/copy_and_update.py [--rounds 7]

Compared in one run: the copy with the hook, the same copy without it, cookiecutter on an equal
tree, an update, a same-version update with and without the hook.  Exit code 1 when a ratio
misses its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import yaml
from paired import Ratio, compare

from rig.repositories.hook import without_gitpython
from rig.repositories.template import git, release, render, snapshot

BOUNDS = [
    Ratio("copy / the same without the hook", "copy", "copy without the hook", 1.20),
    # A plain `uvx copier` has no GitPython, and the hook takes the git command.
    Ratio(
        "copy where GitPython is missing / the same without the hook",
        "copy where GitPython is missing",
        "copy without the hook",
        1.20,
    ),
    Ratio("copy / cookiecutter on an equal tree", "copy", "cookiecutter", 1.80),
    # What no template can get below: Copier itself, for one file and one question.
    Ratio("an almost empty template / cookiecutter", "almost empty", "cookiecutter", 1.80),
    Ratio("update / copy", "update", "copy", 2.20),
    Ratio(
        "same-version update / the same without the hook",
        "same-version update",
        "same-version update without the hook",
        1.05,
    ),
]
LARGEST = {False: 45, True: 60}


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="counted runs of each (default 7)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _isolate_git(work)
        contenders = _contenders(work)
        kept = compare(contenders, BOUNDS, arguments.rounds)
        return 0 if _count_files(work) and kept else 1


def _isolate_git(work: Path) -> None:
    config = work / "gitconfig"
    config.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
    os.environ.update(GIT_CONFIG_GLOBAL=str(config), GIT_CONFIG_NOSYSTEM="1")


def _contenders(work: Path) -> dict[str, Callable[[], None]]:
    template = snapshot(work / "template", "v1.0.0")
    hookless = _without_hook(snapshot(work / "hookless", "v0.9.0"), "v1.0.0")
    # What a release usually brings: a line in a file of the template.
    for repository in (template, hookless):
        changed = repository / "template/variables.pkr.hcl"
        changed.write_text(changed.read_text() + "# The newest release.\n")
        release(repository, "v1.1.0")
    cookie = _cookie(work, template)
    old = render(template, work / "old", vcs_ref="v1.0.0")
    same = render(template, work / "same", vcs_ref="v1.1.0")
    same_hookless = render(hookless, work / "same-hookless", vcs_ref="v1.1.0")
    git(same_hookless, "init", "--quiet")
    git(same_hookless, "add", "--all")
    git(same_hookless, "commit", "--quiet", "-m", "start")
    out = work / "out"

    empty = _almost_empty(work / "empty")
    hidden = {"PYTHONPATH": str(without_gitpython())}

    def copy(source: Path, env: Mapping[str, str] | None = None) -> None:
        shutil.rmtree(out, ignore_errors=True)
        _run("copier", "copy", "--trust", "--defaults", "--quiet", str(source), str(out), env=env)

    def cookiecutter() -> None:
        shutil.rmtree(out, ignore_errors=True)
        _run("cookiecutter", "--no-input", "--output-dir", str(out), str(cookie))

    def update(project: Path) -> None:
        _run("copier", "update", "--trust", "--defaults", "--quiet", str(project))
        git(project, "reset", "--quiet", "--hard")

    return {
        "copy": lambda: copy(template),
        "copy where GitPython is missing": lambda: copy(template, hidden),
        "copy without the hook": lambda: copy(hookless),
        "cookiecutter": cookiecutter,
        "almost empty": lambda: copy(empty),
        "update": lambda: update(old),
        "same-version update": lambda: update(same),
        "same-version update without the hook": lambda: update(same_hookless),
    }


def _without_hook(repository: Path, tag: str) -> Path:
    """Take the task out of copier.yml, and leave the demo out by the exclusion alone."""
    questions = repository / "copier.yml"
    before, _, rest = questions.read_text().partition("_tasks:\n")
    before = before.replace(" and _copier_operation == 'update'", "")
    questions.write_text(before + rest[rest.index("# --- The image") :])
    release(repository, tag)
    return repository


def _almost_empty(repository: Path) -> Path:
    """Make a template of one question and the answers file."""
    (repository / "template").mkdir(parents=True)
    (repository / "copier.yml").write_text(
        "_subdirectory: template\nname: {type: str, default: web}\n"
    )
    answers = repository / "template/{{ _copier_conf.answers_file }}.jinja"
    answers.write_text("{{ _copier_answers | to_nice_yaml }}")
    git(repository, "init", "--quiet")
    release(repository, "v1.0.0")
    return repository


def _cookie(work: Path, template: Path) -> Path:
    """Make a cookiecutter template that renders the very tree that a copy does.

    What Copier renders with Jinja, cookiecutter does too, from the same answers; what Copier
    copies as it is stands between raw marks, because cookiecutter renders every file.
    """
    cookie = work / "cookie"
    tree = render(template, cookie / "{{ cookiecutter.repository }}")
    shutil.rmtree(tree / ".git")
    answers = yaml.safe_load((tree / ".copier-answers.yml").read_text())
    names = [name for name in answers if not name.startswith("_")]
    variables = "".join(f"{{%- set {name} = cookiecutter.{name} -%}}\n" for name in names)
    for file in tree.rglob("*"):
        if not file.is_file():
            continue
        source = template / "template" / f"{file.relative_to(tree)}.jinja"
        if source.is_file():
            text = variables + source.read_text().replace('"includes/', '"')
            # Cookiecutter takes a list for a choice between its items.
            file.write_text(text.replace("(image_architectures", "([image_architectures]"))
        elif any(mark in file.read_text() for mark in ("{{", "{%", "{#")):
            file.write_text("{% raw %}" + file.read_text() + "{% endraw %}")
    shutil.copytree(template / "includes", cookie / "templates")
    context = {"repository": "packer-ami-example", **{name: answers[name] for name in names}}
    context["_extensions"] = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    (cookie / "cookiecutter.json").write_text(json.dumps(context))
    return cookie


def _count_files(work: Path) -> bool:
    kept = True
    for demo, largest in LARGEST.items():
        project = render(work / "template", work / f"count-{demo}", {"keep_demo": demo})
        count = len(git(project, "ls-files").splitlines())
        kept = kept and count <= largest
        print(f"{count:8d}    files {'with' if demo else 'without'} the demo, at most {largest}")
    return kept


def _run(*command: str, env: Mapping[str, str] | None = None) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
