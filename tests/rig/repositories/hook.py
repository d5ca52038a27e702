"""The hook on its own, and what a test compares before and after it."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

from rig.host.cache import cache_dir
from rig.repositories.template import ROOT, git
from rig.run.program import run_program
from rig.run.result import Result

HOOK = ROOT / "hooks" / "post_gen.py"
MANIFEST = ROOT / "hooks" / "demo-manifest.txt"


def manifest() -> list[str]:
    """Return the demo's paths, in the manifest's order."""
    return MANIFEST.read_text().splitlines()


def make_job(repository: Path, template: Path, **changes: object) -> str:
    """Return the hook's job, as Copier passes it for the template's default answers.

    Args:
        repository: the hook's working directory.
        template: folder with the whole template.
        changes: fields that differ.
    """
    job = {
        "answers_file": ".copier-answers.yml",
        "destination": str(repository),
        "github_host": "github.com",
        "github_organization": "my-organization",
        "image_name": "web",
        "keep_demo": False,
        "quiet": False,
        "start_git": True,
        "template": str(template),
        **changes,
    }
    return json.dumps(job)


def run_hook(repository: Path, template: Path, check: bool = True, **changes: object) -> Result:
    """Run the hook as Copier does, in a repository that is there already.

    Args:
        repository: the hook's working directory.
        template: folder with the whole template.
        check: whether a failure of the hook is an error.
        changes: fields of the hook's job that differ, see `make_job`.
    """
    hook = template / "hooks" / "post_gen.py"
    job = make_job(repository, template, **changes)
    result = run_program(sys.executable, "-B", hook, job, cwd=repository)
    assert result.code == 0 or not check, result.output
    return result


def without_gitpython() -> Path:
    """Return a folder for PYTHONPATH that hides GitPython from the hook.

    Its module `git` raises the ImportError that Python raises where GitPython is not installed.
    An environment really without it is used in test_supported_versions.py.
    """
    folder = cache_dir("without-gitpython")
    text = 'raise ImportError("hidden by tests/rig/repositories/hook.py")\n'
    module = folder / "git.py"
    if not module.exists() or module.read_text() != text:
        partial = folder / f"git.{os.getpid()}"
        partial.write_text(text)
        partial.replace(module)
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Return what is below a folder, without git's own: path to kind, executable bit, content.

    Empty folders are listed too.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            if not any(path.iterdir()):
                found[f"{name}/"] = "empty folder"
        else:
            executable = "x" if path.stat().st_mode & stat.S_IXUSR else "-"
            found[name] = f"{executable} {path.read_bytes()!r}"
    return found


def git_state(repository: Path) -> tuple[str, str, str]:
    """Return what a hook must not change behind a person's back: HEAD, all refs and the index."""
    return (
        git(repository, "symbolic-ref", "HEAD"),
        git(repository, "show-ref"),
        git(repository, "ls-files", "--stage"),
    )
